"""Walks through a table of small fields without a read for each."""

import struct

from evergraph.errors import DamagedError
from evergraph.stores import Source

__all__ = ["Cursor"]

_U32, _I32, _U64, _I64 = (struct.Struct(f) for f in ("<I", "<i", "<Q", "<q"))


class Cursor:
    """A position in a source. Fields are little endian; what stands behind the end is an error that says so.

    Args:
        source: where to read.
        offset: first byte.

    >>> from evergraph.stores import BytesSource
    >>> c = Cursor(BytesSource(bytes([1, 0, 0, 0, 7]))); c.u32(), c.position
    (1, 4)
    """

    __slots__ = ("_base", "_block", "_limit", "position", "source", "what")

    def __init__(self, source: Source, offset: int = 0) -> None:
        self.source, self.position = source, offset
        self.what = "the header"
        self._base = self._limit = 0
        self._block = memoryview(b"")

    def _need(self, length: int) -> int:
        """Make `length` bytes from the position available; returns their place in the block."""
        at = self.position
        if at < self._base or at + length > self._limit:
            if at + length > self.source.size:
                raise self.cut(length)
            self._block = self.source.block(at, length)
            self._base, self._limit = at, at + len(self._block)
        self.position = at + length
        return at - self._base

    def look(self, length: int) -> tuple[memoryview, int] | None:
        """The block that holds the next `length` bytes and their place in it; None where the source has fewer."""
        at = self.position
        if at < self._base or at + length > self._limit:
            if at + length > self.source.size:
                return None
            self._need(length)
            self.position = at
        return self._block, at - self._base

    def cut(self, length: int) -> DamagedError:
        """The error for a file that ends before `length` more bytes."""
        return DamagedError(
            f"the file is cut short in {self.what}",
            where=f"{self.source.name}, byte {self.position}",
            expected=f"{length} bytes",
            found=f"{max(self.source.size - self.position, 0)} up to the end at byte {self.source.size}",
            fix="fetch or copy the file again; its end is missing",
        )

    def u8(self) -> int:
        """One byte."""
        at = self.position
        if self._base <= at < self._limit:
            self.position = at + 1
            return self._block[at - self._base]
        at = self._need(1)
        return self._block[at]

    def u32(self) -> int:
        """An unsigned 32-bit integer."""
        at = self._need(4)
        return _U32.unpack_from(self._block, at)[0]

    def i32(self) -> int:
        """A signed 32-bit integer."""
        at = self._need(4)
        return _I32.unpack_from(self._block, at)[0]

    def u64(self) -> int:
        """An unsigned 64-bit integer."""
        at = self._need(8)
        return _U64.unpack_from(self._block, at)[0]

    def integers(self, form: str, count: int) -> tuple[int, ...]:
        """`count` integers of a struct letter (I, i, Q, q)."""
        size = struct.calcsize("<" + form) * count
        at = self._need(size)
        return struct.unpack_from(f"<{count}{form}", self._block, at)

    def take(self, length: int) -> bytes:
        """The next bytes."""
        at = self._need(length)
        return bytes(self._block[at : at + length])

    def line(self, limit: int) -> bytes:
        """The next bytes up to a line feed, without it, which the cursor passes over as well."""
        begin = self.position - self._base
        near = bytes(self._block[begin : begin + 64]) if begin >= 0 else b""
        found = near.find(b"\n")
        if found >= 0:
            self.position += found + 1
            return near[:found]
        window = 128
        while True:
            left = self.source.size - self.position
            window = min(window, left)
            at = self._need(window)
            self.position -= window
            found = bytes(self._block[at : at + window]).find(b"\n")
            if found >= 0:
                line = self.take(found)
                self.position += 1
                return line
            if window == left or window > limit:
                raise self.cut(window + 1)
            # doubled: a line of any length costs twice its reading
            window *= 2

    def skip(self, length: int) -> int:
        """Pass over bytes without reading them; returns where they begin."""
        at = self.position
        if length < 0 or at + length > self.source.size:
            raise self.cut(length)
        self.position = at + length
        return at
