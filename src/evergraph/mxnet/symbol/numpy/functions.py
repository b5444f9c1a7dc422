"""The functions of `mx.sym.np`, by name: those of `mx.np` that are written over a face, bound to symbols."""

import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

from evergraph.mxnet.base import integer_types, numeric_types
from evergraph.mxnet.numpy import functions
from evergraph.mxnet.numpy.face import Face, bound
from evergraph.mxnet.numpy.functions.binary import OPERATORS, Binary
from evergraph.mxnet.symbol.numpy.face import FACE, of_symbols
from evergraph.mxnet.symbol.numpy.whole import TABLE

__all__ = ["FUNCTIONS", "METHODS"]

_OWN = (
    *("all", "amax", "amin", "any", "atleast_1d", "atleast_2d", "atleast_3d", "copy", "cumsum", "diag", "diagflat"),
    *("diagonal", "dot", "max", "min", "moveaxis", "prod", "product", "repeat", "reshape", "roll", "sometrue"),
    *("squeeze", "sum", "trace", "transpose"),
)
"""Functions that are operators' own in MXNet 1.9.1: they take a node's name and attributes too."""
_OTHERS = frozenset(("arrays_only", "extension", "extension_random", "linalg", "random"))
"""Families that are no functions of `mx.sym.np` itself."""


def _numbered(found: Callable[..., Any], table: Binary) -> Callable[..., Any]:
    """A function of two operands that notes whether a number behind a symbol is whole: types depend on it."""

    def call(op: Face, x1: Any, x2: Any, out: Any = None, **kwargs: Any) -> Any:
        if op.holds(x1) and isinstance(x2, numeric_types):
            return op(table.number, x1, scalar=float(x2), is_int=isinstance(x2, integer_types))
        if op.holds(x2) and isinstance(x1, numeric_types):
            # in MXNet 1.9.1 a whole number in front counts as such in sums alone
            whole = table.reflected == "_npi_add_scalar" and isinstance(x1, integer_types)
            return op(table.reflected, x2, scalar=float(x1), is_int=whole)
        return found(op, x1, x2, out, **kwargs)

    call.__doc__ = found.__doc__
    return call


def _tables() -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {}
    for module in pkgutil.iter_modules(functions.__path__):
        if module.name not in _OTHERS:
            found.update(importlib.import_module(f"{functions.__name__}.{module.name}").TABLE)
    return found | {name: _numbered(found[name], table) for name, table in OPERATORS.items()}


METHODS = bound(_tables() | TABLE, FACE, "mxnet.symbol.numpy")
"""Method -> what describes it."""

FUNCTIONS = METHODS | {name: of_symbols(f"_np_{name}", name) for name in _OWN}
"""Function -> what describes it."""
