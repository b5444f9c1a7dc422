"""MindSpore's checkpoint records, written: to the byte what MindSpore writes for the same content."""

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from evergraph.errors import DamagedError, printable
from evergraph.formats.base import Piece
from evergraph.formats.mindspore_messages import MAP_PARTS
from evergraph.formats.mindspore_records import OWN, TYPE_NAMES
from evergraph.formats.protobuf import encode_varint
from evergraph.tensors import DENSE, MAP, TEXT, Blob, Computed, Held, Joined, Tensor

__all__ = ["CUTTERS", "SLICE", "Plan", "Whole", "cut", "plan_tensor"]

SLICE = 512 << 20
"""Bytes above which MindSpore gives a tensor several records."""

CUTTERS = ("bytes", "rows")
"""How large tensors are cut: at exactly so many bytes (a synchronous save), or between rows (an asynchronous one)."""

_EMPTY_TEXT = bytes(4)
_TYPES = {ours: theirs.encode() for ours, theirs in TYPE_NAMES.items()}


class Plan(NamedTuple):
    """The records of one entry: literal bytes, with the entry's contents between them.

    Args:
        literals: one more than there are contents.
        sizes: bytes of each content.
        blobs: what the contents are taken from, in order.
    """

    literals: Sequence[bytes]
    sizes: Sequence[int]
    blobs: Sequence[Blob]

    @property
    def nbytes(self) -> int:
        """Bytes of all records."""
        return sum(map(len, self.literals)) + sum(self.sizes)

    def pieces(self) -> Iterator[Piece]:
        """The records' bytes in order."""
        if [b.nbytes for b in self.blobs] == list(self.sizes):
            for literal, blob in zip(self.literals, self.blobs, strict=False):
                yield literal
                yield blob
        else:
            yield from _interleave(self.literals, self.sizes, self.blobs)
        if self.literals[-1]:
            yield self.literals[-1]


class Whole(NamedTuple):
    """The one record of a tensor that is not cut: its bytes up to the content, and the content."""

    head: bytes
    blob: Blob

    @property
    def nbytes(self) -> int:
        """Bytes of the record."""
        return len(self.head) + self.blob.nbytes

    def pieces(self) -> tuple[bytes, Blob]:
        """The record's bytes in order."""
        return self


def _interleave(literals: Sequence[bytes], sizes: Sequence[int], blobs: Sequence[Blob]) -> Iterator[Piece]:
    """Contents cut out of blobs that are divided in another way, in one pass over them."""
    chunks = (memoryview(c) for blob in blobs for c in blob.chunks())
    rest = memoryview(b"")
    for literal, size in zip(literals, sizes, strict=False):
        yield literal
        while size:
            rest = rest or next(chunks, memoryview(b""))
            if not rest:
                raise DamagedError("a tensor has fewer bytes than its sizes take", where=blobs[0].place)
            part, rest = rest[:size], rest[size:]
            size -= len(part)
            yield Held(part)


def plan_tensor(name: str, tensor: Tensor, cutter: str | None = None, limit: int = SLICE) -> Plan | Whole:
    """The records of one entry.

    Args:
        name: its name.
        tensor: dense, a text or a map.
        cutter: how to cut it when it is larger than `limit`, one of `CUTTERS`; None keeps the pieces that it was read
            in, and takes "bytes" for others.
        limit: bytes of the largest piece.
    """
    tag = name.encode("utf-8", "surrogateescape")
    blob = tensor.blob
    if tensor.storage == DENSE and OWN not in tensor.details and blob.nbytes <= limit:
        # nearly every entry of nearly every file
        return Whole(_head(tag, tensor.shape or (), _TYPES[tensor.dtype], blob.nbytes), blob)
    own = _recorded(name, tensor)
    if tensor.storage == MAP:
        return _plan_map(tag, name, tensor, own)
    type_name = _TYPES[tensor.dtype]
    if tensor.storage == TEXT:
        dims, blob = own.get("dims", (0,)), blob if blob.nbytes else Held(_EMPTY_TEXT)
    else:
        dims = tensor.shape or ()
        dims = own["dims"] if not dims and own.get("dims") == (0,) else dims
    kept = own.get("pieces", ())
    if cutter is None and kept and sum(kept) == blob.nbytes:
        sizes = kept
    else:
        sizes = cut(blob.nbytes, tensor.shape or (), cutter or CUTTERS[0], limit)
    records = [[_head(tag, dims, type_name, size), b""] for size in sizes]
    literals = _joined(records, own, [(name, ((dims, type_name, size),)) for size in sizes])
    blobs = blob.pieces if isinstance(blob, Joined) and tuple(p.nbytes for p in blob.pieces) == tuple(sizes) else [blob]
    return Plan(literals, sizes, blobs)


def _recorded(name: str, tensor: Tensor) -> Mapping[str, Any]:
    """What the entry's records were read with; checked, because another format's manifest may say anything."""
    own = tensor.details.get(OWN, {})
    sound = isinstance(own, Mapping) and all(_sound(own.get(key, ())) for key in ("dims", "pieces", "rows"))
    frames = own.get("frames", ()) if sound else None
    sound = sound and isinstance(own.get("type", ""), str) and isinstance(own.get("of", ()), tuple)
    if not sound or not isinstance(frames, tuple) or not all(f is None or _are_literals(f) for f in frames):
        raise DamagedError(
            "the details of an entry are not those of a MindSpore record", where=printable(name), found=printable(own)
        )
    return own


