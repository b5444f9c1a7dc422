"""Saves a checkpoint: plan, say what would be lost, stream, check, make visible."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import ConversionError, DamagedError, EvergraphError, StoreError, UsageError, collect, printable
from evergraph.formats import File, Format, Layout, Piece, by_name, by_target
from evergraph.saving.checksums import SUFFIX, Hasher, checksums, labelled, manifest, read_manifest
from evergraph.stores import PROTOCOLS, Location, Sink, Source, Transaction, exists, locate
from evergraph.stores.folders import remove_file
from evergraph.tensors import Tensor

__all__ = ["leave_pair", "save", "save_into", "sidecar", "target_format", "write_layout"]

_OF_PAIR = re.compile(r"(?P<prefix>.+)(-symbol\.json|-\d{4,}\.params)")

_LIST: Mapping[str, Any] = MappingProxyType({"named": False})


def save(
    checkpoint: Checkpoint | Mapping[str, Any] | Sequence[Any],
    uri: object,
    *,
    to: str | None = None,
    lossy: bool = False,
    checksum: bool = False,
    **options: Any,
) -> Layout:
    """Save a checkpoint atomically and durably; whatever fails, the old content of `uri` stays.

    Args:
        checkpoint: a checkpoint, a mapping from names to tensors or arrays, or a list of them, whose names are numbers.
        uri: where to; its ending names the format where `to` does not, and a name without one is a prefix where there
            is a graph.
        to: name of the format.
        lossy: go on where the target cannot carry everything.
        checksum: keep a checksum of each tensor in a small file beside it (`NAME.evg.json`); targets of several
            files always have one, and a file that has one keeps it.
        options: what the format takes, such as `release="1.0"` or `crc_check=True`.

    Returns:
        The layout that was written: files, and what it could not carry.

    Raises:
        ConversionError: listing what the target cannot carry, unless `lossy`.
        StoreError: naming the step that failed.
        UsageError: what is given is no arrays under names, listing each that is none.

    >>> import numpy as np, tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "w.params")
    >>> len(save({"arg:w": np.zeros(3, "float32")}, path).files)
    1
    """
    with Transaction() as work:
        layout = save_into(work, checkpoint, uri, to=to, lossy=lossy, checksum=checksum, **options)
    if len(layout.files) == 1:
        leave_pair(locate(uri))
    return layout


def save_into(
    work: Transaction,
    checkpoint: Checkpoint | Mapping[str, Any] | Sequence[Any],
    uri: object,
    *,
    to: str | None = None,
    lossy: bool = False,
    checksum: bool = False,
    **options: Any,
) -> Layout:
    """Write a checkpoint as one of the things that a transaction makes visible together; arguments are `save`'s."""
    target = locate(uri)
    found = checkpoint if isinstance(checkpoint, Checkpoint) else _gathered(checkpoint)
    form = by_name(to) if to is not None else target_format(target, found)
    layout = form.plan(found, target, **options)
    if target.is_stream and len(layout.files) > 1:
        names = ", ".join(f.location.basename.removeprefix(target.basename) for f in layout.files)
        fix = "give a name, or a format of one file with to= (--to), such as safetensors"
        raise UsageError(f"{form.title} is several files: standard output takes one", found=names, fix=fix)
    if not lossy:
        collect(
            ConversionError,
            f"{form.title} cannot carry everything",
            layout.losses,
            where=target.shown,
            fix="choose another format, drop what is not needed, or accept the loss with lossy=True (--lossy)",
        )
    several = len(layout.files) > 1 and not target.is_stream
    beside = sidecar(target) if checksum or several or _has_checksums(target) else None
    # an encrypted file cannot be read back without its key
    read_back = form.read if len(layout.files) == 1 and "enc_key" not in options else None
    write_layout(work, layout, found, beside, form.name, read_back)
    return layout


def _has_checksums(target: Location) -> bool:
    """Whether an older save left checksums, which would call the new file damaged."""
    protocol = PROTOCOLS.get(target.protocol)
    return not target.is_stream and (protocol is None or protocol.writable) and exists(sidecar(target))


def leave_pair(target: Location) -> None:
    """Take away the checksums of a pair of which one file was written anew by itself: they count no more."""
    match = _OF_PAIR.fullmatch(target.basename)
    if match is None or not exists(beside := target.sibling(f"{match['prefix']}{SUFFIX}")):
        return
    found = _previous(beside)
    if found is None or any(target.basename in version["files"] for version in found["versions"]):
        remove_file(beside)


