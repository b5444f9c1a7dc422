"""The short way of the commonest methods and functions: to the operator's own function, and nothing between.

A method is otherwise three calls of Python's: its function over a face, the face, and the operator's function.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from evergraph.mxnet._state import STATE
from evergraph.mxnet.ndarray.functions import function
from evergraph.mxnet.numpy.functions.unary import OPERATORS
from evergraph.mxnet.numpy.multiarray import ndarray

__all__ = ["shorten_methods", "shortened_calls"]

_NEW = object.__new__


def shortened_calls(functions: Mapping[str, Callable[..., Any]]) -> dict[str, Callable[..., Any]]:
    """The functions of one operand and the commonest others, each with its short way in front."""
    made = {name: _unary(functions[name], operator) for name, operator in OPERATORS.items()}
    made["dot"] = _product(functions["dot"], "_np_dot")
    made["matmul"] = _product(functions["matmul"], "_npi_matmul")
    made["concatenate"] = _joining(functions["concatenate"], "_npi_concatenate")
    made["stack"] = _joining(functions["stack"], "_npi_stack")
    for name, operator in (("sum", "_np_sum"), ("mean", "_npi_mean")):
        made[name] = _total(functions[name], operator)
    return made


def _named(call: Callable[..., Any], general: Callable[..., Any]) -> Callable[..., Any]:
    """The short function under the name, the parameters and the documentation of the general one."""
    call.__signature__ = general.__signature__  # type: ignore[attr-defined]
    call.__name__ = call.__qualname__ = general.__name__
    call.__doc__, call.__module__ = general.__doc__, general.__module__
    return call


def _unary(general: Callable[..., Any], operator: str) -> Callable[..., Any]:
    made = function(operator, ndarray)

    def call(x: Any, out: Any = None, **kwargs: Any) -> Any:
        if x.__class__ is not ndarray or kwargs:
            return general(x, out, **kwargs)
        return made(x) if out is None else made(x, out=out)

    return _named(call, general)


def _product(general: Callable[..., Any], operator: str) -> Callable[..., Any]:
    made = function(operator, ndarray)

    def call(a: Any, b: Any, out: Any = None, **kwargs: Any) -> Any:
        return general(a, b, out, **kwargs) if kwargs else made(a, b, out=out)

    return _named(call, general)


def _joining(general: Callable[..., Any], operator: str) -> Callable[..., Any]:
    made = function(operator, ndarray)

    def call(*args: Any, **kwargs: Any) -> Any:
        if len(args) == 1 and args[0].__class__ in (list, tuple) and kwargs.keys() <= {"axis"}:
            return made(args[0], axis=kwargs.get("axis", 0))
        return general(*args, **kwargs)

    return _named(call, general)


def _total(general: Callable[..., Any], operator: str) -> Callable[..., Any]:
    made = function(operator, ndarray)

    def call(a: Any, axis: Any = None, *args: Any, **kwargs: Any) -> Any:
        return made(a, axis=axis, keepdims=False) if not args and not kwargs else general(a, axis, *args, **kwargs)

    return _named(call, general)


def _reduction(operator: str, typed: bool) -> Callable[..., Any]:
    made = function(operator, ndarray)

    def of_type(self: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        if dtype is None and out is None:
            return made(self, axis=axis, keepdims=keepdims)
        return made(self, axis=axis, dtype=dtype, keepdims=keepdims, out=out)

    def plain(self: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Any:
        return made(self, axis=axis, keepdims=keepdims, out=out)

    return of_type if typed else plain


def _search(operator: str) -> Callable[..., Any]:
    made = function(operator, ndarray)

    def call(self: Any, axis: int | None = None, out: Any = None) -> Any:
        return made(self, axis=axis, keepdims=False, out=out)

    return call


def _reshaped(general: Callable[..., Any]) -> Callable[..., Any]:
    made = function("_np_reshape", ndarray)

    def reshape(self: Any, *args: Any, **kwargs: Any) -> Any:
        if kwargs or not args:
            return general(self, *args, **kwargs)
        return made(self, newshape=args[0] if len(args) == 1 else args)

    return reshape


def _negative(multiply: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    negate = torch.neg

    def call(self: Any) -> Any:
        value = self._value
        if STATE.recording or value is None or not value.is_floating_point():
            return multiply(self, -1.0)  # a product, and no negation: booleans become integers
        array = _NEW(ndarray)
        array._ctx, array._value = self._ctx, negate(value)
        return array

    return call


def shorten_methods(kind: Any, functions: Mapping[str, Callable[..., Any]]) -> None:
    """Give the array's commonest methods their short ways.

    Args:
        kind: the class.
        functions: the functions of `mx.np` by name.
    """
    transpose = function("_np_transpose", kind)
    made = {
        "sum": _reduction("_np_sum", True),
        "mean": _reduction("_npi_mean", True),
        "prod": _reduction("_np_prod", True),
        "max": _reduction("_np_max", False),
        "min": _reduction("_np_min", False),
        "argmax": _search("_npi_argmax"),
        "argmin": _search("_npi_argmin"),
        "reshape": _reshaped(kind.reshape),
    }
    for name, method in made.items():
        method.__name__, method.__doc__ = name, getattr(kind, name).__doc__
        setattr(kind, name, method)
    kind.T = property(transpose, doc=kind.T.__doc__)
    kind.__neg__ = _negative(functions["multiply"])
