"""Bytes that can be read by range: a mapped local file, a standard stream, or bytes in memory."""

import mmap
import os
import stat
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import IO

from evergraph.errors import DamagedError, StoreError, counted, printable
from evergraph.stores.uri import Location, locate

__all__ = ["BytesSource", "LocalSource", "Source", "StreamSource", "human"]

SMALL = 64 * 1024
"""Below this a private copy is cheaper than a mapping of its own."""

FAULT_AROUND = 2 * 1024 * 1024
"""Linux maps up to so much around a missing page, where the page cache keeps it in one piece."""

WINDOW = 2 * 1024
"""How much a reader of a table gets at once from a local file."""

REQUEST = 16 * 1024 * 1024
"""How much is asked for at once where content is copied through: a request takes long, whatever it brings."""

PIECE = 1024 * 1024
"""How much of a local file is copied through at once."""

BLOCK = 256 * 1024
"""How much a reader of a table gets at once where each read is a request."""


def human(count: float) -> str:
    """A number of bytes in words.

    >>> human(553 * 10**6), human(1)
    ('553.0 MB', '1 byte')
    """
    for unit in ("bytes", "kB", "MB", "GB", "TB", "PB"):
        if abs(count) < 1000 or unit == "PB":
            return counted(round(count), "byte") if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return ""


class Source(ABC):
    """Bytes at a URI.

    Attributes:
        location: where they are.
        size: how many there are.
    """

    location: Location
    size: int

    @property
    def name(self) -> str:
        """The URI as messages show it."""
        return self.location.shown

    def read(self, offset: int, length: int) -> memoryview:
        """Exactly `length` bytes from `offset`, read-only; without a copy where the bytes are mapped.

        Raises:
            DamagedError: they end before.
            StoreError: they cannot be read, or have changed since they were opened.
        """
        if offset < 0 or length < 0 or offset + length > self.size:
            raise DamagedError(
                "the file is cut short",
                where=f"{self.name}, byte {offset}",
                expected=f"{length} bytes",
                found=f"{max(self.size - offset, 0)} up to the end at byte {self.size}",
            )
        return self._read(offset, length)

    def head(self, length: int) -> bytes:
        """The first bytes, at most `length` of them."""
        return self.peek(0, min(length, self.size))

    def peek(self, offset: int, length: int) -> bytes:
        """A few bytes, copied: where tables lie scattered in a large file, mapping a page for each costs more."""
        return bytes(self.read(offset, length))

    def private(self, offset: int, length: int) -> memoryview:
        """As `read`, but writable: changes stay in this process and never reach the file."""
        return memoryview(bytearray(self.read(offset, length)))

    def fill(self, offset: int, into: memoryview) -> None:
        """Copy a range into memory of the caller, whose length says how much."""
        into[:] = self.read(offset, len(into))

    def block(self, offset: int, least: int) -> memoryview:
        """At least `least` bytes from `offset`, and as many more as come at no further cost.

        Tables are made of many small fields: a reader takes a block and looks at its fields without further reads.
        """
        return self.read(offset, max(least, min(BLOCK, self.size - offset)))

    @abstractmethod
    def _read(self, offset: int, length: int) -> memoryview: ...

    def chunks(self, offset: int, length: int) -> Iterator[memoryview | bytes]:
        """A range that is copied through, in pieces of at most 16 MB, none of which stays in memory."""
        end = offset + length
        for start in range(offset, end, REQUEST):
            size = min(REQUEST, end - start)
            yield self.read(start, size)
            self.release(start, size)

    def release(self, offset: int, length: int) -> None:  # noqa: B027 - only a mapping holds what it has read
        """Say that a range will not be read again soon; if it is, it is there as before."""

    def close(self) -> None:  # noqa: B027 - bytes in memory have nothing to close
        """Let go of the file; views that were handed out stay valid."""

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}, {human(self.size)}>"


class BytesSource(Source):
    """Bytes in memory.

    >>> bytes(BytesSource(b"abcdef", "six").read(2, 3))
    b'cde'
    """

    def __init__(self, data: bytes | bytearray | memoryview, name: str = "memory://bytes") -> None:
        self.location = Location(name, "memory", "", name)
        self._data = memoryview(data).toreadonly().cast("B")
        self.size = len(self._data)

    def _read(self, offset: int, length: int) -> memoryview:
        return self._data[offset : offset + length]


