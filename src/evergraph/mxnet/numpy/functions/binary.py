"""Functions of two operands, element by element: arrays, which broadcast, or numbers."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as onp

from evergraph.mxnet.base import InputTypeError, numeric_types
from evergraph.mxnet.numpy.face import Face, Table
from evergraph.mxnet.numpy.functions.unary import legal_keywords

__all__ = ["OPERATORS", "TABLE"]

TABLE = Table()


class Binary(NamedTuple):
    """The operators of one function.

    Attributes:
        arrays: of two arrays.
        number: of an array and a number.
        reflected: of a number and an array, given as array and number.
    """

    arrays: str
    number: str
    reflected: str


def _both(stem: str) -> Binary:
    return Binary(f"_npi_{stem}", f"_npi_{stem}_scalar", f"_npi_{stem}_scalar")


def _sided(stem: str) -> Binary:
    return Binary(f"_npi_{stem}", f"_npi_{stem}_scalar", f"_npi_r{stem}_scalar")


def _turned(stem: str, other: str) -> Binary:
    return Binary(f"_npi_{stem}", f"_npi_{stem}_scalar", f"_npi_{other}_scalar")


OPERATORS = {
    "add": _both("add"),
    "arctan2": _sided("arctan2"),
    "bitwise_and": _both("bitwise_and"),
    "bitwise_or": _both("bitwise_or"),
    "bitwise_xor": _both("bitwise_xor"),
    "copysign": _sided("copysign"),
    "divide": _sided("true_divide"),
    "equal": _both("equal"),
    "greater": _turned("greater", "less"),
    "greater_equal": _turned("greater_equal", "less_equal"),
    "hypot": _both("hypot"),
    "lcm": _both("lcm"),
    "ldexp": _sided("ldexp"),
    "less": _turned("less", "greater"),
    "less_equal": _turned("less_equal", "greater_equal"),
    "maximum": _both("maximum"),
    "minimum": _both("minimum"),
    "mod": _sided("mod"),
    "multiply": _both("multiply"),
    "not_equal": _both("not_equal"),
    "power": _sided("power"),
    "remainder": _sided("mod"),
    "subtract": _sided("subtract"),
    "true_divide": _sided("true_divide"),
}
"""Function -> its operators."""


def _binary(name: str, table: Binary) -> Callable[..., Any]:
    of_numbers = getattr(onp, name)

    def call(op: Face, x1: Any, x2: Any, out: Any = None, **kwargs: Any) -> Any:
        if kwargs:
            legal_keywords(name, kwargs)
        if op.holds(x1):
            if op.holds(x2):
                return op(table.arrays, x1, x2, out=out)
            if isinstance(x2, numeric_types):
                return op(table.number, x1, scalar=float(x2), out=out)
            raise InputTypeError(f"type {type(x2)} not supported")
        if not isinstance(x1, numeric_types):
            raise InputTypeError(f"type {type(x1)} not supported")
        if op.holds(x2):
            return op(table.reflected, x2, scalar=float(x1), out=out)
        if isinstance(x2, numeric_types):
            return of_numbers(x1, x2)
        raise InputTypeError(f"type {type(x2)} not supported")

    call.__name__ = name
    call.__doc__ = f"`numpy.{name}` of two operands, element by element: arrays, which broadcast, or numbers."
    return call


for _name, _table in OPERATORS.items():
    TABLE[_name] = _binary(_name, _table)
