"""The short way of a call of `mx.nd`: no reading of arguments, no checks that an equal call has passed before.

The first call with some parameters, on arrays of some types and ranks, goes the long way (`Caller`), which reads and
checks everything. What it found out is kept as a plan: one function of tensors. Calls that are alike run the plan.

This is measured in nanoseconds: locals instead of globals, no calls of our own, an array made without its constructor.
What a plan cannot do is left to the long way, which also says better what is wrong.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from evergraph.mxnet._state import STATE
from evergraph.mxnet.context import Context, current_context
from evergraph.mxnet.ndarray.base import _CLASSES, Array, read_context, wrap
from evergraph.mxnet.ndarray.inlined import written_out
from evergraph.mxnet.ndarray.invoke import give_recorded, own, write
from evergraph.mxnet.random_streams import run_for
from evergraph.ops import Operator, Params

if TYPE_CHECKING:
    from evergraph.mxnet.ndarray.functions import Caller

__all__ = ["Plan", "planned_fixed", "planned_list", "planned_many", "planned_none"]

_MOST_KEPT = 2048
_MOST_COPIED = 1024
_LEFT_TO_THE_LONG_WAY = (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError, KeyError)


class Plan(NamedTuple):
    """What equal calls share.

    Attributes:
        function: the computation on tensors.
        fresh: whether its result never shares the inputs' memory.
        visible: how many results others see; 0 where it is one.
    """

    function: Callable[..., Any]
    fresh: bool
    visible: int


def _prepared(caller: "Caller", args: Any, kwargs: dict[str, Any], count: int, over: bool) -> Plan | None:
    """The plan for calls like this one, where the first array takes the result if `over`; None where there is none."""
    op = caller.op
    inputs, given = caller.split(args, kwargs)
    if count != len(inputs) or not caller.keeps(given):
        return None
    params = caller.convert(given)
    left_out = op.variadic is None and op.input_names(params) != caller.inputs[:count]
    recording = STATE.recording
    values = [x._leaf if recording and x._leaf is not None else x._data for x in inputs]
    function = None
    if over and op.overwriting is not None and len({v.dtype for v in values}) == 1 and values[0].is_floating_point():
        function = op.overwriting(params, *values)
    elif op.quick is not None and not left_out:
        function = op.quick(params, any(v.requires_grad for v in values), *values)
    if function is not None:
        return Plan(function, True, 0)
    keywords = {**params, "run": run_for(inputs[0]._ctx, STATE.training)} if op.wants_run else params
    visible = op.visible_outputs(params) if op.outputs != 1 else 1
    body = partial(op.body, **keywords)
    return Plan(partial(_spread, op, params, body) if left_out else body, False, visible if visible > 1 else 0)


def _spread(op: Operator, params: Params, body: Callable[..., Any], *values: Any) -> Any:
    """The body's results where an input that is not the last is left out."""
    return body(*op.arrange(params, values))


def _keep(
    plans: dict[Any, Plan], key: Any, caller: "Caller", args: Any, kwargs: Any, count: int, over: bool = False
) -> None:
    if any(isinstance(v, Array) for v in (*args[count:], *kwargs.values())):
        return
    try:
        hash(key)
    except TypeError:  # a list among the values
        return
    plan = _prepared(caller, args, kwargs, count, over)
    if plan is not None:
        if len(plans) >= _MOST_KEPT:
            plans.clear()
        plans[key] = plan


def _array(found: Any, values: Sequence[Any], ctx: Any, tracked: bool, dense: Any) -> Any:
    """The array of a body's result."""
    if found.__class__ is not torch.Tensor:
        return wrap(own(found, values), ctx, dense)
    found = _unshared(found, values)
    array = dense.__new__(dense)
    array._ctx = ctx
    if not tracked:
        array._value = found
    elif found.requires_grad:
        array._leaf, array._value = found, None
    else:
        give_recorded(array, found, values)
    return array


def _several(found: Any, visible: int, values: Sequence[Any], ctx: Any, tracked: bool, dense: Any) -> Any:
    """The arrays of a body with several results."""
    results = found[:visible] if isinstance(found, (tuple, list)) else (found,)
    arrays = [_array(r, values, ctx, tracked, dense) for r in results]
    return arrays[0] if len(arrays) == 1 and not isinstance(found, list) else arrays


def _planned_without(caller: "Caller", args: tuple[Any, ...], kwargs: dict[str, Any], ctx: Context) -> Any:
    """The computation without arrays for equal calls on a context; None where each call has to be read anew."""
    op = caller.op
    inputs, given = caller.split(args, kwargs)
    if inputs or not caller.keeps(given) or ctx.torch_device.type != "cpu":
        return None
    if caller.makes:
        given["ctx"] = str(ctx)
    params = caller.convert(given)
    run = run_for(ctx, STATE.training)
    function = op.quick(params, run) if op.quick is not None else None
    if function is not None or op.outputs != 1:
        return function
    if op.wants_run:
        return partial(op.body, **params, run=run)
    made = op.body(**params)
    # nothing is drawn, so equal calls make equal arrays, and a copy of a small one is made sooner than another
    return made.clone if made.numel() <= _MOST_COPIED else partial(op.body, **params)


