"""Adam and its kin: states of the gradient's first and second moments."""

import math
from typing import Any

from evergraph.ops.families.update.rules import in_place, mixed, ready, rows_of, same, table, unguarded
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.schema import InPlace
from evergraph.ops.types import Double, Fraction

__all__ = ["adam_update", "adamw_step", "adamw_update", "ftml_update", "moments", "mp_adamw_update", "usable_scale"]


def moments(grad: Any, mean: Any, var: Any, beta1: float, beta2: float) -> None:
    """Move mean and var, in place, towards the gradient and its square."""
    mean.mul_(beta1).add_(grad, alpha=1 - beta1)
    var.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)


@operator(aliases=("_sparse_adam_update",), shape=same(4))
@in_place
def adam_update(
    weight,
    grad,
    mean: InPlace,
    var: InPlace,
    *,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    lazy_update: bool = True,
):
    """New weight: weight - lr * mean / (sqrt(var) + epsilon), after both moved on.

    mean moves towards the gradient, var towards its square. The gradient is clip(rescale_grad * grad + wd *
    weight). Bias correction is the caller's, in lr. A row_sparse gradient with lazy_update changes only its own
    rows of the states and, in place, of the weight.
    """
    moments(ready(grad, rescale_grad, clip_gradient, weight, wd), mean, var, beta1, beta2)
    return torch.addcdiv(weight, mean, var.sqrt().add_(epsilon), value=-lr)


unguarded(adam_update)


@adam_update.overwrites
def _step_over(p: Any, *_: Any) -> Any:
    lr, epsilon, wd, rescale, clip = -p.lr, p.epsilon, p.wd, p.rescale_grad, p.clip_gradient
    beta1, beta2 = p.beta1, p.beta2

    def step(weight: Any, grad: Any, mean: Any, var: Any) -> Any:
        moments(ready(grad, rescale, clip, weight, wd), mean, var, beta1, beta2)
        return weight.addcdiv_(mean, var.sqrt().add_(epsilon), value=lr)

    return step


@adam_update.storage("row_sparse", "row_sparse", "row_sparse", "row_sparse")
@adam_update.storage("row_sparse", "row_sparse", "default", "default")
@adam_update.storage("default", "row_sparse", "row_sparse", "row_sparse")
@adam_update.storage("default", "row_sparse", "default", "default")
@in_place
def _adam_rows(weight, grad, mean, var, *, lazy_update, **rest):
    whole, means, vars_ = table(weight), table(mean), table(var)
    if not lazy_update:
        whole.copy_(adam_update.body(whole, grad.dense(), means, vars_, **rest))
    elif len(grad.indices):
        rows, mean_rows, var_rows = rows_of(grad, whole, means, vars_)
        whole.index_copy_(0, grad.indices, adam_update.body(rows, grad.data, mean_rows, var_rows, **rest))
        means.index_copy_(0, grad.indices, mean_rows)
        vars_.index_copy_(0, grad.indices, var_rows)
    return weight


def usable_scale(scale: Any) -> float:
    """The gradient's scale, or 0 where the step is to be skipped: an overflow made it infinite or undefined."""
    value = float(scale.reshape(-1)[0])
    return value if math.isfinite(value) else 0.0


def adamw_step(weight: Any, grad: Any, mean: Any, var: Any, p: Any) -> Any:
    """The new weight of AdamW from a scaled gradient and `p`, its parameters by name; mean and var change."""
    moments(grad, mean, var, p["beta1"], p["beta2"])
    out = torch.addcdiv(weight, mean, var.sqrt().add_(p["epsilon"]), value=-p["eta"] * p["lr"])
    return out.add_(weight, alpha=-p["eta"] * p["wd"]) if p["wd"] else out


@operator("_adamw_update", shape=same(4))
@in_place
def adamw_update(
    weight,
    grad,
    mean: InPlace,
    var: InPlace,
    rescale_grad,
    *,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    wd: float = 0.0,
    eta: float,
    clip_gradient: float = -1.0,
):
    """New weight: weight - eta * (lr * mean / (sqrt(var) + epsilon) + wd * weight), with Adam's mean and var.

    rescale_grad (1,) multiplies the gradient, which is left scaled and clipped. Where it is 0 or not finite nothing
    changes: so a step whose loss scale overflowed is skipped.
    """
    scale = usable_scale(rescale_grad)
    if not scale:
        return weight.clone()
    grad.copy_(ready(grad, scale, clip_gradient))
    return adamw_step(weight, grad, mean, var, locals())


@operator("_mp_adamw_update", shape=same(5), dtype=mixed(2))
@in_place
def mp_adamw_update(
    weight,
    grad,
    mean: InPlace,
    var: InPlace,
    weight32: InPlace,
    rescale_grad,
    *,
    lr: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    wd: float = 0.0,
    eta: float,
    clip_gradient: float = -1.0,
):
    """_adamw_update on the float32 copy weight32, which changes; the result is it in the weight's type."""
    scale = usable_scale(rescale_grad)
    if not scale:
        return weight.clone()
    grad = ready(grad.to(weight32.dtype), scale, clip_gradient)
    return weight32.copy_(adamw_step(weight32, grad, mean, var, locals())).to(weight.dtype)


@operator(shape=same(5))
@in_place
def ftml_update(
    weight,
    grad,
    d: InPlace,
    v: InPlace,
    z: InPlace,
    *,
    lr: float,
    beta1: Fraction = 0.6,
    beta2: Fraction = 0.999,
    epsilon: Double = 9.9999999392252903e-09,
    t: int,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_grad: float = -1.0,
):
    """A step that follows the moving leader: -z / d, after the states d, v and z moved on; t counts steps from 1."""
    if weight.dtype == torch.float16:
        # MXNet holds the factors in the weight's type, in which 1 - 0.999 is 2 % off
        beta1, beta2 = (torch.tensor(b, dtype=torch.float16).item() for b in (beta1, beta2))
    grad = ready(grad, rescale_grad, clip_grad, weight, wd)
    v.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    root = (v / (1 - beta2**t)).sqrt_().add_(epsilon)
    # a rate of 0, as at the end of a schedule, makes d infinite
    now = root.mul_((1 - beta1**t) / lr if lr else math.inf)
    z.mul_(beta1).add_(grad, alpha=1 - beta1).addcmul_(torch.sub(now, d, alpha=beta1), weight, value=-1)
    d.copy_(now)
    return -z / now
