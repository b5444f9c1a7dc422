"""The functions of `mx.nd`, each made from its operator."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from evergraph.errors import OperatorError
from evergraph.mxnet._functions import documentation, signature
from evergraph.mxnet._state import STATE
from evergraph.mxnet.base import InputTypeError, _Null
from evergraph.mxnet.context import Context, current_context
from evergraph.mxnet.ndarray.base import _CLASSES, Array, wrap
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
        self.plans: dict[Any, Params] = {}
        self.keeps = not (op.open_ended or _SIGNED & op.parameters.keys())

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any = None) -> Any:
        """Call the operator with a Python call's arguments, `out` and `name` taken out."""
        inputs, given = self.split(args, kwargs)
        ctx = read_context(given.get("ctx")) if self.makes else None
        if ctx is not None:
            given["ctx"] = str(ctx)
        return invoke(self.op, inputs, self.convert(given), out, ctx)

    def planned(self, args: tuple[Any, ...], kwargs: dict[str, Any], count: int) -> Any:
        """Call the operator, and keep the parameters for the next call that gives as many arrays and the same rest.

        Only where the arrays stand first, and are the first of the operator's inputs: the short way asks for them
        by their number.
        """
        inputs, given = self.split(args, kwargs)
        params = self.convert(given)
        if count == len(inputs) and not any(isinstance(v, Array) for v in (*args[count:], *kwargs.values())):
            names = self.op.input_names(params)
            if self.keeps and names == self.inputs[:count]:
                if len(self.plans) >= _MOST_KEPT:
                    self.plans.clear()
                try:
                    self.plans[(count, args[count:], *kwargs.items())] = params
                except TypeError:  # a list among the values
                    pass
        return invoke(self.op, inputs, params)

    def several(self, found: Any, params: Params, values: list[Any], ctx: Context) -> Any:
        """The arrays of a body's several results."""
        arrays = [wrap(own(r, values), ctx) for r in list(found)[: self.op.visible_outputs(params)]]
        return arrays[0] if len(arrays) == 1 and not isinstance(found, list) else arrays

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
        if not self.keeps:
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
    """The function: a short way for dense arrays while nothing is recorded, the caller for everything else."""
    caller = Caller(op)
    plain = not (op.wants_run or op.wants_subgraphs or op.variadic or op.open_ended or caller.makes or op.states)
    if not plain or not op.inputs or any(i.kind != "data" for i in op.inputs):
        made = _long_way(caller)
    elif len(op.inputs) == 1 and not op.parameters and op.outputs == 1:
        made = _short_unary(caller)
    elif len(op.inputs) == 1 and caller.keeps:
        made = _short_planned_unary(caller)
    else:
        made = _short_way(caller)
    made.__name__ = made.__qualname__ = called
    made.__doc__ = documentation(op, "NDArray")
    made.__signature__ = signature(op)  # type: ignore[attr-defined]
    return made


def _long_way(caller: Caller) -> Callable[..., Any]:
    def call(*args: Any, out: Any = None, name: str | None = None, **kwargs: Any) -> Any:  # noqa: ARG001
        return caller(args, kwargs, out)

    return call


# Short ways are measured in nanoseconds: locals instead of globals, no calls of our own, an array made without its
# constructor. What they cannot do, they leave to the caller, which also says better what is wrong.


def _short_unary(caller: Caller) -> Callable[..., Any]:
    body, dense = caller.op.body, _CLASSES[torch.Tensor]
    new, state = dense.__new__, STATE

    def call(data: Any = None, out: Any = None, name: str | None = None, **kwargs: Any) -> Any:  # noqa: ARG001
        if out is None and data.__class__ is dense and not state.recording:
            value = data._data
            try:
                found = body(value)
            except (RuntimeError, ValueError, TypeError, IndexError):
                return caller((data,), kwargs, out)
            if found._is_view() or found.data_ptr() == value.data_ptr():
                found = own(found, (value,))
            array = new(dense)
            array._data, array._ctx = found, data._ctx
            return array
        return caller(() if data is None else (data,), kwargs, out)

    return call


