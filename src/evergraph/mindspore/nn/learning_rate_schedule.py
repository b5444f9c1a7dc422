"""Learning rates that follow the step."""

import math
from typing import Any

from evergraph.errors import UsageError, printable
from evergraph.mindspore.common import dtype as mstype
from evergraph.mindspore.common.tensor import Tensor
from evergraph.mindspore.nn.cell import Cell

__all__ = [
    "CosineDecayLR",
    "ExponentialDecayLR",
    "InverseDecayLR",
    "LearningRateSchedule",
    "NaturalExpDecayLR",
    "PolynomialDecayLR",
    "WarmUpLR",
]


class LearningRateSchedule(Cell):
    """A learning rate for each step; a subclass defines `construct(global_step)`."""


class _Formula(LearningRateSchedule):
    """A schedule of numbers alone."""

    def rate(self, step: float) -> float:
        """The rate at a step, from 0."""
        raise UsageError("a schedule defines its rate", where=type(self).__name__)

    def construct(self, global_step: Any) -> Tensor:
        """The rate as a Tensor."""
        step = int(global_step._torch.reshape(-1)[0]) if isinstance(global_step, Tensor) else global_step
        return Tensor(float(self.rate(step)), mstype.float32)


class _Decay(_Formula):
    """What three of them share.

    Args:
        learning_rate: the first rate.
        decay_rate: how fast it falls.
        decay_steps: the steps of one fall.
        is_stair: whether it falls in stairs.
    """

    def __init__(self, learning_rate: float, decay_rate: float, decay_steps: int, is_stair: bool = False) -> None:
        super().__init__()
        if learning_rate < 0 or decay_rate <= 0 or decay_steps < 1:
            raise UsageError(
                "learning_rate is at least 0, decay_rate above 0, decay_steps at least 1",
                found=printable((learning_rate, decay_rate, decay_steps)),
            )
        self.learning_rate, self.decay_rate = learning_rate, decay_rate
        self.decay_steps, self.is_stair = decay_steps, is_stair

    def _passed(self, step: float) -> float:
        return step // self.decay_steps if self.is_stair else step / self.decay_steps


class ExponentialDecayLR(_Decay):
    """learning_rate * decay_rate ** (step / decay_steps).

    >>> round(float(ExponentialDecayLR(0.1, 0.9, 4)(2)), 6)
    0.094868
    """

    def rate(self, step: float) -> float:
        """The rate at a step."""
        return self.learning_rate * self.decay_rate ** self._passed(step)


class NaturalExpDecayLR(_Decay):
    """learning_rate * exp(-decay_rate * step), in stairs of decay_steps."""

    def rate(self, step: float) -> float:
        """The rate at a step."""
        step = step // self.decay_steps * self.decay_steps if self.is_stair else step
        return self.learning_rate * math.exp(-self.decay_rate * step)


class InverseDecayLR(_Decay):
    """learning_rate / (1 + decay_rate * step / decay_steps)."""

    def rate(self, step: float) -> float:
        """The rate at a step."""
        return self.learning_rate / (1 + self.decay_rate * self._passed(step))


class CosineDecayLR(_Formula):
    """From max_lr to min_lr along half a cosine of decay_steps."""

    def __init__(self, min_lr: float, max_lr: float, decay_steps: int) -> None:
        super().__init__()
        if not 0 <= min_lr < max_lr or decay_steps < 1:
            raise UsageError("0 <= min_lr < max_lr, and decay_steps is at least 1", found=(min_lr, max_lr, decay_steps))
        self.min_lr, self.max_lr, self.decay_steps = min_lr, max_lr, decay_steps

    def rate(self, step: float) -> float:
        """The rate at a step."""
        share = min(step, self.decay_steps) / self.decay_steps
        return self.min_lr + (self.max_lr - self.min_lr) / 2 * (1 + math.cos(math.pi * share))


class PolynomialDecayLR(_Formula):
    """From learning_rate to end_learning_rate as a power of what is left of decay_steps."""

    def __init__(
        self,
        learning_rate: float,
        end_learning_rate: float,
        decay_steps: int,
        power: float,
        update_decay_steps: bool = False,
    ) -> None:
        super().__init__()
        if learning_rate <= 0 or end_learning_rate < 0 or decay_steps < 1 or power <= 0:
            raise UsageError(
                "rates are positive, decay_steps is at least 1", found=(learning_rate, end_learning_rate, decay_steps)
            )
        self.learning_rate, self.end_learning_rate = learning_rate, end_learning_rate
        self.decay_steps, self.power, self.update_decay_steps = decay_steps, power, update_decay_steps

    def rate(self, step: float) -> float:
        """The rate at a step."""
        whole = float(self.decay_steps)
        if self.update_decay_steps:
            whole *= max(math.ceil(step / whole), 1)
        left = 1 - min(step, whole) / whole
        return (self.learning_rate - self.end_learning_rate) * left**self.power + self.end_learning_rate


class WarmUpLR(_Formula):
    """From 0 to learning_rate in warmup_steps."""

    def __init__(self, learning_rate: float, warmup_steps: int) -> None:
        super().__init__()
        if learning_rate < 0 or warmup_steps < 1:
            raise UsageError(
                "learning_rate is at least 0, warmup_steps at least 1", found=(learning_rate, warmup_steps)
            )
        self.learning_rate, self.warmup_steps = learning_rate, warmup_steps

    def rate(self, step: float) -> float:
        """The rate at a step."""
        return self.learning_rate * min(step, self.warmup_steps) / self.warmup_steps
