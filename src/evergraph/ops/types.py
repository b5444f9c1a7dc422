"""Parameter types of operators: how each is parsed from a graph's text, converted from Python, and described.

The texts are those of dmlc's parameter parser, as MXNet 1.9.1 reads and documents them
(`Shape(tuple), optional, default=[]`).
"""

import math
import re
import struct
import types
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

__all__ = [
    "REQUIRED",
    "Axes",
    "Double",
    "Doubles",
    "Floats",
    "Fraction",
    "Long",
    "Longs",
    "NonNegative",
    "NonNegativeLong",
    "ParameterType",
    "Positive",
    "PositiveUnsigned",
    "Raw",
    "Shape",
    "Shapes",
    "parameter_type",
]

REQUIRED: Any = type("Required", (), {"__repr__": lambda _: "required"})()
"""The default of a parameter that has none."""

_TRUE, _FALSE = frozenset(("True", "true", "1")), frozenset(("False", "false", "0"))
_INTEGER = re.compile(r"[+-]?\d{1,20}[lL]?\Z")


class ParameterType:
    """One parameter's type: `parse` text, `convert` a Python value, `describe` as MXNet's documentation does."""

    name = ""

    def parse(self, text: str) -> Any:
        """The value that a graph's text stands for. Raises ValueError where it stands for none."""
        raise ValueError(text)

    def convert(self, value: Any) -> Any:
        """The value that a Python argument stands for; text is parsed."""
        return self.parse(value if isinstance(value, str) else str(value))

    def show(self, default: Any) -> str:
        """The default as MXNet's documentation prints it."""
        return str(default)

    def describe(self, default: Any) -> str:
        """MXNet's type string, such as `int, optional, default='1'`."""
        return (
            f"{self.name}, required" if default is REQUIRED else f"{self.name}, optional, default={self.show(default)}"
        )


class _Bool(ParameterType):
    name = "boolean"

    def parse(self, text: str) -> bool:
        text = text.strip()
        if text in _TRUE:
            return True
        if text in _FALSE:
            return False
        raise ValueError("True or False")

    def convert(self, value: Any) -> bool:
        if isinstance(value, str):
            return self.parse(value)
        return bool(value)

    def show(self, default: Any) -> str:
        return str(int(default))


class _Int(ParameterType):
    def __init__(self, name: str, quoted: bool, least: int | None = None, most: int | None = None) -> None:
        self.name, self._quoted, self._least, self._most = name, quoted, least, most

    def parse(self, text: str) -> int:
        text = text.strip()
        if _INTEGER.match(text):
            return self._check(int(text.rstrip("lL")))
        if text in ("True", "False"):  # Python programs pass booleans for integers
            return int(text == "True")
        raise ValueError("an integer")

    def convert(self, value: Any) -> int:
        if isinstance(value, str):
            return self.parse(value)
        if isinstance(value, float) and not value.is_integer():
            raise ValueError("an integer")
        return self._check(int(value))

    def _check(self, value: int) -> int:
        if self._least is not None and value < self._least:
            raise ValueError(f"an integer of at least {self._least}")
        if self._most is not None and value > self._most:
            raise ValueError(f"an integer of at most {self._most}")
        return value

    def show(self, default: Any) -> str:
        return f"'{default}'" if self._quoted else str(default)


class _Float(ParameterType):
    """A C float: the value is rounded to float32, as MXNet's parameter structures hold it."""

    name = "float"

    def parse(self, text: str) -> float:
        text = text.strip()
        if text in ("True", "False"):
            return float(text == "True")
        try:
            return self.round(
                float(text.rstrip("fF") if text[-1:] in ("f", "F") and "inf" not in text.lower() else text)
            )
        except ValueError:
            raise ValueError("a number") from None

    def convert(self, value: Any) -> float:
        return self.parse(value) if isinstance(value, str) else self.round(float(value))

    def round(self, value: float) -> float:
        """The value as a C float holds it."""
        try:
            return struct.unpack("f", struct.pack("f", value))[0]
        except OverflowError:
            return math.copysign(math.inf, value)

    def show(self, default: Any) -> str:
        return f"{self.round(default):.9g}"


