"""How MindSpore prints a tensor's repr: its own columns, limits and breaks, which are not NumPy's."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

__all__ = ["values"]

_EDGE = 3
_LONG_ROW = 6  # a dimension of a matrix longer than this is shortened
_LONG_VECTOR = 1000
_A_LINE = {"f": 12, "c": 12, "b": 12}  # of a vector; of whole numbers twice as many


def values(array: Any, title: str) -> str:
    """The part of a repr from `value=` on.

    Args:
        array: the NumPy array.
        title: its type as MindSpore spells it, `Float32`.

    >>> values(np.array([1, 2]), "Int64")
    ' [1, 2]'
    """
    if array.ndim == 0:
        return " " + _scalar(array, title)
    show = _column(array, title)
    if array.ndim == 1:
        return " " + (_vector(array, show) if array.size else "")
    return "\n" + (_matrix(array, show, 0) if array.size else "")


def _scalar(array: Any, title: str) -> str:
    value = array.item()
    if title.startswith(("Float", "BFloat")):
        return f"{float(value):g}"
    return _complex(value) if title.startswith("Complex") else repr(value) if title == "String" else str(value)


def _complex(value: complex) -> str:
    return f"{value.real:g}{value.imag:+g}j"


def _column(array: Any, title: str) -> Callable[[Any], str]:
    """How one element is written, all of one width."""
    kind = "f" if title.startswith(("Float", "BFloat")) else array.dtype.kind
    if kind == "f":
        digits = 4 if array.dtype.itemsize <= 2 else 8
        width = digits + 7
        return lambda v: f"{float(v): .{digits}e}".rjust(width) if math.isfinite(v) else f"{float(v)}".rjust(width)
    if kind == "b":
        width = max((len(str(bool(v))) for v in _shown(array).flat), default=0)
        return lambda v: str(bool(v)).rjust(width)
    if kind in "iu":
        width = max((len(str(v)) for v in _shown(array).flat), default=0)
        return lambda v: str(v).rjust(width)
    if kind == "c":
        return lambda v: _complex(complex(v))
    return lambda v: repr(v.item() if isinstance(v, np.generic) else v)


def _shown(array: Any) -> Any:
    """The elements that are printed."""
    for axis, size in enumerate(array.shape):
        if size > (_LONG_VECTOR if array.ndim == 1 else _LONG_ROW):
            array = np.take(array, [*range(_EDGE), *range(size - _EDGE, size)], axis)
    return array


def _vector(array: Any, show: Callable[[Any], str]) -> str:
    if array.size > _LONG_VECTOR:
        return _shortened([show(v) for v in array[:_EDGE]], [show(v) for v in array[-_EDGE:]])
    cells = [show(v) for v in array]
    a_line = _A_LINE.get(array.dtype.kind, 24)
    lines = [", ".join(cells[i : i + a_line]) for i in range(0, len(cells), a_line)]
    return "[" + ", \n ".join(lines) + "]"


def _shortened(head: Sequence[str], tail: Sequence[str]) -> str:
    return f"[{', '.join(head)} ... {', '.join(tail)}]"


def _matrix(array: Any, show: Callable[[Any], str], depth: int) -> str:
    long = len(array) > _LONG_ROW
    if array.ndim == 1:
        if long:
            return _shortened([show(v) for v in array[:_EDGE]], [show(v) for v in array[-_EDGE:]])
        return f"[{', '.join(show(v) for v in array)}]"
    indent = " " * (depth + 1)
    rows = lambda part: f",\n{indent}".join(_matrix(row, show, depth + 1) for row in part)
    if long:
        return f"[{rows(array[:_EDGE])},\n{indent}...\n{indent}{rows(array[-_EDGE:])}]"
    return f"[{rows(array)}]"
