"""What a pickle is read into, besides plain data: spans of bytes, inert records and named dictionaries."""

from collections.abc import Callable
from typing import Any

from evergraph.errors import printable
from evergraph.stores import Source

__all__ = ["Global", "OldText", "Record", "Span", "Table", "Unreadable"]


class OldText(str):
    r"""A text of Python 2, which is bytes: each character stands for one. Most of them are UTF-8.

    >>> OldText(b"caf\xc3\xa9".decode("latin-1")).words
    'café'
    """

    __slots__ = ()

    @property
    def raw(self) -> bytes:
        """The bytes."""
        return self.encode("latin-1")

    @property
    def words(self) -> str:
        """The text that the bytes mean: UTF-8 where they are that."""
        try:
            return self.raw.decode()
        except UnicodeDecodeError:
            return str(self)


class Span:
    """Bytes of the stream that were passed over and are read when asked."""

    __slots__ = ("nbytes", "offset", "source")

    def __init__(self, source: Source, offset: int, nbytes: int) -> None:
        self.source, self.offset, self.nbytes = source, offset, nbytes

    def read(self) -> memoryview:
        """The bytes."""
        return self.source.read(self.offset, self.nbytes)


class Record:
    """An object of a class that is known by name only: what it was made from and what its state is.

    Attributes:
        kind: module and name of its class.
        args: what it was made from.
        state: what was set on it afterwards.
    """

    __slots__ = ("args", "kind", "state")

    def __init__(self, kind: str, args: tuple = (), state: Any = None) -> None:
        self.kind, self.args, self.state = kind, args, state

    def __repr__(self) -> str:
        return f"<Record {printable(self.kind)}>"


class Unreadable:
    """A leaf of a known kind that no tensor can hold; `what` says which."""

    __slots__ = ("what",)

    def __init__(self, what: str) -> None:
        self.what = what


class Table(dict):
    """A dictionary of a named class, such as OrderedDict, which may carry attributes of its own."""

    __slots__ = ("kind", "state")

    def __init__(self, kind: str, pairs: Any = ()) -> None:
        super().__init__(pairs)
        self.kind = kind
        self.state: Any = None


class Global:
    """A class or function named by the stream, with this project's maker for it."""

    __slots__ = ("make", "name")

    def __init__(self, name: str, make: Callable[[tuple], Any]) -> None:
        self.name, self.make = name, make

    def __repr__(self) -> str:
        return f"<Global {printable(self.name)}>"
