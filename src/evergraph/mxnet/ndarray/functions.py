"""The functions of `mx.nd`, each made from its operator."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from evergraph.errors import OperatorError
from evergraph.mxnet._functions import documentation, signature
from evergraph.mxnet.base import InputTypeError, _Null
from evergraph.mxnet.ndarray.base import Array, read_context
from evergraph.mxnet.ndarray.inlined import writable
from evergraph.mxnet.ndarray.invoke import invoke
from evergraph.mxnet.ndarray.quick import planned_fixed, planned_list, planned_many, planned_none
from evergraph.ops import Operator, Params, get

__all__ = ["Caller", "function", "read_context"]

_MOST_KEPT = 2048
# a cache tells 0.0 and -0.0 not apart
_SIGNED = frozenset(("scalar", "value", "fill_value", "val"))


class Caller:
    """Takes Python arguments apart into an operator's inputs and parameters.

    Args:
        op: the operator.
        kind: the one class of arrays that it takes and gives; any class where it is not given.
    """

    def __init__(self, op: Operator, kind: Any = None) -> None:
        self.op, self.kind = op, kind
        self.inputs = [i.name for i in op.inputs]
        self.parameters = [n for n, _ in op.arguments if n in op.parameters and n != op.count]
        # behind the parameters a call may have `out` and a name
        self.most = len(self.inputs) + len(self.parameters) if op.variadic is None else 1 << 30
        self.makes = "ctx" in op.parameters and op.variadic is None and all(i.optional for i in op.inputs)
        required = any(p.default is _REQUIRED for p in op.parameters.values())
        self.defaults = None if required or op.variadic or op.open_ended else op.convert({})
        self._kept: dict[Any, Params] = {}
        self._signed = tuple(_SIGNED & op.parameters.keys())

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any = None) -> Any:
        """Call the operator with a Python call's arguments, `out` and `name` taken out."""
        if len(args) > self.most:
            args, out = self._with_out(args, out)
        inputs, given = self.split(args, kwargs)
        ctx = read_context(given.get("ctx")) if self.makes and not inputs else None
        if ctx is not None:
            given["ctx"] = str(ctx)
        params = self.convert(given)
        self.op.check_parameter_shapes(params, [x._data.shape for x in inputs])
        return invoke(self.op, inputs, params, out, ctx, self.kind)

    def _with_out(self, args: tuple[Any, ...], out: Any) -> tuple[tuple[Any, ...], Any]:
        target = args[self.most]
        if len(args) > self.most + 2 or (target is not None and out is not None):
            names = self.inputs + self.parameters
            raise OperatorError(f"operator {self.op.name} takes fewer arguments", expected=names, found=len(args))
        return args[: self.most], out if target is None else target

    def keeps(self, given: Mapping[str, Any]) -> bool:
        """Whether what was found out about these parameters holds for equal ones: 0.0 and -0.0 are equal too."""
        return not self.op.open_ended and all(given.get(n) != 0 for n in self._signed)

    def quick(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether the operator has a quick computation for this call, which need not know how it is run."""
        if len(args) > self.most:
            return False
        inputs, given = self.split(args, kwargs)
        found = self.op.quick
        return found is not None and found(self.convert(given), False, *[x._data for x in inputs]) is not None

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
        if self.kind is not None and not isinstance(value, self.kind):
            raise InputTypeError(
                f"input {name} of operator {self.op.name} must be an MXNet NumPy ndarray",
                found="a legacy ndarray",
                fix="call as_np_ndarray() on it",
            )
        return value

    def convert(self, given: Mapping[str, Any]) -> Params:
        """Parsed parameters, kept by what was given."""
        if not given and self.defaults is not None:
            return self.defaults
        if not self.op.parameters and not self.op.open_ended:
            return self.op.convert({})  # MXNet passes over what an operator without parameters is given
        if not self.keeps(given):
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


@functools.cache
def function(name: str, kind: Any = None) -> Callable[..., Any]:
    """The function of an operator, by its name or an alias.

    Args:
        name: the operator.
        kind: the class of arrays that the function takes and gives; where it is not given it takes all, and gives
            arrays of its first one's class.

    Raises:
        OperatorError: there is no such operator.
    """
    return _make(get(name), name, kind)


def _make(op: Operator, called: str, kind: Any) -> Callable[..., Any]:
    """The function: a short way for dense arrays, the caller for everything else."""
    caller = Caller(op, kind)
    if op.wants_subgraphs or op.open_ended:
        made = _long_way(caller)
    elif not op.inputs and op.variadic is None:
        made = planned_none(caller)
    elif op.variadic is None and writable(caller.inputs):
        made = planned_fixed(caller)
    elif op.variadic is not None and not op.inputs and not op.wants_run:
        made = planned_list(caller)
    else:
        made = planned_many(caller)
    if op.name == "nag_mom_update":
        made = _decayed_late(caller, made)
    made.__name__ = made.__qualname__ = called
    made.__doc__ = documentation(op, "NDArray")
    made.__signature__ = signature(op)  # type: ignore[attr-defined]
    return made


def _decayed_late(caller: Caller, made: Callable[..., Any]) -> Callable[..., Any]:
    """Nesterov's step; where the weight takes the result, MXNet has written it by the time it computes mom's decay."""

    def call(*args: Any, out: Any = None, name: str | None = None, **kwargs: Any) -> Any:
        target: Any = out[0] if isinstance(out, (list, tuple)) and out else out
        inputs, given = caller.split(args, kwargs) if target is not None else ([], {})
        if target is None or not inputs or inputs[0]._data is not target._data or target.stype != "default":
            return made(*args, out=out, name=name, **kwargs)
        before = target._data.clone()
        result = made(*args, out=out, name=name, **kwargs)
        params = caller.convert(given)
        inputs[2]._data.add_(before.sub_(target._data), alpha=params["lr"] * params["wd"])
        return result

    return call


def _long_way(caller: Caller) -> Callable[..., Any]:
    def call(*args: Any, out: Any = None, name: str | None = None, **kwargs: Any) -> Any:  # noqa: ARG001
        return caller(args, kwargs, out)

    return call
