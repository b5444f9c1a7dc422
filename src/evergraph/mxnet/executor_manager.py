"""`mx.executor_manager`: training loops of their own over several devices, as programs before `Module` wrote them.

>>> _split_input_slice(10, [1, 1])
[slice(0, 5, None), slice(5, 10, None)]
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evergraph.errors import UsageError, collect, printable
from evergraph.mxnet.context import Context
from evergraph.mxnet.module.executor_group import DataParallelExecutorGroup as _Group
from evergraph.mxnet.module.executor_group import split_input_slice as _split_input_slice

__all__ = ["DataParallelExecutorGroup", "DataParallelExecutorManager"]


class _ManagerError(UsageError, AssertionError, ValueError):
    """A symbol, devices or batches that do not fit together."""


def _check_arguments(symbol: Any) -> None:
    """Refuse a symbol that has two inputs of one name."""
    for kind, names in (("argument", symbol.list_arguments()), ("auxiliary state", symbol.list_auxiliary_states())):
        twice = [f"{printable(n)}: {count} times" for n, count in Counter(names).items() if count > 1]
        collect(_ManagerError, f"{kind}s of one name", twice, fix="give each layer a name of its own")


def _load_general(data: Sequence[Any], targets: Sequence[Any]) -> None:
    for source, parts in zip(data, targets, strict=False):
        if not isinstance(parts, list):
            source.copyto(parts)
            continue
        for part, target in parts:
            source[part.start : part.stop].copyto(target)


def _load_data(batch: Any, targets: Sequence[Any]) -> None:
    """Copy a batch's data into arrays, or into (slice, array) pairs of each device."""
    _load_general(batch.data, targets)


def _load_label(batch: Any, targets: Sequence[Any]) -> None:
    """Copy a batch's labels into arrays, or into (slice, array) pairs of each device."""
    _load_general(batch.label, targets)


