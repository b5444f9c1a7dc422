"""What modules keep: parameters, states, optimizers, what gradients left behind; taken, compared, put back."""

import copy
import hashlib
import json
import logging
from collections.abc import Callable
from typing import Any

from evergraph.errors import UsageError, printable
from evergraph.mxnet.ndarray import NDArray
from evergraph.mxnet.optimizer.updater import form
from evergraph.mxnet.resume import living

__all__ = ["compare", "network", "optimizer_of", "put_back", "settings", "take_own", "take_shared", "unseen"]

logger = logging.getLogger(__name__)

_MADE_AGAIN = frozenset(("param_dict", "idx2name", "sym_info", "_index_update_count"))
"""Attributes of an optimizer that the program makes again; the last is one of the tables of another attribute."""

_COUNTS = frozenset(("num_update", "begin_num_update", "_all_index_update_counts"))
"""What an optimizer of another kind takes over."""

Steps = list[Callable[[], None]]


def _updater(part: Any) -> Any:
    return getattr(part._kvstore, "_updater", None) if part._update_on_kvstore else part._updater


def optimizer_of(part: Any) -> Any:
    """The optimizer that a module is trained by."""
    return getattr(_updater(part), "optimizer", part._optimizer)


def unseen(part: Any) -> list[str]:
    """What a module's training keeps in places that no state can hold.

    Raises:
        UsageError: the store updates weights of its own, which nobody else can see.
    """
    if part._update_on_kvstore and not hasattr(part._kvstore, "_values"):
        raise UsageError(
            f"the store {type(part._kvstore).__name__} keeps weights of its own: a training state cannot hold them",
            fix="set MXNET_UPDATE_ON_KVSTORE=0, so that the module updates its weights itself",
        )
    return living.unseen(optimizer_of(part), _MADE_AGAIN)


# ---- what must be the same


def settings(optimizer: Any) -> dict[str, Any]:
    """The settings of an optimizer that has updated nothing yet, by name; arrays are none."""
    found = living.take(optimizer, _MADE_AGAIN | {"_all_index_update_counts"})
    kinds = (str, int, float, bool, type(None), list, tuple, dict)
    # a copy: what is a table of settings now is filled while it trains
    plain = copy.deepcopy({k: v for k, v in found.items() if isinstance(v, kinds)})
    return {"optimizer": type(optimizer).__name__, **plain}


def network(part: Any) -> dict[str, Any]:
    """What a network is: its computation, and shape and type of each parameter and of what it keeps besides."""
    args, auxs = part._arg_params, part._aux_params
    kept = {name: _described(row[0]) for name, row in part.kept_arrays().items()}
    return {
        "arguments": {n: _described(args[n]) for n in part._param_names},
        "auxiliary states": {n: _described(auxs[n]) for n in part._aux_names},
        "computation": _digest(part._symbol),
        "kept arrays": kept,
    }


def _described(array: NDArray) -> str:
    kind = "" if array.stype == "default" else f" {array.stype}"
    return f"{'x'.join(map(str, array.shape)) or 'scalar'} {array.dtype.__name__}{kind}"


def _digest(symbol: Any) -> str:
    """A short sum over operators, their parameters and how they are joined; names that were made up do not count."""
    graph = json.loads(symbol.tojson(remove_amp_cast=False))
    nodes = [
        [n["op"], n["name"] if n["op"] == "null" else "", sorted((n.get("attrs") or {}).items()), n["inputs"]]
        for n in graph["nodes"]
    ]
    return hashlib.sha256(json.dumps([nodes, graph["heads"]]).encode()).hexdigest()[:16]


def compare(then: dict[str, Any], now: dict[str, Any], what: str) -> list[str]:
    """What differs between two descriptions, one line each."""
    lines = []
    for name in dict.fromkeys((*then, *now)):
        shown = f"{what} {printable(name)}" if what else printable(name)
        if isinstance(then.get(name), dict) and isinstance(now.get(name), dict):
            lines += compare(then[name], now[name], shown.removesuffix("s").strip())
        elif name not in now:
            lines.append(f"{shown}: {printable(then[name])} in the state, and not here")
        elif name not in then:
            lines.append(f"{shown}: {printable(now[name])} here, and not in the state")
        elif _plain(then[name]) != _plain(now[name]):
            lines.append(f"{shown}: {printable(then[name])} in the state, {printable(now[name])} here")
    return lines


def _plain(value: Any) -> Any:
    """A value as it compares after a way through a file: nan equals itself, lists and tuples are alike."""
    if isinstance(value, dict):
        return [[repr(k), _plain(v)] for k, v in value.items()]
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else repr(value)


# ---- taken


def take_shared(part: Any) -> dict[str, Any]:
    """What is the same in every process: arguments, the optimizer, its states."""
    group, updater = part._exec_group, _updater(part)
    # with a store every device has the same arguments; without one each trains its own
    each = 1 if part._kvstore else len(part._context)
    found = {"arguments": dict(zip(group.param_names, (list(row[:each]) for row in group.param_arrays), strict=True))}
    stored = getattr(part._kvstore, "_values", {}) if part._update_on_kvstore else {}
    found["stored"] = {k: v for k, v in stored.items() if v.stype != "default"}
    found["optimizer"] = living.take(optimizer_of(part), _MADE_AGAIN)
    found["states"] = dict(getattr(updater, "states", {}))
    return found


