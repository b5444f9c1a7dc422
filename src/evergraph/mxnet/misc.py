"""`mx.misc`: schedules of learning rates by their names of 2015; `mx.lr_scheduler` is what took their place."""

import logging
import math

from evergraph.errors import UsageError

__all__ = ["FactorScheduler", "LearningRateScheduler"]


class _StepError(UsageError, ValueError):
    """A schedule that cannot be."""


class LearningRateScheduler:
    """The learning rate by the number of the iteration; subclasses define `__call__`."""

    def __init__(self) -> None:
        self.base_lr = 0.01

    def __call__(self, iteration: int) -> float:
        """The learning rate at this iteration.

        Raises:
            NotImplementedError: a subclass does not define it.
        """
        raise NotImplementedError("must override this")


class FactorScheduler(LearningRateScheduler):
    """The learning rate falls by a factor every so many iterations.

    Args:
        step: how many iterations.
        factor: what it is multiplied by.

    Raises:
        ValueError: a step below 1, or a factor that does not fall.

    >>> FactorScheduler(10, 0.5)(20)
    0.0025
    """

    def __init__(self, step: int, factor: float = 0.1) -> None:
        super().__init__()
        if step < 1:
            raise _StepError("Schedule step must be greater or equal than 1 round", found=step)
        if factor >= 1.0:
            raise _StepError("Factor must be less than 1 to make lr reduce", found=factor)
        self.step, self.factor = step, factor
        self.old_lr, self.init = self.base_lr, False

    def __call__(self, iteration: int) -> float:
        """The learning rate at this iteration."""
        if not self.init:
            self.init, self.old_lr = True, self.base_lr
        rate = self.base_lr * math.pow(self.factor, int(iteration / self.step))
        if rate != self.old_lr:
            self.old_lr = rate
            logging.info("At Iteration [%d]: Swith to new learning rate %.5f", iteration, rate)
        return rate
