"""Gradient descent and its kin: SGD, Nesterov's, signs, layer-wise rates, delay compensation, Langevin dynamics."""

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.optimizer.base import Optimizer, register, zeros_like
from evergraph.ops.families.update.rules import each, ready
from evergraph.ops.families.update.sgd import nesterov_in_place

__all__ = ["DCASGD", "NAG", "SGD", "SGLD", "Signum", "ccSGD"]

_AGGREGATE = "MXNET_OPTIMIZER_AGGREGATION_SIZE"


class _Mastered(Optimizer):
    """Optimizers that keep (momentum, float32 copy) for float16 weights, and update both by one operator."""

    momentum: float = 0.0
    lazy_update = False

    def create_state_multi_precision(self, index: Any, weight: Any) -> Any:
        """The momentum; with `multi_precision` and float16, beside a float32 copy of the weight."""
        if self._has_master(weight):
            master = weight.astype(np.float32)
            return self.create_state(index, master), master
        self._warn_of_half(weight)
        return self.create_state(index, weight)

    def create_state(self, index: Any, weight: Any) -> Any:
        """The momentum, where there is one."""
        return zeros_like(weight, stored=self.lazy_update) if self.momentum != 0.0 else None

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change a weight by its gradient."""
        self._update_impl(index, weight, grad, state, False)

    def update_multi_precision(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change a weight and its float32 copy by its gradient."""
        first = weight[0] if isinstance(index, (list, tuple)) else weight
        self._update_impl(index, weight, grad, state, self._has_master(first))

    def _update_impl(self, index: Any, weight: Any, grad: Any, state: Any, multi_precision: bool) -> None:
        raise NotImplementedError


