"""`mx.callback`: what is called after batches and epochs."""

import logging
import math
import sys
import time
from collections.abc import Callable
from typing import Any

from evergraph.mxnet.resume.checkpoint import TrainingCheckpoint

__all__ = [
    "CheckpointCallback",
    "LogValidationMetricsCallback",
    "ProgressBar",
    "Speedometer",
    "TrainingCheckpoint",
    "do_checkpoint",
    "log_train_metric",
    "module_checkpoint",
]


class CheckpointCallback:
    """What `do_checkpoint` and `module_checkpoint` give; `wait()` returns when all that it saved is durable."""

    def __init__(
        self,
        save: Callable[..., None],
        files: Callable[..., Any],
        prefix: str,
        period: int,
        keep: Any,
        background: bool,
    ) -> None:
        from evergraph.mxnet.keeping import Keeper

        # without a number to keep, and in the foreground, it is what the program itself would call
        self._plain = save if keep is None and not background else None
        self._files, self._prefix, self._period = files, prefix, max(1, int(period))
        self._keeper = Keeper(prefix, keep, background)

    def __call__(self, iter_no: int, sym: Any = None, arg: Any = None, aux: Any = None) -> None:
        """Take an epoch's end."""
        number = iter_no + 1
        if number % self._period:
            return
        if self._plain is not None:
            self._plain(number, sym, arg, aux)
            return
        self._keeper.write(self._files(number, sym, arg, aux), f"{self._prefix}-{number:04d}.")

    def wait(self) -> None:
        """Wait for what is saved in the background.

        Raises:
            StoreError: something could not be saved.
        """
        self._keeper.wait()


def module_checkpoint(
    mod: Any,
    prefix: str,
    period: int = 1,
    save_optimizer_states: bool = False,
    *,
    keep: int | None = None,
    background: bool = False,
) -> CheckpointCallback:
    """Save a module at the end of every `period` epochs.

    Args:
        mod: the module.
        prefix: `prefix-symbol.json` and `prefix-0001.params` are written.
        period: epochs between two.
        save_optimizer_states: whether `prefix-0001.states` is written too.
        keep: how many of the newest stay; an older one goes when a newer one is durable. None keeps all.
        background: save behind training, from a snapshot that is taken before the call returns. An error is raised at
            the next call, at `wait()` of what this returns, at the end of `fit`, or when the program exits.

    Raises:
        UsageError: `keep` is no number above 0.
    """

    def save(number: int, *_: Any) -> None:
        mod.save_checkpoint(prefix, number, save_optimizer_states)

    def files(number: int, *_: Any) -> Any:
        return mod.checkpoint_files(prefix, number, save_optimizer_states)

    return CheckpointCallback(save, files, prefix, period, keep, background)


def do_checkpoint(
    prefix: str, period: int = 1, *, keep: int | None = None, background: bool = False
) -> CheckpointCallback:
    """Save symbol and parameters at the end of every `period` epochs.

    Args:
        prefix: `prefix-symbol.json` and `prefix-0001.params` are written.
        period: epochs between two.
        keep: how many of the newest stay; an older one goes when a newer one is durable. None keeps all.
        background: save behind training; see `module_checkpoint`.

    Raises:
        UsageError: `keep` is no number above 0.
    """
    from evergraph.mxnet.model import checkpoint_files, save_checkpoint

    def save(number: int, sym: Any, arg: Any, aux: Any) -> None:
        save_checkpoint(prefix, number, sym, arg, aux)

    def files(number: int, sym: Any, arg: Any, aux: Any) -> Any:
        return checkpoint_files(prefix, number, sym, arg, aux)

    return CheckpointCallback(save, files, prefix, period, keep, background)


def log_train_metric(period: int, auto_reset: bool = False) -> Callable[[Any], None]:
    """Log the training metric every `period` batches.

    Args:
        period: batches between two.
        auto_reset: whether the metric begins anew.
    """

    def call(param: Any) -> None:
        if param.nbatch % period == 0 and param.eval_metric is not None:
            for name, value in param.eval_metric.get_name_value():
                logging.info("Iter[%d] Batch[%d] Train-%s=%f", param.epoch, param.nbatch, name, value)
            if auto_reset:
                param.eval_metric.reset_local()

    return call


class Speedometer:
    """Log samples a second, and the training metric, every `frequent` batches.

    Args:
        batch_size: samples of a batch.
        frequent: batches between two.
        auto_reset: whether the metric begins anew.
    """

    def __init__(self, batch_size: int, frequent: int = 50, auto_reset: bool = True) -> None:
        self.batch_size, self.frequent, self.auto_reset = batch_size, frequent, auto_reset
        self.init, self.tic, self.last_count = False, 0.0, 0

    def __call__(self, param: Any) -> None:
        """Take a batch's end."""
        count = param.nbatch
        if self.last_count > count:
            self.init = False
        self.last_count = count
        if not self.init:
            self.init, self.tic = True, time.time()
        elif count % self.frequent == 0:
            passed = time.time() - self.tic
            self._log(param, count, self.frequent * self.batch_size / passed if passed else math.inf)
            self.tic = time.time()

    def _log(self, param: Any, count: int, speed: float) -> None:
        if param.eval_metric is None:
            logging.info("Iter[%d] Batch [%d]\tSpeed: %.2f samples/sec", param.epoch, count, speed)
            return
        found = param.eval_metric.get_name_value()
        values = [v for pair in found for v in pair]
        first = count - self.frequent if self.auto_reset else 0
        if self.auto_reset:
            param.eval_metric.reset_local()
        text = "Epoch[%d] Batch [%d-%d]\tSpeed: %.2f samples/sec" + "\t%s=%f" * len(found)
        logging.info(text, param.epoch, first, count, speed, *values)


class ProgressBar:
    """A bar of the batches done: on a terminal one line that grows, else a line in the log for each batch.

    Args:
        total: batches in all.
        length: characters of the bar.
    """

    def __init__(self, total: int, length: int = 80) -> None:
        self.bar_len, self.total = length, total

    def __call__(self, param: Any) -> None:
        """Take a batch's end."""
        part = param.nbatch / float(self.total)
        filled = round(self.bar_len * part)
        bar = f"[{'=' * filled}{'-' * (self.bar_len - filled)}] {math.ceil(100 * part)}%"
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{bar}" + ("\n" if param.nbatch >= self.total else ""))
            sys.stderr.flush()
        else:
            logging.info("%s\r", bar)


class LogValidationMetricsCallback:
    """Log the validation metric at the end of an epoch."""

    def __call__(self, param: Any) -> None:
        """Take an evaluation's end."""
        if not param.eval_metric:
            return
        for name, value in param.eval_metric.get_name_value():
            logging.info("Epoch[%d] Validation-%s=%f", param.epoch, name, value)