def _sum_of_all(body: Callable[..., Any], params: Params) -> Callable[[Any], Any]:
    """The sum of everything, shape (1,), in half the time of the operator's own body, which knows axes.

    Nothing here is recorded, so the result's shape may be set in place; a view would cost the copy of its value.
    """
    total = torch.sum

    def call(value: Any) -> Any:
        return total(value).resize_(1) if value.is_floating_point() else body(value, **params)

    return call


def _short_planned_unary(caller: Caller) -> Callable[..., Any]:
    body, dense = caller.op.body, _CLASSES[torch.Tensor]
    new, state = dense.__new__, STATE
    plans: dict[Any, Callable[[Any], Any]] = {}
    sums = caller.op.name == "sum"

    def whole(params: Params) -> bool:
        return sums and not (params["axis"] or params["keepdims"] or params["exclude"])

    def prepared(data: Any, args: tuple[Any, ...], kwargs: dict[str, Any], key: Any) -> Any:
        """Call the operator, and keep its body with these parameters for the next call."""
        inputs, given = caller.split((data, *args), kwargs)
        params = caller.convert(given)
        if len(inputs) == 1 and caller.op.input_names(params) == caller.inputs:
            if len(plans) >= _MOST_KEPT:
                plans.clear()
            try:
                plans[key] = _sum_of_all(body, params) if whole(params) else partial(body, **params)
            except TypeError:  # a list among the values
                pass
        return invoke(caller.op, inputs, params)

    def call(data: Any = None, *args: Any, out: Any = None, name: str | None = None, **kwargs: Any) -> Any:  # noqa: ARG001
        if out is not None or data.__class__ is not dense or state.recording:
            return caller(args if data is None else (data, *args), kwargs, out)
        key = (args, *kwargs.items()) if kwargs else args
        value = data._data
        try:
            found = plans[key](value)
        except (KeyError, TypeError):
            return prepared(data, args, kwargs, key)
        except (RuntimeError, ValueError, IndexError):
            return caller((data, *args), kwargs)
        if found.__class__ is not torch.Tensor:
            return caller.several(found, caller.convert(caller.split((data, *args), kwargs)[1]), [value], data._ctx)
        if found._is_view() or found.data_ptr() == value.data_ptr() or not found.is_contiguous():
            found = own(found, (value,))
        array = new(dense)
        array._data, array._ctx = found, data._ctx
        return array

    return call


def _short_way(caller: Caller) -> Callable[..., Any]:
    body, dense = caller.op.body, _CLASSES[torch.Tensor]
    new, state, plans = dense.__new__, STATE, caller.plans

    def call(*args: Any, out: Any = None, name: str | None = None, **kwargs: Any) -> Any:  # noqa: ARG001
        if out is not None or state.recording:
            return caller(args, kwargs, out)
        values = []
        for each in args:
            if each.__class__ is not dense:
                break
            values.append(each._data)
        try:
            plan = plans[(len(values), args[len(values) :], *kwargs.items())]
        except (KeyError, TypeError):
            return caller.planned(args, kwargs, len(values))
        first = args[0]
        kind = values[0].dtype
        for each in args[1 : len(values)]:
            if each._data.dtype is not kind or (each._ctx is not first._ctx and each._ctx != first._ctx):
                return caller(args, kwargs)
        try:
            found = body(*values, **plan)
        except (RuntimeError, ValueError, TypeError, IndexError):
            return caller(args, kwargs)
        if found.__class__ is not torch.Tensor:
            return caller.several(found, plan, values, first._ctx)
        if found._is_view() or not found.is_contiguous():
            found = own(found, values)
        else:
            place = found.data_ptr()
            for value in values:
                if value.data_ptr() == place:
                    found = own(found, values)
                    break
        array = new(dense)
        array._data, array._ctx = found, first._ctx
        return array

    return call
