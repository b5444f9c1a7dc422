"""Python's operators on arrays: array with array broadcasts, array with number takes the number as a float."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from evergraph.errors import UsageError
from evergraph.mxnet._state import STATE
from evergraph.mxnet.base import numeric_types
from evergraph.mxnet.ndarray.base import Array
from evergraph.mxnet.ndarray.invoke import give_recorded, invoke
from evergraph.ops import Operator, Params, get

__all__ = ["BINARY", "Binary", "function_of_two", "in_place_method", "method", "reflected_method"]


class Binary(NamedTuple):
    """One function of two operands, arrays or numbers.

    Attributes:
        arrays: operator of two arrays, which broadcast.
        number: operator of an array and a number.
        reflected: operator of a number and an array.
        plain: function of two numbers.
        equal: operator of two arrays of one shape, which knows sparse ones; empty where there is none.
        in_place: name of torch's method that computes the same in place.
        torch: name of torch's function of a floating array and a number that computes the same.
        judge: name of torch's comparison whose answers, as numbers of lhs's type, are the same.
    """

    arrays: str
    number: str
    reflected: str
    plain: Callable[[Any, Any], Any]
    equal: str = ""
    in_place: str = ""
    torch: str = ""
    judge: str = ""


BINARY = {
    "add": Binary("broadcast_add", "_plus_scalar", "_plus_scalar", lambda a, b: a + b, "elemwise_add", "add_", "add"),
    "subtract": Binary(
        "broadcast_sub", "_minus_scalar", "_rminus_scalar", lambda a, b: a - b, "elemwise_sub", "sub_", "sub"
    ),
    "multiply": Binary(
        "broadcast_mul", "_mul_scalar", "_mul_scalar", lambda a, b: a * b, "elemwise_mul", "mul_", "mul"
    ),
    "divide": Binary("broadcast_div", "_div_scalar", "_rdiv_scalar", lambda a, b: a / b, "elemwise_div", "div_", "div"),
    "modulo": Binary("broadcast_mod", "_mod_scalar", "_rmod_scalar", lambda a, b: a % b),
    "power": Binary("broadcast_power", "_power_scalar", "_rpower_scalar", lambda a, b: a**b),
    "maximum": Binary("broadcast_maximum", "_maximum_scalar", "_maximum_scalar", max),
    "minimum": Binary("broadcast_minimum", "_minimum_scalar", "_minimum_scalar", min),
    "equal": Binary("broadcast_equal", "_equal_scalar", "_equal_scalar", lambda a, b: int(a == b), judge="eq"),
    "not_equal": Binary(
        "broadcast_not_equal", "_not_equal_scalar", "_not_equal_scalar", lambda a, b: int(a != b), judge="ne"
    ),
    "greater": Binary("broadcast_greater", "_greater_scalar", "_lesser_scalar", lambda a, b: int(a > b), judge="gt"),
    "greater_equal": Binary(
        "broadcast_greater_equal", "_greater_equal_scalar", "_lesser_equal_scalar", lambda a, b: int(a >= b), judge="ge"
    ),
    "lesser": Binary("broadcast_lesser", "_lesser_scalar", "_greater_scalar", lambda a, b: int(a < b), judge="lt"),
    "lesser_equal": Binary(
        "broadcast_lesser_equal", "_lesser_equal_scalar", "_greater_equal_scalar", lambda a, b: int(a <= b), judge="le"
    ),
    "logical_and": Binary(
        "broadcast_logical_and", "_logical_and_scalar", "_logical_and_scalar", lambda a, b: int(bool(a and b))
    ),
    "logical_or": Binary(
        "broadcast_logical_or", "_logical_or_scalar", "_logical_or_scalar", lambda a, b: int(bool(a or b))
    ),
    "logical_xor": Binary(
        "broadcast_logical_xor", "_logical_xor_scalar", "_logical_xor_scalar", lambda a, b: int(bool(a) ^ bool(b))
    ),
}


def _with_arrays(table: Binary, lhs: Array, rhs: Array, out: Any = None) -> Any:
    sparse = lhs.stype != "default" or rhs.stype != "default"
    name = table.equal if sparse and table.equal and lhs.shape == rhs.shape else table.arrays
    return invoke(get(name), (lhs, rhs), _NOTHING, out)


_NOTHING = Params()


def _with_number(op: Operator, array: Array, number: Any, out: Any = None) -> Any:
    return invoke(op, (array,), Params(scalar=float(number), is_int=True), out)


class _OperandError(UsageError, TypeError, AssertionError):
    """An operand that is neither an array nor a number."""


def _unsupported(value: object) -> _OperandError:
    return _OperandError(f"type {type(value)} not supported")


def _general(name: str) -> Callable[[Any, Any], Any]:
    """The function of two operands of any kind."""
    table = BINARY[name]
    number, reflected = get(table.number), get(table.reflected)

    def call(lhs: Any, rhs: Any) -> Any:
        if isinstance(lhs, numeric_types):
            if isinstance(rhs, numeric_types):
                return table.plain(lhs, rhs)
            if isinstance(rhs, Array):
                return _with_number(reflected, rhs, lhs)
            raise _unsupported(rhs)
        if not isinstance(lhs, Array):
            raise _unsupported(lhs)
        if isinstance(rhs, numeric_types):
            return _with_number(number, lhs, rhs)
        if isinstance(rhs, Array):
            return _with_arrays(table, lhs, rhs)
        raise _unsupported(rhs)

    return call


def _judged(test: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """A comparison that answers in its left operand's type: by `type`, which takes half the time of `to`."""
    return lambda lhs, rhs: test(lhs, rhs).type(lhs.dtype)


