"""Calls operators on arrays: the one way from `mx.nd.*`, methods and Python's operators to an operator's body."""

import functools
from collections.abc import Sequence
from typing import Any

import torch

from evergraph.errors import EvergraphError, OperatorError, ShapeError
from evergraph.mxnet._state import STATE
from evergraph.mxnet.context import Context, current_context
from evergraph.mxnet.ndarray.base import Array, wrap
from evergraph.mxnet.random_streams import run_for
from evergraph.ops import Operator, Params
from evergraph.ops.rules import same_dtype
from evergraph.ops.sparse import compute, is_sparse
from evergraph.tensors import dtype as element_type

__all__ = ["explained", "give_recorded", "invoke", "linked", "own", "require_unrecorded", "type_name", "write"]


def invoke(
    op: Operator,
    inputs: Sequence[Array],
    params: Params,
    out: Any = None,
    ctx: Context | None = None,
    kind: Any = None,
) -> Any:
    """Run an operator on arrays.

    Args:
        op: the operator.
        inputs: the arrays it reads, in its order, without those that the parameters do not call for.
        params: its parameters.
        out: array or arrays that take the result.
        ctx: device of the result where there are no inputs.
        kind: class of dense results; that of the first input where it is not given.

    Returns:
        An array, or a list of them where the operator has several visible outputs.

    Raises:
        OperatorError: naming the operator, and what it was given.
    """
    recording = STATE.recording
    if recording and out is not None:
        require_unrecorded(out)
    values = [x._leaf if recording and x._leaf is not None else x._data for x in inputs]
    device = _device(op, inputs) if inputs else ctx or current_context()
    if len(inputs) > 1:
        _require_types(op, params, inputs)
    tracked = recording and any(_tracks(v) for v in values)
    if inputs or device.torch_device.type == "cpu":
        found = _computed(op, values, params, device, tracked)
    else:
        with device.torch_device:
            found = _computed(op, values, params, device, tracked)
    results = list(found)[: op.visible_outputs(params)] if isinstance(found, (tuple, list)) else [found]
    if tracked:
        results = [linked(r, values) for r in results]
    if out is not None:
        return write(op, out, results)
    if kind is None and inputs and inputs[0].stype == "default":
        kind = inputs[0].__class__
    arrays = [wrap(own(r, values), device, kind) for r in results]
    return arrays[0] if len(arrays) == 1 and not isinstance(found, list) else arrays


def _computed(op: Operator, values: list[Any], params: Params, device: Context, tracked: bool) -> Any:
    run = run_for(device, STATE.training)
    try:
        with torch.set_grad_enabled(tracked):
            if any(is_sparse(v) for v in values):
                return compute(op, op.arrange(params, values), params, run)
            extra = {"run": run} if op.wants_run else {}
            return op.body(*op.arrange(params, values), **params, **extra)
    except (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError) as error:
        raise explained(op, values, error) from error


def _tracks(value: Any) -> bool:
    return value.requires_grad if isinstance(value, torch.Tensor) else value.data.requires_grad


class _ZeroLink(torch.autograd.Function):
    """A result that autograd does not see depend on its inputs: it stands in the graph, and its gradient is 0."""

    @staticmethod
    def forward(ctx: Any, made: list[Any], *inputs: Any) -> Any:
        ctx.count = len(inputs)
        return made[0]  # in a list it is no input, of which torch would make a view

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        return (None,) * (ctx.count + 1)


# what `apply` comes to where no transform of functorch is active, which it looks for in 4 of 9 us
_link: Any = super(torch.autograd.Function, _ZeroLink).apply  # pyright: ignore[reportAttributeAccessIssue]


def linked(result: Any, values: Sequence[Any]) -> Any:
    """A recorded result; where autograd does not see it depend on its inputs, as one whose gradient is 0."""
    if not isinstance(result, torch.Tensor) or result.requires_grad or not result.is_floating_point():
        return result
    sources, held = [], result._is_view()
    for value in values:
        source = value if isinstance(value, torch.Tensor) else value.data
        if source.requires_grad:
            sources.append(source)
        elif source is result:
            held = True
    # what others hold, who asked for no history, stays without one
    return _link([result.clone() if held else result], *sources)


