"""Steps of other shapes: RMSProp, FTRL, AdaGrad, and those that follow the gradient's sign."""

from typing import Any

from evergraph.errors import OperatorError
from evergraph.ops.families.update.rules import in_place, ready, rows_of, same, table
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify
from evergraph.ops.schema import InPlace

__all__ = ["ftrl_update", "group_adagrad_update", "rmsprop_update", "rmspropalex_update", "signum_update"]


def _clipped(weight: Any, limit: float) -> Any:
    return weight.clamp_(-limit, limit) if limit >= 0 else weight


@operator(shape=same(3))
@in_place
def rmsprop_update(
    weight,
    grad,
    n: InPlace,
    *,
    lr: float,
    gamma1: float = 0.95,
    epsilon: float = 1e-8,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    clip_weights: float = -1.0,
):
    """New weight: weight - lr * g / sqrt(n + epsilon), after n moved towards g².

    g is clip(rescale_grad * grad + wd * weight). The result is limited to clip_weights where that is not negative.
    """
    grad = ready(grad, rescale_grad, clip_gradient, weight, wd)
    n.mul_(gamma1).addcmul_(grad, grad, value=1 - gamma1)
    return _clipped(torch.addcdiv(weight, grad, (n + epsilon).sqrt_(), value=-lr), clip_weights)


@operator(shape=same(5))
@in_place
def rmspropalex_update(
    weight,
    grad,
    n: InPlace,
    g: InPlace,
    delta: InPlace,
    *,
    lr: float,
    gamma1: float = 0.95,
    gamma2: float = 0.9,
    epsilon: float = 1e-8,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    clip_weights: float = -1.0,
):
    """RMSProp in Graves' form: the mean g is taken off n, and steps carry momentum gamma2 in delta.

    weight + delta, after delta becomes gamma2 * delta - lr * grad / sqrt(n - g² + epsilon).
    """
    grad = ready(grad, rescale_grad, clip_gradient, weight, wd)
    n.mul_(gamma1).addcmul_(grad, grad, value=1 - gamma1)
    g.mul_(gamma1).add_(grad, alpha=1 - gamma1)
    delta.mul_(gamma2).addcdiv_(grad, torch.addcmul(n, g, g, value=-1).add_(epsilon).sqrt_(), value=-lr)
    return _clipped(weight + delta, clip_weights)


@operator(aliases=("_sparse_ftrl_update",), shape=same(4))
@in_place
def ftrl_update(
    weight,
    grad,
    z: InPlace,
    n: InPlace,
    *,
    lr: float,
    lamda1: float = 0.01,
    beta: float = 1.0,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
):
    """A step that follows the regularised leader: weights whose |z| does not exceed lamda1 become 0.

    The others become (sign(z) * lamda1 - z) / ((beta + sqrt(n)) / lr + wd), after z and n moved on. A row_sparse
    gradient changes only its own rows of the states and, in place, of the weight.
    """
    grad = ready(grad, rescale_grad, clip_gradient)
    root = n.sqrt()
    n.addcmul_(grad, grad)
    after = n.sqrt()
    z.add_(grad).addcmul_((after - root).div_(lr), weight, value=-1)
    step = torch.sub(z.sign(), z, alpha=1 / lamda1).mul_(lamda1) if lamda1 else -z
    return step.div_((after + beta).div_(lr).add_(wd)).masked_fill_(z.abs() <= lamda1, 0)


@ftrl_update.storage("row_sparse", "row_sparse", "row_sparse", "row_sparse")
@ftrl_update.storage("row_sparse", "row_sparse", "default", "default")
@ftrl_update.storage("default", "row_sparse", "row_sparse", "row_sparse")
@ftrl_update.storage("default", "row_sparse", "default", "default")
@in_place
def _ftrl_rows(weight, grad, z, n, **rest):
    whole, zs, ns = table(weight), table(z), table(n)
    if len(grad.indices):
        rows, z_rows, n_rows = rows_of(grad, whole, zs, ns)
        whole.index_copy_(0, grad.indices, ftrl_update.body(rows, grad.data, z_rows, n_rows, **rest))
        zs.index_copy_(0, grad.indices, z_rows)
        ns.index_copy_(0, grad.indices, n_rows)
    return weight


