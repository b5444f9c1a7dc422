"""Gradient descent: plain, with momentum, with Nesterov's momentum, each with float32 master copies."""

from typing import Any

from evergraph.ops.families.update.rules import in_place, mixed, ready, rows_of, same, table, unguarded
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.schema import InPlace

__all__ = ["mp_sgd_mom_update", "mp_sgd_update", "nag_mom_update", "nesterov_in_place", "sgd_mom_update", "sgd_update"]


@operator(aliases=("_sparse_sgd_update",), shape=same(2))
@in_place
def sgd_update(
    weight,
    grad,
    *,
    lr: float,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    lazy_update: bool = True,
):
    """The weight after a step of gradient descent: weight - lr * (clip(rescale_grad * grad) + wd * weight).

    A row_sparse gradient with lazy_update changes only its own rows, decay included, in the weight itself.
    """
    return _step(weight, ready(grad, rescale_grad, clip_gradient), lr, wd)


def _step(weight: Any, grad: Any, lr: float, wd: float) -> Any:
    if wd:
        grad = torch.add(grad, weight, alpha=wd)
    return torch.add(weight, grad, alpha=-lr)


@sgd_update.storage("row_sparse", "row_sparse")
@sgd_update.storage("default", "row_sparse")
@in_place
def _sgd_rows(weight, grad, *, lr, wd, rescale_grad, clip_gradient, lazy_update):
    whole = table(weight)
    rest = {"lr": lr, "wd": wd, "rescale_grad": rescale_grad, "clip_gradient": clip_gradient}
    if not lazy_update:
        whole.copy_(sgd_update.body(whole, grad.dense(), **rest))
    elif len(grad.indices):
        (rows,) = rows_of(grad, whole)
        whole.index_copy_(0, grad.indices, sgd_update.body(rows, grad.data, **rest))
    return weight


@operator(aliases=("_sparse_sgd_mom_update",), shape=same(3))
@in_place
def sgd_mom_update(
    weight,
    grad,
    mom: InPlace,
    *,
    lr: float,
    momentum: float = 0.0,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    lazy_update: bool = True,
):
    """New weight: weight + mom, after mom becomes momentum * mom - lr * (clip(rescale_grad * grad) + wd * weight).

    A row_sparse gradient with lazy_update changes only its own rows of mom and, in place, of the weight.
    """
    return weight + _momentum(weight, ready(grad, rescale_grad, clip_gradient), mom, lr, momentum, wd)


def _momentum(weight: Any, grad: Any, mom: Any, lr: float, momentum: float, wd: float) -> Any:
    mom.mul_(momentum).add_(grad, alpha=-lr)
    return mom.add_(weight, alpha=-lr * wd) if wd else mom


@sgd_mom_update.storage("row_sparse", "row_sparse", "row_sparse")
@sgd_mom_update.storage("row_sparse", "row_sparse", "default")
@sgd_mom_update.storage("default", "row_sparse", "row_sparse")
@sgd_mom_update.storage("default", "row_sparse", "default")
@in_place
def _sgd_mom_rows(weight, grad, mom, *, lazy_update, **rest):
    whole, moms = table(weight), table(mom)
    if not lazy_update:
        whole.copy_(sgd_mom_update.body(whole, grad.dense(), moms, **rest))
    elif len(grad.indices):
        rows, part = rows_of(grad, whole, moms)
        whole.index_copy_(0, grad.indices, sgd_mom_update.body(rows, grad.data, part, **rest))
        moms.index_copy_(0, grad.indices, part)
    return weight


@operator(shape=same(3), dtype=mixed(2))
@in_place
def mp_sgd_update(
    weight,
    grad,
    weight32: InPlace,
    *,
    lr: float,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    lazy_update: bool = True,
):
    """sgd_update on the float32 copy weight32, which changes; the result is it in the weight's type."""
    weight32.copy_(_step(weight32, ready(grad.to(weight32.dtype), rescale_grad, clip_gradient), lr, wd))
    return weight32.to(weight.dtype)


