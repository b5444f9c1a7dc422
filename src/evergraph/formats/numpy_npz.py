"""NumPy's `.npz` archives and `.npy` files, and the archives that MXNet 2.0 keeps parameters in.

Layout: docs/formats/numpy.md.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import DamagedError, EvergraphError, UsageError, collect, printable
from evergraph.formats.base import File, Format, Layout
from evergraph.formats.carry import CARRY, Target, describe, encodable, restore
from evergraph.formats.npy_header import MAGIC, MAX_HEADER, element_type, parse_header, render_header
from evergraph.formats.pickle_numpy import reordered
from evergraph.formats.tree import ALONE
from evergraph.formats.zip_reader import END, LOCAL, ZipMember, zip_table
from evergraph.formats.zip_writer import Entry, ZipLayout, compressed
from evergraph.stores import Location, Source
from evergraph.tensors import CSR, DENSE, DTYPES, ROW_SPARSE, TEXT, Blob, Extent, Held, Tensor

__all__ = ["NumpyArchive", "NumpyArray"]

MANIFEST = "evergraph/manifest"
MAX_MANIFEST = 1 << 28
_FIRST = 1024
"""What is read of an array to find its header: NumPy's have under 200 bytes."""
SKIP = "True: leave out arrays that are no tensors (objects, texts, dates); the metadata lists them"
_SPARSE_PARTS = {ROW_SPARSE: ("indices",), CSR: ("indptr", "indices")}
_FORMAT, _SHAPE = "format", "shape"
_MXNET_2_BFLOAT16 = "[('bfloat16', '<u2')]"

TARGET = Target(
    "npz",
    "a NumPy archive",
    {n: n for n in DTYPES if n not in ("int4", "hifloat8", "float8_e4m3fn", "float8_e5m2", "str")}
    | {"int4": "int8", "hifloat8": "uint8", "float8_e4m3fn": "uint8", "float8_e5m2": "uint8"},
    storages=frozenset((DENSE, ROW_SPARSE, CSR)),
    accepts=lambda name: bool(name) and name != MANIFEST and "\0" not in name and encodable(name),
)


class NumpyArchive(Format):
    """Archives of `np.savez`, `np.savez_compressed` and MXNet 2.0."""

    name = "npz"
    title = "a NumPy archive"
    suffixes = (".npz",)
    read_options = MappingProxyType({"skip": SKIP, "carried": "False: only the arrays, without the manifest"})
    write_options = MappingProxyType(
        {"carry": CARRY, "compress": "True: deflate the arrays", "release": "2.0: bfloat16 as MXNet 2.0 spells it"}
    )

    def recognise(self, head: bytes, source: Source) -> bool:
        """Whether this is a zip archive of `.npy` members."""
        if head.startswith(END) and source.size == 22:
            return True
        if not head.startswith(LOCAL):
            return False
        names = list(zip_table(source).members)
        return bool(names) and all(n.endswith(".npy") or n == MANIFEST for n in names)

    def read(self, source: Source, **options: Any) -> Checkpoint:
        """The arrays, in place where they are not compressed; three members of a sparse array are one tensor.

        Raises:
            UnsafeError: arrays of Python objects, unless they are skipped.
            FormatError: arrays of texts or dates, unless they are skipped.
            DamagedError: the archive or a header is broken, or an array has another size than its shape.
        """
        self.check_options(options, self.read_options)
        members = dict(zip_table(source).members)
        manifest = members.pop(MANIFEST, None)
        found = _Arrays(members, bool(options.get("skip"))).checkpoint(source, self.name)
        if manifest is None or not options.get("carried", True):
            return found
        text = manifest.content(MAX_MANIFEST).decode("utf-8", "surrogateescape")
        return restore(found, text).replace(original=source)

    def plan(self, checkpoint: Checkpoint, target: Location, **options: Any) -> Layout:
        """One archive that `np.load` reads: the same bytes for the same arrays, whatever the day."""
        self.check_options(options, self.write_options)
        if (layout := self.unchanged(checkpoint, target, options)) is not None:
            return layout
        release = options.get("release")
        if release not in (None, "2.0", "2"):
            raise UsageError(f"no release {printable(release)} of MXNet writes this format", expected="2.0")
        carried = describe(checkpoint, TARGET, options.get("carry", True))
        entries = [e for n, t in carried.tensors.items() for e in _entries(n, t, release is not None)]
        if carried.manifest:
            entries.append(Entry(MANIFEST, [carried.manifest.encode("utf-8", "surrogateescape")]))
        _require_different(entries, target)
        if options.get("compress"):
            file = File(target, lambda: compressed(entries), None)
        else:
            found = ZipLayout(entries)
            file = File(target, found.pieces, found.size)
        return Layout((file,), carried.losses, carried.notes)


def _require_different(entries: list[Entry], target: Location) -> None:
    seen: set[str] = set()
    twice = [printable(e.name) for e in entries if e.name in seen or seen.add(e.name)]
    collect(UsageError, "two arrays would have one name in the archive", twice, where=target.shown, fix="rename one")


