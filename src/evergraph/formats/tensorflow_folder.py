"""Which index stands for a folder of TensorFlow's checkpoints, for a SavedModel, or for a prefix."""

import re
from collections.abc import Iterable

from evergraph.errors import UsageError, printable
from evergraph.formats.candidates import find
from evergraph.formats.tensorflow_bundle import SUFFIX
from evergraph.stores import Location, exists, list_folder, locate, open_source

__all__ = ["index_in_folder", "index_of_prefix"]

_STATE = "checkpoint"
_NEWEST = re.compile(rb'^model_checkpoint_path:\s*"([^"\n]*)"', re.MULTILINE)
_LARGEST = 1 << 20


def index_of_prefix(location: Location) -> Location | None:
    """The index of a prefix such as `model.ckpt-1000`; None where there is none."""
    if location.is_stream or not location.basename:
        return None
    index = location.sibling(location.basename + SUFFIX)
    return index if exists(index) else None


def index_in_folder(location: Location, member: str | None = None) -> Location | None:
    """The index that stands for a folder: the one `member` names, the newest by the folder's list, or the only one.

    Args:
        location: a folder, or a SavedModel's.
        member: a prefix in it.

    Returns:
        None where the folder holds no TensorFlow checkpoint, or other checkpoints as well.

    Raises:
        UsageError: several, and nothing chooses.
    """
    base = location.uri.partition("?")[0].rstrip("/")
    names = list_folder(location)
    if "saved_model.pb" in names:
        variables = locate(f"{base}/variables/variables{SUFFIX}")
        return variables if exists(variables) else None
    prefixes = [n.removesuffix(SUFFIX) for n in names if n.endswith(SUFFIX) and _has_data(n, names)]
    if not prefixes or find(names):
        return None
    chosen = member.removesuffix(SUFFIX) if member is not None else _newest(base, names)
    if len(prefixes) == 1 and member is None:
        chosen = prefixes[0]
    if chosen not in prefixes:
        raise UsageError(
            "there are several checkpoints" if member is None else f"no checkpoint {printable(member)!r}",
            where=location.shown,
            details=[printable(p) for p in prefixes[:50]],
            fix="choose one of these with member=... (--member)",
        )
    return locate(f"{base}/{chosen}{SUFFIX}")


def _has_data(index: str, names: Iterable[str]) -> bool:
    stem = index.removesuffix(SUFFIX)
    return any(n.startswith(f"{stem}.data-") for n in names)


def _newest(base: str, names: Iterable[str]) -> str | None:
    """The checkpoint that TensorFlow's own list says to be the newest."""
    if _STATE not in names:
        return None
    with open_source(locate(f"{base}/{_STATE}")) as source:
        found = _NEWEST.search(source.head(min(source.size, _LARGEST)))
    # lists hold absolute paths of where they were written; the files stand beside them
    return found[1].decode("utf-8", "replace").rpartition("/")[2] if found else None
