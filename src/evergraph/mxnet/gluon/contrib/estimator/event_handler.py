"""The handlers that every training needs: stopping, metrics, validation, updates and log lines."""

import time
from collections.abc import Callable
from typing import Any

from evergraph.errors import printable
from evergraph.mxnet.gluon.contrib.estimator.checkpoint_handler import CheckpointHandler
from evergraph.mxnet.gluon.contrib.estimator.early_stopping import EarlyStoppingHandler
from evergraph.mxnet.gluon.contrib.estimator.events import (
    BatchBegin,
    BatchEnd,
    EpochBegin,
    EpochEnd,
    EventHandler,
    TrainBegin,
    TrainEnd,
)
from evergraph.mxnet.gluon.contrib.estimator.utils import _check_event_handlers, _check_metrics, pairs
from evergraph.mxnet.gluon.errors import BlockValueError
from evergraph.mxnet.metric import Loss

__all__ = [
    "BatchBegin",
    "BatchEnd",
    "CheckpointHandler",
    "EarlyStoppingHandler",
    "EpochBegin",
    "EpochEnd",
    "EventHandler",
    "GradientUpdateHandler",
    "LoggingHandler",
    "MetricHandler",
    "StoppingHandler",
    "TrainBegin",
    "TrainEnd",
    "ValidationHandler",
    "_check_event_handlers",
]


class StoppingHandler(TrainBegin, BatchEnd, EpochEnd):
    """Ends training after as many epochs or batches as `fit` was told.

    Args:
        max_epoch: number of epochs; `fit` replaces it by its own.
        max_batch: number of batches; `fit` replaces it by its own.
    """

    def __init__(self, max_epoch: int | None = None, max_batch: int | None = None) -> None:
        self.max_epoch, self.max_batch = max_epoch, max_batch
        self.current_batch = self.current_epoch = 0
        self.stop_training = False

    def train_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Take the estimator's numbers."""
        self.max_epoch, self.max_batch = estimator.max_epoch, estimator.max_batch
        self.current_batch = self.current_epoch = 0
        self.stop_training = False

    def batch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> bool:
        """Whether that was the last batch."""
        self.current_batch += 1
        if self.current_batch == self.max_batch:
            self.stop_training = True
        return self.stop_training

    def epoch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> bool:
        """Whether that was the last epoch."""
        self.current_epoch += 1
        if self.current_epoch == self.max_epoch:
            self.stop_training = True
        return self.stop_training


class MetricHandler(EpochBegin, BatchEnd):
    """Resets metrics before each epoch and updates them after each batch.

    Args:
        metrics: metrics of the estimator, one or a list.
        priority: its place among the handlers: after the update, before validation.

    Raises:
        ValueError: something that is no metric.
    """

    def __init__(self, metrics: Any, priority: float = -1000) -> None:
        self.metrics, self.priority = _check_metrics(metrics), priority

    def epoch_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Forget the epoch before."""
        for metric in self.metrics:
            metric.reset()

    def batch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Take labels and outputs, or losses."""
        for metric in self.metrics:
            if isinstance(metric, Loss):
                metric.update(0, kwargs["loss"])
            else:
                metric.update(kwargs["label"], kwargs["pred"])


class ValidationHandler(TrainBegin, BatchEnd, EpochEnd):
    """Validates every few epochs or batches.

    Args:
        val_data: what is given to `eval_fn`.
        eval_fn: called with `val_data`, `batch_axis` and `event_handlers`, as `Estimator.evaluate` is.
        epoch_period: epochs between two; None for never.
        batch_period: batches between two; None for never.
        priority: its place among the handlers.
        event_handlers: what is given to `eval_fn`.
    """

    def __init__(
        self,
        val_data: Any,
        eval_fn: Callable[..., Any],
        epoch_period: int | None = 1,
        batch_period: int | None = None,
        priority: float = -1000,
        event_handlers: Any = None,
    ) -> None:
        self.val_data, self.eval_fn = val_data, eval_fn
        self.epoch_period, self.batch_period = epoch_period, batch_period
        self.current_batch = self.current_epoch = 0
        self.priority, self.event_handlers = priority, event_handlers

    def train_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Count from 0."""
        self.current_batch = self.current_epoch = 0

    def _evaluate(self, estimator: Any) -> None:
        self.eval_fn(val_data=self.val_data, batch_axis=estimator.batch_axis, event_handlers=self.event_handlers)

    def batch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Validate, where the batch's turn has come."""
        self.current_batch += 1
        if self.batch_period and self.current_batch % self.batch_period == 0:
            self._evaluate(estimator)

    def epoch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Validate, where the epoch's turn has come."""
        self.current_epoch += 1
        if self.epoch_period and self.current_epoch % self.epoch_period == 0:
            self._evaluate(estimator)


