"""Python's operators on symbols, and methods that stand for functions of `mx.sym`."""

from collections.abc import Callable
from typing import Any

from evergraph.errors import UsageError
from evergraph.mxnet.base import numeric_types
from evergraph.mxnet.ndarray.fluent import FLUENT
from evergraph.mxnet.symbol.functions import function, make
from evergraph.mxnet.symbol.symbol import Symbol, SymbolBase

__all__ = ["BINARY"]

BINARY = {
    "add": ("_Plus", "_PlusScalar", "_PlusScalar"),
    "sub": ("_Minus", "_MinusScalar", "_RMinusScalar"),
    "mul": ("_Mul", "_MulScalar", "_MulScalar"),
    "truediv": ("_Div", "_DivScalar", "_RDivScalar"),
    "mod": ("_Mod", "_ModScalar", "_RModScalar"),
    "pow": ("_Power", "_PowerScalar", "_rpower_scalar"),
    "eq": ("_equal", "_equal_scalar", ""),
    "ne": ("_not_equal", "_not_equal_scalar", ""),
    "gt": ("_greater", "_greater_scalar", ""),
    "ge": ("_greater_equal", "_greater_equal_scalar", ""),
    "lt": ("_lesser", "_lesser_scalar", ""),
    "le": ("_lesser_equal", "_lesser_equal_scalar", ""),
}
"""For each Python operator: with a symbol, with a number, with a number on the left."""


class _OperandError(UsageError, TypeError):
    """An operand that is neither a symbol nor a number."""


def _method(arrays: str, number: str) -> Callable[[Any, Any], Symbol]:
    def call(self: Symbol, other: Any) -> Symbol:
        if isinstance(other, SymbolBase):
            return make(arrays, arrays.lower(), lhs=self, rhs=other)
        if isinstance(other, numeric_types):
            return make(number, number.lower(), data=self, scalar=other)
        raise _OperandError(f"type {type(other)} not supported", expected="a Symbol or a number")

    call.__doc__ = f"The operator {arrays} or {number}."
    return call


def _reflected(number: str) -> Callable[[Any, Any], Symbol]:
    def call(self: Symbol, other: Any) -> Symbol:
        if isinstance(other, numeric_types):
            return make(number, number.lower(), data=self, scalar=other)
        raise _OperandError(f"type {type(other)} not supported", expected="a Symbol or a number")

    call.__doc__ = f"The operator {number}."
    return call


def _in_place(_: Any, __: Any) -> Any:
    from evergraph.mxnet.base import NotImplementedForSymbol

    raise NotImplementedForSymbol("in-place operation", None)


def _fluent(name: str) -> Callable[..., Symbol]:
    def method(self: Symbol, *args: Any, **kwargs: Any) -> Symbol:
        return function(name)(self, *args, **kwargs)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"`mx.sym.{name}` with this symbol as first input."
    return method


def _reshape(self: Symbol, *shape: Any, **kwargs: Any) -> Symbol:
    """`mx.sym.reshape`; the shape as one argument or as several."""
    if shape:
        kwargs["shape"] = shape[0] if len(shape) == 1 else tuple(shape)
    return function("Reshape", "reshape")(self, **kwargs)


def _squeeze(self: Symbol, axis: Any = None, inplace: bool = False, **kwargs: Any) -> Symbol:  # noqa: ARG001
    """`mx.sym.squeeze`."""
    return function("squeeze")(self, axis=axis, **kwargs)


def _flatten(self: Symbol, inplace: bool = False, **kwargs: Any) -> Symbol:  # noqa: ARG001
    """`mx.sym.flatten`."""
    return function("Flatten", "flatten")(self, **kwargs)


def _expand_dims(self: Symbol, axis: int, inplace: bool = False, **kwargs: Any) -> Symbol:  # noqa: ARG001
    """`mx.sym.expand_dims`."""
    return function("expand_dims")(self, axis=axis, **kwargs)


def _split_v2(self: Symbol, *args: Any, **kwargs: Any) -> Symbol:
    """`mx.sym.split_v2`."""
    from evergraph.mxnet.symbol.creation import split_v2

    return split_v2(self, *args, **kwargs)


_METHODS: dict[str, Callable[..., Any]] = {
    "reshape": _reshape,
    "squeeze": _squeeze,
    "split_v2": _split_v2,
    "astype": lambda self, dtype, **kwargs: function("Cast", "cast")(self, dtype=dtype, **kwargs),
    "flatten": _flatten,
    "expand_dims": _expand_dims,
    "diag": lambda self, k=0, **kwargs: function("diag")(self, k=k, **kwargs),
    "__abs__": _fluent("abs"),
    "__neg__": lambda self: make("_MulScalar", "_mulscalar", data=self, scalar=-1.0),
}

_MORE = ("slice", "broadcast_to", "broadcast_like", "nansum", "nanprod", "square", "log2")


def _install() -> None:
    for name, (arrays, number, reflected) in BINARY.items():
        setattr(Symbol, f"__{name}__", _method(arrays, number))
        if reflected:
            setattr(Symbol, f"__r{name}__", _reflected(reflected))
            if name != "pow":
                setattr(Symbol, f"__i{name}__", _in_place)
    for alias, name in (("__div__", "__truediv__"), ("__rdiv__", "__rtruediv__"), ("__idiv__", "__itruediv__")):
        setattr(Symbol, alias, getattr(Symbol, name))
    Symbol.__hash__ = lambda self: id(self) // 16  # type: ignore[method-assign,assignment]
    for name in (*FLUENT, *_MORE):
        if name not in Symbol.__dict__:
            setattr(Symbol, name, _fluent(name))
    for name, found in _METHODS.items():
        setattr(Symbol, name, found)


_install()
