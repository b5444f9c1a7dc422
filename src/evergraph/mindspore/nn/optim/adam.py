"""Adam, AdamWeightDecay and Lamb."""

import math
from typing import Any

from evergraph.errors import UsageError
from evergraph.mindspore.nn.optim.optimizer import (
    Optimizer,
    by_rate,
    checked_share,
    foreach,
    number,
    single,
    tensors,
)

__all__ = ["Adam", "AdamWeightDecay", "Lamb"]


class Adam(Optimizer):
    """p -= lr_t * m / (sqrt(v) + eps), with lr_t = lr * sqrt(1 - beta2^t) / (1 - beta1^t).

    eps stands outside the bias correction, unlike torch's Adam.
    """

    def __init__(
        self,
        params: Any,
        learning_rate: Any = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        use_locking: bool = False,
        use_nesterov: bool = False,
        weight_decay: Any = 0.0,
        loss_scale: float = 1.0,
        use_amsgrad: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(learning_rate, params, weight_decay, loss_scale)
        checked_share(beta1=beta1, beta2=beta2)
        if use_nesterov and use_amsgrad:
            raise UsageError("use_nesterov and use_amsgrad exclude each other", where="Adam")
        self.beta1, self.beta2, self.eps = single(beta1), single(beta2), eps
        self.use_nesterov, self.use_amsgrad = use_nesterov, use_amsgrad
        self.beta1_power, self.beta2_power = number("beta1_power", 1), number("beta2_power", 1)
        self.moment1, self.moment2 = self.state("moment1"), self.state("moment2")
        self.vhat: Any = self.state("vhat") if use_amsgrad else None

    def update(self, weights: Any, gradients: Any, rates: Any, decays: Any) -> None:
        """Update weights in place."""
        self.beta1_power._torch.mul_(self.beta1)
        self.beta2_power._torch.mul_(self.beta2)
        scale = math.sqrt(1 - float(self.beta2_power)) / (1 - float(self.beta1_power))
        first, second = tensors(self.moment1), tensors(self.moment2)
        foreach._foreach_lerp_(first, gradients, 1 - self.beta1)
        foreach._foreach_mul_(second, self.beta2)
        foreach._foreach_addcmul_(second, gradients, gradients, 1 - self.beta2)
        if self.use_amsgrad:
            foreach._foreach_maximum_(tensors(self.vhat), second)
            second = tensors(self.vhat)
        moves = first
        if self.use_nesterov:
            moves = foreach._foreach_mul(first, self.beta1)
            foreach._foreach_add_(moves, gradients, alpha=1 - self.beta1)
        below = foreach._foreach_sqrt(second)
        foreach._foreach_add_(below, self.eps)
        by_rate(lambda rate, p, m, d: foreach._foreach_addcdiv_(p, m, d, -rate * scale), rates, weights, moves, below)


class AdamWeightDecay(Optimizer):
    """p -= lr * (m / (sqrt(v) + eps) + weight_decay * p), without bias correction."""

    decays_by_gradient = False

    def __init__(
        self,
        params: Any,
        learning_rate: Any = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-6,
        weight_decay: Any = 0.0,
    ) -> None:
        super().__init__(learning_rate, params, weight_decay)
        checked_share(beta1=beta1, beta2=beta2)
        self.beta1, self.beta2, self.eps = single(beta1), single(beta2), eps
        self.moments1, self.moments2 = self.state("adam_m"), self.state("adam_v")

    def update(self, weights: Any, gradients: Any, rates: Any, decays: Any) -> None:
        """Update weights in place."""
        first, second = tensors(self.moments1), tensors(self.moments2)
        foreach._foreach_lerp_(first, gradients, 1 - self.beta1)
        foreach._foreach_mul_(second, self.beta2)
        foreach._foreach_addcmul_(second, gradients, gradients, 1 - self.beta2)
        for p, m, v, rate, decay in zip(weights, first, second, rates, decays, strict=True):
            move = m / (v.sqrt() + self.eps)
            if decay:
                move.add_(p, alpha=decay)
            p.sub_(move, alpha=rate)


class Lamb(Optimizer):
    """AdamWeightDecay with bias correction, each Parameter's move scaled by the ratio of its norm to the move's."""

    decays_by_gradient = False

    def __init__(
        self,
        params: Any,
        learning_rate: Any,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-6,
        weight_decay: Any = 0.0,
    ) -> None:
        super().__init__(learning_rate, params, weight_decay)
        checked_share(beta1=beta1, beta2=beta2)
        self.beta1, self.beta2, self.eps = single(beta1), single(beta2), eps
        self.moments1, self.moments2 = self.state("lamb_m"), self.state("lamb_v")

    def update(self, weights: Any, gradients: Any, rates: Any, decays: Any) -> None:
        """Update weights in place."""
        first, second = tensors(self.moments1), tensors(self.moments2)
        foreach._foreach_lerp_(first, gradients, 1 - self.beta1)
        foreach._foreach_mul_(second, self.beta2)
        foreach._foreach_addcmul_(second, gradients, gradients, 1 - self.beta2)
        step = int(self.global_step._torch[0])
        for p, m, v, rate, decay in zip(weights, first, second, rates, decays, strict=True):
            move = m / (1 - self.beta1**step) / ((v / (1 - self.beta2**step)).sqrt() + self.eps) + decay * p
            size, moved = float(p.norm()), float(move.norm())
            p.sub_(move, alpha=rate * (size / moved if size > 0 and moved > 0 else 1.0))
