"""Opens checkpoints, and compares them."""

from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.checkpoint.diff import Difference
from evergraph.checkpoint.diff import diff as compare
from evergraph.errors import IntegrityError, collect
from evergraph.formats.opening import open_checkpoint
from evergraph.saving.verify import check_checkpoint

__all__ = ["diff", "open"]


def open(  # noqa: A001 - what a user calls it
    uri: object, *, format: str | None = None, verify: bool = False, **options: Any
) -> Checkpoint:
    """Open a checkpoint of any known format; nothing but its table is read.

    Args:
        uri: a path, `-`, or a URI: of a file of any format, a folder or an archive with a checkpoint in it, or the
            prefix of `prefix-symbol.json` and `prefix-0000.params`.
        format: name of the format; found from the content where not given.
        verify: True to read every value first, and compare the checksums that were saved with it.
        options: what the format takes, such as `dec_key=b"..."`; `member` chooses in folders and archives, `epoch`
            among a prefix's parameters.

    Raises:
        FormatError: no known format.
        DamagedError: naming what is damaged, where, and what to do.
        StoreError: the bytes cannot be reached.
        IntegrityError: with `verify`, naming every tensor whose bytes are not those that were saved; or no checksums
            were saved with it.

    >>> import numpy as np, tempfile, os
    >>> from evergraph.saving import save
    >>> path = os.path.join(tempfile.mkdtemp(), "w.params")
    >>> _ = save({"arg:w": np.zeros(3, "float32")}, path, checksum=True)
    >>> list(open(path, verify=True))
    ['arg:w']
    """
    found = open_checkpoint(uri, format, **options)
    if verify:
        _require_whole(found, uri)
    return found


def _require_whole(found: Checkpoint, uri: object) -> None:
    report = check_checkpoint(found, uri)
    collect(IntegrityError, "the checkpoint is damaged", list(report.findings), where=report.name)
    if report.sums is None:
        raise IntegrityError(
            "no checksums were saved with this checkpoint, so nothing can be compared",
            where=report.name,
            fix="open it without verify=True; save with checksum=True to have them",
        )


def diff(first: object, second: object, tolerance: float = 0.0) -> Difference:
    """Compare two checkpoints, given as such or by their URIs: names, types, shapes, values, graphs.

    Values are read side by side in bounded memory.

    Args:
        first: one of them.
        second: the other.
        tolerance: largest absolute difference of two values that counts as none.

    Returns:
        What differs: `same`, `tensors` (a `TensorDifference` for each), `order`, `graph`, `equal`; `lines()` tells it.

    Raises:
        EvergraphError: a URI that cannot be opened.

    >>> import numpy as np
    >>> one = Checkpoint({"a": np.ones(2), "b": np.zeros(3)})
    >>> found = diff(one, one.replace({"a": np.array([1.0, 1.5]), "b": np.zeros(3)}))
    >>> found.same, found.equal, found.lines()[0]
    (False, 1, 'values: a: 1 of 2 differ, by up to 0.5')
    """
    one, two = (c if isinstance(c, Checkpoint) else open(c) for c in (first, second))
    return compare(one, two, tolerance)
