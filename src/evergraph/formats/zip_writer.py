"""Writes a zip archive in one pass: members stored as they are, aligned, the same bytes each time."""

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from evergraph.formats.base import Piece
from evergraph.formats.zip_reader import END, END64, ENTRY, LOCAL, LOCATOR

__all__ = ["ALIGNMENT", "Entry", "ZipLayout", "compressed"]

ALIGNMENT = 64
"""Vector instructions and mapped files like it; torch aligns its own members so."""
DATE = (1 << 5) | 1
"""1 January 1980, the first day that the format knows: a date would make each file another."""
_LIMIT = 0xFFFFFFFF
_DESCRIPTOR = b"PK\7\x08"
_UTF8, _LATER = 0x800, 0x8


@dataclass(frozen=True, slots=True)
class Entry:
    """One member to write.

    Args:
        name: its name.
        pieces: its content in order.
    """

    name: str
    pieces: Sequence[Piece]

    @property
    def size(self) -> int:
        """Bytes of the content."""
        return sum(len(p) if isinstance(p, bytes) else p.nbytes for p in self.pieces)


@dataclass(slots=True)
class _Placed:
    entry: Entry
    offset: int
    padding: int
    crc: int | None
    packed: int | None = None

    @property
    def long(self) -> bool:
        return self.entry.size >= _LIMIT

    @property
    def raw_name(self) -> bytes:
        return self.entry.name.encode("utf-8", "surrogateescape")

    @property
    def flags(self) -> int:
        return (0 if self.raw_name.isascii() else _UTF8) | (_LATER if self.crc is None else 0)


class ZipLayout:
    """Where each member of an archive will stand.

    Members whose bytes are not at hand are followed by their checksum, so that nothing is read twice.

    Args:
        entries: the members in order.
        padding: the character that fills the space before aligned content.

    >>> import io, zipfile
    >>> data = b"".join(ZipLayout([Entry("a.txt", [b"hello"])]).pieces())
    >>> zipfile.ZipFile(io.BytesIO(data)).read("a.txt")
    b'hello'
    """

    def __init__(self, entries: Iterable[Entry], padding: bytes = b"\0") -> None:
        self._fill = padding
        self._placed: list[_Placed] = []
        at = 0
        for entry in entries:
            known = all(isinstance(p, bytes) for p in entry.pieces)
            placed = _Placed(entry, at, 0, _crc(entry.pieces) if known else None)
            placed.padding = -(at + len(self._local(placed))) % ALIGNMENT
            self._placed.append(placed)
            at += len(self._local(placed)) + entry.size + len(self._descriptor(placed, 0))
        self._directory = at
        self.size = at + len(self._tail([0] * len(self._placed)))

    def pieces(self) -> Iterator[Piece]:
        """The archive in order. Each piece must be read before the next is asked for."""
        sums = []
        for placed in self._placed:
            yield self._local(placed)
            if placed.crc is not None:
                yield from placed.entry.pieces
                sums.append(placed.crc)
                continue
            summed = _Summed()
            for piece in placed.entry.pieces:
                yield summed.over(piece)
            sums.append(summed.result())
            yield self._descriptor(placed, sums[-1])
        yield self._tail(sums)

    def _local(self, placed: _Placed) -> bytes:
        name = placed.raw_name
        extra = struct.pack("<2H2Q", 1, 16, *(2 * (placed.entry.size if placed.crc is not None else 0,))) * placed.long
        # an extra field is at least its own head of four bytes
        padding = placed.padding + (ALIGNMENT if 0 < placed.padding < 4 else 0)
        if padding:
            extra += struct.pack("<2H", 0x4246, padding - 4) + self._fill * (padding - 4)
        size = placed.entry.size if placed.crc is not None else 0
        sizes = (_LIMIT, _LIMIT) if placed.long else (size, size)
        head = (LOCAL, 45 if placed.long else 20, placed.flags, 0, 0, DATE, placed.crc or 0, *sizes)
        return struct.pack("<4s5H3L2H", *head, len(name), len(extra)) + name + extra

    def _descriptor(self, placed: _Placed, crc: int) -> bytes:
        if placed.crc is not None:
            return b""
        return struct.pack("<4sL2Q" if placed.long else "<4s3L", _DESCRIPTOR, crc, placed.entry.size, placed.entry.size)

    def _tail(self, sums: Sequence[int]) -> bytes:
        return _directory(self._placed, sums, self._directory)


