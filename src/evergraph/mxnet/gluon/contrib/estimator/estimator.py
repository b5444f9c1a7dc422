"""A training loop for gluon networks, with handlers for its events."""

import copy
import logging
import sys
import warnings
from typing import Any

from evergraph.errors import printable
from evergraph.mxnet.context import Context, cpu, gpu, num_gpus
from evergraph.mxnet.gluon.block import Block
from evergraph.mxnet.gluon.contrib.estimator.batch_processor import BatchProcessor
from evergraph.mxnet.gluon.contrib.estimator.event_handler import (
    BatchBegin,
    BatchEnd,
    EpochBegin,
    EpochEnd,
    GradientUpdateHandler,
    LoggingHandler,
    MetricHandler,
    StoppingHandler,
    TrainBegin,
    TrainEnd,
    ValidationHandler,
)
from evergraph.mxnet.gluon.contrib.estimator.utils import (
    _check_event_handlers,
    _check_handler_metric_ref,
    _check_metrics,
    _suggest_metric_for_loss,
)
from evergraph.mxnet.gluon.data import DataLoader
from evergraph.mxnet.gluon.errors import BlockTypeError, BlockValueError, ParameterFitError
from evergraph.mxnet.gluon.loss import Loss
from evergraph.mxnet.gluon.trainer import Trainer
from evergraph.mxnet.gluon.utils import split_and_load
from evergraph.mxnet.metric import Loss as LossMetric

__all__ = ["Estimator"]

_KINDS = TrainBegin, EpochBegin, BatchBegin, BatchEnd, EpochEnd, TrainEnd


