"""What all modules share: the loops of fit, score and predict over what subclasses define."""

import logging
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from evergraph.errors import FormatError, UsageError, collect, printable
from evergraph.mxnet import metric as metrics
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.base import _as_list
from evergraph.mxnet.callback import CheckpointCallback
from evergraph.mxnet.context import cpu
from evergraph.mxnet.initializer import Uniform
from evergraph.mxnet.io import DataBatch, DataDesc
from evergraph.mxnet.model import BatchEndParam
from evergraph.mxnet.module.batches import DataError, batches, present
from evergraph.mxnet.module.guard import Guard
from evergraph.mxnet.resume.session import Unsaved, begin
from evergraph.mxnet.undo import Steps

__all__ = ["BaseModule", "ModuleStateError", "check_all_names", "check_input_names", "parse_data_desc"]

_PARAMETERS = ("_weight", "_bias", "_gamma", "_beta")


class ModuleStateError(UsageError, AssertionError):
    """A step before those that it needs: bind, init_params, init_optimizer."""


class _NamesError(UsageError, ValueError):
    """Names of inputs that the symbol does not have, or that the data does not give."""


def check_input_names(symbol: Any, names: Sequence[str], typename: str, throw: bool) -> None:
    """Raise, or warn, where the symbol has no such arguments."""
    arguments = symbol.list_arguments()
    wrong = [n for n in names if n not in arguments]
    if not wrong:
        return
    near = [a for a in arguments if not a.endswith(_PARAMETERS)]
    message = (
        f"You created Module with Module(..., {typename}_names={list(names)}) but"
        f" {', '.join(map(repr, wrong))} not found in symbol.list_arguments(). Did you mean one of: {', '.join(near)}"
    )
    if throw:
        raise _NamesError(message)
    warnings.warn(message, stacklevel=4)


def check_all_names(symbol: Any, named: Mapping[str, Sequence[str]]) -> None:
    """Raise where the symbol lacks arguments of any of these kinds; all are told."""
    arguments = set(symbol.list_arguments())
    kinds = {what: names for what, names in named.items() if not arguments.issuperset(names)}
    if len(kinds) > 1:
        lines = [
            f"{what}_names: {', '.join(printable(n) for n in names if n not in arguments)}"
            for what, names in kinds.items()
        ]
        known = ", ".join(printable(n) for n in symbol.list_arguments())
        collect(_NamesError, "names not found in symbol.list_arguments()", lines, expected=known)
    for what, names in kinds.items():
        check_input_names(symbol, names, what, throw=True)


def _check_names_match(names: Sequence[str], shapes: Sequence[Any], what: str, throw: bool) -> None:
    actual = [d.name for d in shapes]
    if sorted(names) == sorted(actual):
        return
    message = f"Data provided by {what}_shapes don't match names specified by {what}_names ({actual} vs. {list(names)})"
    if throw:
        raise _NamesError(message)
    warnings.warn(message, stacklevel=5)


def parse_data_desc(
    data_names: Sequence[str], label_names: Sequence[str], data_shapes: Any, label_shapes: Any
) -> tuple[list[Any], list[Any] | None]:
    """Descriptions of data and labels, once their names are found to be those of the module."""
    data = [x if isinstance(x, DataDesc) else DataDesc(*x) for x in data_shapes]
    labels = [x if isinstance(x, DataDesc) else DataDesc(*x) for x in label_shapes] if label_shapes else None
    _check_names_match(data_names, data, "data", True)
    _check_names_match(label_names, labels or [], "label", False)
    return data, labels


