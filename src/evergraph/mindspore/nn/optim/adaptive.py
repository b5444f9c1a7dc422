"""Adagrad, RMSProp and FTRL."""

from typing import Any

import torch

from evergraph.errors import UsageError, printable
from evergraph.mindspore.nn.optim.optimizer import Optimizer, tensors

__all__ = ["FTRL", "Adagrad", "RMSProp"]


class Adagrad(Optimizer):
    """accum += g^2; p -= lr * g / sqrt(accum).

    Args:
        accum: what accum begins with.
        update_slots: whether accum grows.
    """

    def __init__(
        self,
        params: Any,
        accum: float = 0.1,
        learning_rate: Any = 0.001,
        update_slots: bool = True,
        loss_scale: float = 1.0,
        weight_decay: Any = 0.0,
    ) -> None:
        super().__init__(learning_rate, params, weight_decay, loss_scale)
        if accum < 0:
            raise UsageError("accum is at least 0", found=printable(accum))
        self.update_slots = update_slots
        self.accum = self.state("accum", accum)

    def update(self, weights: Any, gradients: Any, rates: Any, decays: Any) -> None:
        """Update weights in place."""
        for p, g, total, rate in zip(weights, gradients, tensors(self.accum), rates, strict=True):
            if self.update_slots:
                total.addcmul_(g, g)
            p.addcdiv_(g, total.sqrt(), value=-rate)


class RMSProp(Optimizer):
    """ms = decay * ms + (1 - decay) * g^2; mom = momentum * mom + lr * g / sqrt(ms + epsilon); p -= mom."""

    def __init__(
        self,
        params: Any,
        learning_rate: Any = 0.1,
        decay: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-10,
        use_locking: bool = False,
        centered: bool = False,
        loss_scale: float = 1.0,
        weight_decay: Any = 0.0,
    ) -> None:
        super().__init__(learning_rate, params, weight_decay, loss_scale)
        if decay < 0 or momentum < 0 or epsilon <= 0:
            raise UsageError(
                "decay and momentum are at least 0, epsilon above", found=printable((decay, momentum, epsilon))
            )
        self.decay, self.momentum, self.epsilon, self.centered = decay, momentum, epsilon, centered
        self.mg: Any = self.state("mean_grad") if centered else None
        self.ms, self.moment = self.state("mean_square", "ones"), self.state("moment")

    def update(self, weights: Any, gradients: Any, rates: Any, decays: Any) -> None:
        """Update weights in place."""
        means: Any = tensors(self.mg) if self.centered else [None] * len(weights)
        squares, moments = tensors(self.ms), tensors(self.moment)
        for p, g, square, move, mean, rate in zip(weights, gradients, squares, moments, means, rates, strict=True):
            square.mul_(self.decay).addcmul_(g, g, value=1 - self.decay)
            spread = square
            if mean is not None:
                mean.lerp_(g, 1 - self.decay)
                spread = square - mean * mean
            move.mul_(self.momentum).addcdiv_(g, (spread + self.epsilon).sqrt(), value=rate)
            p.sub_(move)


class FTRL(Optimizer):
    """Follow the regularized leader, with l1 and l2."""

    def __init__(
        self,
        params: Any,
        initial_accum: float = 0.1,
        learning_rate: Any = 0.001,
        lr_power: float = -0.5,
        l1: float = 0.0,
        l2: float = 0.0,
        use_locking: bool = False,
        loss_scale: float = 1.0,
        weight_decay: Any = 0.0,
    ) -> None:
        super().__init__(learning_rate, params, weight_decay, loss_scale)
        if self.dynamic_lr or self.is_group_lr:
            raise UsageError("FTRL takes one learning rate for all steps and Parameters", where="FTRL")
        if initial_accum < 0 or lr_power > 0 or l1 < 0 or l2 < 0:
            raise UsageError(
                "initial_accum, l1 and l2 are at least 0, lr_power at most 0",
                found=printable((initial_accum, l1, l2, lr_power)),
            )
        self.lr_power, self.l1, self.l2 = lr_power, l1, l2
        self.moments, self.linear = self.state("moments", initial_accum), self.state("linear")

    def update(self, weights: Any, gradients: Any, rates: Any, decays: Any) -> None:
        """Update weights in place."""
        power = -self.lr_power
        totals, lines = tensors(self.moments), tensors(self.linear)
        for p, g, total, line, rate in zip(weights, gradients, totals, lines, rates, strict=True):
            grown = total + g * g
            line.add_(g - (grown**power - total**power) / rate * p)
            below = grown**power / rate + 2 * self.l2
            p.copy_(torch.where(line.abs() > self.l1, (line.sign() * self.l1 - line) / below, 0.0))
            total.copy_(grown)
