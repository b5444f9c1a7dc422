"""The few names a user needs: open, save."""

from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.formats import by_content, by_name
from evergraph.saving import save
from evergraph.stores import open_source

__all__ = ["open", "save"]


def open(uri: object, *, format: str | None = None, **options: Any) -> Checkpoint:  # noqa: A001 - what a user calls it
    """Open a checkpoint of any known format; nothing but its table is read.

    Args:
        uri: a path, `-`, or a URI.
        format: name of the format; found from the content where not given.
        options: what the format takes, such as `dec_key=b"..."`.

    Raises:
        FormatError: no known format.
        DamagedError: naming what is damaged, where, and what to do.
        StoreError: the bytes cannot be reached.
    """
    source = open_source(uri)
    form = by_name(format) if format is not None else by_content(source)
    return form.read(source, **options)
