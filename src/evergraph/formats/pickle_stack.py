"""What the opcodes of a pickle work on: a stack with marks, a memo, and limits on what a stream may ask for."""

import struct
from collections.abc import Callable
from typing import Any

from evergraph.errors import DamagedError, UnsafeError, printable
from evergraph.formats.cursor import Cursor
from evergraph.formats.pickle_values import Global, Record, Span, Table
from evergraph.stores import Source

__all__ = ["Resolve", "Stack"]

Resolve = Callable[[str, str], Callable[[tuple], Any] | None]
"""Gives a maker for the global of a module and a name, or None to refuse it. The maker gets the arguments."""

MAX_LINE = 1 << 30
_PLAIN = (str, int, float, bool, bytes, type(None))
OBJECTS_FLOOR = 200_000
OBJECTS_PER_BYTE = 1 / 16
"""An empty container costs one byte in the stream and a hundred in memory; real files spend over 16 bytes for each."""


class Stack:
    """The state of one pickle's interpretation.

    Args:
        source: where the stream is.
        offset: its first byte.
        resolve: the closed table of globals.
        persistent: gives the value for a persistent id; without it such ids are refused.
    """

    def __init__(
        self, source: Source, offset: int, resolve: Resolve, persistent: Callable[[Any], Any] | None = None
    ) -> None:
        self.source = source
        self.cursor = Cursor(source, offset)
        self.cursor.what = "the pickle"
        self._resolve, self.persistent = resolve, persistent
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self._globals: dict[tuple[str, str], Global] = {}
        self.refused: dict[str, int] = {}
        self._objects = OBJECTS_FLOOR + int((source.size - offset) * OBJECTS_PER_BYTE)
        self._start = offset

    @property
    def position(self) -> int:
        """The byte behind what was read."""
        return self.cursor.position

    def damaged(self, what: str, expected: object = None, found: object = None) -> DamagedError:
        """The error for a stream that breaks the rules here."""
        where = f"{self.source.name}, byte {max(self.position - 1, self._start)}"
        return DamagedError(
            f"the pickle is damaged: {what}",
            where=where,
            expected=expected,
            found=found,
            fix="fetch or save the file again",
        )

    # -- what the operations are made of

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        self.stack.append(value)

    def pop(self) -> Any:
        """Take the value on top of the stack, which must stand above the last mark."""
        if self.marks and len(self.stack) <= self.marks[-1]:
            raise IndexError
        return self.stack.pop()

    def top(self) -> Any:
        """The value on top of the stack."""
        if self.marks and len(self.stack) <= self.marks[-1]:
            raise IndexError
        return self.stack[-1]

    def from_mark(self) -> list[Any]:
        """Take the values above the last mark."""
        at = self.marks.pop()
        found = self.stack[at:]
        del self.stack[at:]
        return found

    def put(self, value: Any) -> None:
        """Put a new container or object on the stack; their number is limited."""
        self._objects -= 1
        if self._objects < 0:
            raise UnsafeError(
                "the pickle holds more objects than its size explains",
                where=f"{self.source.name}, byte {self.position}",
                fix="a file made to exhaust memory, or a damaged one",
            )
        self.stack.append(value)

    def line(self) -> bytes:
        """The rest of the line."""
        return self.cursor.line(MAX_LINE)

    def length(self, form: struct.Struct) -> int:
        """A length of this form; the stream must hold as much."""
        length = form.unpack(self.cursor.take(form.size))[0]
        if length < 0 or length > self.source.size - self.position:
            raise self.damaged(
                "a length beyond its end", expected=f"at most {self.source.size - self.position}", found=length
            )
        return length

    def text(self, data: bytes, encoding: str = "utf-8") -> str:
        """Bytes as a text."""
        try:
            return data.decode(encoding, "surrogatepass" if encoding == "utf-8" else "strict")
        except UnicodeDecodeError as error:
            raise self.damaged("a text that does not decode", found=printable(error.reason)) from error

    # -- globals and objects

    def named(self, module: str, name: str) -> Global:
        """The global of this name; a refused one is remembered, and stands for an inert record."""
        key = (module, name)
        if key not in self._globals:
            make = self._resolve(module, name)
            label = f"{module}.{name}"
            if make is None:
                self.refused.setdefault(label, self.position)
                make = lambda args, label=label: Record(label, args)
            self._globals[key] = Global(label, make)
        return self._globals[key]

    def make(self, kind: Any, args: Any) -> Any:
        """What a global's maker makes."""
        if not isinstance(kind, Global) or not isinstance(args, tuple):
            raise self.damaged("an object of no class", found=type(kind).__name__)
        return kind.make(args)

    def key(self, key: Any) -> Any:
        """A value that may be a dictionary key."""
        # hashing nested tuples recurses in C: only flat ones are keys
        if isinstance(key, _PLAIN) or (isinstance(key, tuple) and all(isinstance(k, _PLAIN) for k in key)):
            return key
        if isinstance(key, (Global, Record)):
            return key
        if isinstance(key, Span):
            return bytes(key.read())
        raise self.damaged("a dictionary with a key that is no plain value", found=type(key).__name__)

    def set_items(self, pairs: list[Any]) -> None:
        """Set keys and values, in turn, in the dictionary on top of the stack."""
        target = self.top()
        if not isinstance(target, dict) or len(pairs) % 2:
            raise self.damaged("items for something that is no dictionary", found=type(target).__name__)
        for at in range(0, len(pairs), 2):
            key = self.key(pairs[at])
            if key in target:
                raise self.damaged("one key twice in a dictionary", found=printable(key))
            target[key] = pairs[at + 1]

    def extend(self, values: list[Any]) -> None:
        """Add values to the list or set on top of the stack."""
        target = self.top()
        if isinstance(target, list):
            target.extend(values)
        elif isinstance(target, set):
            target.update(self.key(v) for v in values)
        else:
            raise self.damaged("elements for something that is no list", found=type(target).__name__)

    def build(self) -> None:
        """Set the state of an object."""
        state, target = self.pop(), self.top()
        if isinstance(target, (Record, Table)):
            target.state = state
        elif callable(getattr(target, "set_state", None)):
            target.set_state(state)
        else:
            raise self.damaged("a state for something that has none", found=type(target).__name__)

    def remember(self, index: int) -> None:
        """Keep the top of the stack under a number."""
        self.memo[index] = self.top()

    def recall(self, index: int) -> None:
        """Put a kept value on the stack again."""
        if index not in self.memo:
            raise self.damaged("a reference to a value that was not there before", found=index)
        self.stack.append(self.memo[index])
