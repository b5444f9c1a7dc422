"""Calls operators on arrays: the one way from `mx.nd.*`, methods and Python's operators to an operator's body."""

from collections.abc import Sequence
from typing import Any

import torch

from evergraph.errors import EvergraphError, OperatorError
from evergraph.mxnet._state import STATE
from evergraph.mxnet.context import Context, current_context
from evergraph.mxnet.ndarray.ndarray import NDArray
from evergraph.ops import Operator, Params
from evergraph.ops.run import Run

__all__ = ["invoke"]

_RUNS = {training: Run(training=training) for training in (False, True)}


def invoke(op: Operator, inputs: Sequence[NDArray], params: Params, out: Any = None, ctx: Context | None = None) -> Any:
    """Run an operator on arrays.

    Args:
        op: the operator.
        inputs: the arrays it reads, in its order, without those that the parameters do not call for.
        params: its parameters.
        out: array or arrays that take the result.
        ctx: device of the result where there are no inputs.

    Returns:
        An NDArray, or a list of them where the operator has several visible outputs.

    Raises:
        OperatorError: naming the operator, and what it was given.
    """
    recording = STATE.recording
    tensors = [x._input(recording) for x in inputs]
    extra = {"run": _RUNS[STATE.training]} if op.wants_run else {}
    try:
        if recording or not any(t.requires_grad for t in tensors):
            found = op.body(*op.arrange(params, tensors), **params, **extra)
        else:
            with torch.no_grad():
                found = op.body(*op.arrange(params, tensors), **params, **extra)
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise _explained(op, inputs, error) from error
    device = inputs[0]._ctx if inputs else ctx or current_context()
    if isinstance(found, torch.Tensor):
        return NDArray(found, device) if out is None else _write(out, [found])
    results = list(found)[: op.visible_outputs(params)]
    if out is not None:
        return _write(out, results)
    arrays = [NDArray(t, device) for t in results]
    return arrays[0] if len(arrays) == 1 else arrays


def _write(out: Any, results: list[torch.Tensor]) -> Any:
    targets = out if isinstance(out, (list, tuple)) else [out]
    for target, result in zip(targets, results, strict=False):
        with torch.no_grad():
            target._data.copy_(result)
    return out


def _explained(op: Operator, inputs: Sequence[NDArray], error: Exception) -> Exception:
    if isinstance(error, EvergraphError):
        return error
    shapes = ", ".join(f"{x.dtype.__name__} {x.shape}" for x in inputs)
    return OperatorError(f"operator {op.name} cannot take these inputs", expected=str(error), found=shapes or "none")
