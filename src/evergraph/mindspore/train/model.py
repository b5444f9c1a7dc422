"""`Model`: trains, evaluates and predicts with a network."""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

from evergraph.errors import UsageError, printable
from evergraph.mindspore.nn.cell import Cell
from evergraph.mindspore.nn.wrap import TrainOneStepCell, TrainOneStepWithLossScaleCell, WithEvalCell, WithLossCell
from evergraph.mindspore.train.callback.base import Parameters, RunContext, TimeMonitor
from evergraph.mindspore.train.metrics import Loss, get_metrics

__all__ = ["Model"]

_OURS = "evergraph.mindspore.train.callback."
"""Callbacks of these modules watch training alone; `fit` does not tell them of its evaluations."""


class Model:
    """A network with what trains and measures it.

    Args:
        network: the network; already a training step where neither `loss_fn` nor `optimizer` is given.
        loss_fn: the loss, of the network's output and the label.
        optimizer: what updates.
        metrics: names, or a dict of Metric objects.
        eval_network: what evaluates, in the place of `network` and `loss_fn`.
        eval_indexes: where `eval_network` puts loss, output and label.
        amp_level: "O0", or "O1", "O2", "O3", "auto", which compute in Float32 as well, with a warning.
        boost_level: "O0", or "O1", "O2", which change nothing, with a warning.
        loss_scale_manager: the manager of the loss scale.
        keep_batchnorm_fp32: taken: everything is in Float32.
        kwargs: none, each is an error.

    Raises:
        UsageError: the network is no Cell, a level that there is not, or an optimizer without a loss to follow.
    """

    def __init__(
        self,
        network: Any,
        loss_fn: Any = None,
        optimizer: Any = None,
        metrics: Any = None,
        eval_network: Any = None,
        eval_indexes: Any = None,
        amp_level: str = "O0",
        boost_level: str = "O0",
        loss_scale_manager: Any = None,
        keep_batchnorm_fp32: bool | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs:
            expected = "loss_scale_manager, keep_batchnorm_fp32"
            raise UsageError("no such arguments", expected=expected, found=printable(", ".join(kwargs)))
        _check_level("amp_level", amp_level, ("O0", "O1", "O2", "O3", "auto"))
        _check_level("boost_level", boost_level, ("O0", "O1", "O2"))
        if not isinstance(network, Cell):
            raise UsageError("a Model takes a Cell", found=printable(type(network).__name__))
        self._network, self._loss_fn, self._optimizer = network, loss_fn, optimizer
        self._loss_scale_manager = loss_scale_manager
        self._metrics = get_metrics(metrics)
        self._eval_network, self._eval_indexes = eval_network, eval_indexes
        if eval_network is None and self._metrics and loss_fn is not None:
            self._eval_network, self._eval_indexes = WithEvalCell(network, loss_fn), [0, 1, 2]
        self._train_network = self._built()

    def _built(self) -> Any:
        """The training step."""
        if self._optimizer is None:
            return self._network
        inner = self._network if self._loss_fn is None else WithLossCell(self._network, self._loss_fn)
        manager = self._loss_scale_manager
        if manager is None:
            return TrainOneStepCell(inner, self._optimizer).set_train()
        update = manager.get_update_cell()
        if update is None:
            return TrainOneStepCell(inner, self._optimizer, manager.get_loss_scale()).set_train()
        return TrainOneStepWithLossScaleCell(inner, self._optimizer, update).set_train()

    @property
    def train_network(self) -> Any:
        """The training step."""
        return self._train_network

    @property
    def predict_network(self) -> Any:
        """The network."""
        return self._network

    @property
    def eval_network(self) -> Any:
        """What evaluates."""
        return self._eval_network

    # training

    def train(
        self,
        epoch: int,
        train_dataset: Any,
        callbacks: Any = None,
        dataset_sink_mode: bool = False,
        sink_size: int = -1,
        initial_epoch: int = 0,
    ) -> None:
        """Train.

        Args:
            epoch: the number of the last epoch.
            train_dataset: the dataset.
            callbacks: a Callback or a list of them, called in order.
            dataset_sink_mode: taken; steps run one by one.
            sink_size: steps of an epoch; -1 for all.
            initial_epoch: epochs that are done.

        Raises:
            UsageError: a number is wrong, or the dataset belongs to another Model.
        """
        self._run(epoch, train_dataset, _listed(callbacks), dataset_sink_mode, initial_epoch, None, sink_size=sink_size)

    def fit(
        self,
        epoch: int,
        train_dataset: Any,
        valid_dataset: Any = None,
        valid_frequency: Any = 1,
        callbacks: Any = None,
        dataset_sink_mode: bool = False,
        valid_dataset_sink_mode: bool = False,
        sink_size: int = -1,
        initial_epoch: int = 0,
    ) -> None:
        """Train, and evaluate after every `valid_frequency` epochs, or after the epochs of that list."""
        due = lambda n: n % valid_frequency == 0 if isinstance(valid_frequency, int) else n in valid_frequency
        check = None if valid_dataset is None else (valid_dataset, due)
        self._run(
            epoch, train_dataset, _listed(callbacks), dataset_sink_mode, initial_epoch, check, sink_size=sink_size
        )

    def _run(
        self, epoch: int, data: Any, callbacks: list[Any], sink: bool, first: int, check: Any, *, sink_size: int = -1
    ) -> None:
        if not isinstance(epoch, int) or epoch <= 0 or not 0 <= first < epoch:
            raise UsageError("epoch is at least 1, initial_epoch below it", found=printable((epoch, first)))
        _check_dataset(data)
        _belongs(data, self)
        network = self._train_network
        steps = data.get_dataset_size()
        steps = min(steps, sink_size) if sink_size > 0 else steps
        told = self._told("train", network, epoch, steps, sink, callbacks)
        told.train_dataset, told.cur_step_num, told.initial_step = data, first * steps, first * steps
        told.last_save_ckpt_step, told.latest_ckpt_file = None, None
        context = RunContext(told)
        with contextlib.ExitStack() as stack, _breakpoint(callbacks, told):
            for callback in callbacks:
                stack.enter_context(callback)
            _tell(callbacks, "on_train_begin", context)
            for number in range(first + 1, epoch + 1):
                told.cur_epoch_num = number
                _tell(callbacks, "on_train_epoch_begin", context)
                self._epoch(network, data, callbacks, context, steps)
                if check is not None and check[1](number):
                    self._evaluated_within(check[0], callbacks, told)
                _tell(callbacks, "on_train_epoch_end", context)
                told.pop("metrics", None)
                told.pop("eval_results", None)
                if context.get_stop_requested():
                    break
            _tell(callbacks, "on_train_end", context)

    def _epoch(self, network: Any, data: Any, callbacks: list[Any], context: RunContext, steps: int) -> None:
        told = context.original_args()
        for _, batch in zip(range(steps), data.create_tuple_iterator(num_epochs=1), strict=False):
            told.cur_step_num += 1
            told.train_dataset_element = batch
            _tell(callbacks, "on_train_step_begin", context)
            network.set_train()
            told.net_outputs = network(*batch)
            manager = self._loss_scale_manager
            if manager is not None and isinstance(told.net_outputs, tuple) and len(told.net_outputs) > 1:
                manager.update_loss_scale(bool(told.net_outputs[1]))
            _tell(callbacks, "on_train_step_end", context)
            if context.get_stop_requested():
                break

    def _told(self, mode: str, network: Any, epoch: int, steps: int, sink: bool, callbacks: list[Any]) -> Parameters:
        told = Parameters(mode=mode, epoch_num=epoch, batch_num=steps, dataset_sink_mode=sink)
        told.network, told.list_callback, told.loss_fn = self._network, callbacks, self._loss_fn
        told.optimizer, told.parallel_mode, told.device_number = self._optimizer, "stand_alone", 1
        told.loss_scale_mananger = self._loss_scale_manager
        told["train_network" if mode == "train" else "eval_network"] = network
        return told

    # evaluating

    def eval(self, valid_dataset: Any, callbacks: Any = None, dataset_sink_mode: bool = False) -> dict[str, Any]:
        """The metrics over a dataset.

        Raises:
            UsageError: the Model has no metrics, or it is no dataset.
        """
        self._needs_metrics()
        _check_dataset(valid_dataset)
        listed = _listed(callbacks)
        told = self._told("eval", self._eval_network, 1, valid_dataset.get_dataset_size(), dataset_sink_mode, listed)
        told.valid_dataset, told.cur_step_num, told.cur_epoch_num = valid_dataset, 0, 1
        return self._evaluated(valid_dataset, listed, told)

    def _evaluated_within(self, data: Any, callbacks: list[Any], told: Parameters) -> None:
        """Evaluate within `fit`: what callbacks are told is the training's, but for a few values that come back."""
        kept = {k: told[k] for k in ("cur_step_num", "batch_num", "dataset_sink_mode", "net_outputs", "mode")}
        told.update(eval_network=self._eval_network, valid_dataset=data, mode="eval", cur_step_num=0)
        told.batch_num = data.get_dataset_size()
        loss = Loss()
        shown = [c for c in callbacks if isinstance(c, TimeMonitor) or not type(c).__module__.startswith(_OURS)]
        metrics = self._evaluated(data, shown, told, loss)
        told.eval_results = metrics | {"eval_loss": loss.eval()}
        told.update(kept)

    def _needs_metrics(self) -> Any:
        """What evaluates.

        Raises:
            UsageError: the Model has no metrics.
        """
        if not self._metrics or self._eval_network is None:
            raise UsageError("the Model has no metrics", fix="Model(network, loss_fn=..., metrics={'Accuracy'})")
        return self._eval_network

    def _evaluated(self, data: Any, callbacks: list[Any], told: Parameters, last: Any = None) -> dict[str, Any]:
        network, context = self._needs_metrics(), RunContext(told)
        for metric in self._metrics.values():
            metric.clear()
        was = [(cell, cell.training) for _, cell in network.cells_and_names()]
        network.set_train(False)
        _tell(callbacks, "on_eval_begin", context)
        _tell(callbacks, "on_eval_epoch_begin", context)
        for batch in data.create_tuple_iterator(num_epochs=1):
            told.cur_step_num, told.eval_dataset_element = told.cur_step_num + 1, batch
            _tell(callbacks, "on_eval_step_begin", context)
            told.net_outputs = network(*batch)
            _tell(callbacks, "on_eval_step_end", context)
            self._counted(told.net_outputs)
            if last is not None and self._eval_indexes is not None:  # MindSpore's eval_loss is the last batch's alone
                last.clear()
                last.update(told.net_outputs[self._eval_indexes[0]])
            if context.get_stop_requested():
                break
        _tell(callbacks, "on_eval_epoch_end", context)
        told.metrics = {name: metric.eval() for name, metric in self._metrics.items()}
        _tell(callbacks, "on_eval_end", context)
        for cell, training in was:
            cell.__dict__["training"] = training
        return told.metrics

    def _counted(self, outputs: Any) -> None:
        values = outputs if isinstance(outputs, tuple) else (outputs,)
        for metric in self._metrics.values():
            places = metric.indexes if getattr(metric, "indexes", None) else None
            if places is not None:
                metric.update(*(values[i] for i in places))
            elif self._eval_indexes is not None:
                loss, output, label = self._eval_indexes
                metric.update(values[loss]) if isinstance(metric, Loss) else metric.update(
                    values[output], values[label]
                )
            else:
                metric.update(*values)

    def predict(self, *predict_data: Any, backend: Any = None, config: Any = None) -> Any:
        """The network's output, without training anything."""
        self._network.set_train(False)
        return self._network(*predict_data)

    def build(self, *_: Any, **__: Any) -> None:
        """Nothing: networks run as they are written."""


def _check_dataset(data: Any) -> None:
    """Refuse what is no dataset.

    Raises:
        UsageError: it gives no rows.
    """
    if not hasattr(data, "create_tuple_iterator"):
        raise UsageError("a Model takes a dataset", found=printable(type(data).__name__))


def _check_level(name: str, level: Any, known: tuple[str, ...]) -> None:
    if level not in known:
        raise UsageError(f"{name} is one of {', '.join(known)}", found=printable(level))
    if level != "O0":
        what = "computes in Float32" if name == "amp_level" else "changes nothing"
        warnings.warn(f"{name}={level!r} {what} here", UserWarning, stacklevel=3)


def _listed(callbacks: Any) -> list[Any]:
    return [] if callbacks is None else list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]


def _tell(callbacks: list[Any], event: str, context: RunContext) -> None:
    for callback in callbacks:
        getattr(callback, event)(context)


def _belongs(data: Any, model: Model) -> None:
    """A dataset serves one Model, as in MindSpore."""
    owner = data.__dict__.setdefault("_owner_model", model)
    if owner is not model:
        raise UsageError("the dataset was used with another Model", fix="make a dataset for each Model")


@contextlib.contextmanager
def _breakpoint(callbacks: list[Any], told: Parameters) -> Iterator[None]:
    """Let the last callback that saves breakpoints do so where training fails."""
    try:
        yield
    except BaseException:
        for callback in reversed(callbacks):
            save = getattr(callback, "save_breakpoint", None)
            if save is not None:
                save(told)
                break
        raise
