"""MindSpore's checkpoint records, walked: names, sizes, types and where contents are, without touching contents."""

import functools
import math
import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TypeAlias

from evergraph.errors import DamagedError, printable
from evergraph.formats.protobuf import BYTES, KINDS, VARINT, Wire, decode_varint, signed, wrong_wire_type
from evergraph.stores import Source
from evergraph.tensors import DTYPES, DType, Extent, Tensor
from evergraph.tensors.shapes import MAX_DIMENSIONS

__all__ = ["MAP_PARTS", "TRAILER", "TYPES", "Proto", "Reader", "Record", "looks_like_records"]

TYPES: Mapping[str, str] = MappingProxyType(
    {
        "Bool": "bool",
        "Int8": "int8",
        "Int16": "int16",
        "Int32": "int32",
        "Int64": "int64",
        "UInt8": "uint8",
        "UInt16": "uint16",
        "UInt32": "uint32",
        "UInt64": "uint64",
        "Float16": "float16",
        "Float32": "float32",
        "Float64": "float64",
        "BFloat16": "bfloat16",
        "Int4": "int4",
        "Complex64": "complex64",
        "Complex128": "complex128",
        "Float8E4M3FN": "float8_e4m3fn",
        "Float8E5M2": "float8_e5m2",
        "HiFloat8": "hifloat8",
        "str": "str",
    }
)
"""MindSpore's names of element types; a map's arrays have NumPy's instead."""

MAP_PARTS = ("keys", "values", "status")

TRAILER = b"crc_num"
"""What the 17 bytes of the checksum trailer begin with."""

LONGEST_TYPE = 256
WINDOW, ROOM = 2048, 256
"""Bytes looked at together, and how many of them a record's head may need."""

LARGEST_FRAME = 1 << 16
"""Bytes of unknown fields that are kept for one record."""

_FIELDS = ("tensor_type", "tensor_content")

# a record as MindSpore writes it, in two expressions around its name: the length of the name decides where the second
# begins. A file of thousands of tensors is listed several times faster than field by field; whatever they do not
# match, or whose lengths disagree, is walked by fields.
_VARINT = rb"([\x80-\xff]{1,9}[\x01-\x7f]|[\x00-\x7f])"
_NUMERIC = {name.encode(): DTYPES[ours] for name, ours in TYPES.items() if ours != "str"}
_SIZE = re.compile(rb"\x08([\x80-\xff]*[\x00-\x7f])")
_HEAD = re.compile(rb"\n" + _VARINT + rb"\n([\x00-\x7f])")
_BODY = re.compile(
    rb"\x12"
    + _VARINT
    + rb"((?:\x08(?:[\x80-\xff]{1,4}[\x01-\x7f]|[\x01-\x7f]))*\x12(?:"
    + b"|".join(bytes((len(name),)) + name for name in _NUMERIC)
    + rb"))\x1a"
    + _VARINT
)


_Around: TypeAlias = tuple[bytes, int, bytes, DType, tuple[int, ...], int]
"""A record's bytes before its name, the name's length, its bytes behind; and what they say: type, sizes, bytes."""


# layers of one shape, and checkpoints of one network, spell the same sizes again and again
_number = functools.lru_cache(1 << 12)(decode_varint)


@functools.lru_cache(1 << 12)
def _form(text: bytes) -> tuple[DType, tuple[int, ...], int]:
    """Type, sizes and bytes of a tensor, from its encoded sizes and type."""
    sizes, _, _ = text.rpartition(b"\x12")
    kind = _NUMERIC[text[len(sizes) + 2 :]]
    shape = tuple(decode_varint(s) for s in _SIZE.findall(sizes))
    # more dimensions than anything has: the walk by fields says so
    return kind, shape, math.prod(shape) * kind.itemsize if len(shape) <= MAX_DIMENSIONS else -1


class Proto:
    """One TensorProto: sizes, type, where its content is."""

    __slots__ = ("dims", "start", "stop", "type")
    dims: tuple[int, ...]
    type: bytes
    start: int
    stop: int


class Record:
    """One Checkpoint.Value: a name, and a tensor or the three arrays of a map.

    Attributes:
        at, end: its first byte, and the byte behind it.
        tensor: what it holds, where it is one whole tensor written as MindSpore writes it.
        protos: otherwise its TensorProto messages.
        literals: its bytes around their contents, where it is spelled in another way than MindSpore's.
    """

    __slots__ = ("at", "end", "is_map", "literals", "protos", "tag", "tensor")
    at: int
    end: int
    is_map: bool
    literals: tuple[bytes, ...] | None
    protos: list[Proto]
    tag: str
    tensor: Tensor | None

    @property
    def nbytes(self) -> int:
        """Bytes of its contents."""
        return sum(p.stop - p.start for p in self.protos)