# the short ways are measured in nanoseconds: locals, no calls of our own, an array made without its constructor


def function_of_two(name: str) -> Callable[[Any, Any], Any]:
    """`mx.nd.add` and its like, for operands that are arrays or numbers; `x + y` is the same function.

    Dense arrays of one type, and dense arrays with a number, go a short way to torch.
    """
    table, general, state, tensor = BINARY[name], _general(name), STATE, torch.Tensor
    arrays, number, enabled = get(table.arrays).body, get(table.number).body, torch.is_grad_enabled
    direct = getattr(torch, table.torch) if table.torch else None
    over = None
    if table.judge:
        arrays = direct = _judged(getattr(torch, table.judge))
        # written over a copy, a comparison has a history, whose gradient is 0: half the time of a node of ours
        over = getattr(tensor, f"{table.judge}_")

    def call(lhs: Any, rhs: Any) -> Any:
        kind, other, leaf = lhs.__class__, rhs.__class__, None
        recording = state.recording
        try:
            if recording:
                leaf = lhs._leaf
            value = lhs._value if leaf is None else leaf
            ctx = lhs._ctx
        except AttributeError:
            return general(lhs, rhs)
        if value.__class__ is not tensor or (recording and not enabled()):
            return general(lhs, rhs)
        if other is kind:
            if recording and rhs._leaf is not None:
                second = leaf = rhs._leaf
            else:
                second = rhs._value
                if second is None:
                    second = rhs._data
            if second.dtype is not value.dtype or (rhs._ctx is not ctx and rhs._ctx != ctx):
                return general(lhs, rhs)
            try:
                if leaf is None or over is None or value.shape != second.shape:
                    found = arrays(value, second)
                else:
                    found = over(value.clone(), second)
            except RuntimeError:
                return general(lhs, rhs)  # says it better
        elif other is float or other is int:
            second = value
            exact = direct is not None and value.dtype is torch.float32
            if exact and leaf is not None and over is not None:
                found = over(value.clone(), rhs)
            else:
                found = direct(value, rhs) if exact else number(value, scalar=float(rhs))  # type: ignore[misc]
        else:
            return general(lhs, rhs)
        array = kind.__new__(kind)
        array._ctx = ctx
        if leaf is None:
            array._value = found
        else:
            give_recorded(array, found, (value, second))
        return array

    call.__name__ = call.__qualname__ = name
    call.__doc__ = f"{get(table.arrays).doc.split('.')[0]}; operands are arrays or numbers."
    return call


def method(name: str) -> Callable[[Any, Any], Any]:
    """The method behind a Python operator."""
    return function_of_two(name)


def reflected_method(name: str) -> Callable[[Any, Any], Any]:
    """The method behind a Python operator whose left operand is a number."""
    general, state = _general(name), STATE
    number = get(BINARY[name].reflected).body

    def call(self: Any, other: Any) -> Any:
        data = self._value
        if state.recording or data.__class__ is not torch.Tensor or other.__class__ not in (float, int):
            return general(other, self)
        array = self.__class__.__new__(self.__class__)
        array._value, array._ctx = number(data, scalar=float(other)), self._ctx
        return array

    call.__doc__ = f"{get(BINARY[name].arrays).doc.split('.')[0]}; the left operand is a number."
    return call


def in_place_method(name: str) -> Callable[[Any, Any], Any]:
    """The method behind an augmented assignment: the array's own memory takes the result."""
    table = BINARY[name]
    number, state, tensor = get(table.number), STATE, torch.Tensor
    change = getattr(tensor, table.in_place) if table.in_place else None

    def call(self: Any, other: Any) -> Any:
        data = self._value
        if change is not None and not state.recording and data.__class__ is tensor and data.is_floating_point():
            try:
                if other.__class__ is self.__class__:
                    second = other._data
                    if second.dtype is data.dtype and (other._ctx is self._ctx or other._ctx == self._ctx):
                        change(data, second)
                        return self
                elif other.__class__ is float or other.__class__ is int:
                    change(data, float(other))
                    return self
            except RuntimeError:
                pass  # other's shape is wider; said below
        if isinstance(other, Array):
            return _with_arrays(table, self, other, self)
        if isinstance(other, numeric_types):
            return _with_number(number, self, other, self)
        raise _unsupported(other)

    call.__doc__ = f"{get(table.arrays).doc.split('.')[0]}, written over the array."
    return call
