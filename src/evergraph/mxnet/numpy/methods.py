"""Methods and Python's operators of `mx.np.ndarray`, which stand for functions of `mx.np`."""

from collections.abc import Callable, Mapping
from typing import Any

from evergraph.mxnet._state import STATE
from evergraph.mxnet.ndarray.invoke import require_unrecorded

__all__ = ["install"]

_OPERATORS = {
    "add": "add",
    "sub": "subtract",
    "mul": "multiply",
    "truediv": "true_divide",
    "mod": "mod",
    "pow": "power",
    "matmul": "matmul",
    "and": "bitwise_and",
    "or": "bitwise_or",
    "xor": "bitwise_xor",
}
_COMPARISONS = {
    "eq": "equal",
    "ne": "not_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "lt": "less",
    "le": "less_equal",
}
_UNARY = {"neg": "negative", "abs": "absolute", "invert": "invert"}


def install(kind: Any, functions: Mapping[str, Callable[..., Any]]) -> None:
    """Give a class its operators, each by the function of this name."""
    for name, called in {**_OPERATORS, **_COMPARISONS}.items():
        if called in functions:
            setattr(kind, f"__{name}__", functions[called])
    for name, called in _OPERATORS.items():
        if called in functions:
            setattr(kind, f"__r{name}__", _reflected(functions[called]))
            setattr(kind, f"__i{name}__", _in_place(functions[called]))
    for name, called in _UNARY.items():
        setattr(kind, f"__{name}__", functions[called])
    kind.__div__, kind.__rdiv__, kind.__idiv__ = kind.__truediv__, kind.__rtruediv__, kind.__itruediv__


def _reflected(function: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    return lambda self, other: function(other, self)


def _in_place(function: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    def call(self: Any, other: Any) -> Any:
        if STATE.recording:
            require_unrecorded(self)
        return function(self, other, out=self)

    return call