def looks_like_records(head: bytes) -> bool:
    """Whether content begins as the first record of a checkpoint does: a value, in it a name, then a tensor or a map.

    Frozen graphs of TensorFlow begin likewise; there a text stands where a tensor's fields do.
    """
    try:
        if head[0] != 0x0A:
            return False
        size, at = _short_varint(head, 1)
        if head[at] != 0x0A:
            return False
        length, at = _short_varint(head, at + 1)
        if length + 2 > size:
            return False
        if at + length >= len(head):
            # a long name, or a file that is cut short in it
            return True
        if head[at + length] not in (0x12, 0x1A):
            return False
        _, at = _short_varint(head, at + length + 1)
        return at >= len(head) or head[at] in (0x08, 0x0A, 0x12, 0x1A)
    except IndexError:
        return len(head) >= len(b"\n\0\n")


def _short_varint(head: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while head[at] > 127 and shift < 63:
        value |= (head[at] & 127) << shift
        at, shift = at + 1, shift + 7
    return value | head[at] << shift, at + 1


class Reader:
    """Walks the messages; structure that cannot be followed is an error at once, what is odd in it is collected."""

    def __init__(self, source: Source, limit: int, keep: bool) -> None:
        self.source, self.limit, self.keep = source, limit, keep
        self.wire = Wire(source, limit)
        self.findings: list[str] = []
        self._unknown = False
        # the last whole tensor's; before the first, bytes that no window is long enough for
        self._before: _Around = (bytes(WINDOW + 1), 0, b"", DTYPES["float32"], (), 0)

    def records(self) -> Iterator[Record]:
        """Every record in order; afterwards `findings` says what the schema does not have."""
        at = index = base = 0
        limit, size, peek = self.limit, self.source.size, self.source.peek
        window = b""
        while at < limit:
            # small contents are passed over inside the window
            if at - base > len(window) - ROOM:
                window, base = peek(at, min(WINDOW, size - at)), at
            record = self._whole(base, window, at - base) or self.walk(at, index)
            yield record
            at, index = record.end, index + 1

    def _whole(self, base: int, window: bytes, at: int) -> Record | None:
        """The record at this place of a window, if it is one whole tensor as MindSpore writes it and its lengths agree.

        Args:
            base: where the window begins.
            window: bytes of the file.
            at: where the record begins in them.
        """
        before, length, behind, kind, shape, nbytes = self._before
        begin = at + len(before)
        name_end = begin + length
        # layers are alike: with the same name's length, sizes and type, a record's bytes around its name are the same
        if not window.startswith(before, at) or not window.startswith(behind, name_end):
            found = self._form_at(window, at)
            if found is None:
                return None
            self._before = before, length, behind, kind, shape, nbytes = found
            begin = at + len(before)
            name_end = begin + length
        start = base + name_end + len(behind)
        record = Record()
        record.at, record.end = base + at, start + nbytes
        if record.end > self.limit:
            return None
        record.tag = window[begin:name_end].decode("utf-8", "surrogateescape")
        record.tensor = Tensor(kind, shape, Extent(self.source, start, nbytes))
        return record

    def _form_at(self, window: bytes, at: int) -> _Around | None:
        """What stands around the name of the record at this place, if its lengths agree."""
        head = _HEAD.match(window, at)
        if head is None:
            return None
        begin = head.end()
        name_end = begin + window[begin - 1]
        body = _BODY.match(window, name_end)
        if body is None:
            return None
        tensor, form, content = body.groups()
        kind, shape, needed = _form(form)
        nbytes = _number(content)
        end = body.end() + nbytes
        if nbytes != needed or head.end(1) + _number(head[1]) != end or body.end(1) + _number(tensor) != end:
            return None
        return head[0], name_end - begin, body[0], kind, shape, nbytes

    def walk(self, at: int, index: int) -> Record:
        """The record at a byte, field by field.

        Raises:
            DamagedError: its structure cannot be followed.
        """
        try:
            number, kind, start, end = next(self.wire.fields(at, self.limit, "the table of records"))
            if number != 1:
                raise self._no_record(at, number, kind)
            if kind != BYTES:
                raise wrong_wire_type(self.source, start, "value", BYTES, kind, f"record {index}")
            return self._record(at, start, end, f"record {index}")
        except DamagedError:
            self._reject_trailer(at, self.limit)
            raise

    def _no_record(self, at: int, number: int, kind: int) -> DamagedError:
        return DamagedError(
            "bytes that are no record",
            where=f"{self.source.name}, byte {at}",
            expected="field 1, a record, or the end of the file",
            found=f"field {number}, {KINDS[kind]}",
            fix="a damaged file, or one with something else behind its end",
        )

    def _reject_trailer(self, at: int, limit: int) -> None:
        rest = self.wire.content(at, min(limit, at + len(TRAILER)))
        if TRAILER.startswith(rest) and len(rest) > 1:
            raise DamagedError(
                "the checksum at the end of the file is cut short",
                where=f"{self.source.name}, byte {at}",
                expected="17 bytes",
                found=limit - at,
                fix="fetch or copy the file again; its end is missing",
            )

    def _record(self, at: int, start: int, stop: int, what: str) -> Record:
        wire, record, last = self.wire, Record(), 0
        record.at, record.end, record.literals, record.tensor = at, stop, None, None
        tag: bytes | None = None
        body: tuple[int, int, int] | None = None
        self._unknown = False
        for number, kind, value, end in wire.fields(start, stop, what):
            if number > 3:
                self._note_unknown(what, number, kind, end)
                continue
            if kind != BYTES:
                raise wrong_wire_type(self.source, value, f"{number} of a record", BYTES, kind, what)
            if number == 1:
                if tag is not None:
                    raise self._repeated("name", value, what)
                tag = wire.content(value, end)
                what = f"{what} {tag.decode('utf-8', 'backslashreplace')!r}"
            elif body is not None:
                raise self._repeated("tensor", value, what)
            else:
                body = number, value, end
            wire.odd = wire.odd or number < last
            last = number
        if tag is None or body is None:
            raise self._missing("name" if tag is None else "tensor", at, what)
        record.tag = tag.decode("utf-8", "surrogateescape")
        record.is_map = body[0] == 3
        record.protos = list(self._map(body[1], body[2], what)) if record.is_map else [self._proto(*body[1:], what)]
        if wire.odd or self._unknown:
            record.literals = self._literals(record, stop, what)
            wire.odd = False
        return record

    def _map(self, start: int, stop: int, what: str) -> Iterator[Proto]:
        count = 0
        for number, kind, value, end in self.wire.fields(start, stop, what):
            if number > 1:
                self._note_unknown(what, number, kind, end)
                continue
            if kind != BYTES:
                raise wrong_wire_type(self.source, value, "tensor of a map", BYTES, kind, what)
            count += 1
            yield self._proto(value, end, what)
        if count != len(MAP_PARTS):
            raise self._damaged(
                "a map has another number of arrays", start, what, "3: keys, values, status", str(count)
            )

    def _proto(self, start: int, stop: int, what: str) -> Proto:
        wire, found, last = self.wire, Proto(), 0
        dims: list[int] = []
        spans: list[tuple[int, int] | None] = [None, None]
        for number, kind, value, end in wire.fields(start, stop, what):
            if number > 3:
                self._note_unknown(what, number, kind, end)
                continue
            if number == 1:
                dims += (value,) if kind == VARINT else self._packed(kind, value, end, what)
            elif kind != BYTES:
                raise wrong_wire_type(self.source, value, _FIELDS[number - 2], BYTES, kind, what)
            elif spans[number - 2] is not None:
                raise self._repeated(_FIELDS[number - 2], value, what)
            else:
                spans[number - 2] = value, end
            wire.odd = wire.odd or number < last
            last = number
        kind_name, content = spans
        if kind_name is None or content is None:
            raise self._missing(_FIELDS[kind_name is not None], start, what)
        if len(dims) > MAX_DIMENSIONS:
            raise self._damaged("too many dimensions", start, what, f"at most {MAX_DIMENSIONS}", str(len(dims)))
        found.dims = tuple(map(signed, dims))
        found.type = wire.content(kind_name[0], min(kind_name[1], kind_name[0] + LONGEST_TYPE))
        found.start, found.stop = content
        return found

    def _packed(self, kind: int, start: int, stop: int, what: str) -> list[int]:
        """Sizes in the packed form, which MindSpore does not write and protobuf's readers take."""
        if kind != BYTES:
            raise wrong_wire_type(self.source, start, "dims", VARINT, kind, what)
        self.wire.odd = True
        if stop - start > 10 * MAX_DIMENSIONS:
            raise self._damaged("too many dimensions", start, what, f"at most {MAX_DIMENSIONS}", "more")
        found, value, shift = [], 0, 0
        for byte in self.wire.content(start, stop):
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                found.append(value)
                value = shift = 0
        if shift or any(v >= 1 << 64 for v in found):
            raise self._damaged("packed dims are malformed", start, what, "whole varints below 2**64", "others")
        return found

    def _note_unknown(self, what: str, number: int, kind: int, end: int) -> None:
        self._unknown = True
        if not self.keep:
            self.findings.append(f"{printable(what)}: unknown field {number} ({KINDS[kind]}) that ends at byte {end}")

    def _literals(self, record: Record, stop: int, what: str) -> tuple[bytes, ...]:
        """The record's bytes around its contents, kept where it was written in another way than MindSpore's."""
        at, found = record.at, []
        for proto in sorted(record.protos, key=lambda p: p.start):
            found.append((at, proto.start))
            at = proto.stop
        found.append((at, stop))
        if sum(b - a for a, b in found) > LARGEST_FRAME:
            raise self._damaged(
                "unknown fields are too long", record.at, what, f"at most {LARGEST_FRAME} bytes", "more"
            )
        return tuple(self.wire.content(a, b) for a, b in found)

    def _repeated(self, field: str, at: int, what: str) -> DamagedError:
        return self._damaged(f"a record has two fields {field}", at, what, "one", "two")

    def _missing(self, field: str, at: int, what: str) -> DamagedError:
        return self._damaged(f"a record has no {field}", at, what, f"a field {field}", "none")

    def _damaged(self, problem: str, at: int, what: str, expected: str, found: str) -> DamagedError:
        where = f"{self.source.name}, byte {at}, {printable(what)}"
        return DamagedError(problem, where=where, expected=expected, found=found, fix="fetch or save the file again")
