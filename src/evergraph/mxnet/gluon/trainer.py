"""`mx.gluon.Trainer`: applies an optimizer to the parameters of blocks."""

from collections.abc import Mapping
from typing import Any

from evergraph.errors import printable
from evergraph.mxnet import autograd
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet import optimizer as opt
from evergraph.mxnet.gluon.errors import BlockValueError, ParameterFitError
from evergraph.mxnet.gluon.parameter import Parameter
from evergraph.mxnet.gluon.parameter_dict import ParameterDict
from evergraph.mxnet.undo import foreign, whole
from evergraph.stores import commit, open_source

__all__ = ["Trainer"]

_IN_PROCESS = (None, "local", "device", "nccl")


class Trainer:
    """Updates parameters by their gradients.

    Gradients of one process's devices are summed here; a store of several processes is given as an object of `mx.kv`.

    Args:
        params: parameters, a list or a dictionary.
        optimizer: an optimizer, or the name of one.
        optimizer_params: its keywords, where a name is given.
        kvstore: None, "local", "device" or "nccl", the name of a distributed store, or a store.
        compression_params: how a distributed store compresses gradients.
        update_on_kvstore: must not be true: updates happen here.

    Raises:
        ValueError: something that is no parameter.
    """

    def __init__(
        self,
        params: Any,
        optimizer: Any,
        optimizer_params: Mapping[str, Any] | None = None,
        kvstore: Any = "device",
        compression_params: Mapping[str, Any] | None = None,
        update_on_kvstore: bool | None = None,
    ) -> None:
        if isinstance(params, (dict, ParameterDict)):
            params = [params[key] for key in sorted(params.keys())]
        if not isinstance(params, (list, tuple)) or not all(isinstance(p, Parameter) for p in params):
            raise BlockValueError("First argument must be a list or dict of Parameters", found=type(params).__name__)
        if update_on_kvstore:
            raise BlockValueError("updates happen in the trainer", fix="leave update_on_kvstore out")
        self._params: list[Parameter] = list(params)
        for each in self._params:
            each._set_trainer(self)
        self._contexts = self._common_contexts()
        given = dict(enumerate(self._params))
        if isinstance(optimizer, opt.Optimizer):
            if optimizer_params:
                raise ParameterFitError("optimizer_params are for an optimizer that is given by its name")
            optimizer.param_dict = given
            self._optimizer = optimizer
        else:
            self._optimizer = opt.create(optimizer, param_dict=given, **(optimizer_params or {}))
        self._scale = self._optimizer.rescale_grad
        self._updaters = [opt.get_updater(self._optimizer) for _ in self._contexts]
        self._store = self._joined(kvstore, compression_params)
        self._apart = list(self._params) if kvstore is not None and len(self._contexts) > 1 else []

    def _common_contexts(self) -> list[Any]:
        found: list[Any] = []
        for each in self._params:
            mine = each.list_ctx()
            if found and mine != found:
                raise ParameterFitError(
                    "All Parameters must be initialized on the same set of contexts",
                    where=printable(each.name),
                    expected=found,
                    found=mine,
                )
            found = mine
        return found

    def _joined(self, kvstore: Any, compression: Mapping[str, Any] | None) -> Any:
        if kvstore in _IN_PROCESS:
            return None
        from evergraph.mxnet import kvstore as stores

        found = stores.create(kvstore) if isinstance(kvstore, str) else kvstore
        if compression:
            found.set_gradient_compression(compression)
        for index, each in enumerate(self._params):
            found.broadcast(index, each.list_data()[0], each.list_data())
        return found

    @property
    def learning_rate(self) -> float:
        """The optimizer's learning rate."""
        return self._optimizer.learning_rate

    @property
    def optimizer(self) -> Any:
        """The optimizer."""
        return self._optimizer

    def set_learning_rate(self, lr: float) -> None:
        """Set the optimizer's learning rate.

        Raises:
            UserWarning: the optimizer has a schedule.
        """
        self._optimizer.set_learning_rate(lr)

    def step(self, batch_size: int, ignore_stale_grad: bool = False) -> None:
        """Sum the gradients over devices, and update the parameters.

        Args:
            batch_size: gradients are divided by it.
            ignore_stale_grad: whether parameters without a new gradient are passed over.

        Raises:
            UserWarning: a parameter has no new gradient.
        """
        self.allreduce_grads()
        self.update(batch_size, ignore_stale_grad)

    def _align(self) -> None:
        """Give all devices the first one's values at the first step, as MXNet's stores do: statistics differ."""
        waiting = []
        for each in self._apart:
            if each._data is None:
                waiting.append(each)
            elif each._stype == "default":
                first, *others = each._read(each._data, list)
                for other in others:
                    first.copyto(other)
        self._apart = waiting

    def allreduce_grads(self) -> None:
        """Sum the gradients over devices."""
        self._align()
        for index, each in enumerate(self._params):
            if each.grad_req == "null":
                continue
            grads = each.list_grad()
            if self._store is not None:
                self._store.pushpull(index, grads, grads)
            elif len(grads) > 1:
                with autograd.pause():
                    total = nd.add_n(*[g.as_in_ctx(grads[0].context) for g in grads])
                    for grad in grads:
                        total.copyto(grad)

    def update(self, batch_size: int, ignore_stale_grad: bool = False) -> None:
        """Update the parameters by gradients that are summed already; see `step`."""
        self._align()
        self._optimizer.rescale_grad = self._scale / batch_size
        stale = [] if ignore_stale_grad else self._stale()
        if stale:
            raise UserWarning(
                f"Gradient of Parameter `{stale[0].name}` has not been updated by backward since last `step`. This"
                " could mean a bug in your model that made it only use a subset of the Parameters (Blocks) for this"
                " iteration. If you are intentionally only using a subset, call step with ignore_stale_grad=True to"
                " suppress this warning and skip updating of Parameters with stale gradient"
            )
        with autograd.pause():
            if not foreign(self._optimizer, self._optimizer.lr_scheduler):
                self._update_all()
                return
            learned = [p._read(p._data, list) for p in self._params if p.grad_req != "null"]
            fresh = [(d, d._fresh_grad) for row in learned for d in row]
            try:
                with whole(self._optimizer, self._updaters, learned):
                    self._update_all()
            except BaseException:
                for value, was in fresh:
                    value._fresh_grad = was
                raise

    def _update_all(self) -> None:
        for place, updater in enumerate(self._updaters):
            self._update_on(place, updater)

    def _stale(self) -> list[Parameter]:
        learned = [p for p in self._params if p.grad_req != "null"]
        return [p for p in learned if not all(d._fresh_grad for d in p._read(p._data, list))]

    def _update_on(self, place: int, updater: Any) -> None:
        """Update the copies on one device."""
        rows = []
        for index, each in enumerate(self._params):
            if each.grad_req == "null":
                continue
            value = each._read(each._data, list)[place]
            if value._fresh_grad:
                rows.append((index, each.list_grad()[place], value))
                value._fresh_grad = False
        if rows:
            indices, grads, values = (list(part) for part in zip(*rows, strict=True))
            updater(indices, grads, values)

    def save_states(self, fname: str) -> None:
        """Save the optimizer and its states, at any URI, in MXNet's form."""
        data = self._updaters[0].get_states(dump_optimizer=True)
        with commit(fname, total=len(data)) as sink:
            sink.write(data)

    def load_states(self, fname: str) -> None:
        """Load what `save_states`, or MXNet's, wrote.

        Raises:
            MXNetError: the file is not there, or damaged.
        """
        with open_source(fname) as source:
            data = bytes(source.head(source.size))
        first = self._updaters[0]
        values = (p._read(p._data, list)[0] if p._data is not None else None for p in self._params)
        # what has no value yet has no state to compare with
        weights = {i: v for i, v in enumerate(values) if v is not None}
        first.set_states(data, weights if len(weights) == len(self._params) else None, where=fname)
        for updater in self._updaters:
            updater.set_states(data)
            updater.optimizer = self._updaters[0].optimizer
        self._optimizer = self._updaters[0].optimizer
        self._optimizer.param_dict = dict(enumerate(self._params))