class LocalSource(Source):
    """A file of this machine, memory-mapped.

    The file is opened once; a later replacement under the same name is not seen, and a change in place is an error
    at the next read (`check`), because a mapping of a shortened file would end the process.

    Raises:
        StoreError: it cannot be opened, or is not a regular file.
    """

    def __init__(self, location: Location) -> None:
        self.location = location
        # O_NONBLOCK: opening a FIFO must not wait for a writer
        flags = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NONBLOCK", 0)
        try:
            self._descriptor = os.open(location.name, flags)
        except OSError as error:
            raise _cannot_open(location, error) from error
        try:
            self._seen = os.fstat(self._descriptor)
            _require_regular(location, self._seen)
            self.size = self._seen.st_size
            self._map = mmap.mmap(self._descriptor, 0, access=mmap.ACCESS_READ) if self.size else b""
        except OSError as error:
            os.close(self._descriptor)
            self._descriptor = -1
            if isinstance(error, StoreError):
                raise
            raise StoreError("the file cannot be mapped", where=self.name, found=error.strerror) from error
        self._view = memoryview(self._map)

    def check(self) -> None:
        """Raise StoreError if the file was changed since it was opened."""
        now = os.fstat(self._descriptor)
        if (now.st_size, now.st_mtime_ns) != (self._seen.st_size, self._seen.st_mtime_ns):
            raise StoreError(
                "the file was changed while it was being read",
                where=self.name,
                expected=human(self._seen.st_size),
                found=human(now.st_size) if now.st_size != self._seen.st_size else "another modification time",
                fix="open it again; save checkpoints by replacing files, not by writing into them",
            )

    def _read(self, offset: int, length: int) -> memoryview:
        if self._descriptor >= 0:
            self.check()
        return self._view[offset : offset + length]

    def peek(self, offset: int, length: int) -> bytes:
        """A few bytes, read without mapping them: a page fault maps 16 pages, and counts them as memory in use."""
        found = os.pread(self._descriptor, length, offset) if self._descriptor >= 0 else b""
        return found if len(found) == length else super().peek(offset, length)

    def fill(self, offset: int, into: memoryview) -> None:
        """A range, past the mapping: no page is mapped only to be copied."""
        done = 0
        if self._descriptor >= 0 and hasattr(os, "preadv"):
            self.check()
            while done < len(into) and (got := os.preadv(self._descriptor, [into[done:]], offset + done)):
                done += got
        if done < len(into):
            super().fill(offset + done, into[done:])

    def block(self, offset: int, least: int) -> memoryview:
        """The next two kilobytes or more, read without mapping them, as in `peek`."""
        return memoryview(self.peek(offset, max(least, min(WINDOW, self.size - offset))))

    def chunks(self, offset: int, length: int) -> Iterator[memoryview | bytes]:
        """A range in pieces of 1 MB, past the mapping: written again while the processor's cache has them.

        Measured on 553 MB: two thirds of the time that copying 16 MB at a time out of the mapping takes.
        """
        end = offset + length
        for start in range(offset, end, PIECE):
            yield self.peek(start, min(PIECE, end - start))

    def release(self, offset: int, length: int) -> None:
        """Let the pages go: a file that is copied through its mapping would otherwise fill memory, page by page."""
        if isinstance(self._map, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            # a fault maps the pages around it as well, those before the range among them
            start = max(offset - FAULT_AROUND, 0) // mmap.PAGESIZE * mmap.PAGESIZE
            self._map.madvise(mmap.MADV_DONTNEED, start, offset + length - start)

    def private(self, offset: int, length: int) -> memoryview:
        """As `read`, but writable: pages are copied when they are written to."""
        if self._descriptor < 0:
            return super().private(offset, length)
        if length < SMALL:
            # not through the mapping, as in `peek`: hundreds of small arrays mapped 17 MB around them
            found = memoryview(bytearray(length))
            self.fill(offset, found)
            return found
        self.read(offset, length)
        start = offset - offset % mmap.ALLOCATIONGRANULARITY
        pages = mmap.mmap(self._descriptor, offset - start + length, access=mmap.ACCESS_COPY, offset=start)
        return memoryview(pages)[offset - start :]

    def close(self) -> None:
        """Close the descriptor; the mapping lives as long as a view of it."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        if getattr(self, "_descriptor", -1) >= 0:
            self.close()


class StreamSource(Source):
    """Standard input, read to its end: kept in memory while small, in an unnamed temporary file above 64 MB."""

    def __init__(self, location: Location, stream: IO[bytes] | None = None) -> None:
        self.location = location
        if stream is None and sys.stdin is None:
            raise StoreError("standard input is closed", where=location.shown, fix="give a file, or open it")
        spool = tempfile.SpooledTemporaryFile(max_size=64 * 1024 * 1024)  # noqa: SIM115 - lives as long as the source
        incoming: IO[bytes] = stream or sys.stdin.buffer
        while block := incoming.read(1 << 20):
            spool.write(block)
        self.size = spool.tell()
        if getattr(spool, "_rolled", False):
            spool.flush()
            self._data = memoryview(mmap.mmap(spool.fileno(), 0, access=mmap.ACCESS_READ))
            spool.close()
        else:
            spool.seek(0)
            self._data = memoryview(spool.read())
            spool.close()

    def _read(self, offset: int, length: int) -> memoryview:
        return self._data[offset : offset + length]


def _require_regular(location: Location, found: os.stat_result) -> None:
    if stat.S_ISREG(found.st_mode):
        return
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}
    raise StoreError(
        "this is not a regular file",
        where=location.shown,
        found=kinds.get(stat.S_IFMT(found.st_mode), "a special file"),
        fix="give a file; a pipe is read with - (standard input)",
    )


def _cannot_open(location: Location, error: OSError) -> StoreError:
    fix = None
    if isinstance(error, FileNotFoundError):
        folder = os.path.dirname(location.name) or "."
        fix = "check the name" if os.path.isdir(folder) else f"the folder {printable(folder)} does not exist"
    found = StoreError("the file cannot be opened", where=location.shown, found=error.strerror or error, fix=fix)
    found.errno = error.errno
    return found


def open_local(path: str) -> LocalSource:
    """A mapped source for a path of this machine."""
    return LocalSource(locate(path))
