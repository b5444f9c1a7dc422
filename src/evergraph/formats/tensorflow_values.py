"""Values of TensorFlow's checkpoints: bytes that are compared with their checksum, texts, and joined pieces."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from evergraph.errors import DamagedError, IntegrityError, printable
from evergraph.formats.crc32c import crc32c, masked
from evergraph.formats.tensorflow_entries import Entry
from evergraph.stores import Source
from evergraph.tensors import DTYPES, Blob, Computed, DType, Extent, Joined, Tensor

__all__ = ["Checked", "assembled", "read_strings", "swapped"]

Box = tuple[tuple[int, int], ...]
Piece = tuple[Box, tuple[int, ...], Blob]

MANY = 4096
"""Pieces of one variable that are compared two by two; more are only held against its size."""


class Checked:
    """A range of a source whose checksum is compared the first time that it is read.

    Args:
        source, offset, nbytes: the range.
        crc: its masked CRC-32C; None where it is not known.
    """

    __slots__ = ("_crc", "_extent", "_good", "nbytes")

    def __init__(self, source: Source, offset: int, nbytes: int, crc: int | None) -> None:
        self._extent, self._crc, self._good = Extent(source, offset, nbytes), crc, crc is None
        self.nbytes = nbytes

    def read(self) -> memoryview:
        """The range; without a copy from a mapped file."""
        view = self._extent.read()
        if not self._good:
            self._compare(crc32c(view))
        return view

    def chunks(self) -> Iterator[Any]:
        """The range in bounded pieces; a wrong checksum shows behind the last one."""
        if self._good:
            yield from self._extent.chunks()
            return
        value = 0
        for chunk in self._extent.chunks():
            value = crc32c(chunk, value)
            yield chunk
        self._compare(value)

    def private(self) -> memoryview:
        """The range, writable, without effect on the file."""
        self.read()
        return self._extent.private()

    @property
    def place(self) -> str:
        """The file and the first byte."""
        return self._extent.place

    def _compare(self, value: int) -> None:
        require_sum(masked(value), self._crc or 0, self.place)
        self._good = True


def require_sum(found: int, stored: int, place: str) -> None:
    """Raise IntegrityError where a masked checksum is not the stored one."""
    if found != stored:
        raise IntegrityError(
            "the values are not what was saved",
            where=place,
            expected=f"CRC-32C {stored:08x}",
            found=f"{found:08x}",
            fix="fetch or copy the data file again",
        )


def swapped(blob: Blob, kind: DType) -> Blob:
    """Big endian elements in little endian order."""

    def turn() -> Any:
        import numpy as np

        size = kind.itemsize // (2 if kind.startswith("complex") else 1)
        return np.frombuffer(blob.read(), np.uint8).reshape(-1, size)[:, ::-1].tobytes()

    return Computed(blob.nbytes, turn, blob.place)


def read_strings(source: Source, found: Entry, name: str) -> Tensor:
    """A tensor of texts: one text as such, and otherwise the bytes of all of them, with their lengths in the details.

    On the file stand their lengths as varints, the masked checksum of these, and the bytes.

    Raises:
        DamagedError: the lengths do not fit.
        IntegrityError: they, or the bytes, are not what was saved.
    """
    where = f"{source.name}, byte {found.offset}, {printable(name)}"
    if found.count > found.size:
        raise DamagedError("texts have no lengths", where=where, expected=found.count, found=f"{found.size} bytes")
    data = source.peek(found.offset, found.size)
    lengths, at = _lengths(data, found.count, where)
    total, value = sum(lengths), 0
    if at + 4 + total != len(data):
        raise DamagedError("texts have other lengths", where=where, expected=len(data), found=at + 4 + total)
    for length in lengths:
        value = crc32c(length.to_bytes(4 if length < 1 << 32 else 8, "little"), value)
    require_sum(masked(value), int.from_bytes(data[at : at + 4], "little"), where)
    require_sum(masked(crc32c(data[at:], value)), found.crc, where)
    text = data[at + 4 :]
    if not found.shape and b"\0" not in text:
        try:
            return Tensor.text(text.decode())
        except UnicodeDecodeError:
            # bytes that are no text, such as a message of its own
            pass
    note = {"dtype": "string", "shape": list(found.shape), "lengths": lengths}
    blob = Extent(source, found.offset + at + 4, total)
    return Tensor(DTYPES["uint8"], (total,), blob, details={"tensorflow-bundle": note})


def _lengths(data: bytes, count: int, where: str) -> tuple[list[int], int]:
    lengths, at = [], 0
    for _ in range(count):
        value = shift = 0
        while True:
            if at >= len(data) or shift > 63:
                raise DamagedError("texts have no lengths", where=where, found=data[at : at + 10].hex(" "))
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        lengths.append(value)
    return lengths, at


def assembled(kind: DType, shape: tuple[int, ...], pieces: Sequence[Piece], where: str) -> Tensor:
    """A tensor from boxes of it, which must cover it once.

    Raises:
        DamagedError: a piece has another shape than its box, lies outside, overlaps another, or some are missing.
    """
    total = 0
    for box, own, blob in pieces:
        wanted = tuple(b - a for a, b in box)
        if own != wanted or any(not 0 <= a <= b <= d for (a, b), d in zip(box, shape, strict=True)):
            raise DamagedError("a piece does not fit its variable", where=where, expected=wanted, found=own)
        total += blob.nbytes
    count = 1
    for size in shape:
        count *= size
    few = pieces if len(pieces) <= MANY else ()
    crossing = any(_overlap(a[0], b[0]) for a, b in itertools.combinations(few, 2))
    if total != count * kind.itemsize or crossing:
        raise DamagedError(
            "the pieces do not make their variable",
            where=where,
            expected=f"{count * kind.itemsize} bytes, each once",
            found=f"{total} bytes" + (", pieces that overlap" if crossing else ""),
        )
    rows = sorted(pieces, key=lambda p: p[0])
    if all(box[1:] == tuple((0, d) for d in shape[1:]) for box, _, _ in rows):
        return Tensor(kind, shape, Joined([blob for _, _, blob in rows]))

    def fill() -> Any:
        import numpy as np

        whole = np.zeros(shape, kind.numpy())
        for box, own, blob in pieces:
            whole[tuple(slice(a, b) for a, b in box)] = np.frombuffer(blob.read(), kind.numpy()).reshape(own)
        return whole.reshape(-1).view(np.uint8)

    return Tensor(kind, shape, Computed(total, fill, pieces[0][2].place))


def _overlap(one: Box, two: Box) -> bool:
    return all(max(a, c) < min(b, d) for (a, b), (c, d) in zip(one, two, strict=True))
