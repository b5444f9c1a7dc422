"""`mx.lr_scheduler`: learning rates that change with the number of updates."""

import itertools
import logging
import math
from collections.abc import Sequence

from evergraph.errors import UsageError

__all__ = ["CosineScheduler", "FactorScheduler", "LRScheduler", "MultiFactorScheduler", "PolyScheduler"]


class _ScheduleError(UsageError, ValueError):
    """A schedule that makes no sense."""


class _KindError(UsageError, AssertionError, TypeError):
    """A parameter of another kind."""


def _require(holds: bool, what: str, found: object) -> None:
    if not holds:
        raise _ScheduleError(what, found=found)


class LRScheduler:
    """A learning rate for each number of updates; subclasses define `__call__(num_update)`.

    Args:
        base_lr: the rate that it begins with.
        warmup_steps: updates until `base_lr` is reached.
        warmup_begin_lr: the rate at the first of them.
        warmup_mode: "linear", or "constant" to stay at `warmup_begin_lr`.

    Raises:
        ValueError: parameters that make no sense.
    """

    def __init__(
        self, base_lr: float = 0.01, warmup_steps: int = 0, warmup_begin_lr: float = 0, warmup_mode: str = "linear"
    ) -> None:
        if not isinstance(warmup_steps, int):
            raise _KindError("warmup_steps is a whole number", found=repr(warmup_steps))
        _require(warmup_begin_lr <= base_lr, "Base lr has to be higher than warmup_begin_lr", base_lr)
        _require(warmup_steps >= 0, "Warmup steps has to be positive or 0", warmup_steps)
        _require(
            warmup_mode in ("linear", "constant"), "Supports only linear and constant modes of warmup", warmup_mode
        )
        self.base_lr, self.warmup_final_lr = base_lr, base_lr
        self.warmup_steps, self.warmup_begin_lr, self.warmup_mode = warmup_steps, warmup_begin_lr, warmup_mode

    def get_warmup_lr(self, num_update: int) -> float:
        """The rate at an update of the warm-up."""
        if self.warmup_mode == "constant":
            return self.warmup_begin_lr
        return self.warmup_begin_lr + (self.warmup_final_lr - self.warmup_begin_lr) * num_update / self.warmup_steps

    def __call__(self, num_update: int) -> float:
        """The rate after so many updates."""
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        return self._at(num_update)

    def _at(self, num_update: int) -> float:
        raise NotImplementedError("a scheduler defines __call__(num_update)")


class FactorScheduler(LRScheduler):
    """The rate times a factor after every `step` updates, down to `stop_factor_lr`.

    >>> schedule = FactorScheduler(step=10, factor=0.5, base_lr=1.0)
    >>> schedule(10), schedule(11), schedule(31)
    (1.0, 0.5, 0.125)
    """

    def __init__(
        self,
        step: int,
        factor: float = 1,
        stop_factor_lr: float = 1e-8,
        base_lr: float = 0.01,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ) -> None:
        super().__init__(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        _require(step >= 1, "Schedule step must be greater or equal than 1 round", step)
        _require(factor <= 1.0, "Factor must be no more than 1 to make lr reduce", factor)
        self.step, self.factor, self.stop_factor_lr, self.count = step, factor, stop_factor_lr, 0

    def _at(self, num_update: int) -> float:
        while num_update > self.count + self.step:
            self.count += self.step
            self.base_lr = max(self.base_lr * self.factor, self.stop_factor_lr)
            last = self.base_lr == self.stop_factor_lr
            word = (
                "now learning rate arrived at %0.5e, will not change in the future"
                if last
                else ("Change learning rate to %0.5e")
            )
            logging.info("Update[%d]: " + word, num_update, self.base_lr)
        return self.base_lr


class MultiFactorScheduler(LRScheduler):
    """The rate times a factor after each of these numbers of updates.

    >>> schedule = MultiFactorScheduler(step=[5, 8], factor=0.1, base_lr=1.0)
    >>> [round(schedule(n), 3) for n in (5, 6, 8, 9)]
    [1.0, 0.1, 0.1, 0.01]
    """

    def __init__(
        self,
        step: Sequence[int],
        factor: float = 1,
        base_lr: float = 0.01,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ) -> None:
        super().__init__(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        if not isinstance(step, list) or not step:
            raise _KindError("step is a list of at least one number", found=repr(step))
        grows = all(a < b for a, b in itertools.pairwise(step))
        _require(grows, "Schedule step must be an increasing integer list", step)
        _require(min(step) >= 1, "Schedule step must be greater or equal than 1 round", step)
        _require(factor <= 1.0, "Factor must be no more than 1 to make lr reduce", factor)
        self.step, self.cur_step_ind, self.factor, self.count = step, 0, factor, 0

    def _at(self, num_update: int) -> float:
        while self.cur_step_ind < len(self.step) and num_update > self.step[self.cur_step_ind]:
            self.count = self.step[self.cur_step_ind]
            self.cur_step_ind += 1
            self.base_lr *= self.factor
            logging.info("Update[%d]: Change learning rate to %0.5e", num_update, self.base_lr)
        return self.base_lr


class _Falling(LRScheduler):
    """A rate that falls from `base_lr` to `final_lr` over `max_update` updates."""

    def __init__(
        self,
        max_update: int,
        base_lr: float,
        final_lr: float,
        warmup_steps: int,
        warmup_begin_lr: float,
        warmup_mode: str,
    ) -> None:
        super().__init__(base_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        if not isinstance(max_update, int):
            raise _KindError("max_update is a whole number", found=repr(max_update))
        _require(max_update >= 1, "maximum number of updates must be strictly positive", max_update)
        self.base_lr_orig, self.max_update, self.final_lr = base_lr, max_update, final_lr
        self.max_steps = max_update - warmup_steps

    def _at(self, num_update: int) -> float:
        if num_update <= self.max_update:
            part = self._part((num_update - self.warmup_steps) / self.max_steps)
            self.base_lr = self.final_lr + (self.base_lr_orig - self.final_lr) * part
        return self.base_lr

    def _part(self, done: float) -> float:
        raise NotImplementedError


class PolyScheduler(_Falling):
    """The rate falls as a power of what is left: final + (base - final) * (1 - done) ** pwr.

    >>> PolyScheduler(max_update=10, base_lr=1.0)(5)
    0.25
    """

    def __init__(
        self,
        max_update: int,
        base_lr: float = 0.01,
        pwr: float = 2,
        final_lr: float = 0,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ) -> None:
        super().__init__(max_update, base_lr, final_lr, warmup_steps, warmup_begin_lr, warmup_mode)
        self.power = pwr

    def _part(self, done: float) -> float:
        return pow(1 - done, self.power)


class CosineScheduler(_Falling):
    """The rate falls as half a cosine: final + (base - final) * (1 + cos(pi * done)) / 2.

    >>> round(CosineScheduler(max_update=10, base_lr=1.0)(5), 6)
    0.5
    """

    def __init__(
        self,
        max_update: int,
        base_lr: float = 0.01,
        final_lr: float = 0,
        warmup_steps: int = 0,
        warmup_begin_lr: float = 0,
        warmup_mode: str = "linear",
    ) -> None:
        super().__init__(max_update, base_lr, final_lr, warmup_steps, warmup_begin_lr, warmup_mode)

    def _part(self, done: float) -> float:
        return (1 + math.cos(math.pi * done)) / 2