class _Fraction(_Float):
    def parse(self, text: str) -> float:
        return self._check(super().parse(text))

    def convert(self, value: Any) -> float:
        return self._check(super().convert(value))

    def _check(self, value: float) -> float:
        if not 0 <= value <= 1:
            raise ValueError("a number from 0 to 1")
        return value


class _Double(_Float):
    name = "double"

    def round(self, value: float) -> float:
        return value

    def show(self, default: Any) -> str:
        return f"{default:.17g}"


class _String(ParameterType):
    name = "string"

    def parse(self, text: str) -> str:
        return text

    def show(self, default: Any) -> str:
        return f"'{default}'"


class _Choice(ParameterType):
    """One of a closed set of names; None stands for MXNet's unquoted None."""

    def __init__(self, names: Sequence[str | None]) -> None:
        self.names = tuple(names)
        quoted = sorted(f"'{n}'" for n in names if n is not None)
        self.name = "{" + ", ".join((["None"] if None in names else []) + quoted) + "}"

    def parse(self, text: str) -> str | None:
        if text in self.names:
            return text
        if text == "None" and None in self.names:
            return None
        raise ValueError("one of " + ", ".join(str(n) for n in self.names))

    def convert(self, value: Any) -> str | None:
        if value is None:
            return self.parse("None")
        if value is int or value is float:  # Python's own, where they stand for element types
            value = "int64" if value is int else "float64"
        if not isinstance(value, str):
            value = getattr(value, "__name__", None) or getattr(value, "name", None) or str(value)
        return self.parse(value)

    def show(self, default: Any) -> str:
        return f"'{default}'"

    def describe(self, default: Any) -> str:
        return (
            f"{self.name}, required" if default is REQUIRED else f"{self.name},optional, default={self.show(default)}"
        )


class _Optional(ParameterType):
    """Another type, or None."""

    def __init__(self, inner: ParameterType) -> None:
        self.inner, self.name = inner, f"{'Shape' if isinstance(inner, _Shape) else inner.name} or None"

    def parse(self, text: str) -> Any:
        return None if text.strip() == "None" else self.inner.parse(text)

    def convert(self, value: Any) -> Any:
        return None if value is None else self.parse(value) if isinstance(value, str) else self.inner.convert(value)

    def show(self, default: Any) -> str:
        if default is None:
            return "'None'" if isinstance(self.inner, _Int) else "None"
        return self.inner.show(default)


class _Tuple(ParameterType):
    """A sequence in parentheses or brackets; a bare element stands for a sequence of one."""

    def __init__(self, item: ParameterType, name: str) -> None:
        self.item, self.name = item, name

    def parse(self, text: str) -> tuple[Any, ...]:
        inside = text.strip()
        if inside[:1] in ("(", "[") and inside[-1:] == {"(": ")", "[": "]"}[inside[0]]:
            inside = inside[1:-1].strip()
        elif not inside or inside[:1] in ("(", "["):
            raise ValueError(self._wanted)
        inside = inside.removesuffix(",")
        if not inside.strip():
            return ()
        try:
            return tuple(self.item.parse(part) for part in inside.split(","))
        except ValueError:
            raise ValueError(self._wanted) from None

    def convert(self, value: Any) -> tuple[Any, ...]:
        if isinstance(value, str):
            return self.parse(value)
        try:
            items = tuple(value)
        except TypeError:
            items = (value,)
        return tuple(self.item.convert(v) for v in items)

    def show(self, default: Any) -> str:
        if default is None:
            return "None"
        # a tuple is printed as a stream prints its elements: six digits of a float
        return "[" + ",".join(f"{v:g}" if isinstance(v, float) else self.item.show(v).strip("'") for v in default) + "]"

    @property
    def _wanted(self) -> str:
        return "a tuple such as (1, 2)"


class _Shape(_Tuple):
    """A TShape: integers, -1 for an unknown size; the text None stands for an unknown shape."""

    def parse(self, text: str) -> tuple[Any, ...]:
        if text.strip() == "None":
            return None  # type: ignore[return-value]
        # (None, 3): an axis that is not given, as slice's begin and end have it
        return super().parse(text)

    def convert(self, value: Any) -> tuple[Any, ...]:
        return None if value is None else super().convert(value)  # type: ignore[return-value]