def _directory(members: Sequence[_Placed], sums: Sequence[int], begin: int) -> bytes:
    """The directory and the end records of an archive whose directory begins at this byte."""
    directory = b"".join(_entry(p, crc) for p, crc in zip(members, sums, strict=True))
    count, end = len(members), begin + len(directory)
    long = b""
    if count >= 0xFFFF or begin >= _LIMIT or len(directory) >= _LIMIT:
        long = struct.pack("<4sQ2H2L4Q", END64, 44, 45, 45, 0, 0, count, count, len(directory), begin)
        long += struct.pack("<4sLQL", LOCATOR, 0, end, 1)
        count, begin = 0xFFFF, _LIMIT
    size = min(len(directory), _LIMIT)
    return directory + long + struct.pack("<4s4H2LH", END, 0, 0, count, count, size, min(begin, _LIMIT), 0)


def _entry(placed: _Placed, crc: int) -> bytes:
    size, name = placed.entry.size, placed.raw_name
    packed, method = (size, 0) if placed.packed is None else (placed.packed, 8)
    long = [v for v in (size, packed, placed.offset) if v >= _LIMIT]
    extra = struct.pack(f"<2H{len(long)}Q", 1, 8 * len(long), *long) if long else b""
    shown = (min(packed, _LIMIT), min(size, _LIMIT))
    # made by Unix, a plain file that its owner may write
    fields = (ENTRY, 0x31E, 45 if long else 20, placed.flags, method, 0, DATE, crc, *shown, len(name), len(extra))
    return struct.pack("<4s6H3L5H2L", *fields, 0, 0, 0, 0o100644 << 16, min(placed.offset, _LIMIT)) + name + extra


def compressed(entries: Iterable[Entry]) -> Iterator[bytes]:
    """An archive of deflated members, in order and in bounded pieces; its size is known when it is written."""
    members, sums, at = [], [], 0
    for entry in entries:
        placed = _Placed(entry, at, 0, None, 0)
        long, name = placed.long, placed.raw_name
        extra = struct.pack("<2H2Q", 1, 16, 0, 0) if long else b""
        sizes = (_LIMIT, _LIMIT) if long else (0, 0)
        head = (LOCAL, 45 if long else 20, placed.flags, 8, 0, DATE, 0, *sizes, len(name), len(extra))
        yield struct.pack("<4s5H3L2H", *head) + name + extra
        crc = packed = 0
        stream = zlib.compressobj(6, zlib.DEFLATED, -15)
        for chunk in _chunks(entry.pieces):
            crc = zlib.crc32(chunk, crc)
            packed += len(block := stream.compress(chunk))
            yield block
        packed += len(block := stream.flush())
        yield block
        placed.packed = packed
        descriptor = struct.pack("<4sL2Q" if long else "<4s3L", _DESCRIPTOR, crc, packed, entry.size)
        yield descriptor
        members.append(placed)
        sums.append(crc)
        at += 30 + len(name) + len(extra) + packed + len(descriptor)
    yield _directory(members, sums, at)


def _chunks(pieces: Iterable[Piece]) -> Iterator[Any]:
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
        else:
            yield from piece.chunks()


def _crc(pieces: Iterable[Any]) -> int:
    total = 0
    for piece in pieces:
        total = zlib.crc32(piece, total)
    return total


class _Summed:
    """Sums the pieces that pass, in a thread beside the writing."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "evergraph-zip-crc")
        self._total = 0
        self._wait: Callable[[], object] = lambda: None

    def over(self, piece: Piece) -> "_Passing | bytes":
        """The piece, whose bytes are summed when they are read."""
        if isinstance(piece, bytes):
            self.add(piece)
            return piece
        return _Passing(piece, self)

    def add(self, chunk: Any) -> None:
        """Sum a chunk, in the other thread."""
        self.wait()
        self._wait = self._pool.submit(self._sum, chunk).result

    def wait(self) -> None:
        """Until all that was added is summed."""
        self._wait()

    def _sum(self, chunk: Any) -> None:
        self._total = zlib.crc32(chunk, self._total)

    def result(self) -> int:
        """The sum; nothing more is added."""
        self.wait()
        self._pool.shutdown()
        return self._total


class _Passing:
    """A blob whose chunks are summed as they pass."""

    def __init__(self, blob: Any, summed: _Summed) -> None:
        self._blob, self._summed, self.nbytes = blob, summed, blob.nbytes

    def chunks(self) -> Iterator[Any]:
        for chunk in self._blob.chunks():
            self._summed.add(chunk)
            yield chunk
            # written and summed: the blob may let its pages go
            self._summed.wait()

    def read(self) -> memoryview:
        raise TypeError("read by chunks")

    def private(self) -> memoryview:
        raise TypeError("read by chunks")

    @property
    def place(self) -> str:
        return self._blob.place