def _sound(sizes: Any) -> bool:
    return isinstance(sizes, tuple) and all(type(n) is int and 0 <= n < 1 << 63 for n in sizes)


def _are_literals(frame: Any) -> bool:
    return isinstance(frame, tuple) and len(frame) > 1 and all(isinstance(part, bytes) for part in frame)


def cut(nbytes: int, shape: Sequence[int], cutter: str, limit: int) -> list[int]:
    """The sizes of a tensor's pieces, as MindSpore cuts it."""
    if nbytes <= limit:
        return [nbytes]
    if cutter == CUTTERS[0] or not shape:
        whole, rest = divmod(nbytes, limit)
        return [limit] * whole + ([rest] if rest else [])
    # as numpy.array_split: the first pieces have a row more, and with few rows the last ones none
    count, row = math.ceil(nbytes / limit), nbytes // shape[0]
    least, more = divmod(shape[0], count)
    return [(least + (i < more)) * row for i in range(count)]


def _joined(records: list[list[bytes]], own: Mapping[str, Any], identities: list[Any]) -> list[bytes]:
    """The literals of all records in a row; a record that was read in another spelling keeps it while it fits."""
    frames, of = own.get("frames", ()), own.get("of", ())
    found = [b""]
    for index, canonical in enumerate(records):
        kept = frames[index] if tuple(of) == tuple(identities) and len(frames) == len(records) else None
        literals = kept if kept is not None and len(kept) == len(canonical) else canonical
        # a record's end runs into the next one's head
        found = [*found[:-1], found[-1] + literals[0], *literals[1:]]
    return found


def _head(tag: bytes, dims: Sequence[int], type_name: bytes, nbytes: int) -> bytes:
    """A record up to its content."""
    before, behind = _around(len(tag), tuple(dims), type_name, nbytes)
    return before + tag + behind


@functools.lru_cache(1 << 12)  # layers of one shape spell the same again and again
def _around(length: int, dims: tuple[int, ...], type_name: bytes, nbytes: int) -> tuple[bytes, bytes]:
    """A record's bytes before its name, and from there to its content."""
    tensor = _tensor_head(dims, type_name, nbytes)
    name = b"\n" + encode_varint(length)
    body = b"\x12" + encode_varint(len(tensor) + nbytes) + tensor
    return b"\n" + encode_varint(len(name) + length + len(body) + nbytes) + name, body


def _tensor_head(dims: tuple[int, ...], type_name: bytes, nbytes: int) -> bytes:
    sizes = b"".join(b"\x08" + encode_varint(d) for d in dims)
    return sizes + b"\x12" + encode_varint(len(type_name)) + type_name + b"\x1a" + encode_varint(nbytes)


def _plan_map(tag: bytes, name: str, tensor: Tensor, own: Mapping[str, Any]) -> Plan:
    parts = [tensor.parts[p] for p in MAP_PARTS]
    known = [_recorded(name, p) for p in parts]
    types = [str(k.get("type", p.dtype)).encode() for k, p in zip(known, parts, strict=True)]
    rows = _rows([k.get("rows", ()) for k in known], parts)
    records, identities, blobs = [], [], []
    for index in range(len(rows[0])):
        dims = [(r[index], *p.shape[1:]) if p.shape else () for r, p in zip(rows, parts, strict=True)]
        sizes = [math.prod(d) * p.dtype.itemsize for d, p in zip(dims, parts, strict=True)]
        records.append(_map_literals(tag, dims, types, sizes))
        identities.append((name, tuple(zip(dims, types, sizes, strict=True))))
        blobs += [_piece(p.blob, r, index, n) for p, r, n in zip(parts, rows, sizes, strict=True)]
    return Plan(_joined(records, own, identities), [b.nbytes for b in blobs], blobs)


def _rows(kept: list[Sequence[int]], parts: list[Tensor]) -> list[Sequence[int]]:
    """How many rows of each array each record holds: as they were read, where that still fits, or all in one."""
    alike = len({len(r) for r in kept}) == 1 and kept[0]
    if alike and all(p.shape and sum(r) == p.shape[0] for r, p in zip(kept, parts, strict=True)):
        return kept
    return [p.shape[:1] if p.shape else (1,) for p in parts]


def _piece(blob: Blob, rows: Sequence[int], index: int, nbytes: int) -> Blob:
    """The rows of one record."""
    if len(rows) == 1:
        return blob
    if isinstance(blob, Joined) and len(blob.pieces) == len(rows) and blob.pieces[index].nbytes == nbytes:
        return blob.pieces[index]
    start = blob.nbytes // max(sum(rows), 1) * sum(rows[:index])
    return Computed(nbytes, lambda: blob.read()[start : start + nbytes], blob.place)


def _map_literals(
    tag: bytes, dims: Sequence[Sequence[int]], types: Sequence[bytes], sizes: Sequence[int]
) -> list[bytes]:
    heads = [_tensor_head(tuple(d), t, n) for d, t, n in zip(dims, types, sizes, strict=True)]
    heads = [b"\n" + encode_varint(len(h) + n) + h for h, n in zip(heads, sizes, strict=True)]
    body = sum(map(len, heads)) + sum(sizes)
    start = b"\n" + encode_varint(len(tag)) + tag + b"\x1a" + encode_varint(body)
    return [b"\n" + encode_varint(len(start) + body) + start + heads[0], *heads[1:], b""]
