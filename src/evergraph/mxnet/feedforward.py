"""`mx.model.FeedForward`: the older interface to training, over Module."""

import logging
import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from evergraph.errors import UsageError
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.base import _as_list
from evergraph.mxnet.callback import CheckpointCallback, LogValidationMetricsCallback
from evergraph.mxnet.context import Context, cpu
from evergraph.mxnet.feedforward_loop import Loop, bucketing
from evergraph.mxnet.initializer import Uniform
from evergraph.mxnet.io import NDArrayIter
from evergraph.mxnet.metric import create
from evergraph.mxnet.model import load_checkpoint, save_checkpoint
from evergraph.mxnet.module import Module
from evergraph.mxnet.module.batches import batches
from evergraph.mxnet.symbol import Symbol

__all__ = ["FeedForward"]


class _StateError(UsageError, AssertionError, ValueError):
    """A step before those that it needs."""


class _InputError(UsageError, TypeError):
    """Data that is neither arrays nor batches."""


class _Inputs(NamedTuple):
    """What `batches` wants to know of the network that it describes batches for."""

    data_names: list[str]
    label_names: list[str]
    binded: bool = False


class FeedForward:
    """A network that is fitted to arrays.

    Args:
        symbol: what is computed, or a function from a batch's `bucket_key` to it.
        ctx: a device, or a list of them.
        num_epoch: the epoch before which training ends.
        epoch_size: batches of an epoch; all of the data's where not given.
        optimizer: the optimizer, or its name.
        initializer: fills parameters.
        numpy_batch_size: batch size for arrays.
        arg_params: parameters.
        aux_params: auxiliary states.
        allow_extra_params: whether parameters that the network does not have are passed over.
        begin_epoch: the first epoch.
        kwargs: settings of the optimizer.
    """

    def __init__(
        self,
        symbol: Any,
        ctx: Any = None,
        num_epoch: int | None = None,
        epoch_size: int | None = None,
        optimizer: Any = "sgd",
        initializer: Any = Uniform(0.01),  # noqa: B008 - MXNet's signature; it holds no state
        numpy_batch_size: int = 128,
        arg_params: Mapping[str, Any] | None = None,
        aux_params: Mapping[str, Any] | None = None,
        allow_extra_params: bool = False,
        begin_epoch: int = 0,
        **kwargs: Any,
    ) -> None:
        warnings.warn(
            "mxnet.model.FeedForward has been deprecated. Please use mxnet.mod.Module instead.",
            DeprecationWarning,
            stacklevel=2,
        )
        self.sym_gen = symbol if callable(symbol) and not isinstance(symbol, Symbol) else None
        self.symbol: Any = symbol
        self.num_epoch, self.epoch_size = num_epoch, epoch_size
        self.ctx = [cpu()] if ctx is None else [ctx] if isinstance(ctx, Context) else list(ctx)
        self.optimizer, self.initializer, self.numpy_batch_size = optimizer, initializer, numpy_batch_size
        self.arg_params, self.aux_params = arg_params, aux_params
        self.allow_extra_params, self.begin_epoch, self.kwargs = allow_extra_params, begin_epoch, dict(kwargs)

    # ---- data

    def _labels(self) -> list[str]:
        return [n for n in self.symbol.list_arguments() if n.endswith("label")]

    def _iterator(self, data: Any, label: Any, training: bool) -> Any:
        """Arrays as an iterator; whatever gives batches as such.

        Raises:
            TypeError: neither.
            ValueError: labels are absent, of another number, or no single numbers.
        """
        if hasattr(data, "provide_data"):
            return data
        names = self._labels()
        if isinstance(data, (list, tuple)) and len(data) == 2 and label is None:
            data, label = data
        if not isinstance(data, (nd.NDArray, np.ndarray, list, tuple)):
            if not hasattr(data, "__getitem__") and not hasattr(data, "__iter__"):
                raise _InputError("X must be DataIter, NDArray or numpy.ndarray", found=type(data).__name__)
            return batches(data, _Inputs([n for n in self.symbol.list_arguments() if n == "data"], names))
        array = data if isinstance(data, nd.NDArray) else np.asarray(data)
        if label is None and training:
            raise _StateError("y must be specified when X is numpy.ndarray")
        label = np.zeros(array.shape[0], "float32") if label is None else label
        if len(label) != array.shape[0]:
            raise _StateError(
                "The numbers of data points and labels not equal", expected=array.shape[0], found=len(label)
            )
        label = label if isinstance(label, nd.NDArray) else np.asarray(label)
        if label.ndim > 1 and label.size != label.shape[0]:
            raise _StateError("Label must be 1D or 2D (with 2nd dimension being 1)", found=tuple(label.shape))
        label = label.reshape((-1,))
        size = min(array.shape[0], self.numpy_batch_size)
        how = {"shuffle": training, "last_batch_handle": "roll_over" if training else "pad"}
        return NDArrayIter(array, label, size, label_name=names[0] if names else "softmax_label", **how)

    def _module(self, data: Any, **settings: Any) -> Module:
        names = [d[0] for d in data.provide_data]
        return Module(self.symbol, names, self._labels() or None, context=self.ctx, **settings)

    # ---- work

    def fit(
        self,
        X: Any,
        y: Any = None,
        eval_data: Any = None,
        eval_metric: Any = "acc",
        epoch_end_callback: Any = None,
        batch_end_callback: Any = None,
        kvstore: Any = "local",
        logger: Any = None,
        work_load_list: Any = None,
        monitor: Any = None,
        eval_end_callback: Any = LogValidationMetricsCallback(),  # noqa: B008 - it holds no state
        eval_batch_end_callback: Any = None,
    ) -> None:
        """Train.

        Args:
            X: arrays, or batches.
            y: labels, where X is an array.
            eval_data: batches, or a pair of arrays, for validation.
            eval_metric: what it is measured by.
            epoch_end_callback: called after each epoch.
            batch_end_callback: called after each batch.
            kvstore: how gradients of several devices meet.
            logger: where it logs.
            work_load_list: each device's share of a batch.
            monitor: watches values.
            eval_end_callback: called after each validation; logs the metric where not given.
            eval_batch_end_callback: called after each of its batches.
        """
        if self.num_epoch is None:
            raise _StateError("please specify number of epochs")
        data = self._iterator(X, y, True)
        if eval_data is not None:
            eval_data = self._iterator(eval_data, None, True)
        log = logging if logger is None else logger
        log.info("Start training with %s", str(self.ctx))
        module, tell = self._prepared(data, log, work_load_list, kvstore, monitor)
        loop = Loop(module, data, create(eval_metric), self.epoch_size, log, monitor, tell)
        data.reset()
        for epoch in range(self.begin_epoch, self.num_epoch):
            tic = time.time()
            loop.epoch(epoch, batch_end_callback)
            log.info("Epoch[%d] Time cost=%.3f", epoch, time.time() - tic)
            self.arg_params, self.aux_params = module.get_params()
            for call in _as_list(epoch_end_callback or []):
                call(epoch, self.symbol, self.arg_params, self.aux_params)
            if eval_data is not None:
                loop.validate(epoch, eval_data, eval_batch_end_callback, eval_end_callback)
        for call in _as_list(epoch_end_callback or []):
            if isinstance(call, CheckpointCallback):
                call.wait()

    def _prepared(self, data: Any, logger: Any, work_load_list: Any, kvstore: Any, monitor: Any) -> tuple[Any, Any]:
        """The module that is trained, with its optimizer, and what is told each batch before it runs."""
        tell: Callable[[Any], None] = lambda _: None
        if self.sym_gen is None:
            module = self._module(data, logger=logger, work_load_list=work_load_list)
        else:
            module, tell = bucketing(self.sym_gen, data, logger, self.ctx, work_load_list)
        module.bind(data.provide_data, data.provide_label)
        self.symbol = module.symbol
        if monitor is not None:
            module.install_monitor(monitor)
        module.init_params(self.initializer, allow_missing=True, **self._given())
        module.init_optimizer(kvstore, self.optimizer, self.kwargs)
        return module, tell

    def _given(self) -> dict[str, Any]:
        """The first values that there are for the network."""
        if self.arg_params is None:
            return {}
        parts = {"arg_params": dict(self.arg_params), "aux_params": dict(self.aux_params or {})}
        if not self.allow_extra_params:
            return parts
        known = set(self.symbol.list_inputs())
        return {k: {n: v for n, v in part.items() if n in known} for k, part in parts.items()}

    def _bound(self, data: Any) -> Module:
        if self.arg_params is None:
            raise _StateError("the network has no parameters", fix="fit it, load it, or give arg_params")
        module = self._module(data)
        module.bind(data.provide_data, data.provide_label or None, for_training=False)
        module.init_params(None, self.arg_params, self.aux_params or {}, allow_extra=True)
        return module

    def predict(self, X: Any, num_batch: int | None = None, return_data: bool = False, reset: bool = True) -> Any:
        """The outputs for arrays or batches, as NumPy arrays.

        Args:
            X: arrays, or batches.
            num_batch: how many batches at most.
            return_data: whether data and labels are given too.
            reset: whether the data begins anew.
        """
        data = self._iterator(X, None, False)
        module = self._bound(data)
        outputs, inputs, labels = [], [], []
        for found, _, batch in module.iter_predict(data, num_batch, reset):
            outputs.append([o.asnumpy() for o in found])
            keep = batch.data[0].shape[0] - (batch.pad or 0)
            inputs.append([x[:keep].asnumpy() for x in batch.data])
            labels.append([x[:keep].asnumpy() for x in batch.label or []])
        joined = [[np.concatenate(c) for c in zip(*rows, strict=True)] for rows in (outputs, inputs, labels)]
        result, *rest = [part[0] if len(part) == 1 else part for part in joined]
        return (result, *rest) if return_data else result

    def score(
        self,
        X: Any,
        eval_metric: Any = "acc",
        num_batch: int | None = None,
        batch_end_callback: Any = None,
        reset: bool = True,
    ) -> Any:
        """The value of a metric over batches, or a pair of arrays."""
        data = self._iterator(X, None, False)
        rows = self._bound(data).score(data, eval_metric, num_batch, batch_end_callback, reset=reset)
        values = [v for _, v in rows]
        return values[0] if len(values) == 1 else values

    # ---- files

    def save(self, prefix: str, epoch: int | None = None, remove_amp_cast: bool = True) -> None:
        """Save symbol and parameters.

        Args:
            prefix: `prefix-symbol.json` and `prefix-0001.params` are written.
            epoch: number of the epoch; `num_epoch` where not given.
            remove_amp_cast: whether casts of automatic mixed precision are left out.
        """
        number = self.num_epoch if epoch is None else epoch
        if number is None or self.arg_params is None:
            raise _StateError("a number of the epoch and parameters are needed to save")
        save_checkpoint(prefix, number, self.symbol, self.arg_params, self.aux_params or {}, remove_amp_cast)

    @staticmethod
    def load(prefix: str, epoch: int, ctx: Any = None, **kwargs: Any) -> "FeedForward":
        """The network of a checkpoint; see `FeedForward` for `ctx` and `kwargs`."""
        symbol, args, auxs = load_checkpoint(prefix, epoch)
        return FeedForward(symbol, ctx, arg_params=args, aux_params=auxs, begin_epoch=epoch, **kwargs)

    @staticmethod
    def create(
        symbol: Any,
        X: Any,
        y: Any = None,
        ctx: Any = None,
        num_epoch: int | None = None,
        epoch_size: int | None = None,
        optimizer: Any = "sgd",
        initializer: Any = Uniform(0.01),  # noqa: B008 - MXNet's signature; it holds no state
        eval_data: Any = None,
        eval_metric: Any = "acc",
        epoch_end_callback: Any = None,
        batch_end_callback: Any = None,
        kvstore: Any = "local",
        logger: Any = None,
        work_load_list: Any = None,
        eval_end_callback: Any = LogValidationMetricsCallback(),  # noqa: B008 - it holds no state
        eval_batch_end_callback: Any = None,
        **kwargs: Any,
    ) -> "FeedForward":
        """A network that is fitted at once; see `FeedForward` and `fit`."""
        found = FeedForward(symbol, ctx, num_epoch, epoch_size, optimizer, initializer, **kwargs)
        found.fit(
            X,
            y,
            eval_data,
            eval_metric,
            epoch_end_callback,
            batch_end_callback,
            kvstore,
            logger,
            work_load_list,
            eval_end_callback=eval_end_callback,
            eval_batch_end_callback=eval_batch_end_callback,
        )
        return found