class BaseModule:
    """The interface of modules: bind, init_params, init_optimizer, forward, backward, update; and loops over them.

    Args:
        logger: where it logs.
    """

    def __init__(self, logger: Any = logging) -> None:
        self.logger = logger
        self.binded = self.for_training = self.inputs_need_grad = False
        self.params_initialized = self.optimizer_initialized = False
        self._symbol: Any = None
        self._total_exec_bytes = 0

    def _require(self, *states: str) -> None:
        """Raise where a step was left out."""
        words = {
            "binded": "bind it: module.bind(data_shapes=..., label_shapes=...)",
            "params_initialized": "initialize its parameters: module.init_params()",
            "optimizer_initialized": "initialize its optimizer: module.init_optimizer()",
            "inputs_need_grad": "bind it with inputs_need_grad=True",
        }
        missing = [words[s] for s in states if not getattr(self, s)]
        collect(ModuleStateError, "the module is not ready for this", missing)

    @property
    def symbol(self) -> Any:
        """The symbol."""
        return self._symbol

    # ---- loops

    def forward_backward(self, data_batch: Any) -> None:
        """Run a batch forward and backward."""
        self.forward(data_batch, is_train=True)
        self.backward()

    def _labels(self, batch: Any) -> tuple[Any, bool]:
        return ([b.label for b in batch], True) if isinstance(batch, list) else (batch.label, False)

    def score(
        self,
        eval_data: Any,
        eval_metric: Any,
        num_batch: int | None = None,
        batch_end_callback: Any = None,
        score_end_callback: Any = None,
        reset: bool = True,
        epoch: int = 0,
        sparse_row_id_fn: Any = None,
    ) -> list[tuple[str, float]]:
        """Names and values of a metric over data.

        Args:
            eval_data: batches.
            eval_metric: the metric, or its name.
            num_batch: how many batches at most.
            batch_end_callback: called after each batch.
            score_end_callback: called at the end.
            reset: whether the data begins anew.
            epoch: what callbacks are told.
            sparse_row_id_fn: batch -> rows that it needs, by parameter.
        """
        self._require("binded", "params_initialized")
        eval_data = batches(eval_data, self)
        if reset:
            eval_data.reset()
        eval_metric = metrics.create(eval_metric)
        eval_metric.reset()
        seen = 0
        for nbatch, eval_batch in enumerate(eval_data):
            if nbatch == num_batch:
                break
            self.prepare(eval_batch, sparse_row_id_fn=sparse_row_id_fn)
            self.forward(eval_batch, is_train=False)
            self.update_metric(eval_metric, *self._labels(eval_batch))
            _call(batch_end_callback, BatchEndParam(epoch, nbatch, eval_metric, locals()))
            seen += 1
        _call(score_end_callback, BatchEndParam(epoch, seen, eval_metric, locals()))
        return eval_metric.get_name_value()

    def iter_predict(
        self, eval_data: Any, num_batch: int | None = None, reset: bool = True, sparse_row_id_fn: Any = None
    ) -> Iterator[tuple[list[Any], int, Any]]:
        """For each batch its outputs without what fills it up, its number, and the batch."""
        self._require("binded", "params_initialized")
        eval_data = batches(eval_data, self)
        if reset:
            eval_data.reset()
        for nbatch, eval_batch in enumerate(eval_data):
            if nbatch == num_batch:
                break
            self.prepare(eval_batch, sparse_row_id_fn=sparse_row_id_fn)
            self.forward(eval_batch, is_train=False)
            pad = getattr(eval_batch, "pad", 0) or 0
            yield [out[0 : out.shape[0] - pad] for out in self.get_outputs()], nbatch, eval_batch

    def predict(
        self,
        eval_data: Any,
        num_batch: int | None = None,
        merge_batches: bool = True,
        reset: bool = True,
        always_output_list: bool = False,
        sparse_row_id_fn: Any = None,
    ) -> Any:
        """The outputs for data.

        Args:
            eval_data: batches, or one array.
            num_batch: how many batches at most.
            merge_batches: whether outputs are joined along the batch.
            reset: whether the data begins anew.
            always_output_list: whether a single output is a list too.
            sparse_row_id_fn: batch -> rows that it needs, by parameter.

        Raises:
            ValueError: data that is neither.
        """
        self._require("binded", "params_initialized")
        if isinstance(eval_data, (nd.NDArray, np.ndarray)):
            array = eval_data if isinstance(eval_data, nd.NDArray) else nd.array(eval_data)
            self.forward(DataBatch([array]), is_train=False)
            return self.get_outputs()[0]
        rows = self.iter_predict(eval_data, num_batch, reset, sparse_row_id_fn)
        found = [[out.copy() for out in outputs] for outputs, _, _ in rows]
        if not found or not merge_batches:
            return found
        if len({len(outputs) for outputs in found}) != 1:
            raise DataError(
                "Cannot merge batches, as num of outputs is not the same in mini-batches. Maybe bucketing is used?",
                fix="give merge_batches=False",
            )
        merged = [nd.concatenate(list(each)) for each in zip(*found, strict=True)]
        return merged[0] if len(merged) == 1 and not always_output_list else merged

    def fit(
        self,
        train_data: Any,
        eval_data: Any = None,
        eval_metric: Any = "acc",
        epoch_end_callback: Any = None,
        batch_end_callback: Any = None,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        eval_end_callback: Any = None,
        eval_batch_end_callback: Any = None,
        initializer: Any = Uniform(0.01),  # noqa: B008 - MXNet's signature; it holds no state
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_rebind: bool = False,
        force_init: bool = False,
        begin_epoch: int = 0,
        num_epoch: int | None = None,
        validation_metric: Any = None,
        monitor: Any = None,
        sparse_row_id_fn: Any = None,
        *,
        checkpoint: Any = None,
        nan_guard: bool = False,
    ) -> None:
        """Train.

        Args:
            train_data: batches.
            eval_data: batches for validation after each epoch.
            eval_metric: what training is measured by.
            epoch_end_callback: called with (epoch, symbol, arguments, auxiliary states).
            batch_end_callback: called with a `BatchEndParam`.
            kvstore: how gradients of several devices meet.
            optimizer: the optimizer, or its name.
            optimizer_params: its settings.
            eval_end_callback: called after each validation.
            eval_batch_end_callback: called after each of its batches.
            initializer: fills parameters that are not given.
            arg_params: first values of parameters.
            aux_params: first values of auxiliary states.
            allow_missing: whether some of them may be missing.
            force_rebind: whether it is bound anew.
            force_init: whether parameters are filled anew.
            begin_epoch: the first epoch.
            num_epoch: the epoch before which it ends.
            validation_metric: what validation is measured by; `eval_metric` where not given.
            monitor: watches values.
            sparse_row_id_fn: batch -> rows that it needs, by parameter.
            checkpoint: a folder of training states, or a `mx.callback.TrainingCheckpoint`: training goes on from the
                newest state in it, to the bit, and saves there.
            nan_guard: whether nan or infinities in outputs or gradients stop the training before they reach a
                parameter.

        Raises:
            UsageError: the state belongs to another training; everything that differs is listed.
            NotFiniteError: what the guard found.
        """
        if num_epoch is None:
            raise ModuleStateError("please specify number of epochs")
        _require_callable(
            epoch_end_callback=epoch_end_callback,
            batch_end_callback=batch_end_callback,
            eval_end_callback=eval_end_callback,
            eval_batch_end_callback=eval_batch_end_callback,
        )
        validation_metric = eval_metric if validation_metric is None else validation_metric
        eval_metric = metrics.create(eval_metric)
        train_data = batches(train_data, self)
        self._check_labels(train_data)
        self.bind(train_data.provide_data, train_data.provide_label, for_training=True, force_rebind=force_rebind)
        if monitor is not None:
            self.install_monitor(monitor)
        self.init_params(initializer, arg_params, aux_params, allow_missing, force_init)
        self.init_optimizer(kvstore, optimizer, optimizer_params)
        at_end = _as_list(epoch_end_callback) if epoch_end_callback is not None else []
        guard = Guard(self) if nan_guard else None
        steps = Steps()
        with steps.heard(), begin(checkpoint, self, train_data, eval_data, eval_metric, begin_epoch) as run:
            for epoch in range(run.epoch, num_epoch):
                tic = time.time()
                watched = {"monitor": monitor, "row_ids": sparse_row_id_fn, "guard": guard, "steps": steps}
                values = self._epoch(epoch, train_data, eval_metric, batch_end_callback, run, **watched)
                for name, val in values:
                    self.logger.info("Epoch[%d] Train-%s=%f", epoch, name, val)
                self.logger.info("Epoch[%d] Time cost=%.3f", epoch, time.time() - tic)
                arg_params, aux_params = self.get_params()
                self.set_params(arg_params, aux_params)
                for callback in at_end:
                    callback(epoch, self.symbol, arg_params, aux_params)
                if eval_data is not None:
                    options = {"score_end_callback": eval_end_callback, "batch_end_callback": eval_batch_end_callback}
                    for name, val in self.score(eval_data, validation_metric, epoch=epoch, **options):
                        self.logger.info("Epoch[%d] Validation-%s=%f", epoch, name, val)
                run.reset(train_data)
                run.epoch_done(epoch + 1, epoch + 1 == num_epoch)
        for callback in at_end:
            if isinstance(callback, CheckpointCallback):
                callback.wait()

    def _check_labels(self, data: Any) -> None:
        """Refuse data without the labels that the network computes its loss from: they would be zeros."""
        arguments = self._symbol.list_arguments() if self._symbol is not None else []
        given = {label[0] for label in data.provide_label or ()}
        collect(
            DataError,
            "the training data lacks labels that the network needs",
            [f"{printable(n)}: absent" for n in getattr(self, "_label_names", []) if n in arguments and n not in given],
            found=f"labels {', '.join(map(printable, sorted(given))) or 'none'}",
            fix="give them, as mx.io.NDArrayIter(data, label, label_name=...) does",
        )

    def _check_batch(self, batch: Any, epoch: int, nbatch: int) -> None:
        """Refuse a batch without the labels that are bound: those of the batch before would train the network."""
        described = getattr(self, "label_shapes", None)
        if not isinstance(batch, list) and hasattr(batch, "data") and not getattr(batch, "label", None) and described:
            raise DataError(
                "a batch has no labels; nothing was changed by it",
                where=f"epoch {epoch}, batch {nbatch}",
                expected=", ".join(f"{printable(d[0])} {tuple(d[1])}" for d in described),
                fix="give them with every batch, or describe none in provide_label",
            )

    def _epoch(
        self,
        epoch: int,
        train_data: Any,
        eval_metric: Any,
        batch_end_callback: Any,
        run: Unsaved,
        monitor: Any,
        row_ids: Any,
        guard: Guard | None,
        steps: Steps,
    ) -> list[tuple[str, Any]]:
        """One pass over the data, or what is left of it; returns names and values of the metric."""
        nbatch, values = run.batch, run.values
        run.batch, run.values = 0, []
        if not nbatch:
            eval_metric.reset()
        rows = present(run.rows(train_data))
        following = next(rows, None)
        if following is None and not nbatch:
            raise DataError("the training data gives no batch", fix="reset it, or give at least a batch of samples")
        while following is not None:
            data_batch = following
            if monitor is not None:
                monitor.tic()
            if guard is not None:
                guard.before()
            self._check_batch(data_batch, epoch, nbatch)
            with steps:
                self.forward_backward(data_batch)
                if guard is not None:
                    guard.after(data_batch, epoch, nbatch)
                self.update()
                self.update_metric(eval_metric, *self._labels(data_batch))
            run.before_fetch(nbatch + 1)
            following = next(rows, None)
            if following is not None:
                self.prepare(following, sparse_row_id_fn=row_ids)
            if monitor is not None:
                monitor.toc_print()
            if following is None:
                values = eval_metric.get_global_name_value()
            _call(batch_end_callback, BatchEndParam(epoch, nbatch, eval_metric, locals()))
            nbatch += 1
            run.batch_done(epoch, nbatch, following, values)
        return values

    def trained_parts(self) -> list[Any]:
        """The modules that hold what is trained.

        Raises:
            UsageError: this class of modules does not say.
        """
        raise ModuleStateError(
            f"{type(self).__name__} does not say which modules hold what is trained",
            fix="define trained_parts(self), which returns a list of Modules",
        )

    # ---- parameters in files

    def set_params(
        self,
        arg_params: Any,
        aux_params: Any,
        allow_missing: bool = False,
        force_init: bool = True,
        allow_extra: bool = False,
    ) -> None:
        """Set parameters."""
        self.init_params(None, arg_params, aux_params, allow_missing, force_init, allow_extra)

    def save_params(self, fname: str) -> None:
        """Save parameters to a file, at any URI; it is replaced at one instant."""
        arg_params, aux_params = self.get_params()
        named = {f"arg:{k}": v.as_in_context(cpu()) for k, v in arg_params.items()}
        named |= {f"aux:{k}": v.as_in_context(cpu()) for k, v in aux_params.items()}
        nd.save(fname, named)

    def load_params(self, fname: str) -> None:
        """Set parameters from a file.

        Raises:
            ValueError: names that are neither `arg:` nor `aux:`.
        """
        found = nd.load(fname)
        named = found if isinstance(found, dict) else {}
        wrong = [printable(k) for k in named if not k.startswith(("arg:", "aux:"))]
        if wrong or not named:
            raise _FileError(f"Invalid param file {printable(fname)}", found=", ".join(wrong) or "no names")
        parts: dict[str, dict[str, Any]] = {"arg": {}, "aux": {}}
        for key, value in named.items():
            parts[key[:3]][key[4:]] = value
        self.set_params(parts["arg"], parts["aux"])

    # ---- what subclasses define

    def get_states(self, merge_multi_context: bool = True) -> list[Any]:
        """States of the devices; none here."""
        self._require("binded", "params_initialized")
        return []

    def set_states(self, states: Any = None, value: Any = None) -> None:
        """Set states; there are none here."""
        self._require("binded", "params_initialized")

    def prepare(self, data_batch: Any, sparse_row_id_fn: Any = None) -> None:
        """Get ready for a batch."""
        if sparse_row_id_fn is not None:
            warnings.warn(UserWarning("sparse_row_id_fn is not invoked for BaseModule."), stacklevel=2)

    def forward(self, data_batch: Any, is_train: bool | None = None) -> None:
        """Run a batch."""
        raise NotImplementedError

    def backward(self, out_grads: Any = None) -> None:
        """Compute gradients."""
        raise NotImplementedError

    def get_outputs(self, merge_multi_context: bool = True) -> list[Any]:
        """The outputs of the last batch."""
        raise NotImplementedError

    def get_input_grads(self, merge_multi_context: bool = True) -> list[Any]:
        """The gradients of the last batch's data."""
        raise NotImplementedError

    def update(self) -> None:
        """Change parameters by their gradients."""
        raise NotImplementedError

    def update_metric(self, eval_metric: Any, labels: Any, pre_sliced: bool = False) -> None:
        """Give labels and outputs to a metric."""
        raise NotImplementedError

    def bind(
        self,
        data_shapes: Any,
        label_shapes: Any = None,
        for_training: bool = True,
        inputs_need_grad: bool = False,
        force_rebind: bool = False,
        shared_module: Any = None,
        grad_req: Any = "write",
    ) -> None:
        """Make executors."""
        raise NotImplementedError

    def init_params(
        self,
        initializer: Any = Uniform(0.01),  # noqa: B008 - MXNet's signature; it holds no state
        arg_params: Any = None,
        aux_params: Any = None,
        allow_missing: bool = False,
        force_init: bool = False,
        allow_extra: bool = False,
    ) -> None:
        """Fill parameters."""
        raise NotImplementedError

    def init_optimizer(
        self,
        kvstore: Any = "local",
        optimizer: Any = "sgd",
        optimizer_params: Any = (("learning_rate", 0.01),),
        force_init: bool = False,
    ) -> None:
        """Make the optimizer."""
        raise NotImplementedError

    def get_params(self) -> tuple[Any, Any]:
        """Arguments and auxiliary states by name."""
        raise NotImplementedError

    def install_monitor(self, mon: Any) -> None:
        """Let a monitor watch values."""
        raise NotImplementedError


class _FileError(FormatError, ValueError):
    """A file that holds no parameters."""


def _require_callable(**given: Any) -> None:
    wrong = [
        f"{name}: {printable(each)} is no function"
        for name, callbacks in given.items()
        for each in (_as_list(callbacks) if callbacks is not None else ())
        if not callable(each)
    ]
    collect(ModuleStateError, "callbacks are functions, or lists of them", wrong)


def _call(callbacks: Any, param: Any) -> None:
    for callback in _as_list(callbacks) if callbacks is not None else ():
        callback(param)
