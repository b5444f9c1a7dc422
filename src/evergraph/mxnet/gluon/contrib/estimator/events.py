"""The moments of training at which a handler may be called."""

from typing import Any

__all__ = ["BatchBegin", "BatchEnd", "EpochBegin", "EpochEnd", "EventHandler", "TrainBegin", "TrainEnd"]


class EventHandler:
    """What all handlers are; one with a smaller `priority` (0 where it has none) is called before the others."""


class TrainBegin(EventHandler):
    """Called before the first epoch."""

    def train_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> Any:
        """Training begins."""


class TrainEnd(EventHandler):
    """Called after the last epoch."""

    def train_end(self, estimator: Any, *args: Any, **kwargs: Any) -> Any:
        """Training has ended."""


class EpochBegin(EventHandler):
    """Called before each epoch, of training and of validation."""

    def epoch_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> Any:
        """An epoch begins."""


class EpochEnd(EventHandler):
    """Called after each epoch."""

    def epoch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> Any:
        """An epoch has ended; training ends where true is returned."""
        return False


class BatchBegin(EventHandler):
    """Called before each batch, with `batch`."""

    def batch_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> Any:
        """A batch begins."""


class BatchEnd(EventHandler):
    """Called after each batch, with `batch`, `pred`, `label` and `loss`."""

    def batch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> Any:
        """A batch has ended; the epoch ends where true is returned."""
        return False