def _entries(name: str, tensor: Tensor, mxnet: bool) -> list[Entry]:
    def array(label: str, found: Tensor) -> Entry:
        descr = _MXNET_2_BFLOAT16 if mxnet and found.dtype == "bfloat16" else None
        return Entry(f"{label}.npy", [render_header(found.dtype, found.shape or (), descr), found.blob])

    if tensor.storage == DENSE:
        return [array(name, tensor)]
    parts = [array(f"{name}/{part}", found) for part, found in tensor.parts.items()]
    shape = b"".join(d.to_bytes(8, "little") for d in tensor.shape or ())
    parts.append(Entry(f"{name}/{_SHAPE}.npy", [render_header(DTYPES["int64"], (len(tensor.shape or ()),)), shape]))
    label = tensor.storage.encode()
    head = render_header(DTYPES["uint8"], (), repr(f"|S{len(label)}"))
    return [*parts, Entry(f"{name}/{_FORMAT}.npy", [head, label])]


class _Arrays:
    """The members of an archive, as tensors."""

    def __init__(self, members: Mapping[str, ZipMember], skip: bool) -> None:
        self._members, self._skip = members, skip
        self._skipped: dict[str, str] = {}
        self._errors: dict[str, EvergraphError] = {}

    def checkpoint(self, source: Source, form: str) -> Checkpoint:
        groups = self._groups()
        inside = {m for name, storage in groups.items() for m in _group(name, storage)}
        tensors: dict[str, Tensor] = {}
        for member in self._members:
            if member not in inside:
                self._add(tensors, member.removesuffix(".npy") or ALONE, member)
                continue
            name = member.rpartition("/")[0]
            if (name or ALONE) not in tensors:
                tensors[name or ALONE] = self._sparse(name, groups[name])
        if self._errors:
            raise self._refusal(source)
        metadata = {"skipped": self._skipped} if self._skipped else {}
        return Checkpoint(tensors, metadata=metadata, format=form, name=source.name, original=source)

    def _refusal(self, source: Source) -> EvergraphError:
        errors = list(self._errors.values())
        return type(errors[0])(
            "arrays of the archive are no tensors",
            where=source.name,
            details=[f"{printable(n)}: {e.what} ({e.found})" for n, e in self._errors.items()],
            fix="open it with skip=True to leave them out",
        )

    def _add(self, tensors: dict[str, Tensor], name: str, member: str) -> None:
        try:
            tensors[name] = _read_member(self._members[member])
        except DamagedError:
            raise
        except EvergraphError as error:
            if self._skip:
                self._skipped[name] = error.what
            else:
                self._errors[name] = error

    def _groups(self) -> dict[str, str]:
        """Folder -> storage kind, where a folder holds just the parts of one sparse array."""
        folders: dict[str, set[str]] = {}
        for name in self._members:
            folder, _, base = name.rpartition("/")
            folders.setdefault(folder, set()).add(base)
        kinds = {frozenset(m.rpartition("/")[2] for m in _group("x", k)): k for k in _SPARSE_PARTS}
        found = {}
        for folder, bases in folders.items():
            kind = kinds.get(frozenset(bases))
            if kind is not None and self._label(folder) == kind:
                found[folder] = kind
        return found

    def _label(self, folder: str) -> str:
        # MXNet 2.0 writes a header here that is broken; what stands behind it is right
        member = self._members[_join(folder, _FORMAT)]
        if member.size > MAX_HEADER:
            return ""
        content = member.content(MAX_HEADER)
        return content[_read_header(content, member.shown)[0] :].decode("latin-1")

    def _sparse(self, folder: str, storage: str) -> Tensor:
        parts = {p: _read_member(self._members[_join(folder, p)]) for p in ("data", *_SPARSE_PARTS[storage])}
        shape = _shape(self._members[_join(folder, _SHAPE)])
        data, indices, indptr = parts["data"], parts["indices"], parts.get("indptr")
        count = (indices.shape or (0,))[0]
        wanted = (count,) if storage == CSR else (count, *shape[1:])
        fits = data.shape == wanted and min(shape, default=-1) >= 0 and indices.ndim == 1
        if storage == CSR:
            fits = fits and len(shape) == 2 and indptr is not None and indptr.shape == (shape[0] + 1,)
        if not fits or any(p.storage != DENSE or p.dtype.kind not in "iu" for n, p in parts.items() if n != "data"):
            raise DamagedError(
                f"the parts of a {storage} array do not fit",
                where=self._members[_join(folder, "data")].shown,
                expected=f"data of shape {wanted} for shape {shape}",
                found=data.shape,
            )
        return Tensor.sparse(storage, shape, data, indices, indptr)


def _join(folder: str, part: str) -> str:
    return f"{folder}/{part}.npy" if folder else f"{part}.npy"


def _group(folder: str, storage: str) -> list[str]:
    return [_join(folder, part) for part in ("data", *_SPARSE_PARTS[storage], _SHAPE, _FORMAT)]


