"""Where a tensor's bytes are: a range of a source, pieces of ranges, memory, or a computation."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from evergraph.errors import DamagedError
from evergraph.stores.source import Source

__all__ = ["Blob", "Computed", "Extent", "Held", "Joined"]

CHUNK = 1 << 24
"""How much of a tensor is in memory at once while it is copied from file to file."""


class Blob(Protocol):
    """Bytes that are read when asked."""

    nbytes: int

    def read(self) -> memoryview:
        """All bytes, read-only where possible."""
        ...

    def chunks(self) -> Iterator[Any]:
        """The bytes in order, in bounded pieces."""
        ...

    def private(self) -> memoryview:
        """All bytes, writable, without effect on where they came from."""
        ...

    @property
    def place(self) -> str:
        """Where the bytes are, for messages."""
        ...


class _Whole:
    """What every blob can do once it can be read."""

    nbytes: int

    def read(self) -> memoryview:
        raise TypeError("abstract")

    def chunks(self) -> Iterator[Any]:
        yield self.read()

    def private(self) -> memoryview:
        return memoryview(bytearray(self.read()))

    @property
    def place(self) -> str:
        return "memory"


class Extent(_Whole):
    """A range of a source.

    >>> from evergraph.stores import BytesSource
    >>> bytes(Extent(BytesSource(b"0123456789"), 2, 3).read())
    b'234'
    """

    __slots__ = ("nbytes", "offset", "source")

    def __init__(self, source: Source, offset: int, nbytes: int) -> None:
        self.source, self.offset, self.nbytes = source, offset, nbytes

    def read(self) -> memoryview:
        """The range; without a copy from a mapped file."""
        return self.source.read(self.offset, self.nbytes)

    def chunks(self) -> Iterator[Any]:
        """The range in bounded pieces, as its source copies best."""
        return self.source.chunks(self.offset, self.nbytes)

    def private(self) -> memoryview:
        """The range, writable: pages of a mapped file are copied when they are written to."""
        return self.source.private(self.offset, self.nbytes)

    @property
    def place(self) -> str:
        """The file and the first byte."""
        return f"{self.source.name}, byte {self.offset}"


class Held(_Whole):
    """Bytes in memory; the array they belong to stays alive."""

    __slots__ = ("_view", "nbytes")

    def __init__(self, data: Any) -> None:
        view = memoryview(data)
        self._view = view if view.ndim == 1 and view.format == "B" else view.cast("B")
        self.nbytes = len(self._view)

    def read(self) -> memoryview:
        """The bytes, without a copy."""
        return self._view


class Joined(_Whole):
    """Pieces that stand apart and belong together, such as MindSpore's slices."""

    __slots__ = ("nbytes", "pieces")

    def __init__(self, pieces: Sequence[Blob]) -> None:
        self.pieces = tuple(pieces)
        self.nbytes = sum(p.nbytes for p in pieces)

    def read(self) -> memoryview:
        """The pieces, copied into one."""
        whole, at = bytearray(self.nbytes), 0
        for chunk in self.chunks():
            whole[at : at + len(chunk)] = chunk
            at += len(chunk)
        return memoryview(whole).toreadonly()

    def chunks(self) -> Iterator[Any]:
        """The chunks of each piece in turn."""
        for piece in self.pieces:
            yield from piece.chunks()

    def private(self) -> memoryview:
        """The joined copy itself."""
        return memoryview(bytearray(self.read()))

    @property
    def place(self) -> str:
        """Where the first piece is."""
        return self.pieces[0].place if self.pieces else "memory"


class Computed(_Whole):
    """Bytes that a function makes each time they are asked for: decompressed, decrypted, reordered.

    Args:
        nbytes: how many there will be; another number is an error.
        function: makes them.
        place: where they come from, for messages.
    """

    __slots__ = ("_function", "_place", "nbytes")

    def __init__(self, nbytes: int, function: Callable[[], Any], place: str) -> None:
        self.nbytes, self._function, self._place = nbytes, function, place

    def read(self) -> memoryview:
        """What the function makes."""
        view = memoryview(self._function())
        view = view if view.ndim == 1 and view.format == "B" else view.cast("B")
        if len(view) != self.nbytes:
            raise DamagedError("the content has another size", where=self.place, expected=self.nbytes, found=len(view))
        return view

    @property
    def place(self) -> str:
        """Where the bytes come from."""
        return self._place