class Estimator:
    """Trains and validates a network.

    Args:
        net: the network.
        loss: what is minimized, one of `gluon.loss`.
        train_metrics: metrics of training, one or a list; the loss, and accuracy for classification, where none are.
        val_metrics: metrics of validation; those of training where none are given.
        initializer: how parameters begin that have no values yet.
        trainer: the optimizer; plain gradient descent with a rate of 0.001 where none is given.
        context: one device or a list; all GPUs, or the CPU, where none is given.
        val_net: the network of validation; `net` where none is given.
        val_loss: the loss of validation; `loss` where none is given.
        batch_processor: what is computed for a batch.

    Raises:
        ValueError: something of another kind.
        AssertionError: a GPU that is not there.

    >>> import evergraph.mxnet as mx
    >>> net = mx.gluon.nn.Dense(2, in_units=3); net.initialize()
    >>> trainer = mx.gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1})
    >>> estimator = Estimator(net, mx.gluon.loss.SoftmaxCrossEntropyLoss(), mx.metric.Accuracy(), trainer=trainer)
    >>> data = mx.gluon.data.ArrayDataset(mx.nd.ones((8, 3)), mx.nd.zeros(8))
    >>> estimator.logger.setLevel("WARNING"); estimator.fit(mx.gluon.data.DataLoader(data, batch_size=4), epochs=5)
    >>> estimator.train_metrics[0].get()
    ('training accuracy', 1.0)
    """

    logger: Any = None

    def __init__(
        self,
        net: Any,
        loss: Any,
        train_metrics: Any = None,
        val_metrics: Any = None,
        initializer: Any = None,
        trainer: Any = None,
        context: Any = None,
        val_net: Any = None,
        val_loss: Any = None,
        batch_processor: Any = None,
    ) -> None:
        for what, each in (("net", net), ("val_net", val_net)):
            if (each is not None or what == "net") and not isinstance(each, Block):
                raise BlockValueError(f"{what} must be a Block, refer to gluon.Block", found=printable(each))
        self.net, self.loss = net, self._check_loss(loss)
        self._train_metrics, self._val_metrics = _check_metrics(train_metrics), _check_metrics(val_metrics)
        self._add_default_training_metrics()
        self._add_validation_metrics()
        self.val_loss = self.loss if val_loss is None else self._check_loss(val_loss)
        self.val_net = self.net if val_net is None else val_net
        self.logger = logging.Logger(name="Estimator", level=logging.INFO)
        self.logger.addHandler(logging.StreamHandler(sys.stdout))
        self.context = self._check_context(context)
        self._initialize(initializer)
        self.trainer = self._check_trainer(trainer)
        self.batch_processor = self._check_batch_processor(batch_processor)

    # ---- what it is given

    def _check_loss(self, loss: Any) -> Any:
        if not isinstance(loss, Loss):
            raise BlockValueError("loss must be a Loss, refer to gluon.loss.Loss", found=printable(loss))
        return loss

    def _check_context(self, context: Any) -> list[Any]:
        available = [gpu(i) for i in range(num_gpus())]
        if context is None:
            return available or [cpu()]
        found = [context] if isinstance(context, Context) else context
        if not isinstance(found, (list, tuple)) or not all(isinstance(c, Context) for c in found):
            raise BlockValueError(
                "context must be a Context or a list of Context, for example mx.cpu() or [mx.gpu(0), mx.gpu(1)]",
                found=printable(context),
            )
        for each in found:
            if each.device_type == "gpu" and each not in available:
                raise ParameterFitError(
                    f"{each} is not available, please make sure your context is in one of: mx.cpu(), "
                    + ", ".join(str(c) for c in available)
                )
        return list(found)

    def _check_batch_processor(self, batch_processor: Any) -> Any:
        if batch_processor is None:
            return BatchProcessor()
        if not all(callable(getattr(batch_processor, n, None)) for n in ("fit_batch", "evaluate_batch")):
            raise BlockValueError(
                "Customized Batch Processor must contain fit_batch() and evaluate_batch() methods",
                found=type(batch_processor).__name__,
            )
        return batch_processor

    def _initialize(self, initializer: Any) -> None:
        if not self._is_initialized():
            if initializer is None:
                self.net.initialize(ctx=self.context)
            else:
                self.net.initialize(init=initializer, ctx=self.context)
        elif initializer is not None:
            warnings.warn(
                UserWarning(
                    "the network has its values already, and the initializer is not used;"
                    " net.initialize(init=..., force_reinit=True) gives it new ones"
                ),
                stacklevel=3,
            )

    def _is_initialized(self) -> bool:
        try:
            for each in self.net.collect_params().values():
                each.list_ctx()
        except RuntimeError:  # what a parameter says that has no values
            return False
        return True

    def _check_trainer(self, trainer: Any) -> Any:
        if trainer is None:
            warnings.warn(
                UserWarning("No trainer specified, default SGD optimizer with learning rate 0.001 is used."),
                stacklevel=3,
            )
            return Trainer(self.net.collect_params(), "sgd", {"learning_rate": 0.001})
        if not isinstance(trainer, Trainer):
            raise BlockValueError(
                "Trainer must be a Gluon Trainer instance, refer to gluon.Trainer", found=printable(trainer)
            )
        return trainer

    # ---- metrics

    def _add_default_training_metrics(self) -> None:
        if not self._train_metrics:
            suggested = _suggest_metric_for_loss(self.loss)
            named = LossMetric(self.loss.name.rstrip("0123456789"))
            self._train_metrics = [named] if suggested is None else [suggested, named]
        for metric in self._train_metrics:
            metric.name = f"training {metric.name}"

    def _add_validation_metrics(self) -> None:
        if not self._val_metrics:
            self._val_metrics = copy.deepcopy(self._train_metrics)
            for metric in self._val_metrics:
                metric.name = metric.name.replace("training", "validation")
        else:
            for metric in self._val_metrics:
                metric.name = f"validation {metric.name}"

    @property
    def train_metrics(self) -> list[Any]:
        """Metrics of training; their names begin with "training "."""
        return self._train_metrics

    @property
    def val_metrics(self) -> list[Any]:
        """Metrics of validation; their names begin with "validation "."""
        return self._val_metrics

    # ---- running

    def _get_data_and_label(self, batch: Any, ctx: Any, batch_axis: int = 0) -> tuple[list[Any], list[Any]]:
        return split_and_load(batch[0], ctx, batch_axis), split_and_load(batch[1], ctx, batch_axis)

    def evaluate(self, val_data: Any, batch_axis: int = 0, event_handlers: Any = None) -> None:
        """Validate: `val_metrics` are those of this pass afterwards.

        Args:
            val_data: a `DataLoader`.
            batch_axis: the axis of the samples.
            event_handlers: handlers beside those of metrics and log, one or a list.

        Raises:
            ValueError: something of another kind.
        """
        _check_loader(val_data)
        handlers = self._prepare_default_validation_handlers(event_handlers)
        _, epoch_begin, batch_begin, batch_end, epoch_end, _ = self._categorize_handlers(handlers)
        for handler in epoch_begin:
            handler.epoch_begin(self)
        for batch in val_data:
            for handler in batch_begin:
                handler.batch_begin(self, batch=batch)
            _, label, pred, loss = self.batch_processor.evaluate_batch(self, batch, batch_axis)
            for handler in batch_end:
                handler.batch_end(self, batch=batch, pred=pred, label=label, loss=loss)
        for handler in epoch_end:
            handler.epoch_end(self)

    def fit(
        self,
        train_data: Any,
        val_data: Any = None,
        epochs: int | None = None,
        event_handlers: Any = None,
        batches: int | None = None,
        batch_axis: int = 0,
    ) -> None:
        """Train for some epochs, or for some batches.

        Args:
            train_data: a `DataLoader`.
            val_data: another one, for a validation after each epoch.
            epochs: number of passes over the data.
            event_handlers: handlers, one or a list; what is missing of updates, metrics, validation and log is added.
            batches: number of batches, in place of `epochs`.
            batch_axis: the axis of the samples.

        Raises:
            ValueError: something of another kind, or not exactly one of `epochs` and `batches`.
        """
        _check_loader(train_data)
        if val_data is not None:
            _check_loader(val_data)
        if bool(epochs) == bool(batches) or (epochs or batches or 0) < 0:
            raise BlockValueError(
                "Fit only support exactly one type of iteration, train by number of epochs or number of batches.",
                expected="epochs or batches, a positive number",
                found=f"epochs={printable(epochs)}, batches={printable(batches)}",
            )
        self.max_epoch, self.max_batch, self.batch_axis = epochs, batches, batch_axis
        handlers = self._prepare_default_handlers(val_data, event_handlers)
        train_begin, epoch_begin, batch_begin, batch_end, epoch_end, train_end = self._categorize_handlers(handlers)
        for handler in train_begin:
            handler.train_begin(self)
        going = True
        while going:
            for handler in epoch_begin:
                handler.epoch_begin(self)
            for batch in train_data:
                for handler in batch_begin:
                    handler.batch_begin(self, batch=batch)
                _, label, pred, loss = self.batch_processor.fit_batch(self, batch, batch_axis)
                seen = {"batch": batch, "pred": pred, "label": label, "loss": loss}
                if any([handler.batch_end(self, **seen) for handler in batch_end]):  # noqa: C419  # all are called
                    break
            going = not any([handler.epoch_end(self) for handler in epoch_end])  # noqa: C419  # all are called
        for handler in train_end:
            handler.train_end(self)

    # ---- handlers

    def _prepare_default_handlers(self, val_data: Any, event_handlers: Any) -> list[Any]:
        # a list of its own: MXNet adds to the caller's, whose next training then has these handlers twice
        found = list(_check_event_handlers(event_handlers))
        kinds = tuple(type(h) for h in found)
        found.append(StoppingHandler(self.max_epoch, self.max_batch))
        if not _has(kinds, GradientUpdateHandler):
            found.append(GradientUpdateHandler())
        if not _has(kinds, MetricHandler):
            found.append(MetricHandler(metrics=self.train_metrics))
        if val_data is not None and not _has(kinds, ValidationHandler):
            found.append(ValidationHandler(val_data=val_data, eval_fn=self.evaluate))
        if not _has(kinds, LoggingHandler):
            found.append(LoggingHandler(metrics=self.train_metrics))
        return self._in_order(found, [*self.train_metrics, *self.val_metrics])

    def _prepare_default_validation_handlers(self, event_handlers: Any) -> list[Any]:
        found = list(_check_event_handlers(event_handlers))
        kinds = tuple(type(h) for h in found)
        if not _has(kinds, MetricHandler):
            found.append(MetricHandler(metrics=self.val_metrics))
        if not _has(kinds, LoggingHandler):
            found.append(LoggingHandler(metrics=self.val_metrics))
        return self._in_order(found, [*self.train_metrics, *self.val_metrics])

    @staticmethod
    def _in_order(handlers: list[Any], known: list[Any]) -> list[Any]:
        for handler in handlers:
            _check_handler_metric_ref(handler, known)
        return sorted(handlers, key=lambda h: getattr(h, "priority", 0))

    def _categorize_handlers(self, event_handlers: Any) -> tuple[list[Any], ...]:
        """Handlers by event: beginnings of training, epochs and batches, then ends of batches, epochs and training."""
        return tuple([h for h in event_handlers if isinstance(h, kind)] for kind in _KINDS)


def _has(kinds: tuple[type, ...], wanted: type) -> bool:
    return any(issubclass(kind, wanted) for kind in kinds)


class _LoaderError(BlockTypeError, BlockValueError):
    """Data of another kind than a loader."""


def _check_loader(data: Any) -> None:
    if not isinstance(data, DataLoader):
        raise _LoaderError(
            "Estimator only support input as Gluon DataLoader",
            found=type(data).__name__,
            fix="put arrays or a DataIter into a gluon.data.DataLoader",
        )