class _Dimension(_Int):
    """One element of a shape: an integer or None."""

    def parse(self, text: str) -> Any:
        return None if text.strip() == "None" else super().parse(text)

    def convert(self, value: Any) -> Any:
        return None if value is None else super().convert(value)


class _Shapes(_Tuple):
    """A tuple of shapes, such as a pad width for each axis: ((1, 2), (0, 0))."""

    def parse(self, text: str) -> tuple[Any, ...]:
        inside = text.strip()
        groups = re.findall(r"[(\[]([^()\[\]]*)[)\]]", inside[1:-1])
        if not groups:
            return (self.item.parse(inside),)
        return tuple(self.item.parse(f"({g})") for g in groups)


class Raw(ParameterType):
    """A type whose description follows no rule of dmlc's.

    Args:
        base: the type that parses and converts.
        required: the whole description of a parameter without a default.
        optional: the whole description of one with a default; `{}` stands for the default.
    """

    def __init__(self, base: ParameterType, required: str, optional: str = "") -> None:
        self._base, self._required, self._optional = base, required, optional
        self.parse, self.convert = base.parse, base.convert  # type: ignore[method-assign]

    def describe(self, default: Any) -> str:
        """The description that was given for a parameter with, or without, a default."""
        return self._required if default is REQUIRED else self._optional.format(default)


_INT = _Int("int", quoted=True)
_NATIVE: dict[Any, ParameterType] = {bool: _Bool(), int: _INT, float: _Float(), str: _String()}
_SHAPE = _Shape(_Dimension("int", quoted=False), "Shape(tuple)")

NonNegative = Annotated[int, _Int("int (non-negative)", quoted=False, least=0)]
Positive = Annotated[int, _Int("int", quoted=True, least=1)]
PositiveUnsigned = Annotated[int, _Int("int (non-negative)", quoted=False, least=1, most=100_000)]
Fraction = Annotated[float, _Fraction()]
Long = Annotated[int, _Int("long", quoted=False)]
NonNegativeLong = Annotated[int, _Int("long (non-negative)", quoted=False, least=0)]
Double = Annotated[float, _Double()]
Shape = Annotated[tuple[Any, ...], _SHAPE]
Axes = Annotated[tuple[int, ...], _SHAPE]
Floats = Annotated[tuple[float, ...], _Tuple(_Float(), "tuple of <float>")]
Doubles = Annotated[tuple[float, ...], _Tuple(_Double(), "tuple of <double>")]
Longs = Annotated[tuple[int, ...], _Tuple(_Int("long", quoted=False), "tuple of <long>")]
Shapes = Annotated[tuple[tuple[int, ...], ...], _Shapes(_SHAPE, "tuple of <Shape(tuple)>")]


def parameter_type(annotation: Any) -> ParameterType:
    """The parameter type that a keyword's annotation stands for.

    Native types stand for MXNet's own (`int`, `float` (a C float), `bool`, `str`), `Literal` for a closed set of
    names, `X | None` for an optional one, and the aliases of this module for the rest.

    >>> parameter_type(int | None).describe(None)
    "int or None, optional, default='None'"
    >>> parameter_type(Shape).parse("(2L, 3)")
    (2, 3)
    """
    if isinstance(annotation, ParameterType):
        return annotation
    if annotation in _NATIVE:
        return _NATIVE[annotation]
    origin = get_origin(annotation)
    if origin is Annotated:
        marker = next((m for m in annotation.__metadata__ if isinstance(m, ParameterType)), None)
        if marker is not None:
            return marker
        return parameter_type(get_args(annotation)[0])
    if origin is Literal:
        return _Choice(get_args(annotation))
    if origin in (Union, types.UnionType):
        inner = [a for a in get_args(annotation) if a is not type(None)]
        if len(inner) == 1:
            return _Optional(parameter_type(inner[0]))
    raise TypeError(f"no parameter type for the annotation {annotation!r}")
