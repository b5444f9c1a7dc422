"""The functions of `mx.nd`, each made from its operator."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from evergraph.errors import OperatorError
from evergraph.mxnet._functions import documentation, signature
from evergraph.mxnet._state import STATE
from evergraph.mxnet.base import InputTypeError, _Null
from evergraph.mxnet.context import Context, current_context
from evergraph.mxnet.ndarray.base import _CLASSES, Array
from evergraph.mxnet.ndarray.invoke import invoke, own
from evergraph.ops import Operator, Params, get

__all__ = ["Caller", "function", "read_context"]

_MOST_KEPT = 2048
# a cache tells 0.0 and -0.0 not apart
_SIGNED = frozenset(("scalar", "value", "fill_value", "val"))
_FUNCTIONS: dict[str, Callable[..., Any]] = {}


def read_context(text: Any) -> Context:
    """The context that a `ctx` argument stands for: a context, "cpu(0)", or nothing for the default.

    >>> read_context("cpu(1)"), read_context(None)
    (cpu(1), cpu(0))
    """
    if isinstance(text, Context):
        return text
    if text is None or text is _Null or text == "":
        return current_context()
    kind, _, index = str(text).partition("(")
    return Context(kind, int(index.rstrip(")") or 0))


class Caller:
    """Takes Python arguments apart into an operator's inputs and parameters.

    Args:
        op: the operator.
    """

    def __init__(self, op: Operator) -> None:
        self.op = op
        self.inputs = [i.name for i in op.inputs]
        self.parameters = [n for n, _ in op.arguments if n in op.parameters and n != op.count]
        self.makes = "ctx" in op.parameters and not op.inputs
        required = any(p.default is _REQUIRED for p in op.parameters.values())
        self.defaults = None if required or op.variadic or op.open_ended else op.convert({})
        self._kept: dict[Any, Params] = {}
        self._keeps = not (op.open_ended or _SIGNED & op.parameters.keys())

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any = None) -> Any:
        """Call the operator with a Python call's arguments, `out` and `name` taken away."""
        inputs, given = self.split(args, kwargs)
        ctx = read_context(given.get("ctx")) if self.makes else None
        if ctx is not None:
            given["ctx"] = str(ctx)
        return invoke(self.op, inputs, self.convert(given), out, ctx)

    def split(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Array], dict[str, Any]]:
        """The input arrays in order, and the parameters by name.

        Raises:
            InputTypeError: an input is no array.
            OperatorError: more positional arguments than the operator takes.
        """
        if self.op.variadic is not None:
            return self._split_variadic(args, kwargs)
        names = self.inputs + self.parameters
        if len(args) > len(names):
            raise OperatorError(f"operator {self.op.name} takes fewer arguments", expected=names, found=len(args))
        given = {k: v for k, v in zip(names, args, strict=False) if v is not _Null}
        twice = given.keys() & kwargs.keys()
        if twice:
            raise TypeError(f"{self.op.name}() got multiple values for argument {min(twice)!r}")
        given |= {k: v for k, v in kwargs.items() if v is not _Null}
        inputs = [given.pop(n, None) for n in self.inputs]
        found = [self._array(n, v) for n, v in zip(self.inputs, inputs, strict=True) if v is not None]
        return found, given

    def _split_variadic(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Array], dict[str, Any]]:
        if len(args) == 1 and isinstance(args[0], (list, tuple)):
            args = tuple(args[0])
        given = {k: v for k, v in kwargs.items() if not isinstance(v, Array) and v is not _Null}
        named = {k: v for k, v in kwargs.items() if isinstance(v, Array)}
        inputs = [self._array(f"arg{i}", v) for i, v in enumerate(args)]
        count = len(inputs) + len(named)
        if self.op.count and self.op.count not in given:
            given[self.op.count] = count
        if named:
            order = self.op.input_names(self.op.convert(given), count)
            inputs += [named.pop(n) for n in order if n in named]
            if named:
                raise OperatorError(
                    f"operator {self.op.name} has no such inputs", expected=", ".join(order), found=", ".join(named)
                )
        return inputs, given

    def _array(self, name: str, value: Any) -> Array:
        if not isinstance(value, Array):
            raise InputTypeError(
                f"input {name} of operator {self.op.name} must be an NDArray",
                found=f"{type(value).__name__}",
                fix="make one: mx.nd.array(value)",
            )
        return value

    def convert(self, given: Mapping[str, Any]) -> Params:
        """Parsed parameters, kept by what was given."""
        if not given and self.defaults is not None:
            return self.defaults
        if not self.op.parameters and not self.op.open_ended:
            return self.op.convert({})  # MXNet passes over what an operator without parameters is given
        if not self._keeps:
            return self.op.convert(given)
        try:
            key = tuple(given.items())
            found = self._kept.get(key)
        except TypeError:  # a list among the values
            return self.op.convert(given)
        if found is None:
            found = self.op.convert(given)
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[key] = found
        return found


_REQUIRED = get("_full").parameters["value"].default


def function(name: str) -> Callable[..., Any]:
    """The function of an operator, by its name or an alias.

    Raises:
        OperatorError: there is no such operator.
    """
    found = _FUNCTIONS.get(name)
    if found is None:
        found = _FUNCTIONS[name] = _make(get(name), name)
    return found


def _make(op: Operator, called: str) -> Callable[..., Any]:
    caller = Caller(op)
    body = op.body
    plain = caller.defaults is not None and not op.wants_run and not caller.makes and not op.states
    plain = plain and all(i.kind == "data" for i in op.inputs)
    single = op.visible is None and op.outputs == 1
    unary = plain and single and len(op.inputs) == 1
    defaults = dict(caller.defaults or {})
    dense = _CLASSES[torch.Tensor]

    def call(*args: Any, out: Any = None, name: str | None = None, **kwargs: Any) -> Any:  # noqa: ARG001
        return caller(args, kwargs, out)

    def call_unary(*args: Any, out: Any = None, name: str | None = None, **kwargs: Any) -> Any:  # noqa: ARG001
        if not kwargs and out is None and len(args) == 1 and not STATE.recording:
            x = args[0]
            if type(x) is dense:
                value = x._data
                try:
                    found = body(value, **defaults)
                except (RuntimeError, ValueError, TypeError, IndexError):
                    return caller(args, kwargs, out)  # says it better
                if found._is_view() or found.data_ptr() == value.data_ptr():
                    found = own(found, (value,))
                return dense(found, x._ctx)
        return caller(args, kwargs, out)

    made = call_unary if unary else call
    made.__name__ = made.__qualname__ = called
    made.__doc__ = documentation(op, "NDArray")
    made.__signature__ = signature(op)  # type: ignore[attr-defined]
    return made
