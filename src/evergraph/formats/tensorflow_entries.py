"""The entries of TensorFlow's index: what each tensor is, where its bytes are, and the pieces of partitioned ones.

Layout: docs/formats/tensorflow-bundle.md.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from evergraph.errors import DamagedError, printable
from evergraph.formats.protobuf import BYTES, FIXED32, VARINT, Wire, signed
from evergraph.stores import BytesSource
from evergraph.tensors import DTYPES, DType

__all__ = ["STRING", "Entry", "Header", "Slice", "entry", "header", "slice_key"]

STRING = 7
DTYPE_CODES = {
    1: "float32",
    2: "float64",
    3: "int32",
    4: "uint8",
    5: "int16",
    6: "int8",
    8: "complex64",
    9: "int64",
    10: "bool",
    14: "bfloat16",
    17: "uint16",
    18: "complex128",
    19: "float16",
    22: "uint32",
    23: "uint64",
    24: "float8_e5m2",
    25: "float8_e4m3fn",
    # quantized numbers are kept as their integers
    11: "int8",
    12: "uint8",
    13: "int32",
    15: "int16",
    16: "uint16",
}
_NAMES = {STRING: "string", 11: "qint8", 12: "quint8", 13: "qint32", 15: "qint16", 16: "quint16", 20: "resource"}
_NAMES |= {21: "variant", 29: "int4", 30: "uint4"}
_FULL = -1


@dataclass(frozen=True, slots=True)
class Header:
    """What the index says of the whole: how many data files there are, and whether they are big endian."""

    shards: int
    big: bool


@dataclass(frozen=True, slots=True)
class Slice:
    """A box within a tensor: the first index and the length in each dimension; length -1 is all of it."""

    extents: tuple[tuple[int, int], ...]

    def box(self, shape: tuple[int, ...]) -> tuple[tuple[int, int], ...]:
        """First index and the one behind the last, in each dimension of a tensor of this shape."""
        return tuple((a, a + n) if n != _FULL else (0, d) for (a, n), d in zip(self.extents, shape, strict=True))


@dataclass(frozen=True, slots=True)
class Entry:
    """What the index says of one tensor.

    Attributes:
        code: number of its type.
        shape: its sizes.
        shard: which data file holds it.
        offset, size: where its bytes are in it.
        crc: their masked CRC-32C.
        slices: for a tensor that is stored in pieces, which ones; it has no bytes of its own then.
    """

    code: int
    shape: tuple[int, ...]
    shard: int = 0
    offset: int = 0
    size: int = 0
    crc: int = 0
    slices: tuple[Slice, ...] = ()

    @property
    def dtype(self) -> DType | None:
        """The element type; None for texts and types that are not read."""
        return DTYPES.get(DTYPE_CODES.get(self.code, ""))

    @property
    def type_name(self) -> str:
        """The type's name in TensorFlow."""
        return _NAMES.get(self.code) or DTYPE_CODES.get(self.code) or f"type {self.code}"

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)


Fields = Iterator[tuple[int, int, int, int]]


class _Message:
    """A message held in memory, and its fields."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data, self.name = data, name
        self.wire = Wire(BytesSource(data, name))

    def fields(self, known: dict[int, int]) -> Fields:
        """The known fields, each of the kind that it must be; others are passed over."""
        for number, kind, value, end in self.wire.fields(0, len(self.data), "an entry"):
            if number not in known:
                continue
            if kind != known[number]:
                raise _wrong(self.name, f"field {number} of wire type {known[number]}", f"wire type {kind}")
            yield number, kind, value, end

    def part(self, start: int, end: int) -> "_Message":
        return _Message(self.data[start:end], self.name)


def header(data: bytes, name: str) -> Header:
    r"""The header, which stands under the empty name.

    >>> header(b"\x08\x02\x1a\x02\x08\x01", "x")
    Header(shards=2, big=False)
    """
    shards, big = 0, False
    for number, _, value, _ in _Message(data, name).fields({1: VARINT, 2: VARINT}):
        if number == 1:
            shards = value
        else:
            big = value == 1
    if not 0 < shards < 1 << 20:
        raise _wrong(name, "1 to 1048575 data files", shards)
    return Header(shards, big)


def entry(data: bytes, name: str) -> Entry:
    """The entry of a tensor.

    Raises:
        DamagedError: it is none, or its sizes are none.
    """
    message = _Message(data, name)
    numbers = {1: 0, 3: 0, 4: 0, 5: 0, 6: 0}
    shape: tuple[int, ...] = ()
    slices = []
    kinds = {1: VARINT, 2: BYTES, 3: VARINT, 4: VARINT, 5: VARINT, 6: FIXED32, 7: BYTES}
    for number, kind, value, end in message.fields(kinds):
        if number == 2:
            shape = tuple(_sizes(message.part(value, end)))
        elif number == 7:
            slices.append(Slice(tuple(_extents(message.part(value, end)))))
        else:
            numbers[number] = int.from_bytes(data[value:end], "little") if kind == FIXED32 else value
    wrong = [s for s in slices if len(s.extents) != len(shape)]
    if wrong:
        raise _wrong(name, f"slices of {len(shape)} dimensions", f"{len(wrong[0].extents)}")
    return Entry(numbers[1], shape, numbers[3], numbers[4], numbers[5], numbers[6], tuple(slices))


def _sizes(message: _Message) -> Iterator[int]:
    for number, _, start, end in message.fields({2: BYTES, 3: VARINT}):
        if number == 3:
            if start:
                raise _wrong(message.name, "a known rank", "none")
            continue
        size = 0
        for _, _, value, _ in message.part(start, end).fields({1: VARINT}):
            size = signed(value)
        if size < 0:
            raise _wrong(message.name, "sizes of at least 0", size)
        yield size


def _extents(message: _Message) -> Iterator[tuple[int, int]]:
    for _, _, start, end in message.fields({1: BYTES}):
        first, length = 0, _FULL
        for number, _, value, _ in message.part(start, end).fields({1: VARINT, 2: VARINT}):
            if number == 1:
                first = signed(value)
            else:
                length = signed(value)
        if first < 0 or length < _FULL:
            raise _wrong(message.name, "slices of at least 0", f"{length} from {first}")
        yield first, length


def _wrong(name: str, expected: object, found: object) -> DamagedError:
    what, fix = "an entry of the index is damaged", "fetch or copy the file again"
    return DamagedError(what, where=name, expected=expected, found=printable(found), fix=fix)


def slice_key(name: bytes, part: Slice) -> bytes:
    r"""The key under which a piece of a tensor stands in the index: fields that sort as what they hold.

    >>> slice_key(b"emb/table", Slice(((0, 4), (0, 3))))
    b'\x00emb/table\x00\x01\x01\x02\x80\x84\x80\x83'
    """
    escaped = name.replace(b"\xff", b"\xff\x00").replace(b"\0", b"\0\xff")
    rank = len(part.extents)
    size = (rank.bit_length() + 7) // 8
    found = b"\0" + escaped + b"\0\x01" + bytes((size,)) + rank.to_bytes(size, "big")
    return found + b"".join(_ordered(n) for pair in part.extents for n in pair)


def _ordered(value: int) -> bytes:
    """A signed number in as few bytes as it needs, the count of them in the first bits."""
    if -64 <= value < 64:
        return bytes(((value & 255) ^ 0x80,))
    bits = (~value if value < 0 else value).bit_length()
    length = bits // 7 + 1
    mask = ((1 << length) - 1) << (16 - length)
    text = bytearray(value.to_bytes(length, "big", signed=True))
    text[0] ^= mask >> 8
    text[1] ^= mask & 255
    return bytes(text)
