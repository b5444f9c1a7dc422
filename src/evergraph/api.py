"""Opens checkpoints, and compares them."""

from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.checkpoint.diff import Difference
from evergraph.checkpoint.diff import diff as compare
from evergraph.formats.opening import open_checkpoint

__all__ = ["diff", "open"]


def open(uri: object, *, format: str | None = None, **options: Any) -> Checkpoint:  # noqa: A001 - what a user calls it
    """Open a checkpoint of any known format; nothing but its table is read.

    Args:
        uri: a path, `-`, or a URI: of a file of any format, a folder or an archive with a checkpoint in it, or the
            prefix of `prefix-symbol.json` and `prefix-0000.params`.
        format: name of the format; found from the content where not given.
        options: what the format takes, such as `dec_key=b"..."`; `member` chooses in folders and archives, `epoch`
            among a prefix's parameters.

    Raises:
        FormatError: no known format.
        DamagedError: naming what is damaged, where, and what to do.
        StoreError: the bytes cannot be reached.
    """
    return open_checkpoint(uri, format, **options)


def diff(first: object, second: object, tolerance: float = 0.0) -> Difference:
    """Compare two checkpoints, given as such or by their URIs: names, types, shapes, values, graphs.

    Args:
        first: one of them.
        second: the other.
        tolerance: largest absolute difference of two values that counts as none.
    """
    one, two = (c if isinstance(c, Checkpoint) else open(c) for c in (first, second))
    return compare(one, two, tolerance)
