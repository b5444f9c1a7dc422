"""Momentum and SGD."""

from typing import Any

from evergraph.errors import UsageError, printable
from evergraph.mindspore.nn.optim.optimizer import Optimizer, by_rate, foreach, number, tensors

__all__ = ["SGD", "Momentum"]


class Momentum(Optimizer):
    """v = momentum * v + g; p -= lr * v.

    Args:
        use_nesterov: documented as p -= lr * (g + momentum * v), and ignored by MindSpore 2.10 on CPU, so here too.
    """

    def __init__(
        self,
        params: Any,
        learning_rate: Any,
        momentum: float,
        weight_decay: Any = 0.0,
        loss_scale: float = 1.0,
        use_nesterov: bool = False,
    ) -> None:
        super().__init__(learning_rate, params, weight_decay, loss_scale)
        if not isinstance(momentum, float) or momentum < 0:
            raise UsageError("momentum is a float, at least 0", found=printable(momentum))
        self.use_nesterov = use_nesterov
        self.momentum = number("momentum", momentum)
        self.moments = self.state("moments")

    def update(self, weights: Any, gradients: Any, rates: Any, decays: Any) -> None:
        """Update weights in place."""
        velocities = tensors(self.moments)
        foreach._foreach_mul_(velocities, float(self.momentum))
        foreach._foreach_add_(velocities, gradients)
        by_rate(lambda rate, p, v: foreach._foreach_add_(p, v, alpha=-rate), rates, weights, velocities)


class SGD(Optimizer):
    """p -= lr * v, with v = momentum * v + (1 - dampening) * g, at the first step v = g."""

    def __init__(
        self,
        params: Any,
        learning_rate: Any = 0.1,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: Any = 0.0,
        nesterov: bool = False,
        loss_scale: float = 1.0,
    ) -> None:
        super().__init__(learning_rate, params, weight_decay, loss_scale)
        if momentum < 0 or dampening < 0:
            raise UsageError("momentum and dampening are at least 0", found=printable((momentum, dampening)))
        if nesterov and (momentum <= 0 or dampening):
            raise UsageError("nesterov needs momentum, and no dampening", found=printable((momentum, dampening)))
        self.dampening, self.nesterov, self._moves = float(dampening), nesterov, momentum > 0
        self.momentum = number("momentum", momentum)
        self.accum = self.state("accum")
        self.stat = self.state("stat", "ones")

    def update(self, weights: Any, gradients: Any, rates: Any, decays: Any) -> None:
        """Update weights in place."""
        moves = gradients
        if self._moves:
            moves = []
            kept = float(self.momentum)
            for g, v, first in zip(gradients, tensors(self.accum), tensors(self.stat), strict=True):
                if first.numel() and first.view(-1)[0] > 0:  # one flag for each element, all the same
                    v.copy_(g)
                    first.zero_()
                else:
                    v.mul_(kept).add_(g, alpha=1 - self.dampening)
                moves.append(g.add(v, alpha=kept) if self.nesterov else v)
        by_rate(lambda rate, p, v: foreach._foreach_add_(p, v, alpha=-rate), rates, weights, moves)
