"""Parts of a source as sources of their own: a member of an archive, an array inside a pickle."""

import mmap
import tempfile
from collections.abc import Iterator

from evergraph.errors import DamagedError, EvergraphError, StoreError, UnsafeError, UsageError, printable
from evergraph.stores import Location, Source, human

__all__ = ["MAX_NESTING", "PIECE", "RATIO", "RATIO_FLOOR", "Budget", "Inflated", "Part", "require_shallow"]

RATIO = 100
"""Weights hardly compress; 100 times is more than text or zeros of a real file do over their whole length."""
RATIO_FLOOR = 32 * 1024 * 1024
"""Below this size any ratio is harmless."""
MAX_TOTAL = 1 << 36
"""64 GB: no archive of this field unpacks to more."""
PIECE = 1 << 20
"""How much is unpacked at once: zlib's own buffers double up to it."""
IN_MEMORY = 16 * 1024 * 1024
"""Up to here unpacked content stays in memory."""
MAX_NESTING = 6
"""Parts of parts: a tar.gz is two levels, and some artifacts hold an archive in an archive."""


class _Member(Location):
    """The place of a part. Nothing stands beside it that a name could be looked up as: not even on the local disk."""

    def sibling(self, basename: str) -> Location:
        """Never: a member's content opens no other file."""
        raise UsageError(
            "a member of an archive cannot name files beside it",
            where=self.shown,
            found=printable(basename),
            fix="unpack the archive and open the file itself",
        )


def _ancestors(source: Source) -> Iterator[Source]:
    while True:
        yield source
        parent = getattr(source, "parent", None)
        if parent is None:
            return
        source = parent


def require_shallow(source: Source) -> None:
    """Raise UnsafeError where a source is a part of a part without end, as archives that hold themselves are."""
    depth = sum(1 for _ in _ancestors(source)) - 1
    if depth > MAX_NESTING:
        raise UnsafeError(
            "archives stand in archives without end", where=source.name, expected=f"at most {MAX_NESTING} levels"
        )


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
        self.location = _Member(member, "member", "", member)

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

    def peek(self, offset: int, length: int) -> bytes:
        """A few bytes, copied as the parent does it."""
        self.read(offset, 0)
        return self.parent.peek(self.offset + offset, min(length, self.size - offset))

    def release(self, offset: int, length: int) -> None:
        """Let the parent's pages go."""
        self.parent.release(self.offset + offset, length)

    def private(self, offset: int, length: int) -> memoryview:
        """Writable bytes, as the parent gives them."""
        self.read(offset, 0)
        return self.parent.private(self.offset + offset, length)


class Budget:
    """Bounds what decompression may give, over one archive.

    Args:
        source: the archive. Inside another one, the outermost file counts: levels must not multiply the ratio.
    """

    def __init__(self, source: Source) -> None:
        *_, outermost = _ancestors(source)
        packed, name = outermost.size, source.name
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


class Inflated(Source):
    """Decompressed content: in memory while small, otherwise in an unnamed temporary file that goes with it.

    Args:
        parent: what it was decompressed from.
        member: its name there; empty where the parent holds nothing else.
        pieces: the content in order.
    """

    def __init__(self, parent: Source, member: str, pieces: Iterator[bytes]) -> None:
        self.parent = parent
        self.location = _Member(member, "member", "", member)
        self._shown = f"{parent.name}!/{printable(member)}" if member else parent.name
        try:
            self._view = _kept(pieces)
        except OSError as error:
            if isinstance(error, EvergraphError):
                raise
            raise StoreError(
                "the unpacked content cannot be kept in a temporary file",
                where=self._shown,
                found=error.strerror or error,
                fix="free some space in the folder for temporary files, or name another one with TMPDIR",
            ) from error
        self.size = len(self._view)

    @property
    def name(self) -> str:
        """The parent's name and the member's."""
        return self._shown

    def _read(self, offset: int, length: int) -> memoryview:
        return self._view[offset : offset + length]

    def block(self, offset: int, least: int) -> memoryview:
        """The whole rest of the content."""
        self.read(offset, least)
        return self._view[offset:]


def _kept(pieces: Iterator[bytes]) -> memoryview:
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as spool:
        for piece in pieces:
            spool.write(piece)
        size = spool.tell()
        if size <= IN_MEMORY:
            spool.seek(0)
            return memoryview(spool.read())
        spool.flush()
        # the mapping keeps the file, which has no name, until the last view of it is gone
        return memoryview(mmap.mmap(spool.fileno(), 0, access=mmap.ACCESS_READ))