def _previous(beside: Location) -> dict[str, Any] | None:
    """The manifest that a save replaces; None where there is none, or one that nobody can read."""
    try:
        return read_manifest(beside)
    except DamagedError:
        return None


def target_format(target: Location, checkpoint: Checkpoint) -> Format:
    """The format that a target's name asks for; a name without an ending is a prefix where there is a graph."""
    if target.uri.endswith("/"):
        name = checkpoint.metadata.get("prefix", "model")
        fix = f"give a name in it, such as {target.shown}{printable(name)}"
        raise UsageError("the target is a folder", where=target.shown, fix=fix)
    try:
        return by_target(target, checkpoint.format)
    except UsageError:
        if checkpoint.graph is None or "." in target.basename or not target.basename:
            raise
    return by_name("mxnet-checkpoint")


def _gathered(given: Any) -> Checkpoint:
    """Arrays that a program holds, as a checkpoint."""
    details: dict[str, Any] = {}
    if isinstance(given, (list, tuple)):
        # MXNet's files have a form of their own for lists; other formats know numbers as names
        given, details = {str(i): array for i, array in enumerate(given)}, {"carried": {"mxnet-params": _LIST}}
    if not isinstance(given, Mapping):
        fix = "for a torch module, give its state_dict()" if hasattr(given, "state_dict") else None
        raise UsageError(
            "this is no checkpoint",
            expected="a Checkpoint, a mapping from names to arrays, or a list of arrays",
            found=type(given).__name__,
            fix=fix,
        )
    wrong = [f"{printable(name)} ({type(name).__name__}) is no name" for name in given if not isinstance(name, str)]
    tensors = {}
    for name, array in given.items():
        try:
            tensors[name] = array if isinstance(array, Tensor) else Tensor.of(array)
        except (TypeError, ValueError, EvergraphError) as error:
            wrong.append(f"{printable(name)}: {error.what if isinstance(error, EvergraphError) else error}")
    collect(UsageError, "what shall be saved is no arrays under names", wrong)
    return Checkpoint(tensors, details=details)


def sidecar(target: Location) -> Location:
    """Where the checksums of a target stand."""
    return target.sibling(target.basename + SUFFIX)


def write_layout(
    work: Transaction,
    layout: Layout,
    checkpoint: Checkpoint,
    beside: Location | None = None,
    form: str = "",
    read_back: Callable[[Source], object] | None = None,
) -> None:
    """Stream a layout's files into a transaction.

    Args:
        work: makes them visible.
        layout: what to write.
        checkpoint: what the layout was planned from.
        beside: where a manifest with sizes and checksums goes.
        form: the format's name, for the manifest.
        read_back: reads the written file's table once more before it is made visible.
    """
    hasher = Hasher(labelled(checkpoint)) if beside is not None else None
    before = _previous(beside) if beside is not None else None
    # the manifest of one file comes before it, so that a reader of the file is never disturbed; that of several
    # after them, because they count only with it
    note = work.add(beside) if beside is not None and len(layout.files) == 1 else None
    sinks = [work.add(f.location, total=f.size, mode=f.mode, check=read_back) for f in layout.files]
    for file, sink in zip(layout.files, sinks, strict=True):
        _stream(file.pieces(), sink, hasher)
        _require_size(file, sink)
    if beside is not None and hasher is not None:
        sums = hasher.results()
        sums |= checksums(checkpoint, [label for label, _ in labelled(checkpoint) if label not in sums])
        sizes = {f.location.basename: s.position for f, s in zip(layout.files, sinks, strict=True)}
        (note or work.add(beside)).write(manifest(form, sizes, sums, before))


def _require_size(file: File, sink: Sink) -> None:
    if file.size is not None and sink.position != file.size:
        raise StoreError(
            "another number of bytes was written than planned",
            where=file.location.shown,
            expected=file.size,
            found=sink.position,
            fix="the old content is untouched; a source that changed while it was copied, or a fault of evergraph's",
        )


def _stream(pieces: Iterable[Piece], sink: Sink, hasher: Hasher | None) -> None:
    write = sink.write
    for piece in pieces:
        if isinstance(piece, bytes):
            write(piece)
            continue
        label = hasher.label(piece) if hasher is not None else None
        for chunk in piece.chunks():
            if hasher is not None and label is not None:
                hasher.update(label, chunk)
            write(chunk)
