"""Writes plain data and inert records as a pickle, in pieces; the bytes of arrays pass through ungathered."""

import struct
from collections.abc import Callable, Iterator
from typing import Any

from evergraph.errors import ConversionError
from evergraph.formats.base import Piece
from evergraph.formats.pickle_values import Global, Record, Span, Table
from evergraph.tensors import Tensor

__all__ = ["PickleWriter"]

PROTOCOL = 4
"""Every Python since 3.4 reads it; protocols up to 2 have no way to hold large bytes as they are."""


class PickleWriter:
    """Writes one value.

    Args:
        leaf: writes what is no plain data (tensors) with the writer's own methods.
        protocol: pickle protocol, 2 or 4; 2 cannot hold bytes.

    >>> import pickletools
    >>> pieces = PickleWriter(lambda writer, value: None).pieces({"a": (1, None)})
    >>> [op.name for op, _, _ in pickletools.genops(b"".join(pieces))][:3]
    ['PROTO', 'EMPTY_DICT', 'MARK']
    """

    def __init__(self, leaf: "Callable[[PickleWriter, Any], None]", protocol: int = PROTOCOL) -> None:
        self._leaf, self._protocol = leaf, protocol
        self._pieces: list[Piece] = []
        self._waiting: list[bytes] = []

    def pieces(self, value: Any) -> list[Piece]:
        """The whole stream."""
        self.raw(b"\x80" + bytes((self._protocol,)))
        self.write(value)
        self.raw(b".")
        self._flush()
        return self._pieces

    def raw(self, data: bytes) -> None:
        """Opcodes as they are."""
        self._waiting.append(data)

    def _flush(self) -> None:
        if self._waiting:
            self._pieces.append(b"".join(self._waiting))
            self._waiting = []

    def write(self, value: Any) -> None:
        """A value of any kind."""
        if value is None or isinstance(value, bool):
            self.raw({None: b"N", True: b"\x88", False: b"\x89"}[value])
        elif isinstance(value, int):
            self._integer(value)
        elif isinstance(value, float):
            self.raw(b"G" + struct.pack(">d", value))
        elif isinstance(value, str):
            self.text(value)
        elif isinstance(value, dict):
            self._dict(value)
        elif isinstance(value, list):
            self._sequence(b"](", value, b"e")
        elif isinstance(value, tuple):
            self.tuple(value)
        elif isinstance(value, (set, frozenset)):
            self._set(value)
        else:
            self._object(value)

    def _object(self, value: Any) -> None:
        if isinstance(value, Tensor):
            self._leaf(self, value)
        elif isinstance(value, Record):
            self._record(value)
        elif isinstance(value, Global):
            self.named(*value.name.rsplit(".", 1))
        elif isinstance(value, (bytes, bytearray)):
            self.data(len(value), iter((bytes(value),)))
        elif isinstance(value, Span):
            self.data(value.nbytes, iter((bytes(value.read()),)))
        else:
            self._leaf(self, value)

    def _integer(self, value: int) -> None:
        if 0 <= value < 256:
            self.raw(b"K" + bytes((value,)))
        elif -(2**31) <= value < 2**31:
            self.raw(b"J" + struct.pack("<i", value))
        else:
            size = (value.bit_length() + 8) // 8
            head = b"\x8a" + bytes((size,)) if size < 256 else b"\x8b" + struct.pack("<i", size)
            self.raw(head + value.to_bytes(size, "little", signed=True))

    def text(self, value: str) -> None:
        """A text."""
        data = value.encode("utf-8", "surrogatepass")
        self.raw(b"X" + struct.pack("<I", len(data)) + data)

    def tuple(self, values: tuple) -> None:
        """A tuple."""
        if not values:
            self.raw(b")")
        elif len(values) <= 3:
            for value in values:
                self.write(value)
            self.raw(b"\x85\x86\x87"[len(values) - 1 : len(values)])
        else:
            self._sequence(b"(", values, b"t")

    def _sequence(self, begin: bytes, values: Any, end: bytes) -> None:
        self.raw(begin)
        for value in values:
            self.write(value)
        self.raw(end)

    def _dict(self, value: dict) -> None:
        if isinstance(value, Table):
            self.named(*value.kind.rsplit(".", 1))
            # the only argument of a defaultdict is what makes its defaults, which is not kept
            self.raw(b")R")
        else:
            self.raw(b"}")
        if value:
            self._sequence(b"(", [v for pair in value.items() for v in pair], b"u")
        if isinstance(value, Table) and value.state is not None:
            self.write(value.state)
            self.raw(b"b")

    def _set(self, value: Any) -> None:
        self.named("builtins" if self._protocol > 2 else "__builtin__", "set")
        self.write(sorted(value, key=lambda v: (type(v).__name__, str(v))))
        self.raw(b"\x85R")

    def _record(self, value: Record) -> None:
        self.named(*value.kind.rsplit(".", 1))
        self.tuple(value.args)
        # without arguments the object is made bare, and its own constructor is not asked
        self.raw(b"R" if value.args else b"\x81")
        if value.state is not None:
            self.write(value.state)
            self.raw(b"b")

    def named(self, module: str, name: str = "") -> None:
        """A class or function by its name."""
        if not name or "\n" in module + name:
            raise ConversionError("a class without a module cannot be pickled", found=module)
        self.raw(b"c" + module.encode() + b"\n" + name.encode() + b"\n")

    def data(self, nbytes: int, pieces: Iterator[Piece]) -> None:
        """Bytes, whose pieces are passed on as they are.

        Raises:
            ConversionError: the protocol has no bytes.
        """
        if self._protocol < 3:
            raise ConversionError("this protocol of pickles cannot hold bytes", expected="protocol 4")
        self.raw(b"B" + struct.pack("<I", nbytes) if nbytes < 2**32 else b"\x8e" + struct.pack("<Q", nbytes))
        self._flush()
        self._pieces.extend(pieces)
