"""The updater: an optimizer and the states that it keeps for each weight."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from evergraph.errors import FormatError, UsageError, collect, printable
from evergraph.formats.pickle_values import Record
from evergraph.formats.pickles import MXNetStates, from_states, states_of
from evergraph.mxnet import lr_scheduler
from evergraph.mxnet.context import cpu
from evergraph.mxnet.ndarray import NDArray
from evergraph.mxnet.ndarray.base import Array, wrap
from evergraph.mxnet.ndarray.pickling import from_tensor, to_tensor
from evergraph.mxnet.optimizer.base import Optimizer
from evergraph.stores import BytesSource, locate
from evergraph.tensors import Tensor

__all__ = ["Updater", "form", "get_updater", "states_from_bytes", "states_to_bytes"]


class Updater:
    """Updates weights by an optimizer, with the states that belong to them.

    Args:
        optimizer: the optimizer.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizer = optimizer
        self.states: dict[Any, Any] = {}
        self.states_synced: dict[Any, bool] = {}

    @property
    def aggregate_updates(self) -> bool:
        """Whether the optimizer takes several weights at once."""
        return self.optimizer.aggregate_num > 0

    def __call__(self, index: Any, grad: Any, weight: Any) -> None:
        """Update one weight, or lists of weights."""
        several = isinstance(index, (list, tuple))
        indices, grads, weights = (list(index), list(grad), list(weight)) if several else ([index], [grad], [weight])
        if not weights:
            return
        if weights[0].as_nd_ndarray() is not weights[0]:
            # optimizers, and programs' own, are written for classic arrays
            grads, weights = ([a.as_nd_ndarray() for a in part] for part in (grads, weights))
        self.optimizer._set_current_context(weights[0].context.device_id)
        for i, key in enumerate(indices):
            if isinstance(key, bytes):
                indices[i] = key = key.decode()
            self._prepare(key, weights[i])
        if self.aggregate_updates:
            self._update_together(indices, weights, grads)
            return
        for i, w, g in zip(indices, weights, grads, strict=True):
            self.optimizer.update_multi_precision(i, w, g, self.states[i])

    def _prepare(self, key: Any, weight: Any) -> None:
        if key not in self.states:
            self.states[key] = self.optimizer.create_state_multi_precision(key, weight)
        elif not self.states_synced[key]:
            self.states[key] = self.sync_state_context(self.states[key], weight.context)
        self.states_synced[key] = True

    def _update_together(self, indices: list[Any], weights: list[Any], grads: list[Any]) -> None:
        kinds: dict[Any, list[tuple[Any, Any, Any]]] = {}
        for row in zip(indices, weights, grads, strict=True):
            kinds.setdefault(row[1].dtype, []).append(row)
        most = self.optimizer.aggregate_num
        for rows in kinds.values():
            for start in range(0, len(rows), most):
                some = rows[start : start + most]
                keys, ws, gs = (list(part) for part in zip(*some, strict=True))
                self.optimizer.update_multi_precision(keys, ws, gs, [self.states[k] for k in keys])

    def sync_state_context(self, state: Any, context: Any) -> Any:
        """A state on a device."""
        if isinstance(state, NDArray):
            return state.as_in_context(context)
        if isinstance(state, (list, tuple)):
            return type(state)(self.sync_state_context(s, context) for s in state)
        return state

    def get_states(self, dump_optimizer: bool = False) -> bytes:
        """The states as MXNet keeps them in `.states` files: a pickle that MXNet and this project read.

        Args:
            dump_optimizer: whether the optimizer itself is kept too.
        """
        return states_to_bytes(self.states, self.optimizer if dump_optimizer else None)

    def set_states(
        self,
        states: bytes,
        weights: Mapping[Any, Any] | None = None,
        keys: Mapping[Any, Sequence[Any]] | None = None,
        where: str = "optimizer states",
    ) -> None:
        """Take states over from `get_states` or from a `.states` file of any MXNet release.

        Args:
            states: the bytes.
            weights: arrays by the states' keys: states that the optimizer does not keep for them are refused.
            keys: other keys that the file may have, and those of `weights` that they mean.
            where: what messages call the bytes, such as the file's name.

        Raises:
            MXNetError: the bytes hold anything but states, or those of another optimizer or network; all is listed,
                and nothing is changed.
        """
        found, kept = states_from_bytes(states, where)
        if weights and keys and not any(key in weights for key in found):
            found = {own: state for key, state in found.items() for own in keys.get(key, [key])}
        optimizer = kept if kept is not None else self.optimizer
        wrong = []
        for key, state in found.items() if weights else ():
            name = self.optimizer.idx2name.get(key, key)
            wanted = weights.get(key) if weights else None
            if wanted is None:
                wrong.append(f"{printable(name)}: the network has no such parameter")
            else:
                wrong += _unlike(name, state, optimizer.create_state_multi_precision(key, wanted))
        collect(
            _StatesError,
            f"the states are not those that {type(optimizer).__name__} keeps for these parameters",
            wrong,
            where=printable(where),
            fix="resume with the optimizer, its settings and the network that the states were saved with",
        )
        self.states, self.optimizer = found, optimizer
        self.states_synced = dict.fromkeys(self.states, False)


