"""Losses that a network ends with or that stand inside it, and the stop to a gradient."""

import math
from typing import Any, Literal

from evergraph.ops.gradients import with_gradient
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, elementwise, unify
from evergraph.ops.schema import Aux, Params
from evergraph.ops.types import Fraction

__all__ = ["BlockGrad", "IdentityAttachKLSparseReg", "MakeLoss", "smooth_l1"]


def _make_loss_gradient(saved: Any, grad: Any) -> tuple[Any, ...]:
    data, grad_scale, valid_thresh, normalization = saved.args
    scale: Any = grad_scale
    if normalization == "batch":
        scale = grad_scale / math.prod(data.shape[:-1])
    elif normalization == "valid":
        scale = grad_scale / (data > valid_thresh).sum().clamp_min(1)
    return torch.ones_like(grad) * scale, None, None, None


@with_gradient(_make_loss_gradient)
def _loss(data: Any, grad_scale: float, valid_thresh: float, normalization: str) -> Any:
    return data.clone()


@operator(shape=elementwise)
def MakeLoss(
    data,
    *,
    grad_scale: float = 1.0,
    valid_thresh: float = 0.0,
    normalization: Literal["batch", "null", "valid"] = "null",
):
    """Data as it is, a loss: its gradient is grad_scale, divided by the size of all axes but the last (batch) or by
    the number of values above valid_thresh (valid), whatever comes from above.
    """
    return _loss(data, grad_scale, valid_thresh, normalization)


@operator("make_loss", aliases=("_sparse_make_loss",), shape=elementwise, outputs=("loss",))
def plain_loss(data):
    """Data as it is, a loss: its gradient is 1."""
    return _loss(data, 1.0, 0.0, "null")


@operator(aliases=("_sparse_stop_gradient", "stop_gradient"), shape=elementwise)
def BlockGrad(data):
    """Data as it is, without a gradient."""
    return data.detach()


@operator(aliases=("_npx_smooth_l1",), shape=elementwise, description={"scalar": "float"})
def smooth_l1(data, *, scalar: float = 1.0):
    """(scalar * x)**2 / 2 where abs(x) is below 1 / scalar**2, elsewhere abs(x) - 0.5 / scalar**2."""
    edge = 1 / (scalar * scalar) if scalar else math.inf
    distance = torch.abs(data)
    return torch.where(distance < edge, 0.5 * data * data / edge, distance - 0.5 * edge).to(data.dtype)


@smooth_l1.quickened
def _smooth_quickly(p: Any, recorded: bool, data: Any) -> Any:
    if recorded or not p.scalar or data.dtype not in (torch.float32, torch.float64):
        return None
    # torch's loss against 0 computes by the same steps; its gradient rounds otherwise
    compute = torch._C._nn.smooth_l1_loss  # noqa: SLF001  # pyright: ignore[reportAttributeAccessIssue]
    edge, zero = 1 / (p.scalar * p.scalar), data.new_zeros(())
    return lambda x: compute(x, zero, 0, edge)


def _sparseness_gradient(saved: Any, grad: Any) -> tuple[Any, ...]:
    data, moving_avg, p = saved.args
    average = data.reshape(-1, data.shape[-1]).mean(0)
    moving_avg.copy_(p.momentum * moving_avg + (1 - p.momentum) * average)
    push = -p.sparseness_target / moving_avg + (1 - p.sparseness_target) / (1 - moving_avg)
    return grad + p.penalty * push, None, None


@with_gradient(_sparseness_gradient)
def _attach_sparseness(data: Any, moving_avg: Any, p: Any) -> Any:
    return data.clone()


def _sparse_shapes(_: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data = unify(ins[0], outs[0], "output of IdentityAttachKLSparseReg")
    return [data, ins[1] if data is None or ins[1] is not None else data[1:2]], [data]


@operator(
    shape=_sparse_shapes,
    documented=("data", "sparseness_target", "penalty", "momentum"),
)
def IdentityAttachKLSparseReg(
    data, moving_avg: Aux, *, sparseness_target: Fraction = 0.1, penalty: float = 0.001, momentum: Fraction = 0.9
):
    """Data as it is, of activations from 0 to 1; to its gradient comes that of a penalty on the distance of each unit's
    mean activity, a moving average over batches, from sparseness_target.
    """
    p = Params(sparseness_target=sparseness_target, penalty=penalty, momentum=momentum)
    return _attach_sparseness(data, moving_avg, p)
