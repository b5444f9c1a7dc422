"""`mx.callback`: what is called after batches and epochs."""

import logging
import math
import sys
import time
from collections.abc import Callable
from typing import Any

__all__ = [
    "LogValidationMetricsCallback",
    "ProgressBar",
    "Speedometer",
    "do_checkpoint",
    "log_train_metric",
    "module_checkpoint",
]


def module_checkpoint(
    mod: Any, prefix: str, period: int = 1, save_optimizer_states: bool = False
) -> Callable[..., None]:
    """Save a module at the end of every `period` epochs.

    Args:
        mod: the module.
        prefix: `prefix-symbol.json` and `prefix-0001.params` are written.
        period: epochs between two.
        save_optimizer_states: whether `prefix-0001.states` is written too.
    """
    every = max(1, int(period))

    def call(iter_no: int, sym: Any = None, arg: Any = None, aux: Any = None) -> None:  # noqa: ARG001
        if (iter_no + 1) % every == 0:
            mod.save_checkpoint(prefix, iter_no + 1, save_optimizer_states)

    return call


def do_checkpoint(prefix: str, period: int = 1) -> Callable[..., None]:
    """Save symbol and parameters at the end of every `period` epochs.

    Args:
        prefix: `prefix-symbol.json` and `prefix-0001.params` are written.
        period: epochs between two.
    """
    from evergraph.mxnet.model import save_checkpoint

    every = max(1, int(period))

    def call(iter_no: int, sym: Any, arg: Any, aux: Any) -> None:
        if (iter_no + 1) % every == 0:
            save_checkpoint(prefix, iter_no + 1, sym, arg, aux)

    return call


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
