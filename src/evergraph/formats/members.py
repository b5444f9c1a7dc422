"""Parts of a source as sources of their own: a member of an archive, an array inside a pickle."""

from collections.abc import Iterator
from typing import IO, cast

from evergraph.errors import DamagedError, EvergraphError, StoreError, UnsafeError, printable
from evergraph.stores import Location, Source, human
from evergraph.stores.source import StreamSource

__all__ = ["MAX_TOTAL", "RATIO", "RATIO_FLOOR", "Budget", "Inflated", "Part"]

RATIO = 100
"""Weights hardly compress; 100 times is more than text or zeros of a real file do over their whole length."""
RATIO_FLOOR = 32 * 1024 * 1024
"""Below this size any ratio is harmless."""
MAX_TOTAL = 1 << 36
"""64 GB: no archive of this field unpacks to more."""


class Part(Source):
    """A range of another source, without a copy where that is mapped.

    >>> from evergraph.stores import BytesSource
    >>> part = Part(BytesSource(b"0123456789", "digits"), 2, 3, "middle")
    >>> bytes(part.read(1, 2)), part.name
    (b'34', 'digits!/middle')
    """

    def __init__(self, parent: Source, offset: int, size: int, member: str) -> None:
        if offset < 0 or size < 0 or offset + size > parent.size:
            raise DamagedError(
                "a part lies beyond the end of the file",
                where=f"{parent.name}!/{printable(member)}",
                expected=f"at most {parent.size} bytes",
                found=f"{size} bytes from byte {offset}",
            )
        self.parent, self.offset, self.size = parent, offset, size
        self.location = Location(member, "member", "", member)

    @property
    def name(self) -> str:
        """The parent's name and the member's."""
        return f"{self.parent.name}!/{self.location.shown}"

    def _read(self, offset: int, length: int) -> memoryview:
        return self.parent.read(self.offset + offset, length)

    def block(self, offset: int, least: int) -> memoryview:
        """At least `least` bytes, and as many more of this part as the parent gives for free."""
        if offset + least > self.size:
            return self.read(offset, least)
        return self.parent.block(self.offset + offset, least)[: self.size - offset]

    def private(self, offset: int, length: int) -> memoryview:
        """Writable bytes, as the parent gives them."""
        self.read(offset, 0)
        return self.parent.private(self.offset + offset, length)


class Budget:
    """Bounds what decompression may give, over one archive.

    Args:
        packed: bytes of the archive.
        name: the archive, for messages.
    """

    def __init__(self, packed: int, name: str) -> None:
        self._limit = min(max(RATIO_FLOOR, RATIO * packed), MAX_TOTAL)
        self._packed, self._name, self._spent = packed, name, 0

    def spend(self, amount: int, member: str) -> None:
        """Count unpacked bytes.

        Raises:
            UnsafeError: they are out of proportion to the archive.
        """
        self._spent += amount
        if self._spent > self._limit:
            raise UnsafeError(
                "the archive unpacks to far more than its own size (a decompression bomb?)",
                where=f"{self._name}!/{printable(member)}",
                expected=f"at most {RATIO} times its {human(self._packed)}, or {human(RATIO_FLOOR)}",
                found=f"over {human(self._spent)}",
                fix="unpack it yourself if you trust where it comes from, and open what is inside",
            )


class Inflated(StreamSource):
    """Decompressed content: in memory while small, otherwise in an unnamed temporary file that goes with it.

    Args:
        parent: what it was decompressed from, for messages.
        member: its name there; empty where the parent holds nothing else.
        pieces: the content in order.
    """

    def __init__(self, parent: Source, member: str, pieces: Iterator[bytes]) -> None:
        self._shown = f"{parent.name}!/{printable(member)}" if member else parent.name
        try:
            super().__init__(Location(member, "member", "", member), cast(IO[bytes], _Stream(pieces)))
        except OSError as error:
            if isinstance(error, EvergraphError):
                raise
            raise StoreError(
                "the unpacked content cannot be kept in a temporary file",
                where=self._shown,
                found=error.strerror or error,
                fix="free some space in the folder for temporary files, or name another one with TMPDIR",
            ) from error

    @property
    def name(self) -> str:
        """The parent's name and the member's."""
        return self._shown


class _Stream:
    """Pieces as a stream that is read to its end; the size asked for is not kept to."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def read(self, size: int = -1) -> bytes:
        return next((p for p in self._pieces if p), b"")