@register
class SGD(_Mastered):
    """Gradient descent, with momentum: state = momentum * state - lr * (grad + wd * weight); weight += state.

    Several parameters are updated by one kernel. Row_sparse gradients with `lazy_update` change only their rows.

    Args:
        momentum: part of the last step that is kept.
        lazy_update: whether rows without a gradient stay as they are.
        kwargs: see `Optimizer`.
    """

    def __init__(self, momentum: float = 0.0, lazy_update: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.momentum, self.lazy_update = momentum, lazy_update
        # one call for as many parameters as there are, where MXNet's kernels take four: the numbers are the same
        self.aggregate_num = int(os.getenv(_AGGREGATE, "256"))

    def _momentum(self) -> float:
        return self.momentum

    def _rates(self, indices: Sequence[Any], weights: Sequence[Any], grads: Sequence[Any]) -> tuple[Any, Any]:
        self._update_count(indices)
        return self._get_lrs(indices), self._get_wds(indices)

    def _update_impl(self, index: Any, weight: Any, grad: Any, state: Any, multi_precision: bool) -> None:
        several = isinstance(index, (list, tuple))
        indices, weights, grads, states = (
            (index, weight, grad, state) if several else ([index], [weight], [grad], [state])
        )
        lrs, wds = self._rates(indices, weights, grads)
        rule = self._rule(**({"momentum": self._momentum()} if self.momentum > 0 else {}))
        if all(x.stype == "default" for x in (*weights, *grads)):
            _descend_all(weights, grads, states, multi_precision, lrs, wds, rule)
            return
        for w, g, s, lr, wd in zip(weights, grads, states, lrs, wds, strict=True):
            lazy = {} if multi_precision else {"lazy_update": self.lazy_update}
            descend(w, g, s, multi_precision, lr=lr, wd=wd, **lazy, **rule)


def _descend_all(
    weights: Sequence[Any], grads: Sequence[Any], states: Sequence[Any], master: bool, lrs: Any, wds: Any, rule: Any
) -> None:
    if not master and descend_in_place(weights, grads, states, lrs, wds, **rule):
        return
    options = {"out": list(weights), "num_weights": len(weights), "lrs": tuple(lrs), "wds": tuple(wds), **rule}
    rows: list[Sequence[Any]] = [weights, grads]
    if "momentum" in rule:
        rows.append([s[0] for s in states] if master else states)
    if master:
        rows.append([s[1] for s in states])
    kind = "mp_sgd" if master else "sgd"
    function = getattr(nd, f"multi_{kind}_mom_update" if "momentum" in rule else f"multi_{kind}_update")
    function(*(x for row in zip(*rows, strict=True) for x in row), **options)


_FLOATS = (torch.float32, torch.float64)


def descend_in_place(
    weights: Sequence[Any],
    grads: Sequence[Any],
    moms: Sequence[Any],
    lrs: Sequence[float],
    wds: Sequence[float],
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    momentum: float = 0.0,
) -> bool:
    """One step of gradient descent on dense arrays, in their own memory; False where their types need the operator.

    The operator makes new weights, which are then copied: each of its passes over all weights costs as much as a tenth
    of the gradient of a wide layer.
    """
    all_weights, all_grads = [x._data for x in weights], [x._data for x in grads]
    kinds = {x.dtype for x in all_weights} | {x.dtype for x in all_grads}
    if len(kinds) > 1 or kinds.isdisjoint(_FLOATS):
        return False
    all_moms = [x._data for x in moms] if momentum > 0 else []
    groups: dict[tuple[float, float], list[int]] = {}
    for i, rates in enumerate(zip(lrs, wds, strict=True)):
        groups.setdefault(rates, []).append(i)
    with torch.no_grad():
        for (lr, wd), places in groups.items():
            ws, gs = [all_weights[i] for i in places], [all_grads[i] for i in places]
            if clip_gradient >= 0:
                gs = each("mul", gs, rescale_grad)
                each("clamp_max_", gs, clip_gradient)
                each("clamp_min_", gs, -clip_gradient)
            scale = 1.0 if clip_gradient >= 0 else rescale_grad
            steps = [all_moms[i] for i in places] if momentum > 0 else []
            if not _descend_fused(ws, gs, steps, lr, wd, momentum, scale):
                _descend_each(ws, gs, steps, lr, wd, momentum, scale)
    return True


def _descend_each(
    ws: Sequence[Any], gs: Sequence[Any], steps: Sequence[Any], lr: float, wd: float, momentum: float, scale: float
) -> None:
    if momentum > 0:
        each("mul_", steps, momentum)
        each("add_", steps, gs, alpha=-lr * scale)
        if wd:
            each("add_", steps, ws, alpha=-lr * wd)
        each("add_", ws, steps)
        return
    if wd:
        each("mul_", ws, 1 - lr * wd)
    each("add_", ws, gs, alpha=-lr * scale)


def _descend_fused(
    ws: Sequence[Any], gs: Sequence[Any], steps: Sequence[Any], lr: float, wd: float, momentum: float, scale: float
) -> bool:
    """The same in one pass over each weight, which takes 0.6 of the time; False where torch's kernel does not do it."""
    if not scale or not all(x.is_cpu and x.is_contiguous() for x in (*ws, *gs, *steps)):
        return False
    # torch keeps momentum * state + (1 - dampening) * gradient and takes lr of it away; MXNet's state holds the rate
    moved = momentum > 0
    torch._fused_sgd_(  # pyright: ignore[reportPrivateImportUsage]
        list(ws),
        list(gs),
        list(steps),
        weight_decay=wd / scale,
        momentum=momentum if moved else 0.0,
        lr=-1.0 if moved else lr * scale,
        dampening=1 + lr * scale if moved else 0.0,
        nesterov=False,
        maximize=False,
        is_first_step=False,
    )
    return True


def descend(weight: Any, grad: Any, state: Any, master: bool, kind: str = "sgd", **rule: Any) -> None:
    """One step of gradient descent on one weight; `kind` is "sgd" or "nag"."""
    mom, copy = state if master else (state, None)
    rest = [x for x in (mom, copy) if x is not None]
    name = f"{kind}_mom_update" if mom is not None else "sgd_update"
    getattr(nd, f"mp_{name}" if master else name)(weight, grad, *rest, out=weight, **rule)


@register
class ccSGD(SGD):
    """`SGD` by an old name."""


@register
class NAG(_Mastered):
    """Gradient descent with Nesterov's momentum.

    Args:
        momentum: part of the last step that is kept.
        kwargs: see `Optimizer`.
    """

    def __init__(self, momentum: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.momentum = momentum

    def _update_impl(self, index: Any, weight: Any, grad: Any, state: Any, multi_precision: bool) -> None:
        lr, wd, _ = self._begin(index)
        rule = self._rule(**({"momentum": self.momentum} if self.momentum > 0 else {}))
        if self.momentum > 0 and not multi_precision and weight.stype == state.stype == "default":
            _nesterov(weight, grad.tostype("default"), state, lr, wd, **rule)
        else:
            descend(weight, grad, state, multi_precision, "nag", lr=lr, wd=wd, **rule)


def _nesterov(
    weight: Any,
    grad: Any,
    mom: Any,
    lr: float,
    wd: float,
    momentum: float,
    rescale_grad: float,
    clip_gradient: float = -1.0,
) -> None:
    # the operator's result is a new array; here it is the weight itself, and the decay in mom is that of the new one
    with torch.no_grad():
        made_ready = ready(grad._data, rescale_grad, clip_gradient)
        nesterov_in_place(weight._data, made_ready, mom._data, lr, momentum, wd)


@register
class Signum(Optimizer):
    """Steps of the rate's size along the sign of the gradient, or of its momentum.

    Args:
        learning_rate: the rate.
        momentum: part of the last direction that is kept; 0 for the sign of the gradient itself.
        wd_lh: decay that does not pass through the sign; only with momentum.
        kwargs: see `Optimizer`.
    """

    def __init__(self, learning_rate: float = 0.01, momentum: float = 0.9, wd_lh: float = 0.0, **kwargs: Any) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.momentum, self.wd_lh = momentum, wd_lh

    def create_state(self, index: Any, weight: Any) -> Any:
        """The momentum, where there is one."""
        return zeros_like(weight, stored=True) if self.momentum != 0.0 else None

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change a weight by its gradient."""
        lr, wd, _ = self._begin(index)
        rule = {"wd_lh": self.wd_lh} if self.wd_lh else {}
        if state is None:
            nd.signsgd_update(weight, grad, out=weight, lr=lr, wd=wd, **self._rule(**rule))
            return
        rule |= {"momentum": self.momentum} if self.momentum > 0 else {}
        nd.signum_update(weight, grad, state, out=weight, lr=lr, wd=wd, **self._rule(**rule))


@register
class DCASGD(Optimizer):
    """Gradient descent that makes up for gradients of older weights (Zheng and others, 2017).

    Args:
        momentum: part of the last step that is kept.
        lamda: how much is made up for.
        kwargs: see `Optimizer`.
    """

    def __init__(self, momentum: float = 0.0, lamda: float = 0.04, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.momentum, self.lamda, self.weight_previous = momentum, lamda, {}

    def create_state(self, index: Any, weight: Any) -> Any:
        """The momentum, where there is one, and the weight as it was."""
        return (zeros_like(weight) if self.momentum != 0.0 else None), weight.copy()

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change a weight by its gradient."""
        lr, wd, _ = self._begin(index)
        grad = self._scaled(grad)
        mom, previous = state
        step = (grad + wd * weight + self.lamda * grad * grad * (weight - previous)) * -lr
        if mom is not None:
            mom[:] = mom * self.momentum + step
            step = mom
        previous[:] = weight
        weight[:] = weight + step


@register
class SGLD(Optimizer):
    """Gradient descent with noise, whose weights are draws from the posterior (Welling and Teh, 2011)."""

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change a weight by its gradient and noise of variance lr."""
        lr, wd, _ = self._begin(index)
        noise = nd.random.normal(0, math.sqrt(lr), shape=weight.shape, dtype=weight.dtype, ctx=weight.context)
        weight[:] = weight + (self._scaled(grad) + wd * weight) * (-lr / 2) + noise