def planned_none(caller: "Caller") -> Callable[..., Any]:
    """The function of an operator without inputs."""
    dense: Any = caller.kind or _CLASSES[torch.Tensor]
    new, state = dense.__new__, STATE
    plans: dict[Any, Any] = {}
    last: Any = (None,) * 6  # looked at first; see `inlined`

    def call(*args: Any, out: Any = None, name: str | None = None, **kwargs: Any) -> Any:  # noqa: ARG001
        nonlocal last
        if out is not None:
            return caller(args, kwargs, out)
        ctx: Any = kwargs.get("ctx")
        if ctx is None:
            ctx = current_context()
        elif ctx.__class__ is not Context:
            ctx = read_context(ctx)
        training, device, number = state.training, ctx.device_typeid, ctx.device_id
        try:
            trained, before, numbered, options, more, plan = last
            if trained is not training or before != device or numbered != number or options != kwargs or more != args:
                plan, more, options = _find(plans, (training, device, number), args, kwargs)
                last = training, device, number, options, more, plan
            value = plan()
        except _LEFT_TO_THE_LONG_WAY:
            pass
        else:
            array = new(dense)
            array._value, array._ctx = value, ctx
            return array
        result = caller(args, kwargs)
        args, kwargs = _with(tuple, args, kwargs)
        key = (training, device, number, args, *kwargs.items())
        try:
            hash(key)
        except TypeError:  # a list in a list
            return result
        plan = _planned_without(caller, args, kwargs, ctx) if result.__class__ is dense else None
        if plan is not None:
            if len(plans) >= _MOST_KEPT:
                plans.clear()
            plans[key] = plan
        return result

    return call


def planned_fixed(caller: "Caller") -> Callable[..., Any]:
    """The function of an operator with a fixed number of inputs."""
    plans: dict[Any, Plan] = {}
    dense: Any = caller.kind or _CLASSES[torch.Tensor]
    names = tuple(i.name for i in caller.op.inputs)

    def first(arrays: Any, args: Any, kwargs: Any, out: Any, key: Any) -> Any:
        """The long way; what it does not refuse is kept."""
        result = caller((*arrays, *args), kwargs, out)
        if _LISTS.intersection(map(type, (*args, *kwargs.values()))):
            given, options = args, kwargs
            args, kwargs = _with(tuple, args, kwargs)
            if not _alike(caller, (*arrays, *given), options, (*arrays, *args), kwargs):
                return result
            key = (*key[: -1 - len(kwargs)], args, *kwargs.items())
        _keep(plans, key, caller, (*arrays, *args), kwargs, len(arrays), out is arrays[0])
        return result

    make = written_out(names, len(names) > 1 and caller.op.inputs[-1].optional, caller.op.wants_run)
    return make(
        plans,
        _find,
        planned_many(caller),
        first,
        partial(_finished, caller.op, dense),
        _unshared,
        give_recorded,
        _LEFT_TO_THE_LONG_WAY,
        STATE,
        torch.is_grad_enabled,
        dense,
        dense.__new__,
        torch.Tensor,
    )


# no table can be asked for a list: a call with lists has the plan of the call with tuples
_LISTS = frozenset((list,))


