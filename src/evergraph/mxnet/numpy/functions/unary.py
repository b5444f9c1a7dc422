"""Functions of one operand, element by element."""

from collections.abc import Callable
from typing import Any

import numpy as onp

from evergraph.mxnet.base import InputTypeError, numeric_types
from evergraph.mxnet.numpy.face import Face, Table

__all__ = ["OPERATORS", "TABLE", "legal_keywords"]

TABLE = Table()

OPERATORS = {
    "abs": "_npi_absolute",
    "absolute": "_npi_absolute",
    "arccos": "_npi_arccos",
    "arccosh": "_npi_arccosh",
    "arcsin": "_npi_arcsin",
    "arcsinh": "_npi_arcsinh",
    "arctan": "_npi_arctan",
    "arctanh": "_npi_arctanh",
    "bitwise_not": "_npi_bitwise_not",
    "cbrt": "_npi_cbrt",
    "ceil": "_npi_ceil",
    "cos": "_npi_cos",
    "cosh": "_npi_cosh",
    "deg2rad": "_npi_radians",
    "degrees": "_npi_degrees",
    "exp": "_npi_exp",
    "expm1": "_npi_expm1",
    "fabs": "_npi_absolute",
    "fix": "_npi_fix",
    "floor": "_npi_floor",
    "invert": "_npi_bitwise_not",
    "isfinite": "_npi_isfinite",
    "isinf": "_npi_isinf",
    "isnan": "_npi_isnan",
    "isneginf": "_npi_isneginf",
    "isposinf": "_npi_isposinf",
    "log": "_npi_log",
    "log10": "_npi_log10",
    "log1p": "_npi_log1p",
    "log2": "_npi_log2",
    "logical_not": "_npi_logical_not",
    "negative": "_npi_negative",
    "rad2deg": "_npi_degrees",
    "radians": "_npi_radians",
    "reciprocal": "_npi_reciprocal",
    "rint": "_npi_rint",
    "sign": "_npi_sign",
    "sin": "_npi_sin",
    "sinh": "_npi_sinh",
    "sqrt": "_npi_sqrt",
    "square": "_npi_square",
    "tan": "_npi_tan",
    "tanh": "_npi_tanh",
    "trunc": "_npi_trunc",
}
"""Function -> operator."""


def _unary(name: str, operator: str) -> Callable[..., Any]:
    of_number = getattr(onp, name)

    def call(op: Face, x: Any, out: Any = None, **kwargs: Any) -> Any:
        if kwargs:
            legal_keywords(name, kwargs)
        if op.holds(x):
            return op(operator, x, out=out)
        if isinstance(x, numeric_types):
            return of_number(x)
        raise InputTypeError(f"type {type(x)} not supported")

    call.__name__ = name
    call.__doc__ = f"`numpy.{name}` of an array, element by element, or of a number."
    return call


def legal_keywords(name: str, kwargs: dict[str, Any]) -> None:
    """Pass over the keywords of NumPy's functions at the values that they have there by themselves.

    Raises:
        TypeError: another keyword.
        NotImplementedError: another value.
    """
    usual = {"where": True, "casting": "same_kind", "order": "K", "dtype": None, "subok": True}
    for key, value in kwargs.items():
        if key not in usual:
            raise TypeError(f"{name}() got an unexpected keyword argument {key!r}")
        if value != usual[key]:
            raise NotImplementedError(f"{name}() takes {key}={usual[key]!r} alone, found {value!r}")


for _name, _operator in OPERATORS.items():
    TABLE[_name] = _unary(_name, _operator)
