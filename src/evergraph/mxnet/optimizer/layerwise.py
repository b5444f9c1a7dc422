"""Optimizers whose rates follow the sizes of weights and gradients: LARS, LAMB, large-batch SGD."""

import logging
import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.optimizer.base import Optimizer, register, zeros_like
from evergraph.mxnet.optimizer.descent import SGD, descend

__all__ = ["LAMB", "LARS", "LBSGD"]

_PLAIN = ("gamma", "beta", "bias")


@register
class LARS(SGD):
    """SGD whose rate follows |weight| / |gradient| of each layer (You and others, 2017).

    Args:
        momentum: part of the last step that is kept.
        lazy_update: whether rows without a gradient stay as they are.
        eta: the layer's rate as a part of |weight| / |gradient|.
        eps: added to the denominator.
        momentum_correction: whether momentum follows a changing rate.
        kwargs: see `Optimizer`.
    """

    _decayed = ("_weight",)

    def __init__(
        self,
        momentum: float = 0.0,
        lazy_update: bool = True,
        eta: float = 0.001,
        eps: float = 0,
        momentum_correction: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(momentum=momentum, lazy_update=lazy_update, **kwargs)
        self.momentum_correction, self.eta, self.eps, self.skip = momentum_correction, eta, eps, 0
        self.last_lr: float | None = None
        self.cur_lr: float | None = None

    def _get_lrs(self, indices: Sequence[Any]) -> list[float]:
        rate = self.learning_rate
        self.last_lr = rate if self.cur_lr is None else self.cur_lr
        self.cur_lr = rate
        return [self._multiplied(rate, "lr_mult", self.lr_mult, i) for i in indices]

    def _momentum(self) -> float:
        if self.momentum_correction and self.last_lr:
            return self.momentum * ((self.cur_lr or 0.0) / self.last_lr)
        return self.momentum

    def _rates(self, indices: Sequence[Any], weights: Sequence[Any], grads: Sequence[Any]) -> tuple[Any, Any]:
        lrs, wds = super()._rates(indices, weights, grads)
        rows = zip(indices, weights, grads, lrs, wds, strict=True)
        return [self._get_lars(*row) for row in rows], wds

    def _get_lars(self, i: Any, weight: Any, g: Any, lr: float, wd: float) -> float:
        """The rate of one layer; biases, gammas and betas keep the common one."""
        if str(self.idx2name.get(i, i)).endswith(_PLAIN):
            return lr
        size, slope = self._l2norm(weight), self._l2norm(g, rescale=True)
        return lr * (self.eta * size / (slope + wd * size + self.eps) if size > 0 and slope > 0 else 1.0)

    def _l2norm(self, v: Any, rescale: bool = False) -> float:
        v = v.astype("float32")
        return float(nd.norm(v * self.rescale_grad if rescale else v).item())


@register
class LBSGD(Optimizer):
    """SGD for large batches: gradients of `batch_scale` batches are summed, the rate grows during a warm-up.

    Args:
        momentum: part of the last step that is kept.
        multi_precision: whether float16 weights are kept as float32 copies too.
        warmup_strategy: "linear", "power2", "sqrt", or "lars" for rates by layer.
        warmup_epochs: epochs of the warm-up.
        batch_scale: how many batches make one step.
        updates_per_epoch: updates of an epoch.
        begin_epoch: the epoch that training begins with.
        num_epochs: how many epochs are planned.
        kwargs: see `Optimizer`.
    """

    def __init__(
        self,
        momentum: float = 0.0,
        multi_precision: bool = False,
        warmup_strategy: str = "linear",
        warmup_epochs: int = 5,
        batch_scale: float = 1,
        updates_per_epoch: int = 32,
        begin_epoch: int = 0,
        num_epochs: int = 60,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        logging.info("Running Large-Batch SGD Algorithm")
        logging.info(
            "(Batch_scale=%f, warmup_epochs=%d, warmup_strategy=%s, updates_per_epoch=%d)",
            *(batch_scale, warmup_epochs, warmup_strategy, updates_per_epoch),
        )
        self.momentum, self.multi_precision, self.warmup_strategy = momentum, multi_precision, warmup_strategy
        self.warmup_epochs, self.batch_scale, self.updates_per_epoch = warmup_epochs, batch_scale, updates_per_epoch
        self.init_updates, self.num_epochs = begin_epoch * updates_per_epoch, num_epochs
        self.lbmult, self.adaptive, self.admult = 1, False, 1
        self.cumgrads: dict[Any, dict[str, Any]] = {}

    def create_state(self, index: Any, weight: Any) -> Any:
        """The momentum, where there is one; with float16 and `multi_precision`, beside a float32 copy."""
        if self._has_master(weight):
            master = weight.astype(np.float32)
            return (zeros_like(master, stored=True) if self.momentum != 0.0 else None), master
        self._warn_of_half(weight)
        return zeros_like(weight, stored=True) if self.momentum != 0.0 else None

    def create_state_multi_precision(self, index: Any, weight: Any) -> Any:
        """See `create_state`, which knows float16."""
        return self.create_state(index, weight)

    def update_multi_precision(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """See `update`, which knows float16."""
        self.update(index, weight, grad, state)

    def _get_lbmult(self, nup: int) -> float:
        """What the rate is multiplied with after so many batches."""
        steps, most = self.warmup_epochs * self.updates_per_epoch, float(self.batch_scale)
        if nup >= steps:
            return most
        if steps <= 1:
            return 1.0
        done = {"linear": nup / steps, "power2": (nup / steps) ** 2, "sqrt": math.sqrt(nup / steps)}
        return 1.0 + (most - 1) * done.get(self.warmup_strategy, 0.0)

    def _get_lars(self, weight: Any, g: Any, wd: float) -> float:
        size, slope = (float(nd.sum(nd.square(v)).item()) for v in (weight, g))
        return min(max(math.sqrt(size / (slope + wd * size + 1e-18)), 0.01), 100)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Sum the gradient, and change the weight after every `batch_scale` of them."""
        lr, wd = self._get_lr(index), self._get_wd(index)
        self._update_count(index)
        old = self.cumgrads.get(index, {"cum_grad": 0, "num_cums": 0})
        begins = old["num_cums"] == 0
        kept = {
            # the array itself, as in MXNet: a module writes the next gradient into it, which so counts twice
            "cum_grad": grad if begins else old["cum_grad"] + grad,
            "num_cums": self.init_updates + 1 if begins else old["num_cums"] + 1,
        }
        self.cumgrads[index] = kept
        if kept["num_cums"] % self.batch_scale:
            return
        grad = kept["cum_grad"] / self.batch_scale
        lars = self.warmup_strategy == "lars"
        lr *= self._get_lars(weight, grad, wd) if lars else self._get_lbmult(kept["num_cums"])
        rule = self._rule(**({"momentum": self.momentum} if self.momentum > 0 else {}))
        descend(weight, grad, state, isinstance(state, (list, tuple)), lr=lr, wd=wd, **rule)
        kept["cum_grad"] = 0


@register
class LAMB(Optimizer):
    """Adam whose step follows |weight| / |step| of each layer (You and others, 2020).

    Args:
        learning_rate: the rate.
        beta1, beta2: how long means and squares are remembered.
        epsilon: added to the denominator.
        lower_bound, upper_bound: limits of |weight|.
        bias_correction: whether early means are corrected.
        kwargs: see `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta1: float = 0.9,
        beta2: float = 0.999,
        epsilon: float = 1e-6,
        lower_bound: float | None = None,
        upper_bound: float | None = None,
        bias_correction: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **kwargs)
        self.beta1, self.beta2, self.epsilon, self.bias_correction = beta1, beta2, epsilon, bias_correction
        self.lower_bound, self.upper_bound = lower_bound, upper_bound
        self.aggregate_num = max(1, min(45, int(os.getenv("MXNET_OPTIMIZER_AGGREGATION_SIZE", "45"))))

    def create_state(self, index: Any, weight: Any) -> Any:
        """The means of gradients and of their squares."""
        return zeros_like(weight, 2, stored=True)

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change weights by their gradients."""
        self._update_impl(index, weight, grad, state, False)

    def update_multi_precision(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change weights and their float32 copies by their gradients."""
        first = weight[0] if isinstance(index, (list, tuple)) else weight
        self._update_impl(index, weight, grad, state, self._has_master(first))

    def _update_impl(self, index: Any, weight: Any, grad: Any, state: Any, master: bool) -> None:
        if not isinstance(index, (list, tuple)):
            index, weight, grad, state = [index], [weight], [grad], [state]
        bounds = {"lower_bound": self.lower_bound, "upper_bound": self.upper_bound}
        limits = {k: v for k, v in bounds.items() if v}
        rule = self._rule(
            beta1=self.beta1, beta2=self.beta2, epsilon=self.epsilon, bias_correction=self.bias_correction
        )
        for i, w, g, s in zip(index, weight, grad, state, strict=True):
            lr, wd, t = self._begin(i)
            # MXNet's updaters take its kernels for several weights, in which the float32 copy moves along
            target, (mean, var) = s if master else (w, s)
            step = nd.lamb_update_phase1(target, g.astype(target.dtype), mean, var, wd=wd, t=t, **rule)
            nd.lamb_update_phase2(target, step, target.norm(), step.norm(), lr=lr, out=target, **limits)
            if master:
                target.astype(w.dtype).copyto(w)
