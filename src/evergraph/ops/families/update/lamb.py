"""Steps scaled layer by layer: LAMB and LARS."""

from typing import Any

from evergraph.ops.families.update.adam import moments
from evergraph.ops.families.update.rules import (
    changed,
    in_place,
    interleaved,
    mixed,
    mixed_all,
    ready,
    same,
    several,
    sum_sq,
)
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, elementwise, unify
from evergraph.ops.schema import InPlace
from evergraph.ops.types import Axes, Floats

__all__ = ["lamb_update_phase1", "lamb_update_phase2", "multi_lamb_update", "multi_lars"]


def _direction(weight: Any, grad: Any, mean: Any, var: Any, p: Any) -> Any:
    """LAMB's step before it is scaled: Adam's, bias corrected, with decay."""
    moments(grad, mean, var, p["beta1"], p["beta2"])
    if p["bias_correction"]:
        step = mean / (1 - p["beta1"] ** p["t"])
        step = step.div_((var / (1 - p["beta2"] ** p["t"])).sqrt_().add_(p["epsilon"]))
    else:
        step = mean / var.sqrt().add_(p["epsilon"])
    return step.add_(weight, alpha=p["wd"])


@operator(shape=same(4))
@in_place
def lamb_update_phase1(
    weight,
    grad,
    mean: InPlace,
    var: InPlace,
    *,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-6,
    t: int,
    bias_correction: bool = True,
    wd: float,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
):
    """LAMB's step before it is scaled, after mean and var moved on: corrected mean / sqrt(var) + wd * weight."""
    return _direction(weight, ready(grad, rescale_grad, clip_gradient), mean, var, locals())


@operator(shape=same(5), dtype=mixed(2, "float32", "float16"))
@in_place
def mp_lamb_update_phase1(
    weight,
    grad,
    mean: InPlace,
    var: InPlace,
    weight32,
    *,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-6,
    t: int,
    bias_correction: bool = True,
    wd: float,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
):
    """lamb_update_phase1 on the float32 copy weight32; the result is float32."""
    grad = ready(grad, rescale_grad, -1).to(weight32.dtype)  # scaled in the gradient's own type, as in MXNet
    grad = ready(grad, 1, clip_gradient)
    return _direction(weight32, grad, mean, var, locals())


def _trust(weight_norm: Any, step_norm: Any, lower: float, upper: float) -> Any:
    """Ratio (1,) of the limited norms, 1 where either is 0."""
    norm = weight_norm
    if lower >= 0:
        norm = norm.clamp(min=lower)
    if upper >= 0:
        norm = norm.clamp(max=upper)
    return torch.where((norm == 0) | (step_norm == 0), 1.0, norm / step_norm)


@operator(shape=same(2))
@in_place
def lamb_update_phase2(weight, g, r1, r2, *, lr: float, lower_bound: float = -1.0, upper_bound: float = -1.0):
    """New weight: weight - lr * r1 / r2 * g; r1 (1,) is the weight's norm, used within bounds, r2 (1,) that of g."""
    return weight - g * (_trust(r1, r2, lower_bound, upper_bound) * lr)


def _master(_: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    shape: Dims = outs[0]
    for i in (0, 1, 4):
        shape = unify(shape, ins[i], "an operand of an update")
    return [shape, shape, *ins[2:4], shape], [shape]


@operator(shape=_master, dtype=mixed(1))
@in_place
def mp_lamb_update_phase2(
    weight, g, r1, r2, weight32: InPlace, *, lr: float, lower_bound: float = -1.0, upper_bound: float = -1.0
):
    """lamb_update_phase2 from the float32 copy weight32, in the weight's type; as in MXNet, weight32 stays as it is."""
    return (weight32 - g * (_trust(r1, r2, lower_bound, upper_bound) * lr)).to(weight.dtype)


def _lamb_all(
    weights: list[Any], norms: list[Any], grads: list[Any], means: list[Any], vars_: list[Any], p: Any
) -> list[Any]:
    """New weights; `norms` holds the arrays whose norms count as the weights'."""
    outs = []
    for i, weight in enumerate(weights):
        one = {**p, "wd": p["wds"][i], "t": p["step_count"][i]}
        grad = ready(grads[i].to(weight.dtype), p["rescale_grad"], p["clip_gradient"])
        step = _direction(weight, grad, means[i], vars_[i], one)
        ratio = _trust(sum_sq(norms[i]).sqrt(), step.norm(), p["lower_bound"], p["upper_bound"])
        outs.append(weight - step * (ratio * p["learning_rates"][i]))
    return outs


_PARTS = ("weight", "grad", "mean", "var")


@operator(
    "_multi_lamb_update",
    shape=several(4, "num_tensors"),
    outputs=lambda p: p.num_tensors,
    names=interleaved(_PARTS, "num_tensors"),
    states=changed(("mean", "var"), "num_tensors"),
)
@in_place
def multi_lamb_update(
    *data,
    learning_rates: Floats,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-6,
    wds: Floats,
    rescale_grad: float = 1.0,
    lower_bound: float = -1.0,
    upper_bound: float = -1.0,
    clip_gradient: float = -1.0,
    bias_correction: bool = True,
    step_count: Axes,
    num_tensors: int = 1,
):
    """New weights by LAMB from weight, grad, mean and var of each; mean and var move on, step_count counts from 1."""
    weights, grads, means, vars_ = (list(data[i::4]) for i in range(4))
    return _lamb_all(weights, weights, grads, means, vars_, locals())


@operator(
    "_multi_mp_lamb_update",
    shape=several(5, "num_tensors"),
    dtype=mixed_all(5, 2),
    outputs=lambda p: p.num_tensors,
    names=interleaved((*_PARTS, "weight32"), "num_tensors"),
    states=changed(("mean", "var", "weight32"), "num_tensors"),
)
@in_place
def multi_mp_lamb_update(
    *data,
    learning_rates: Floats,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-6,
    wds: Floats,
    rescale_grad: float = 1.0,
    lower_bound: float = -1.0,
    upper_bound: float = -1.0,
    clip_gradient: float = -1.0,
    bias_correction: bool = True,
    step_count: Axes,
    num_tensors: int = 1,
):
    """_multi_lamb_update on float32 copies, the fifth of each weight's inputs, which change."""
    weights, grads, means, vars_, masters = (list(data[i::5]) for i in range(5))
    outs = _lamb_all(masters, weights, grads, means, vars_, locals())
    return [m.copy_(o).to(w.dtype) for w, m, o in zip(weights, masters, outs, strict=True)]


@operator(shape=elementwise)
@in_place
def multi_lars(lrs, weights_sum_sq, grads_sum_sq, wds, *, eta: float, eps: float, rescale_grad: float = 1.0):
    """Learning rates (n,) scaled layer by layer: eta * |w| / (|g| + wd * |w| + eps), where both norms are not 0.

    weights_sum_sq and grads_sum_sq (n,) hold squared norms, wds (n,) the decays; rescale_grad multiplies |g|.
    """
    weight, grad = weights_sum_sq.sqrt(), grads_sum_sq.sqrt() * rescale_grad
    scaled = lrs * eta * weight / (grad + wds * weight + eps)
    return torch.where((weight > 0) & (grad > 0), scaled, lrs)