def take_own(part: Any) -> dict[str, Any]:
    """What each process has of its own: auxiliary states, states, sums of gradients, what compression left."""
    group = part._exec_group
    sums = {
        name: list(grads)
        for name, grads in zip(group.param_names, group.grad_arrays or (), strict=False)
        if group.grad_req.get(name) == "add" and grads[0] is not None
    }
    compression = getattr(part._kvstore, "_compression", None)
    return {
        "auxiliary": dict(zip(group.aux_names, (list(row) for row in group.aux_arrays), strict=True)),
        "states": [list(row) for row in group.state_arrays],
        "gradients": sums,
        "kept": {name: list(row) for name, row in part.kept_arrays().items()},
        "residuals": dict(getattr(compression, "_residuals", {})),
    }


# ---- put back


def put_back(part: Any, shared: dict[str, Any], own: dict[str, Any] | None, changed: dict[str, Any]) -> Steps:
    """What puts a module's state back, once `compare` finds nothing; nothing is changed before the steps are called.

    Args:
        part: the module.
        shared: what `take_shared` gave, as living arrays.
        own: what `take_own` gave; None leaves what is there.
        changed: settings of the optimizer that the program's own values are kept for.
    """
    group, updater = part._exec_group, _updater(part)
    steps: Steps = []
    for name, row in zip(group.param_names, group.param_arrays, strict=True):
        kept = shared["arguments"][name]
        steps += [_copying(kept[min(k, len(kept) - 1)], target) for k, target in enumerate(row)]
    if part._update_on_kvstore:
        steps += _stored_steps(part._kvstore, shared)
    optimizer = optimizer_of(part)
    other = "optimizer" in changed
    values = {
        k: v for k, v in shared["optimizer"].items() if (k.partition("/")[0] in _COUNTS if other else k not in changed)
    }
    steps += living.put(optimizer, values, _MADE_AGAIN)
    steps.append(lambda: _retie(optimizer))
    if updater is not None and hasattr(updater, "states"):
        states = {} if other else shared["states"]
        steps.append(lambda: _put_states(updater, states, _weights(part) if changed else {}))
    if own is not None:
        steps += _own_steps(part, own)
    steps.append(lambda: setattr(part, "_params_dirty", True))
    return steps


def _own_steps(part: Any, own: dict[str, Any]) -> Steps:
    group = part._exec_group
    rows = [(own["auxiliary"][n], row) for n, row in zip(group.aux_names, group.aux_arrays, strict=True)]
    rows += zip(own["states"], group.state_arrays, strict=True)
    rows += [(own["kept"][name], row) for name, row in part.kept_arrays().items()]
    grads = dict(zip(group.param_names, group.grad_arrays or (), strict=False))
    rows += [(kept, grads[n]) for n, kept in own["gradients"].items() if n in grads]
    steps: Steps = [part.expect_kept_arrays]
    steps += [_copying(kept[min(k, len(kept) - 1)], target) for kept, row in rows for k, target in enumerate(row)]
    compression = getattr(part._kvstore, "_compression", None)
    if compression is not None:
        steps.append(lambda: setattr(compression, "_residuals", own["residuals"]))
    return steps


def _stored_steps(store: Any, shared: dict[str, Any]) -> Steps:
    """The store holds weights of its own, which it updates."""
    sparse = shared["stored"]
    kept = {name: sparse.get(name, row[0]) for name, row in shared["arguments"].items()}
    return [_copying(kept[name], target) for name, target in store._values.items() if name in kept]


def _copying(source: NDArray, target: NDArray) -> Callable[[], None]:
    def step() -> None:
        # in place: executors, buckets and stores hold this memory
        source.copyto(target)

    return step


def _retie(optimizer: Any) -> None:
    counts = optimizer._all_index_update_counts
    optimizer._index_update_count = counts.setdefault(0, {})


def _weights(part: Any) -> dict[Any, Any]:
    """The weights by the keys that an updater has for them: names in a store, else numbers for each device."""
    group, devices = part._exec_group, len(part._context)
    rows = enumerate(zip(group.param_names, group.param_arrays, strict=True))
    if part._update_on_kvstore:
        return {name: row[0] for _, (name, row) in rows}
    return {i * devices + k: weight for i, (_, row) in rows for k, weight in enumerate(row)}


def _put_states(updater: Any, states: dict[Any, Any], weights: dict[Any, Any]) -> None:
    """Give an updater its states; those of another form than it keeps for these weights begin anew, as is told."""
    make = updater.optimizer.create_state_multi_precision
    lost = [k for k, w in weights.items() if k in states and form(states[k]) != form(make(k, w))]
    if lost:
        names = ", ".join(printable(updater.optimizer.idx2name.get(k, k)) for k in lost)
        logger.warning("The optimizer's arrays in the state are not those that it keeps now, and begin anew: %s", names)
    updater.states = {k: v for k, v in states.items() if k not in lost}
    updater.states_synced = dict.fromkeys(updater.states, False)