def _with(kind: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Arguments with a sequence of this type for each list."""
    return tuple(kind(v) if v.__class__ is list else v for v in args), {
        k: kind(v) if v.__class__ is list else v for k, v in kwargs.items()
    }


def _find(plans: dict[Any, Any], now: tuple[Any, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The plan for a call, and the call's arguments to compare the next one's with: the caller may change a list."""
    try:
        return plans[(*now, args, *kwargs.items())], args, kwargs
    except TypeError:
        more, options = _with(tuple, args, kwargs)
        return plans[(*now, more, *options.items())], *_with(list, args, kwargs)


def _alike(caller: "Caller", *calls: Any) -> bool:
    """Whether two calls, each by position and by name, have the same parameters."""
    one, other = (
        caller.convert(caller.split(args, kwargs)[1]) for args, kwargs in zip(calls[::2], calls[1::2], strict=True)
    )
    return one == other


def planned_many(caller: "Caller") -> Callable[..., Any]:
    """The function of an operator with any inputs, the arrays first among the arguments."""
    dense: Any = caller.kind or _CLASSES[torch.Tensor]
    state, tensor = STATE, torch.Tensor
    plans: dict[Any, Plan] = {}
    variadic, wants_run = caller.op.variadic is not None, caller.op.wants_run

    def call(*args: Any, out: Any = None, name: str | None = None, **kwargs: Any) -> Any:  # noqa: ARG001
        if variadic and len(args) == 1 and (args[0].__class__ is list or args[0].__class__ is tuple):
            args = tuple(args[0])
        recording, tracked = state.recording, False
        values, key = [], []
        for each in args:
            if each.__class__ is not dense:
                break
            if recording and each._leaf is not None:
                value, tracked = each._leaf, True
            else:
                value = each._value
                if value is None:
                    value = each._data
            key.append(value.dtype)
            key.append(value.ndim)
            values.append(value)
        count = len(values)
        if not count or (tracked and (out is not None or not torch.is_grad_enabled())):
            return caller(args, kwargs, out)
        if out is not None and (out.__class__ is not dense or recording):
            return caller(args, kwargs, out)
        ctx = args[0]._ctx
        for each in args[1:count]:
            if each._ctx is not ctx and each._ctx != ctx:
                return caller(args, kwargs, out)
        if wants_run:
            key += (state.training, ctx)
        full = (tracked, count, *key, args[count:], *kwargs.items())
        try:
            function, _, visible = plans[full]
            found = function(*values)
        except _LEFT_TO_THE_LONG_WAY:
            return first(args, kwargs, out, full, count)
        if out is not None or visible or found.__class__ is not tensor:
            return _finished(caller.op, dense, out, found, visible, values, ctx, tracked)
        return _array(found, values, ctx, tracked, dense)

    def first(args: Any, kwargs: Any, out: Any, key: Any, count: int) -> Any:
        """The long way; what it does not refuse is kept."""
        result = caller(args, kwargs, out)
        _keep(plans, key, caller, args, kwargs, count)
        return result

    return call


def _unshared(found: Any, values: Sequence[Any]) -> Any:
    """A result in memory of its own."""
    if not found.is_contiguous():
        return found.contiguous()  # a copy
    if found._is_view():
        base = found._base
        for value in values:
            if base is value:
                return found.clone()
        return own(found, values)
    place = found.data_ptr()  # what was detached is no view for torch
    for value in values:
        if value.data_ptr() == place:
            return found.clone()
    return found


def _finished(
    op: Operator, dense: Any, out: Any, found: Any, visible: int, values: Any, ctx: Any, tracked: bool
) -> Any:
    """What a call returns that has several results, or puts them into arrays that were given."""
    if out is None:
        return _several(found, visible or 1, values, ctx, tracked, dense)
    held = out._data
    if found is held:
        return out
    if found.__class__ is torch.Tensor and held.dtype is found.dtype and held.shape == found.shape:
        held.copy_(found)
        return out
    return write(op, out, list(found)[:visible] if visible else [found])


def planned_list(caller: "Caller") -> Callable[..., Any]:
    """The function of an operator with any number of inputs: as `planned_many`, for arrays of one type."""
    dense: Any = caller.kind or _CLASSES[torch.Tensor]
    new, state, tensor = dense.__new__, STATE, torch.Tensor
    plans: dict[Any, Plan] = {}
    general, enabled = planned_many(caller), torch.is_grad_enabled
    last: Any = (None,) * 8  # looked at first; see `inlined`

    def call(*args: Any, out: Any = None, name: str | None = None, **kwargs: Any) -> Any:  # noqa: ARG001
        nonlocal last
        arrays = args[0] if len(args) == 1 and args[0].__class__ in (list, tuple) else args
        if out is not None or not arrays or arrays[0].__class__ is not dense:
            return general(*args, out=out, **kwargs)
        ctx, kind, recording, tracked = arrays[0]._ctx, None, state.recording, False
        values: list[Any] = []
        for each in arrays:
            if type(each) is not dense or each._ctx is not ctx:
                return general(*args, **kwargs)
            if recording and each._leaf is not None:
                value, tracked = each._leaf, True
            else:
                value = each._value
                if value is None:
                    value = each._data
            if kind is None:
                kind = value.dtype
            elif value.dtype is not kind:
                return general(*args, **kwargs)
            values.append(value)
        if tracked and not enabled():
            return general(*args, **kwargs)
        rank, count = values[0].ndim, len(values)
        try:
            before, held, length, axes, options, function, fresh, visible = last
            if (
                before is not tracked
                or held is not kind
                or length != count
                or axes != rank
                or (kwargs if options is None else kwargs != options)
            ):
                function, fresh, visible = plans[tracked, kind, count, rank, *kwargs.items()]
                last = tracked, kind, count, rank, kwargs or None, function, fresh, visible
            found = function(*values)
        except _LEFT_TO_THE_LONG_WAY:
            result = caller(args, kwargs)
            _keep(plans, (tracked, kind, count, rank, *kwargs.items()), caller, args, kwargs, count)
            return result
        if visible or found.__class__ is not tensor:
            return _several(found, visible or 1, values, ctx, tracked, dense)
        if not fresh:
            found = _unshared(found, values)
        elif not found.is_contiguous():
            found = found.contiguous()
        array = new(dense)
        array._ctx = ctx
        if not tracked:
            array._value = found
        elif found.requires_grad:
            array._leaf, array._value = found, None
        else:
            give_recorded(array, found, values)
        return array

    return call