@operator("_sparse_adagrad_update", shape=same(3))
@in_place
def adagrad_update(
    weight,
    grad,
    history: InPlace,
    *,
    lr: float,
    epsilon: float = 1e-7,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
):
    """New weight: weight - lr * g / sqrt(history + epsilon), after history grew by g².

    g is clip(rescale_grad * grad). A row_sparse gradient changes only its own rows of the history and, in place,
    of the weight. wd has to be 0.
    """
    if wd:
        raise OperatorError("_sparse_adagrad_update has no weight decay", expected="wd 0", found=f"wd {wd}")
    grad = ready(grad, rescale_grad, clip_gradient)
    history.addcmul_(grad, grad)
    return torch.addcdiv(weight, grad, (history + epsilon).sqrt_(), value=-lr)


def _grouped(_: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    weight = unify(unify(ins[0], ins[1], "an operand of an update"), outs[0], "an operand of an update")
    history = None if weight is None else (weight[0], *(1,) * (len(weight) - 1))
    return [weight, weight, unify(ins[2], history, "input history of an update")], [weight]


@operator("_contrib_group_adagrad_update", shape=_grouped)
@in_place
def group_adagrad_update(
    weight,
    grad,
    history: InPlace,
    *,
    lr: float,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    epsilon: float = 1e-5,
):
    """AdaGrad with one history (N, 1) for each row of the weight (N, ...): it grows by the mean of the row's g².

    A row_sparse gradient changes only its own rows of the history and, in place, of the weight.
    """
    grad = ready(grad, rescale_grad, clip_gradient)
    history.add_((grad * grad).flatten(1).mean(1).view(history.shape) if grad.ndim > 1 else grad * grad)
    return torch.addcdiv(weight, grad, (history + epsilon).sqrt_(), value=-lr)


def _history_rows(dense: Any) -> Any:
    """The sparse computation of an update with one state."""

    def rows_only(weight, grad, history, **rest):
        whole, states = table(weight), table(history)
        if len(grad.indices):
            rows, part = whole.index_select(0, grad.indices), states.index_select(0, grad.indices)
            whole.index_copy_(0, grad.indices, dense.body(rows, grad.data, part, **rest))
            states.index_copy_(0, grad.indices, part)
        return weight

    return in_place(rows_only)


for _update in (adagrad_update, group_adagrad_update):
    for _kinds in (("default", "default"), ("row_sparse", "row_sparse"), ("row_sparse", "default")):
        _update.storage(_kinds[0], "row_sparse", _kinds[1])(_history_rows(_update))


@operator(shape=same(2))
@in_place
def signsgd_update(weight, grad, *, lr: float, wd: float = 0.0, rescale_grad: float = 1.0, clip_gradient: float = -1.0):
    """(1 - lr * wd) * weight - lr * sign(grad); rescale_grad and clip_gradient change nothing."""
    return torch.add(weight * (1 - lr * wd), grad.sign(), alpha=-lr)


@operator(shape=same(3))
@in_place
def signum_update(
    weight,
    grad,
    mom: InPlace,
    *,
    lr: float,
    momentum: float = 0.0,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    wd_lh: float = 0.0,
):
    """(1 - lr * wd_lh) * weight + lr * sign(mom), after mom became a mean of the negative gradients.

    mom' is momentum * mom - (1 - momentum) * (clip(rescale_grad * grad) + wd * weight).
    """
    grad = ready(grad, rescale_grad, clip_gradient)
    mom.mul_(momentum).add_(grad, alpha=momentum - 1)
    if wd:
        mom.add_(weight, alpha=(momentum - 1) * wd)
    return torch.add(weight * (1 - lr * wd_lh), mom.sign(), alpha=lr)
