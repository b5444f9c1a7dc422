"""Protocol buffers on the wire: the fields of a message, walked in a source without touching their contents."""

import functools
from collections.abc import Iterator
from typing import Any

from evergraph.errors import DamagedError, printable
from evergraph.stores import Source

__all__ = [
    "BYTES",
    "FIXED32",
    "FIXED64",
    "VARINT",
    "Wire",
    "decode_varint",
    "encode_varint",
    "signed",
    "wrong_wire_type",
]

VARINT, FIXED64, BYTES, GROUP, GROUP_END, FIXED32 = range(6)
KINDS = ("a varint", "8 bytes", "length and bytes", "a group", "a group's end", "4 bytes")

WINDOW = 512
"""Bytes looked at together: most records' small fields fit, and a copy of this size costs next to nothing."""

LONGEST_FIELD_HEAD = 20
"""A key and a varint of ten bytes each."""

DEEPEST_GROUP = 64

_LARGEST = 1 << 64


@functools.lru_cache(1 << 12)
def encode_varint(value: int) -> bytes:
    r"""An unsigned number as a varint.

    >>> encode_varint(300)
    b'\xac\x02'
    """
    if value < 128:
        return bytes((value,))
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    found.append(value)
    return bytes(found)


def decode_varint(text: bytes) -> int:
    r"""The number that a whole varint stands for.

    >>> decode_varint(b"\xac\x02")
    300
    """
    value = 0
    for byte in reversed(text):
        value = value << 7 | byte & 127
    return value


def signed(value: int) -> int:
    """A varint's value as the signed 64-bit number that it stands for.

    >>> signed(2**64 - 1)
    -1
    """
    return value - _LARGEST if value >= 1 << 63 else value


