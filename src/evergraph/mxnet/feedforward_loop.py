"""The loop of `FeedForward`: epochs of a number of batches, one metric, and a log of its own."""

from collections.abc import Callable
from typing import Any

from evergraph.mxnet.base import _as_list
from evergraph.mxnet.model import BatchEndParam
from evergraph.mxnet.module import BucketingModule
from evergraph.mxnet.module.batches import DataError

__all__ = ["Loop", "bucketing"]


class _Names:
    """Names of the inputs of what is at hand: the data, or a batch of another bucket."""

    def __init__(self, described: Any) -> None:
        self.described = described

    def __call__(self) -> tuple[list[str], list[str]]:
        """Names of data and labels."""
        return [d[0] for d in self.described.provide_data], [d[0] for d in self.described.provide_label or []]


def bucketing(
    make: Callable[[Any], Any], data: Any, logger: Any, context: Any, work_load_list: Any
) -> tuple[BucketingModule, Callable[[Any], None]]:
    """A module over symbols that depend on a batch's key, and what is to be told each batch before it runs.

    Args:
        make: bucket's key -> symbol; the names of its inputs are those that its batches describe.
        data: has `default_bucket_key`.
        logger: where the module logs.
        context: its device, or a list of them.
        work_load_list: each device's share of a batch.
    """
    names = _Names(data)
    key = data.default_bucket_key
    module = BucketingModule(lambda k: (make(k), *names()), key, logger, context, work_load_list)
    return module, lambda batch: setattr(names, "described", batch)


class Loop:
    """Trains a module by batches, as `FeedForward.fit` does.

    Args:
        module: it is bound, filled and has its optimizer.
        data: batches, from the first one on.
        metric: what training and validation are measured by.
        size: batches of an epoch; all of the data's where it is None.
        logger: where it logs.
        monitor: watches values.
        tell: called with each batch before it runs.
    """

    def __init__(
        self,
        module: Any,
        data: Any,
        metric: Any,
        size: int | None,
        logger: Any,
        monitor: Any,
        tell: Callable[[Any], None],
    ) -> None:
        self._module, self._data, self._metric, self._size = module, data, metric, size
        self._logger, self._monitor, self._tell = logger, monitor, tell
        self._rows: Any = None

    def epoch(self, number: int, callbacks: Any) -> None:
        """One epoch; where it has a size, the data goes on where the last epoch stopped, and begins anew at its end.

        Raises:
            ValueError: the data gives no batch.
        """
        self._metric.reset()
        nbatch = 0
        while True:
            fresh, seen = self._rows is None, nbatch
            self._rows = iter(self._data) if fresh else self._rows
            for data_batch in self._rows:
                self._step(data_batch)
                nbatch += 1
                self._call(callbacks, number, nbatch, data_batch)
                if nbatch == self._size:
                    return
            if fresh and nbatch == seen:
                raise DataError("the training data gives no batch", fix="reset it, or give at least a batch of samples")
            self._logger.info("Epoch[%d] Resetting Data Iterator", number)
            self._data.reset()
            self._rows = None
            if self._size is None:
                return

    def _step(self, batch: Any) -> None:
        if self._monitor is not None:
            self._monitor.tic()
        self._tell(batch)
        self._module.forward_backward(batch)
        self._module.update()
        if self._monitor is not None:
            self._monitor.toc_print()
        self._module.update_metric(self._metric, batch.label)

    def _call(self, callbacks: Any, epoch: int, nbatch: int, data_batch: Any) -> None:
        told = BatchEndParam(epoch, nbatch, self._metric, {"self": self, "data_batch": data_batch})
        for call in _as_list(callbacks or []):
            call(told)

    def validate(self, epoch: int, data: Any, batch_callbacks: Any, callbacks: Any) -> None:
        """Measure the network by the same metric."""
        self._metric.reset()
        data.reset()
        seen = 0
        for seen, batch in enumerate(data, 1):
            self._tell(batch)
            self._module.forward(batch, is_train=False)
            self._module.update_metric(self._metric, batch.label)
            self._call(batch_callbacks, epoch, seen - 1, batch)
        self._call(callbacks, epoch, seen, None)
        data.reset()