class DataParallelExecutorGroup:
    """Executors of one symbol, one for each device, that share the parameters of another group.

    Args:
        sym: what is computed.
        arg_names: names of its arguments.
        param_names: arguments that are parameters.
        ctx: the devices.
        slices: each device's part of a batch.
        train_data: an iterator; its shapes are bound.
        shared_group: a group whose parameters are shared.
    """

    def __init__(
        self,
        sym: Any,
        arg_names: Sequence[str],
        param_names: Sequence[str],
        ctx: Sequence[Context],
        slices: Sequence[slice],
        train_data: Any,
        shared_group: "DataParallelExecutorGroup | None" = None,
    ) -> None:
        _check_arguments(sym)
        self.slices, self._batch = list(slices), None
        shared = None if shared_group is None else shared_group._group
        work = [part.stop - part.start for part in slices]
        shapes = list(train_data.provide_data), list(train_data.provide_label)
        self._group = _Group(sym, ctx, work, *shapes, param_names, True, False, shared)
        self.data_names, self.label_names = self._group.data_names, self._group.label_names
        self.aux_names, self.param_names = self._group.aux_names, self._group.param_names
        self.train_execs = self._group.execs
        self.data_arrays, self.label_arrays = self._group.data_arrays, self._group.label_arrays
        self.param_arrays, self.grad_arrays = self._group.param_arrays, self._group.grad_arrays
        self.aux_arrays = self._group.aux_arrays

    def load_data_batch(self, data_batch: Any) -> None:
        """Copy a batch to the devices."""
        _load_data(data_batch, self.data_arrays)
        _load_label(data_batch, self.label_arrays)

    def forward(self, is_train: bool = False) -> None:
        """Run the batch that was loaded."""
        for each in self.train_execs:
            each.forward(is_train=is_train)

    def backward(self) -> None:
        """Compute the gradients."""
        self._group.backward()

    def update_metric(self, metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Give labels and outputs to a metric."""
        for i, (each, part) in enumerate(zip(self.train_execs, self.slices, strict=True)):
            metric.update(labels[i] if pre_sliced else [x[part.start : part.stop] for x in labels], each.outputs)


class DataParallelExecutorManager:
    """A symbol on several devices, or one for each bucket of batches.

    Args:
        symbol: what is computed.
        ctx: the devices.
        train_data: an iterator; its shapes are bound.
        arg_names: names of the arguments; the symbol's where not given.
        param_names: arguments that are parameters; all but data and labels where not given.
        aux_names: auxiliary states; the symbol's where not given.
        work_load_list: each device's share of a batch; equal shares where not given.
        logger: where it logs.
        sym_gen: makes the symbol of a bucket's key.

    Raises:
        AssertionError: shares of work for another number of devices.
    """

    def __init__(
        self,
        symbol: Any,
        ctx: Sequence[Context],
        train_data: Any,
        arg_names: Sequence[str] | None = None,
        param_names: Sequence[str] | None = None,
        aux_names: Sequence[str] | None = None,
        work_load_list: Sequence[float] | None = None,
        logger: Any = None,
        sym_gen: Callable[[Any], Any] | None = None,
    ) -> None:
        work = [1] * len(ctx) if work_load_list is None else list(work_load_list)
        if len(work) != len(ctx):
            raise _ManagerError("work_load_list has another length than ctx", expected=len(ctx), found=len(work))
        (logger or logging).info("Start training with %s", str(ctx))
        inputs = {d[0] for d in (*train_data.provide_data, *train_data.provide_label)}
        self.ctx, self.symbol, self.sym_gen = list(ctx), symbol, sym_gen
        self.arg_names = list(symbol.list_arguments() if arg_names is None else arg_names)
        named = [n for n in self.arg_names if n not in inputs]
        self.param_names = named if param_names is None else list(param_names)
        self.aux_names = list(symbol.list_auxiliary_states() if aux_names is None else aux_names)
        self.slices = _split_input_slice(train_data.batch_size, work)
        self.execgrp = self.curr_execgrp = self._grouped(symbol, train_data)
        self.execgrp_bucket = {} if sym_gen is None else {train_data.default_bucket_key: self.execgrp}

    def _grouped(self, symbol: Any, data: Any, shared: Any = None) -> DataParallelExecutorGroup:
        names = symbol.list_arguments()
        parameters = [n for n in names if n in set(self.param_names)]
        return DataParallelExecutorGroup(symbol, names, parameters, self.ctx, self.slices, data, shared)

    def install_monitor(self, monitor: Any) -> None:
        """Let a monitor watch every executor.

        Raises:
            AssertionError: there are buckets.
        """
        if self.sym_gen is not None:
            raise _ManagerError("Monitoring is not implemented for bucketing", fix="use BucketingModule")
        for each in self.execgrp.train_execs:
            monitor.install(each)

    def set_params(self, arg_params: Mapping[str, Any], aux_params: Mapping[str, Any]) -> None:
        """Copy parameters to every device."""
        for each in self.execgrp.train_execs:
            each.copy_params_from(arg_params, aux_params)

    def copy_to(self, arg_params: Mapping[str, Any], aux_params: Mapping[str, Any]) -> None:
        """Copy the devices' mean into these arrays."""
        self.execgrp._group.get_params(arg_params, aux_params)

    @property
    def param_arrays(self) -> list[Any]:
        """Each parameter's arrays, one for each device."""
        return self.execgrp.param_arrays

    @property
    def grad_arrays(self) -> list[Any]:
        """Each parameter's gradients, one for each device."""
        return self.execgrp.grad_arrays

    @property
    def aux_arrays(self) -> list[Any]:
        """Each auxiliary state's arrays, one for each device."""
        return self.execgrp.aux_arrays

    def load_data_batch(self, data_batch: Any) -> None:
        """Copy a batch to the devices, those of its bucket where there are buckets."""
        if self.sym_gen is not None:
            key = data_batch.bucket_key
            if key not in self.execgrp_bucket:
                self.execgrp_bucket[key] = self._grouped(self.sym_gen(key), data_batch, self.execgrp)
            self.curr_execgrp = self.execgrp_bucket[key]
        self.curr_execgrp.load_data_batch(data_batch)

    def forward(self, is_train: bool = False) -> None:
        """Run the batch that was loaded."""
        self.curr_execgrp.forward(is_train=is_train)

    def backward(self) -> None:
        """Compute the gradients."""
        self.curr_execgrp.backward()

    def update_metric(self, metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Give labels and outputs to a metric."""
        self.curr_execgrp.update_metric(metric, labels, pre_sliced)