def give_recorded(array: Any, found: Any, values: Sequence[Any]) -> None:
    """Give an array a recorded result, with its history."""
    if not found.requires_grad:
        found = linked(found, values)
    if found.requires_grad:
        array._leaf, array._value = found, None
    else:
        array._value = found


def own(result: Any, values: Sequence[Any]) -> Any:
    """A result that shares no memory with any of the inputs: bodies may return an input, or a view of one."""
    if not isinstance(result, torch.Tensor):
        return result
    if not result.is_contiguous():
        return result.contiguous()  # a copy
    place = result.untyped_storage().data_ptr()
    for value in values:
        if isinstance(value, torch.Tensor) and value.untyped_storage().data_ptr() == place and place:
            return result.clone()
    return result


def _device(op: Operator, inputs: Sequence[Array]) -> Context:
    first = inputs[0]._ctx
    for other in inputs:
        # the contexts of one memory mix, as in MXNet
        if other._ctx is not first and other._ctx.torch_device != first.torch_device:
            raise OperatorError(
                f"operator {op.name} takes inputs on one device",
                found=", ".join(str(x._ctx) for x in inputs),
                fix="copy them to one: x.as_in_context(ctx)",
            )
    return first


@functools.cache
def type_name(kind: torch.dtype) -> str:
    """MXNet's name of a torch type."""
    return str(element_type(kind))


def _kind(array: Array) -> torch.dtype:
    value = array._data
    return value.dtype if isinstance(value, torch.Tensor) else value.data.dtype


# operators whose places are of an integer type beside values of any
_MIXING = frozenset(("_npi_delete", "_npi_insert_tensor"))


def _require_types(op: Operator, params: Params, inputs: Sequence[Array]) -> None:
    """MXNet computes with one type; torch would promote."""
    kinds = [_kind(x) for x in inputs]
    first = kinds[0]
    if all(k is first for k in kinds):
        return
    if op.wants_subgraphs or op.name in _MIXING:
        return
    names: list[str | None] = [type_name(k) for k in kinds]
    wanted = op.dtype(params, names, [None] * len(op.output_names(params)))[0]
    if op.dtype is same_dtype or list(wanted) != names:
        raise ShapeError(
            f"operator {op.name} takes inputs of one type",
            found=", ".join(map(str, names)),
            fix="cast them: x.astype(dtype)",
        )


def require_unrecorded(out: Any) -> None:
    """Refuse to write into an array that is part of a recorded computation.

    Raises:
        UsageError: the array has a history, or a gradient attached.
    """
    for target in out if isinstance(out, (list, tuple)) else (out,):
        if target is not None and target._leaf is not None:
            raise OperatorError(
                "Inplace operations (+=, -=, x[:]=, etc) are not supported when recording with autograd",
                found=f"an array of shape {target.shape} that is part of the recorded computation",
                fix="compute a new array, or write outside autograd.record() (autograd.pause())",
            )


def write(op: Operator, out: Any, results: list[Any]) -> Any:
    """Put an operator's results into the arrays that were given for them; returns these.

    Raises:
        OperatorError: fewer arrays than results.
        ShapeError: a result has another shape or type than its array.
    """
    targets = out if isinstance(out, (list, tuple)) else [out]
    if len(targets) < len(results):
        raise OperatorError(
            f"operator {op.name} has more outputs than `out`", expected=len(results), found=len(targets)
        )
    for target, result in zip(targets, results, strict=False):
        target._assign(result, op)
    return out


def explained(op: Operator, values: Sequence[Any], error: Exception) -> Exception:
    """An error that says which operator could not take which inputs."""
    if isinstance(error, EvergraphError):
        return error
    shapes = ", ".join(f"{_described(v)} {tuple(v.shape)}" for v in values if v is not None)
    said = str(error).splitlines()[0] if str(error) else type(error).__name__
    return OperatorError(f"operator {op.name} cannot take these inputs", expected=said, found=shapes or "none")


def _described(value: Any) -> str:
    return type_name(value.dtype) if isinstance(value, torch.Tensor) else f"{value.kind} {type_name(value.data.dtype)}"