@operator(shape=same(4), dtype=mixed(2))
@in_place
def mp_sgd_mom_update(
    weight,
    grad,
    mom: InPlace,
    weight32: InPlace,
    *,
    lr: float,
    momentum: float = 0.0,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    lazy_update: bool = True,
):
    """sgd_mom_update on the float32 copy weight32, which changes; the result is it in the weight's type."""
    grad = ready(grad.to(weight32.dtype), rescale_grad, clip_gradient)
    return weight32.add_(_momentum(weight32, grad, mom, lr, momentum, wd)).to(weight.dtype)


def _nesterov(weight: Any, grad: Any, mom: Any, lr: float, momentum: float, wd: float) -> Any:
    step = torch.add(grad, weight, alpha=wd) if wd else grad
    before = torch.add(weight, mom, alpha=-momentum)
    mom.mul_(momentum).add_(step, alpha=-lr)
    return before.add_(mom, alpha=1 + momentum)


def nesterov_in_place(weight: Any, grad: Any, mom: Any, lr: float, momentum: float, wd: float) -> Any:
    """Nesterov's step written into the weight, from a gradient made ready; mom changes, and the weight is returned.

    As in MXNet, where the weight is also the output, the decay in mom is that of the new weight: it has been written
    by the time mom is.

    >>> import torch
    >>> weight, mom = torch.ones(1), torch.zeros(1)
    >>> nesterov_in_place(weight, torch.ones(1), mom, lr=0.5, momentum=0.0, wd=1.0), mom
    (tensor([0.]), tensor([-0.5000]))
    """
    before = weight.clone() if wd else weight
    weight.copy_(_nesterov(weight, grad, mom, lr, momentum, wd))
    if wd:
        mom.add_(before.sub_(weight), alpha=lr * wd)
    return weight


@operator(shape=same(3))
@in_place
def nag_mom_update(
    weight,
    grad,
    mom: InPlace,
    *,
    lr: float,
    momentum: float = 0.0,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
):
    """Nesterov's step: weight - momentum * mom + (1 + momentum) * mom', where mom becomes mom'.

    mom' is momentum * mom - lr * (clip(rescale_grad * grad) + wd * weight). A caller whose output is the weight itself
    takes `nesterov_in_place` instead.
    """
    return _nesterov(weight, ready(grad, rescale_grad, clip_gradient), mom, lr, momentum, wd)


@operator(shape=same(4), dtype=mixed(2))
@in_place
def mp_nag_mom_update(
    weight,
    grad,
    mom: InPlace,
    weight32: InPlace,
    *,
    lr: float,
    momentum: float = 0.0,
    wd: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
):
    """nag_mom_update on the float32 copy weight32, which changes; the result is it in the weight's type."""
    grad = ready(grad.to(weight32.dtype), rescale_grad, clip_gradient)
    return nesterov_in_place(weight32, grad, mom, lr, momentum, wd).to(weight.dtype)


unguarded(sgd_update)
unguarded(sgd_mom_update)


@sgd_update.overwrites
def _step_over(p: Any, *_: Any) -> Any:
    lr, wd, rescale, clip = -p.lr, p.wd, p.rescale_grad, p.clip_gradient
    if rescale == 1 and clip < 0 and not wd:
        return lambda weight, grad: weight.add_(grad, alpha=lr)

    def step(weight: Any, grad: Any) -> Any:
        grad = ready(grad, rescale, clip)
        return weight.add_(torch.add(grad, weight, alpha=wd) if wd else grad, alpha=lr)

    return step


@sgd_mom_update.overwrites
def _momentum_over(p: Any, *_: Any) -> Any:
    lr, momentum, wd, rescale, clip = p.lr, p.momentum, p.wd, p.rescale_grad, p.clip_gradient
    return lambda w, grad, mom: w.add_(_momentum(w, ready(grad, rescale, clip), mom, lr, momentum, wd))
