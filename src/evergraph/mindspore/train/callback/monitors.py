"""Callbacks that act on how a value goes: stop early, lower the learning rate."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from evergraph.errors import UsageError, printable
from evergraph.mindspore.common.parameter import Parameter
from evergraph.mindspore.common.tensor import Tensor
from evergraph.mindspore.train.callback.base import Callback, loss_of

__all__ = ["EarlyStopping", "LearningRateScheduler", "ReduceLROnPlateau"]

_SMALL = (
    "hausdorff_distance",
    "mae",
    "mse",
    "loss",
    "perplexity",
    "mean_surface_distance",
    "root_mean_square_distance",
    "eval_loss",
)
"""What is better when it is smaller; every other metric when it is larger."""


class _Monitor(Callback):
    """Watches a value at the end of each epoch.

    Args:
        monitor: "loss" of training; or of the evaluations of `fit`: "eval_loss" or a metric's name.
        mode: "min", "max", or "auto" by the value's name.
        min_delta: by how much a value must be better.

    Raises:
        UsageError: no such mode.
    """

    def __init__(self, monitor: str, mode: str, min_delta: float, patience: int) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            raise UsageError("mode is auto, min or max", found=printable(mode))
        if not isinstance(patience, int) or patience < 0:
            raise UsageError("patience is a whole number from 0 on", found=printable(patience))
        self.monitor, self.mode, self.min_delta, self.patience = monitor, mode, abs(min_delta), patience
        self._sign = -1 if mode == "min" or (mode == "auto" and monitor in _SMALL) else 1
        self.wait, self.best = 0, -self._sign * np.inf

    def on_train_begin(self, run_context: Any) -> None:
        """Begin anew."""
        self.wait, self.best = 0, -self._sign * np.inf

    def is_improvement(self, value: float, other: float) -> bool:
        """Whether a value is better than another by more than `min_delta`."""
        return self._sign * (value - other) > self.min_delta

    def value(self, told: Any) -> float | None:
        """The watched value of this epoch; None, with a warning, where there is none."""
        found = loss_of(told.net_outputs) if self.monitor == "loss" else (told.eval_results or {}).get(self.monitor)
        if found is None:
            known = ", ".join(["loss", *(told.eval_results or ())])
            warnings.warn(f"{type(self).__name__}: no {printable(self.monitor)} here, only {known}", stacklevel=4)
            return None
        if np.ndim(found):
            raise UsageError("a value of one number is monitored", where=printable(self.monitor), found=np.shape(found))
        return float(found)


class EarlyStopping(_Monitor):
    """Stops when a value has not got better for `patience` epochs; with patience 0 after the first, as MindSpore.

    Args:
        monitor: "eval_loss", "loss" or a metric's name.
        min_delta: by how much a value must be better.
        patience: so many epochs.
        verbose: whether it prints that it stops.
        mode: "auto", "min" or "max".
        baseline: what must be reached, too, for the counting to begin anew.
        restore_best_weights: whether the weights of the best epoch come back.
    """

    def __init__(
        self,
        monitor: str = "eval_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: bool = False,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
    ) -> None:
        super().__init__(monitor, mode, min_delta, patience)
        self.verbose, self.baseline, self.restore_best_weights = verbose, baseline, restore_best_weights
        self.stopped_epoch = 0
        self._weights: list[Any] | None = None

    def on_train_begin(self, run_context: Any) -> None:
        """Begin anew."""
        super().on_train_begin(run_context)
        self.stopped_epoch, self._weights = 0, None

    def on_train_epoch_end(self, run_context: Any) -> None:
        """Compare, and ask for a stop."""
        told = run_context.original_args()
        value = self.value(told)
        if value is None:
            return
        better = self.is_improvement(value, self.best)
        if self.restore_best_weights and (better or self._weights is None):
            self._weights = [p.asnumpy().copy() for p in told.train_network.get_parameters()]
        self.wait += 1
        if better:
            self.best = value
            if self.baseline is None or self.is_improvement(value, self.baseline):
                self.wait = 0
        if self.wait < self.patience:
            return
        self.stopped_epoch = told.cur_epoch_num
        run_context.request_stop()
        if self._weights is not None:
            if self.verbose:
                print("Restoring model weights from the end of the best epoch.", flush=True)
            for param, held in zip(told.train_network.get_parameters(), self._weights, strict=True):
                param.set_data(Tensor(held))

    def on_train_end(self, run_context: Any) -> None:
        """Tell where it stopped."""
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch:05d}: early stopping", flush=True)


def _rate(told: Any) -> Parameter:
    rate = told.optimizer.learning_rate
    if not isinstance(rate, Parameter):
        raise UsageError(
            "only a constant learning rate of all Parameters is changed", found=printable(type(rate).__name__)
        )
    return rate


class ReduceLROnPlateau(_Monitor):
    """Multiplies the learning rate by `factor` when a value has not got better for `patience` epochs.

    Args:
        monitor: "eval_loss", "loss" or a metric's name.
        factor: between 0 and 1.
        patience: so many epochs.
        verbose: whether it prints the new rate.
        mode: "auto", "min" or "max".
        min_delta: by how much a value must be better.
        cooldown: so many epochs after a change nothing is counted.
        min_lr: the rate never gets lower.

    Raises:
        UsageError: the factor is not between 0 and 1; the optimizer has several learning rates, or a schedule.
    """

    def __init__(
        self,
        monitor: str = "eval_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: bool = False,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta, patience)
        if not 0 < factor < 1:
            raise UsageError("factor is between 0 and 1", found=printable(factor))
        self.factor, self.verbose, self.cooldown, self.min_lr = factor, verbose, cooldown, min_lr
        self.cooldown_counter = 0

    def on_train_begin(self, run_context: Any) -> None:
        """Begin anew."""
        super().on_train_begin(run_context)
        self.cooldown_counter = 0

    def on_train_epoch_end(self, run_context: Any) -> None:
        """Compare, and lower the rate."""
        told = run_context.original_args()
        rate, value = _rate(told), self.value(told)
        if value is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter, self.wait = self.cooldown_counter - 1, 0
        if self.is_improvement(value, self.best):
            self.best, self.wait = value, 0
        elif self.cooldown_counter <= 0:
            self.wait += 1
            if self.wait >= self.patience:
                self._lower(rate, told.cur_epoch_num)
                self.cooldown_counter, self.wait = self.cooldown, 0

    def _lower(self, rate: Parameter, epoch: int) -> None:
        now = np.float32(rate.asnumpy())
        if now <= self.min_lr:
            return
        lower = max(now * np.float32(self.factor), np.float32(self.min_lr))
        rate.set_data(Tensor(lower))
        if self.verbose:
            print(f"Epoch {epoch:05d}: ReduceLROnPlateau reducing learning rate to {lower!s}.", flush=True)


class LearningRateScheduler(Callback):
    """Sets the learning rate after each step.

    Args:
        learning_rate_function: takes the rate and the number of the step, gives the new rate.

    Raises:
        UsageError: the optimizer has several learning rates, or a schedule.
    """

    def __init__(self, learning_rate_function: Callable[[float, int], float]) -> None:
        super().__init__()
        self.learning_rate_function = learning_rate_function

    def step_end(self, run_context: Any) -> None:
        """Ask the function, and set what it gives."""
        told = run_context.original_args()
        rate = _rate(told)
        lower = self.learning_rate_function(float(str(np.float32(rate.asnumpy()))), told.cur_step_num)
        rate.set_data(Tensor(np.float32(lower)))
