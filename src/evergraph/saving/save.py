"""Saves a checkpoint: plan, say what would be lost, stream, check, make visible."""

from collections.abc import Mapping
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import ConversionError, collect
from evergraph.formats import Layout, by_name, by_target
from evergraph.stores import Sink, Transaction, locate

__all__ = ["save", "write_layout"]


def save(
    checkpoint: Checkpoint | Mapping[str, Any],
    uri: object,
    *,
    to: str | None = None,
    lossy: bool = False,
    **options: Any,
) -> Layout:
    """Save a checkpoint atomically and durably; whatever fails, the old content of `uri` stays.

    Args:
        checkpoint: a checkpoint, or a mapping from names to tensors or arrays.
        uri: where to; its ending names the format where `to` does not.
        to: name of the format.
        lossy: go on where the target cannot carry everything.
        options: what the format takes, such as `release="1.0"` or `crc_check=True`.

    Returns:
        The layout that was written: files, and what it could not carry.

    Raises:
        ConversionError: listing what the target cannot carry, unless `lossy`.
        StoreError: naming the step that failed.

    >>> import numpy as np, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "w.params")
    >>> len(save({"arg:w": np.zeros(3, "float32")}, path).files)
    1
    """
    target = locate(uri)
    found = checkpoint if isinstance(checkpoint, Checkpoint) else Checkpoint(checkpoint)
    form = by_name(to) if to is not None else by_target(target)
    layout = form.plan(found, target, **options)
    if not lossy:
        collect(
            ConversionError,
            f"{form.title} cannot carry everything",
            layout.losses,
            where=target.shown,
            fix="choose another format, drop what is not needed, or accept the loss with lossy=True (--lossy)",
        )
    write_layout(layout)
    return layout


def write_layout(layout: Layout) -> None:
    """Stream a layout's files into one transaction."""
    with Transaction() as work:
        for file in layout.files:
            sink = work.add(file.location, total=file.size, mode=file.mode)
            for piece in file.pieces():
                _copy(piece, sink)


def _copy(piece: Any, sink: Sink) -> None:
    if isinstance(piece, bytes):
        sink.write(piece)
        return
    for chunk in piece.chunks():
        sink.write(chunk)