def _shape(member: ZipMember) -> tuple[int, ...]:
    content = member.content(MAX_HEADER)
    offset, text = _read_header(content, member.shown)
    found = _array(text, len(content) - offset, lambda _: Held(content[offset:]), member.shown).numpy()
    return tuple(int(d) for d in found.reshape(-1)[:32]) if found.dtype.kind in "iu" else ()


def _read_header(content: bytes, where: str) -> tuple[int, str]:
    """Where the data of an array begins, and the text of its header, from the array's first bytes."""
    start, size = content[:12], len(content)
    if not start.startswith(MAGIC) or len(start) < 12:
        raise DamagedError("an array does not begin as one", where=where, found=printable(start))
    if start[6] not in (1, 2, 3) or start[7] != 0:
        raise DamagedError(
            "an unknown version of array", where=where, expected="1.0 to 3.0", found=f"{start[6]}.{start[7]}"
        )
    begin = 10 if start[6] == 1 else 12
    length = int.from_bytes(start[8:begin], "little")
    if length > min(MAX_HEADER, size - begin):
        raise DamagedError(
            "an array's header is too long", where=where, expected=f"at most {size - begin}", found=length
        )
    text = content[begin : begin + length]
    return begin + length, text.decode("utf-8" if start[6] == 3 else "latin-1", "replace")


def _read_member(member: ZipMember) -> Tensor:
    head = bytes(member.blob(0, min(member.size, _FIRST)).read())
    if len(head) == _FIRST and int.from_bytes(head[8 : 12 if head[6] > 1 else 10], "little") + 12 > _FIRST:
        head = bytes(member.blob(0, min(member.size, MAX_HEADER + 12)).read())
    offset, text = _read_header(head, member.shown)
    return _array(text, member.size - offset, lambda nbytes: member.blob(offset, nbytes), member.shown)


def _array(text: str, left: int, blob: Callable[[int], Blob], where: str) -> Tensor:
    """The tensor of a header and the bytes behind it."""
    descr, fortran, shape = parse_header(text, where)
    if descr.lstrip("<|").startswith("U") and shape == () and descr[-1].isdigit():
        return Tensor(DTYPES["str"], (), blob(left), TEXT)
    kind, swapped = element_type(descr)
    nbytes = math.prod(shape) * kind.itemsize
    if nbytes != left:
        raise DamagedError(
            "an array has another size than its shape",
            where=where,
            expected=f"{nbytes} bytes for shape {shape} of {kind}",
            found=left,
            fix="the file is cut short or damaged: fetch it again",
        )
    found = blob(nbytes)
    if (fortran and sum(d > 1 for d in shape) > 1) or swapped:
        found = reordered(found, kind, shape, fortran, swapped)
    return Tensor(kind, shape, found)


class NumpyArray(Format):
    """One array, as `np.save` writes it; its name is "0"."""

    name = "npy"
    title = "a NumPy array file"
    suffixes = (".npy",)

    def recognise(self, head: bytes, source: Source) -> bool:
        """Whether the content begins with NumPy's mark."""
        return head.startswith(MAGIC)

    def read(self, source: Source, **options: Any) -> Checkpoint:
        """The array, in place.

        Raises:
            UnsafeError: Python objects.
            DamagedError: the header is broken, or the size is another than the shape's.
        """
        self.check_options(options, self.read_options)
        offset, text = _read_header(source.head(MAX_HEADER + 12), source.name)
        tensor = _array(text, source.size - offset, lambda nbytes: Extent(source, offset, nbytes), source.name)
        return Checkpoint({ALONE: tensor}, format=self.name, name=source.name, original=source)

    def plan(self, checkpoint: Checkpoint, target: Location, **options: Any) -> Layout:
        """The file of the only array.

        Raises:
            UsageError: none or several.
        """
        self.check_options(options, self.write_options)
        if (layout := self.unchanged(checkpoint, target, options)) is not None:
            return layout
        if len(checkpoint) != 1:
            raise UsageError(
                "this file holds one array",
                where=target.shown,
                found=f"{len(checkpoint)} tensors",
                fix="choose one with only=..., or save an .npz",
            )
        (name, tensor), *_ = checkpoint.items()
        losses = [f"metadata: {printable(k)}" for k in checkpoint.metadata]
        losses += ["the graph"] if checkpoint.graph is not None else []
        if tensor.storage != DENSE:
            losses.append(f"{printable(name)}: {tensor.storage} storage becomes dense")
            array = tensor.numpy()
            tensor = Tensor.of(array)
        if tensor.dtype not in TARGET.dtypes or TARGET.dtypes[tensor.dtype] != tensor.dtype:
            losses.append(f"{printable(name)}: {tensor.dtype} becomes raw bytes")
        head, blob = render_header(tensor.dtype, tensor.shape or ()), tensor.blob

        def pieces() -> Iterator[Any]:
            yield head
            yield blob

        return Layout((File(target, pieces, len(head) + blob.nbytes),), tuple(losses))