class Wire:
    r"""The fields of messages in a source.

    Args:
        source: where the messages are.
        limit: where they end; the source's size where not given.

    Attributes:
        odd: set when a field was spelled in another way than writers do (a varint with needless bytes); whoever cares
            resets it.

    >>> from evergraph.stores import BytesSource
    >>> wire = Wire(BytesSource(b"\x08\x96\x01\x12\x02ab"))
    >>> list(wire.fields(0, 7, "the message"))
    [(1, 0, 150, 3), (2, 2, 5, 7)]
    """

    __slots__ = ("_base", "_window", "limit", "odd", "source")

    def __init__(self, source: Source, limit: int | None = None) -> None:
        self.source = source
        self.limit = source.size if limit is None else limit
        self.odd = False
        self._base, self._window = 0, b""

    def window(self, at: int) -> bytes:
        """The next bytes: as many as a few small fields take, fewer only at the end."""
        self._base, self._window = at, self.source.peek(at, min(WINDOW, self.source.size - at))
        return self._window

    def content(self, start: int, stop: int) -> bytes:
        """A small field's content."""
        begin, end = start - self._base, stop - self._base
        if begin >= 0 and end <= len(self._window):
            return self._window[begin:end]
        return self.source.peek(start, stop - start)

    def fields(self, start: int, end: int, what: str) -> Iterator[tuple[int, int, int, int]]:
        """The fields of the message between two bytes, in order.

        Args:
            start: first byte.
            end: the byte behind the message.
            what: the message in words, for errors.

        Yields:
            Field number, wire type, value, end. The value is a varint's number; for bytes, groups and fixed sizes
            where the content begins.

        Raises:
            DamagedError: the bytes are no fields, or run over the end.
        """
        at, base, window = start, start, b""
        while at < end:
            index = at - base
            if index + LONGEST_FIELD_HEAD > len(window):
                window, base, index = self.window(at), at, 0
            try:
                key = window[index]
                index += 1
                if key > 127:
                    key, index = self._varint(window, index - 1, base, what)
                kind = key & 7
                if kind <= BYTES and kind != FIXED64:
                    value = window[index]
                    index += 1
                    if value > 127:
                        value, index = self._varint(window, index - 1, base, what)
                else:
                    value = 0
            except IndexError:
                raise self.cut(at, what, end) from None
            number, content = key >> 3, base + index
            if kind == BYTES:
                stop = content + value
                value = content
            elif kind == VARINT:
                stop = content
            else:
                stop = self._skip(number, kind, content, end, what)
                value = content
            if stop > end:
                raise self.overrun(at, stop, end, what)
            if not 0 < number < 1 << 29:
                raise self._malformed(at, what, "field numbers from 1 to 2**29 - 1", str(number))
            yield number, kind, value, stop
            at = stop

    def _varint(self, window: bytes, index: int, base: int, what: str) -> tuple[int, int]:
        value = shift = 0
        first = index
        while True:
            byte = window[index]
            index += 1
            value |= (byte & 127) << shift
            if byte < 128:
                break
            shift += 7
            if shift > 63:
                raise self._malformed(base + first, what, "a varint of at most ten bytes", "a longer one")
        if value >= _LARGEST:
            raise self._malformed(base + first, what, "a varint below 2**64", str(value))
        # the last byte of a number that needs it is not zero
        self.odd = self.odd or (not byte and index > first + 1)
        return value, index

    def _skip(self, number: int, kind: int, content: int, end: int, what: str) -> int:
        """Where a field of a fixed size, or a group, ends."""
        if kind == FIXED64:
            return content + 8
        if kind == FIXED32:
            return content + 4
        if kind != GROUP:
            expected = "wire types " + ", ".join(f"{i} ({KINDS[i]})" for i in (0, 1, 2, 5))
            raise self._malformed(content - 1, what, expected, f"wire type {kind} in field {number}")
        return self._group_end(number, content, end, what)

    def _group_end(self, number: int, content: int, end: int, what: str) -> int:
        """Behind the end of a group; groups inside it are counted, not recursed into."""
        open_groups, at = [number], content
        while open_groups:
            window = self.window(at) if at < end else b""
            try:
                key, index = self._varint(window, 0, at, what)
                kind, length = key & 7, 0
                if kind in (VARINT, BYTES):
                    length, index = self._varint(window, index, at, what)
            except IndexError:
                raise self.cut(at, what, end) from None
            if kind == GROUP:
                open_groups.append(key >> 3)
            elif kind == GROUP_END and open_groups.pop() != key >> 3:
                raise self._malformed(at, what, "the end of the group that was begun last", f"that of group {key >> 3}")
            elif kind > FIXED32:
                raise self._malformed(at, what, "wire types 0 to 5", str(kind))
            if len(open_groups) > DEEPEST_GROUP:
                raise self._malformed(at, what, f"at most {DEEPEST_GROUP} groups in each other", "more")
            at += index + {BYTES: length, FIXED64: 8, FIXED32: 4}.get(kind, 0)
        return at

    def cut(self, at: int, what: str, end: int) -> DamagedError:
        """The error for a message that ends inside a field."""
        return self._error(
            f"the file is cut short in {printable(what)}", at, "the rest of a field", f"the end at byte {end}"
        )

    def overrun(self, at: int, stop: int, end: int, what: str) -> DamagedError:
        """The error for a field that goes on behind its message, or behind the file."""
        if end >= self.limit:
            return self._error(
                f"the file is cut short in {printable(what)}",
                at,
                f"a field of {stop - at} bytes",
                f"{end - at} up to the end at byte {end}",
            )
        return self._error(
            "a field is longer than the message it stands in", at, f"its end at or before byte {end}", f"at byte {stop}"
        )

    def _malformed(self, at: int, what: str, expected: str, found: str) -> DamagedError:
        return self._error(f"no valid field in {printable(what)}", at, expected, found)

    def _error(self, what: str, at: int, expected: str, found: str) -> DamagedError:
        return DamagedError(
            what,
            where=f"{self.source.name}, byte {at}",
            expected=expected,
            found=found,
            fix="fetch or copy the file again; it is cut short or damaged",
        )


def wrong_wire_type(source: Source, at: int, field: str, expected: int, found: int, what: Any) -> DamagedError:
    """The error for a known field that is written as something else."""
    return DamagedError(
        f"the field {field} is of a wrong wire type",
        where=f"{source.name}, near byte {at}, {printable(what)}",
        expected=KINDS[expected],
        found=KINDS[found] if found < len(KINDS) else found,
        fix="a damaged file, or no MindSpore checkpoint",
    )