class _StatesError(UsageError, ValueError):
    """States of another optimizer or network."""


def form(state: Any, typed: bool = False) -> str:
    """What a state is made of, and of which types where `typed`, for comparison and to be told."""
    if isinstance(state, (list, tuple)):
        return f"({', '.join(form(x, typed) for x in state)})"
    if hasattr(state, "shape"):
        return f"array {tuple(state.shape)}" + (f" of {np.dtype(state.dtype).name}" if typed else "")
    return "nothing" if state is None else printable(state)


def _unlike(name: Any, state: Any, wanted: Any) -> list[str]:
    forms = form(state), form(wanted)
    if forms[0] == forms[1]:
        forms = form(state, typed=True), form(wanted, typed=True)
    return [] if forms[0] == forms[1] else [f"{printable(name)}: {forms[0]}, where {forms[1]} is kept"]


def get_updater(optimizer: Optimizer) -> Updater:
    """An updater for an optimizer."""
    return Updater(optimizer)


def _walk(value: Any, kind: type, change: Callable[[Any], Any]) -> Any:
    """The value with every object of a kind changed, in tuples, lists and dictionaries."""
    if isinstance(value, kind):
        return change(value)
    if isinstance(value, (list, tuple)):
        return type(value)(_walk(v, kind, change) for v in value)
    if isinstance(value, dict):
        return {k: _walk(v, kind, change) for k, v in value.items()}
    return value


def states_to_bytes(states: dict[Any, Any], optimizer: Optimizer | None = None) -> bytes:
    """States, and the optimizer where it is given, as a `.states` file."""
    tensors = _walk(states, Array, to_tensor)
    record = None if optimizer is None else _record(optimizer, _home(optimizer))
    checkpoint = from_states(tensors, record)
    (file,) = MXNetStates().plan(checkpoint, locate("memory://states")).files
    return b"".join(p if isinstance(p, bytes) else bytes(p.read()) for p in file.pieces())


def _home(optimizer: Optimizer) -> str:
    """MXNet's module of an optimizer."""
    return "mxnet.optimizer.contrib" if type(optimizer).__name__ == "GroupAdaGrad" else "mxnet.optimizer.optimizer"


_PLAIN = (str, int, float, bool, bytes, type(None), list, tuple, dict)


def _record(found: Any, module: str) -> Record:
    state = {}
    for key, value in found.__getstate__().items() if hasattr(found, "__getstate__") else vars(found).items():
        if isinstance(value, lr_scheduler.LRScheduler):
            value = Record(f"mxnet.lr_scheduler.{type(value).__name__}", (), dict(vars(value)))
        elif not isinstance(value, _PLAIN):
            continue  # a scheduler or table of the program's own: it makes them again
        state[key] = _walk(value, Array, to_tensor)
    return Record(f"{module}.{type(found).__name__}", (), state)


def states_from_bytes(data: bytes, where: str = "optimizer states") -> tuple[dict[Any, Any], Optimizer | None]:
    """States and the optimizer of a `.states` file's bytes.

    Raises:
        MXNetError: the bytes hold anything but states.
    """
    source = BytesSource(data, where)
    states, record = states_of(MXNetStates().read(source))
    arrays = _walk(states, Tensor, _array)
    return arrays, None if record is None else _optimizer(record)


def _array(tensor: Tensor) -> Any:
    value = from_tensor(tensor)
    # the file's memory is read-only; states are written to
    return wrap(value.clone() if hasattr(value, "clone") else value, cpu())


def _optimizer(record: Record) -> Optimizer:
    name = record.kind.rpartition(".")[2]
    kind = Optimizer.opt_registry.get(name.lower())
    if kind is None:
        raise FormatError(
            f"the states belong to an optimizer that is not known: {printable(record.kind)}",
            fix="register its class: @mx.optimizer.register",
        )
    found = kind()
    state = _walk(dict(record.state or {}), Tensor, _array)
    state.pop("param_dict", None)
    scheduler = state.get("lr_scheduler")
    if isinstance(scheduler, Record):
        state["lr_scheduler"] = _scheduler(scheduler)
    found.__dict__.update({k: v for k, v in state.items() if not isinstance(v, Record)})
    counts = found.__dict__.get("_all_index_update_counts") or {0: found._index_update_count}
    found._all_index_update_counts = counts
    found._index_update_count = counts.get(0, found._index_update_count)
    return found


def _scheduler(record: Record) -> Any:
    kind = getattr(lr_scheduler, record.kind.rpartition(".")[2], None)
    if kind is None:
        return None
    made = kind.__new__(kind)
    made.__dict__.update(record.state or {})
    return made
