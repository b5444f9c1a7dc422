"""The end of a training that does not improve any more."""

import math
import warnings
from typing import Any

import numpy as np

from evergraph.mxnet.gluon.contrib.estimator.events import EpochEnd, TrainBegin, TrainEnd
from evergraph.mxnet.gluon.contrib.estimator.improvement import comparison, worst

__all__ = ["EarlyStoppingHandler"]


class EarlyStoppingHandler(TrainBegin, EpochEnd, TrainEnd):
    """Ends training when a metric has not improved for some epochs.

    Args:
        monitor: a metric of the estimator.
        min_delta: a smaller change is no improvement.
        patience: epochs without improvement that are borne.
        mode: "min", "max" or "auto": whether smaller or greater values are better.
        baseline: a value that the first epoch must improve on.

    Raises:
        ValueError: no metric is given.
    """

    def __init__(
        self,
        monitor: Any,
        min_delta: float = 0,
        patience: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
    ) -> None:
        self.monitor_op = comparison(monitor, mode, "EarlyStoppingHandler")
        self.monitor, self.baseline, self.patience = monitor, baseline, patience
        self.min_delta = -min_delta if self.monitor_op is np.less else min_delta
        self.wait = self.stopped_epoch = self.current_epoch = 0
        self.stop_training = False

    def train_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Begin anew."""
        self.wait = self.stopped_epoch = self.current_epoch = 0
        self.stop_training = False
        self.best = worst(self.monitor_op) if self.baseline is None else self.baseline

    def epoch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> bool:
        """Whether the metric has not improved for too long."""
        name, value = self.monitor.get()
        if math.isnan(value):
            warnings.warn(
                RuntimeWarning(
                    f"{name} is not updated, make sure you pass one of the metric objects from"
                    " estimator.train_metrics and estimator.val_metrics as monitor."
                ),
                stacklevel=2,
            )
        elif self.monitor_op(value - self.min_delta, self.best):
            self.best, self.wait = value, 0
        else:
            self.wait += 1
            if self.wait >= self.patience:
                self.stopped_epoch, self.stop_training = self.current_epoch, True
        self.current_epoch += 1
        return self.stop_training

    def train_end(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Log where training has stopped early."""
        if self.stopped_epoch > 0:
            estimator.logger.info(
                "[Epoch %d] EarlyStoppingHanlder: early stopping due to %s not improving",  # spelt as MXNet's line
                self.stopped_epoch,
                self.monitor.get()[0],
            )
