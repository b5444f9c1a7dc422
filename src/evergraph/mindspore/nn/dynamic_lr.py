"""Lists of learning rates, one for each step."""

import math
from collections.abc import Sequence

from evergraph.errors import UsageError

__all__ = [
    "cosine_decay_lr",
    "exponential_decay_lr",
    "inverse_decay_lr",
    "natural_exp_decay_lr",
    "piecewise_constant_lr",
    "polynomial_decay_lr",
    "warmup_lr",
]


def piecewise_constant_lr(milestone: Sequence[int], learning_rates: Sequence[float]) -> list[float]:
    """Each rate until its milestone.

    >>> piecewise_constant_lr([2, 3], [0.1, 0.05])
    [0.1, 0.1, 0.05]
    """
    if len(milestone) != len(learning_rates) or list(milestone) != sorted(set(milestone)):
        raise UsageError("milestones rise, and there is a rate for each", found=(list(milestone), list(learning_rates)))
    rates: list[float] = []
    for end, rate in zip(milestone, learning_rates, strict=True):
        rates += [rate] * (end - len(rates))
    return rates


def _epochs(total_step: int, step_per_epoch: int) -> list[int]:
    return [i // step_per_epoch for i in range(total_step)]


def _stairs(epochs: list[int], decay_epoch: int, is_stair: bool) -> list[float]:
    return [e // decay_epoch if is_stair else e / decay_epoch for e in epochs]


def exponential_decay_lr(
    learning_rate: float,
    decay_rate: float,
    total_step: int,
    step_per_epoch: int,
    decay_epoch: int,
    is_stair: bool = False,
) -> list[float]:
    """learning_rate * decay_rate ** (epoch / decay_epoch)."""
    passed = _stairs(_epochs(total_step, step_per_epoch), decay_epoch, is_stair)
    return [learning_rate * decay_rate**p for p in passed]


def natural_exp_decay_lr(
    learning_rate: float,
    decay_rate: float,
    total_step: int,
    step_per_epoch: int,
    decay_epoch: int,
    is_stair: bool = False,
) -> list[float]:
    """learning_rate * exp(-decay_rate * epoch), in stairs of decay_epoch."""
    epochs = _epochs(total_step, step_per_epoch)
    held = [e // decay_epoch * decay_epoch if is_stair else e for e in epochs]
    return [learning_rate * math.exp(-decay_rate * e) for e in held]


def inverse_decay_lr(
    learning_rate: float,
    decay_rate: float,
    total_step: int,
    step_per_epoch: int,
    decay_epoch: int,
    is_stair: bool = False,
) -> list[float]:
    """learning_rate / (1 + decay_rate * epoch / decay_epoch)."""
    passed = _stairs(_epochs(total_step, step_per_epoch), decay_epoch, is_stair)
    return [learning_rate / (1 + decay_rate * p) for p in passed]


def cosine_decay_lr(
    min_lr: float, max_lr: float, total_step: int, step_per_epoch: int, decay_epoch: int
) -> list[float]:
    """From max_lr to min_lr along half a cosine of decay_epoch epochs."""
    shares = [min(e, decay_epoch) / decay_epoch for e in _epochs(total_step, step_per_epoch)]
    return [min_lr + 0.5 * (max_lr - min_lr) * (1 + math.cos(math.pi * s)) for s in shares]


def polynomial_decay_lr(
    learning_rate: float,
    end_learning_rate: float,
    total_step: int,
    step_per_epoch: int,
    decay_epoch: int,
    power: float,
    update_decay_epoch: bool = False,
) -> list[float]:
    """From learning_rate to end_learning_rate as a power of what is left of decay_epoch epochs."""
    rates = []
    for epoch in _epochs(total_step, step_per_epoch):
        whole = decay_epoch * max(math.ceil(epoch / decay_epoch), 1) if update_decay_epoch else decay_epoch
        left = 1 - min(epoch, whole) / whole
        rates.append((learning_rate - end_learning_rate) * left**power + end_learning_rate)
    return rates


def warmup_lr(learning_rate: float, total_step: int, step_per_epoch: int, warmup_epoch: int) -> list[float]:
    """From 0 to learning_rate in warmup_epoch epochs."""
    return [learning_rate * min(e, warmup_epoch) / warmup_epoch for e in _epochs(total_step, step_per_epoch)]
