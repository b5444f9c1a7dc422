"""NumPy's functions over symbols: every call describes a node."""

from collections.abc import Callable
from typing import Any

from evergraph import ops
from evergraph.mxnet.base import InputTypeError
from evergraph.mxnet.context import current_context
from evergraph.mxnet.numpy.face import Face
from evergraph.mxnet.symbol.functions import function
from evergraph.mxnet.symbol.numpy._symbol import _Symbol
from evergraph.mxnet.symbol.symbol import SymbolBase

__all__ = ["FACE", "SymbolFace", "of_symbols"]

_PREFIXES = ("_npx__image_", "_npx_", "_npi_", "_np_")


def _called(name: str) -> str:
    """What nodes of an operator are named after."""
    for prefix in _PREFIXES:
        if name.startswith(prefix):
            return name[len(prefix) :]
    return name


def _needed(op: ops.Operator, parameter: str) -> bool:
    """Whether None says something else than the parameter's absence."""
    return parameter not in op.parameters or op.parameters[parameter].default is not None


def _require(name: str, values: Any) -> None:
    for value in values:
        if isinstance(value, SymbolBase) and not isinstance(value, _Symbol):
            raise InputTypeError(
                f"inputs of operator {name} must be symbols of mx.np's arrays",
                found="a legacy Symbol",
                fix="call as_np_ndarray() on it",
            )


def _results(found: Any) -> Any:
    entries = [_Symbol((entry,)) for entry in found._entries]
    return entries if len(entries) > 1 else entries[0]


class SymbolFace(Face):
    """Describes what is computed later."""

    def __call__(self, name: str, *inputs: Any, out: Any = None, **params: Any) -> Any:
        """A symbol of an operator, or a list of them where it has several outputs."""
        op = ops.get(name)
        _require(name, inputs)
        given = {k: v for k, v in params.items() if v is not None or _needed(op, k)}
        if "ctx" in op.parameters:
            given.setdefault("ctx", str(current_context()))
        return _results(function(name, _called(name))(*inputs, **given))

    def holds(self, value: Any) -> bool:
        """Whether a value is a symbol of mx.np's arrays."""
        return isinstance(value, _Symbol)


FACE = SymbolFace()
"""Functions over symbols."""


def of_symbols(name: str, called: str) -> Callable[..., Any]:
    """An operator's own function that takes and gives symbols of mx.np's arrays.

    Args:
        name: the operator.
        called: what the function is called.
    """
    make, parameters = function(name, called), ops.get(name).parameters

    def call(*args: Any, **kwargs: Any) -> Any:
        _require(name, (*args, *kwargs.values()))
        given = {k: v for k, v in kwargs.items() if v is not None or k not in parameters}
        return _results(make(*args, **given))

    call.__name__ = call.__qualname__ = called
    call.__doc__, call.__signature__ = make.__doc__, make.__signature__  # type: ignore[attr-defined]
    return call