class GradientUpdateHandler(BatchEnd):
    """Updates the parameters after each batch, before all other handlers are called.

    Args:
        priority: its place among the handlers.
    """

    def __init__(self, priority: float = -2000) -> None:
        self.priority = priority

    def batch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Make a step: gradients are divided by the number of losses."""
        losses = kwargs["loss"]
        losses = losses if isinstance(losses, (list, tuple)) else [losses]
        estimator.trainer.step(sum(loss.shape[0] if loss.shape else 1 for loss in losses))


def _shown(metrics: Any) -> str:
    return ", ".join(f"{name}: {value:.4f}" for name, value in pairs(metrics))


class LoggingHandler(TrainBegin, TrainEnd, EpochBegin, EpochEnd, BatchBegin, BatchEnd):
    """Writes metrics, times and learning rates into the estimator's log.

    Args:
        log_interval: "epoch", or a number of batches.
        metrics: metrics of the estimator, one or a list; an epoch counts as one of training where a name has
            "training" in it.
        priority: its place among the handlers.

    Raises:
        ValueError: another interval, something that is no metric.
    """

    def __init__(self, log_interval: int | str = "epoch", metrics: Any = None, priority: float = float("inf")) -> None:
        if not isinstance(log_interval, int) and log_interval != "epoch":
            raise BlockValueError(
                "log_interval must be either an integer or string 'epoch'", found=printable(log_interval)
            )
        self.metrics, self.log_interval, self.priority = _check_metrics(metrics), log_interval, priority
        self.batch_index = self.current_epoch = self.processed_samples = 0
        self.log_interval_time: float = 0

    def train_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Log the optimizer, and how long training is to be."""
        self.batch_index = self.current_epoch = self.processed_samples = 0
        self.log_interval_time, self.train_start = 0, time.time()
        trainer = estimator.trainer
        name = type(trainer.optimizer).__name__
        estimator.logger.info(
            "Training begin: using optimizer %s with current learning rate %.4f ", name, trainer.learning_rate
        )
        if estimator.max_epoch:
            estimator.logger.info("Train for %d epochs.", estimator.max_epoch)
        else:
            estimator.logger.info("Train for %d batches.", estimator.max_batch)

    def train_end(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Log the time, and the last metrics."""
        text = f"Train finished using total {int(time.time() - self.train_start)}s with {self.current_epoch} epochs. "
        estimator.logger.info("%s", (text + _shown(self.metrics)).rstrip())

    def batch_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Take the time."""
        self.batch_start = time.time()

    def batch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Log the metrics, where the batch's turn has come."""
        if self.log_interval == "epoch":
            return
        self.log_interval_time += time.time() - self.batch_start
        self.processed_samples += kwargs["batch"][0].shape[getattr(estimator, "batch_axis", 0)]
        if self.batch_index % int(self.log_interval) == 0:
            place = f"[Epoch {self.current_epoch}][Batch {self.batch_index}][Samples {self.processed_samples}]"
            text = f"{place} time/interval: {self.log_interval_time:.3f}s {_shown(self.metrics)}"
            self.log_interval_time = 0
            estimator.logger.info("%s", text.rstrip())
        self.batch_index += 1

    def epoch_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Log that an epoch begins."""
        self.epoch_start = time.time()
        if any("training" in metric.name for metric in self.metrics):
            rate = estimator.trainer.learning_rate
            estimator.logger.info("[Epoch %d] Begin, current learning rate: %.4f", self.current_epoch, rate)
        else:
            estimator.logger.info("Validation Begin")

    def epoch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Log the epoch's time and metrics."""
        text = f"[Epoch {self.current_epoch}] Finished in {time.time() - self.epoch_start:.3f}s"
        estimator.logger.info("%s", ", ".join(filter(None, (text, _shown(self.metrics)))))
        self.current_epoch += 1
        self.batch_index = 0
