"""The header of `.npy`: a small dictionary in Python's notation, read by a parser that knows nothing else.

Layout: docs/formats/numpy.md.
"""

import re
from typing import Any

from evergraph.errors import DamagedError, FormatError, UnsafeError, printable
from evergraph.tensors import DTYPES, DType

__all__ = ["MAGIC", "descriptor", "element_type", "parse_header", "render_header"]

MAGIC = b"\x93NUMPY"
MAX_HEADER = 1 << 16
"""NumPy's own limit is 10,000 characters; a plain array's header has under 200."""

_TOKEN = re.compile(r"\s*(?:'([^'\\]*)'|\"([^\"\\]*)\"|(\d{1,20})L?|(True|False)|([{}():,\[\]]))")

_LETTERS = {"f": "float", "i": "int", "u": "uint", "c": "complex"}
_NAMES = {"V2": "bfloat16"}
"""Types that NumPy has no letter for stand as raw bytes of their size; of those this size says enough."""


def element_type(descr: str) -> tuple[DType, bool]:
    """The element type of NumPy's short form, and whether its bytes are swapped.

    Raises:
        UnsafeError: objects, which are pickles.
        FormatError: no tensor's type.

    >>> element_type("<f4"), element_type(">i8"), element_type("|V2")
    (('float32', False), ('int64', True), ('bfloat16', False))
    """
    found = re.fullmatch(r"([<>|=])?([a-zA-Z?])(\d{0,4})", descr)
    if found is None:
        raise FormatError("an array of no element type", found=printable(descr))
    order, letter, size = found[1] or "|", found[2], found[3]
    if letter == "O":
        raise UnsafeError(
            "an array of Python objects is a pickle, and refused",
            found=printable(descr),
            fix="save arrays of numbers",
        )
    if letter in "b?" and size in ("1", ""):
        # b1 is bool, and b alone int8
        return DTYPES["bool" if letter == "?" or size else "int8"], False
    name = _NAMES.get(letter + size)
    if name is None and letter in _LETTERS and size:
        name = f"{_LETTERS[letter]}{int(size) * 8}"
    if name not in DTYPES:
        raise FormatError("an array whose elements are no numbers", found=printable(descr), expected="f, i, u, b, c")
    kind = DTYPES[name]
    return kind, order == ">" and kind.itemsize > 1


def descriptor(kind: DType) -> str:
    """NumPy's short form of an element type; raw bytes where it has none.

    >>> descriptor(DTYPES["bool"]), descriptor(DTYPES["bfloat16"])
    ('|b1', '<V2')
    """
    letter = {"f": "f", "i": "i", "u": "u", "c": "c", "b": "b"}.get(kind.kind, "V")
    if kind in ("bfloat16", "float8_e4m3fn", "float8_e5m2", "int4", "hifloat8"):
        letter = "V"
    if kind.itemsize == 1:
        return f"|{letter}1"
    return f"<{letter}{kind.itemsize}"


def parse_header(text: str, where: str) -> tuple[Any, bool, tuple[int, ...]]:
    """Type, order and shape of a header.

    Args:
        text: the dictionary.
        where: the file, for messages.

    Returns:
        The descriptor (a text; anything else is no plain array), whether the order is Fortran's, and the shape.

    Raises:
        DamagedError: it is no such dictionary.

    >>> parse_header("{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }", "a.npy")
    ('<f4', False, (3, 4))
    """
    found = _Header(text, where).dictionary()
    if set(found) != {"descr", "fortran_order", "shape"}:
        raise _damaged(where, "descr, fortran_order and shape", ", ".join(map(printable, found)))
    descr, fortran, shape = found["descr"], found["fortran_order"], found["shape"]
    if not isinstance(fortran, bool) or not isinstance(shape, tuple) or len(shape) > 32:
        raise _damaged(where, "a truth value and a shape of at most 32 dimensions", printable((fortran, shape)))
    if not all(type(d) is int for d in shape):
        raise _damaged(where, "whole numbers for the shape", printable(shape))
    if not isinstance(descr, str):
        raise FormatError("a structured array is no tensor", where=where, fix="save each of its fields")
    return descr, fortran, shape


def render_header(kind: DType, shape: tuple[int, ...], descr: str | None = None) -> bytes:
    """Magic, version, length and dictionary, padded so that the data behind begins at a multiple of 64.

    Args:
        kind: element type.
        shape: sizes.
        descr: another spelling of the type, as Python notation.

    >>> len(render_header(DTYPES["float32"], (2, 3)))
    128
    """
    inside = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
    text = f"{{'descr': {descr or repr(descriptor(kind))}, 'fortran_order': False, 'shape': ({inside}), }}"
    padding = -(10 + len(text) + 1) % 64
    body = text.encode() + b" " * padding + b"\n"
    return MAGIC + b"\x01\x00" + len(body).to_bytes(2, "little") + body


class _Header:
    """Reads the notation: texts, numbers, True and False, tuples, and one dictionary around them."""

    def __init__(self, text: str, where: str) -> None:
        self._text, self._where, self._at = text, where, 0

    def _next(self) -> Any:
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            raise _damaged(self._where, "a text, a number or a bracket", printable(self._text[self._at :][:20]))
        self._at = found.end()
        return found

    def _symbol(self) -> str:
        return self._next()[5] or ""

    def dictionary(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self._symbol() != "{":
            raise _damaged(self._where, "a dictionary", printable(self._text[:20]))
        while True:
            token = self._next()
            if token[5] == "}":
                break
            key = token[1] if token[1] is not None else token[2]
            if key is None or key in found or self._symbol() != ":":
                raise _damaged(self._where, "each key once, and a value", printable(self._text[:80]))
            found[key] = self._value()
            end = self._symbol()
            if end == "}":
                break
            if end != ",":
                raise _damaged(self._where, "a comma", printable(end))
        if self._text[self._at :].strip():
            raise _damaged(self._where, "nothing behind it", printable(self._text[self._at :].strip()[:20]))
        return found

    def _value(self) -> Any:
        token = self._next()
        if token[1] is not None or token[2] is not None:
            return token[1] if token[1] is not None else token[2]
        if token[3]:
            return int(token[3])
        if token[4]:
            return token[4] == "True"
        if token[5] == "(":
            return self._tuple()
        if token[5] == "[":
            begin, end = self._at, self._text.rfind("]")
            if end < begin:
                raise _damaged(self._where, "a closing bracket", "the end")
            self._at = end + 1
            # MXNet 2.0's spelling of bfloat16; what else is in a structured type does not matter
            return "<V2" if self._text[begin:end].replace('"', "'") == "('bfloat16', '<u2')" else []
        raise _damaged(self._where, "a value", printable(token[0]))

    def _tuple(self) -> tuple[int, ...]:
        found = []
        while True:
            token = self._next()
            if token[5] == ")":
                return tuple(found)
            if not token[3]:
                raise _damaged(self._where, "a number", printable(token[0]))
            found.append(int(token[3]))
            end = self._symbol()
            if end == ")":
                return tuple(found)
            if end != ",":
                raise _damaged(self._where, "a comma", printable(end))


def _damaged(where: str, expected: str, found: str) -> DamagedError:
    return DamagedError("the array's header cannot be read", where=where, expected=expected, found=found)
