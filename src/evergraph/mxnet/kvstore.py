"""`mx.kv`: where the gradients of several devices meet, and weights are handed out."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from evergraph.errors import UsageError, printable
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet import optimizer as opt
from evergraph.mxnet.base import InputTypeError
from evergraph.mxnet.context import cpu
from evergraph.mxnet.kvstore_server import KVStoreServer
from evergraph.mxnet.registry import put
from evergraph.stores import commit, open_source

__all__ = ["KVStore", "KVStoreBase", "KVStoreServer", "create", "exchange", "for_devices", "initialize"]


class _StoreError(UsageError, AssertionError, ValueError):
    """A kind of store, a key or a setting that there is not."""


class KVStoreBase:
    """The interface of stores; a subclass that is registered is made by `create`."""

    OPTIMIZER = "optimizer"
    kv_registry: ClassVar[dict[str, type]] = {}

    @staticmethod
    def register(klass: type) -> type:
        """Make a kind of store known by its class's name; also a decorator."""
        return put(KVStoreBase.kv_registry, klass, None, "kvstore")

    @staticmethod
    def is_capable(capability: str) -> bool:
        """Whether the store has a capability, such as "optimizer"."""
        raise NotImplementedError

    def broadcast(self, key: Any, value: Any, out: Any, priority: int = 0) -> None:
        """Hand a value out."""
        raise NotImplementedError

    def pushpull(self, key: Any, value: Any, out: Any = None, priority: int = 0) -> None:
        """Sum values, and hand the sum out."""
        raise NotImplementedError

    def set_optimizer(self, optimizer: Any) -> None:
        """Let the store change weights by an optimizer when gradients are pushed."""
        raise NotImplementedError

    def save_optimizer_states(self, fname: str, dump_optimizer: bool = False) -> None:
        """Save the optimizer's states."""
        raise NotImplementedError

    def load_optimizer_states(self, fname: str) -> None:
        """Take over an optimizer's states."""
        raise NotImplementedError

    @property
    def type(self) -> str:
        """The kind of store."""
        return type(self).__name__.lower()

    @property
    def rank(self) -> int:
        """This process's number."""
        return 0

    @property
    def num_workers(self) -> int:
        """How many processes there are."""
        return 1


@KVStoreBase.register
class TestStore(KVStoreBase):
    """A store that keeps nothing: it hands out values and sums; a pattern for stores of a program's own.

    >>> import evergraph.mxnet as mx
    >>> grads = [mx.nd.ones((2,)), 3 * mx.nd.ones((2,))]
    >>> mx.kv.create("teststore").pushpull("w", grads)
    >>> grads[0].asnumpy()
    array([4., 4.], dtype=float32)
    """

    __test__ = False  # no test of pytest's

    def broadcast(self, key: Any, value: Any, out: Any, priority: int = 0) -> None:
        """Copy a value into arrays."""
        for _, targets in _pairs(key, out):
            for target in targets:
                target[:] = value

    def pushpull(self, key: Any, value: Any, out: Any = None, priority: int = 0) -> None:
        """Copy the sum of values into arrays, or into the values."""
        ((_, values),) = _pairs(key, value)
        total = _summed(values).copy()
        for target in values if out is None else _pairs(key, out)[0][1]:
            target[:] = total

    @staticmethod
    def is_capable(capability: str) -> bool:
        """Whether the store has a capability: none that is known.

        Raises:
            ValueError: one that is not known.
        """
        if capability.lower() != KVStoreBase.OPTIMIZER:
            raise _StoreError(f"Unknown capability: {printable(capability)}", expected=KVStoreBase.OPTIMIZER)
        return False


def _pairs(key: Any, value: Any) -> list[tuple[Any, list[Any]]]:
    """Keys with lists of arrays, one for each device."""
    if isinstance(key, (list, tuple)):
        if not isinstance(value, (list, tuple)) or len(value) != len(key):
            found = f"{len(value)} values" if isinstance(value, (list, tuple)) else type(value).__name__
            raise _StoreError("each key of a list needs a value", expected=f"{len(key)} values", found=found)
        if len({type(k) for k in key}) > 1:
            raise _StoreError(
                "inconsistent types of keys detected.", expected="numbers, or texts", found=printable(key)
            )
        return [pair for k, v in zip(key, value, strict=True) for pair in _pairs(k, v)]
    if not isinstance(key, (int, str)):
        raise _StoreError("unexpected type for keys", expected="a whole number or a text", found=type(key).__name__)
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    wrong = sorted({type(v).__name__ for v in values if not isinstance(v, nd.NDArray)})
    if wrong:
        raise _StoreError(f"the values of key {printable(key)} are no arrays", found=", ".join(wrong))
    return [(key, values)]


def _summed(values: Sequence[Any]) -> Any:
    """The sum of one array from each device, on the first one's device; row_sparse ones stay so."""
    total = values[0]
    for each in values[1:]:
        total = nd.elemwise_add(total, each.as_in_ctx(total.context))
    return total


class KVStore(KVStoreBase):
    """A store in this process: `local` sums on the CPU's side, `device` and `nccl` where the first array is.

    Args:
        kind: the kind of store.
    """

    def __init__(self, kind: str = "local") -> None:
        self._kind = kind
        self._values: dict[Any, Any] = {}
        self._updater: Callable[..., None] | None = None
        self._optimizer: Any = None
        self._compression: _TwoBit | None = None

    @property
    def type(self) -> str:
        """The kind of store."""
        return self._kind

    @staticmethod
    def is_capable(capability: str) -> bool:
        """Whether the store has a capability: an optimizer of its own, here."""
        if capability.lower() != KVStoreBase.OPTIMIZER:
            raise _StoreError(f"Unknown capability: {printable(capability)}", expected=KVStoreBase.OPTIMIZER)
        return True

    # ---- values

    def init(self, key: Any, value: Any) -> None:
        """Set the first values of keys.

        Raises:
            MXNetError: a key has a value already.
        """
        for each, values in _pairs(key, value):
            if each in self._values:
                raise _StoreError(f"duplicate init of key {printable(each)}")
            if any(isinstance(known, str) != isinstance(each, str) for known in self._values):
                raise _StoreError("Mixed key types are not allowed", found=printable(each))
            self._values[each] = values[0].copy()

    def _value(self, key: Any) -> Any:
        if key not in self._values:
            raise _StoreError(f"key {printable(key)} has not been inited", fix="init it first: kv.init(key, value)")
        return self._values[key]

    def _fitting(self, key: Any, arrays: list[Any]) -> Any:
        """The value of a key, whose shape these arrays must have."""
        stored = self._value(key)
        wrong = [a.shape for a in arrays if a.shape != stored.shape]
        if wrong:
            raise _StoreError(f"arrays do not fit key {printable(key)}", expected=stored.shape, found=wrong)
        return stored

    def push(self, key: Any, value: Any, priority: int = 0) -> None:
        """Sum the values of each key over devices; the updater, if there is one, takes the sum, else it is stored.

        Args:
            key: a key, or a list of them.
            value: an array, a list of them for devices, or a list of these lists.
            priority: kept for MXNet's signature.
        """
        together: dict[Any, list[Any]] = {}
        for each, values in _pairs(key, value):
            self._fitting(each, values)
            together.setdefault(each, []).extend(values)  # what one call pushes to a key is one sum
        for each, values in together.items():
            self._take(each, self._reduced(each, values))

    def _reduced(self, key: Any, values: list[Any]) -> Any:
        if self._compression is not None:
            values = [self._compression(key, i, v) for i, v in enumerate(values)]
        return _summed(values)

    def _take(self, key: Any, total: Any) -> None:
        stored = self._value(key)
        if self._updater is not None:
            self._updater(_number(key), total.as_in_ctx(stored.context), stored)
        elif total.stype == stored.stype == "default":
            stored[:] = total
        else:
            self._values[key] = total.copy()

    def pull(self, key: Any, out: Any = None, priority: int = 0, ignore_sparse: bool = True) -> None:
        """Copy the values of keys into arrays."""
        for each, targets in _pairs(key, out):
            value = self._fitting(each, targets)
            if value.stype != "default" and ignore_sparse:
                continue
            for target in targets:
                value.copyto(target)

    def pushpull(self, key: Any, value: Any, out: Any = None, priority: int = 0) -> None:
        """`push` and `pull` in one; into the values themselves where `out` is not given."""
        self.push(key, value, priority)
        self.pull(key, value if out is None else out, priority, ignore_sparse=False)

    def broadcast(self, key: Any, value: Any, out: Any, priority: int = 0) -> None:
        """`init` and `pull` in one."""
        self.init(key, value)
        self.pull(key, out, priority)

    def row_sparse_pull(self, key: Any, out: Any = None, priority: int = 0, row_ids: Any = None) -> None:
        """Copy rows of values into row_sparse arrays.

        Args:
            key: a key, or a list of them.
            out: arrays.
            priority: kept for MXNet's signature.
            row_ids: the rows, an array or one for each array of `out`.

        Raises:
            AssertionError: no rows are given, or the value or an array is not row_sparse.
        """
        if out is None or row_ids is None:
            raise _StoreError("row_sparse_pull needs out and row_ids")
        for each, targets in _pairs(key, out):
            value = self._value(each)
            stored = [x.stype for x in (value, *targets)]
            if set(stored) != {"row_sparse"}:
                raise _StoreError(
                    f"row_sparse_pull takes rows of row_sparse values, and key {printable(each)} has others",
                    expected="row_sparse",
                    found=f"{stored[0]}, into {', '.join(stored[1:])}",
                    fix="pull dense values by pull(key, out=array)",
                )
            ids = row_ids if isinstance(row_ids, (list, tuple)) else [row_ids] * len(targets)
            for target, rows in zip(targets, ids, strict=True):
                wanted = nd.array(sorted({int(r) for r in rows.asnumpy().ravel()}), dtype="int64")
                found = nd.sparse.retain(value.tostype("row_sparse"), wanted)
                found.as_in_context(target.context).copyto(target)

    # ---- optimizer

    def set_optimizer(self, optimizer: Any) -> None:
        """Let the store change weights by an optimizer when gradients are pushed.

        Raises:
            ValueError: it is none.
        """
        if not isinstance(optimizer, opt.Optimizer):
            raise _StoreError(
                "set_optimizer takes an optimizer",
                found=printable(optimizer),
                fix="make it first: mx.optimizer.create('sgd', learning_rate=0.1)",
            )
        self._optimizer = optimizer
        self._set_updater(opt.get_updater(optimizer))

    def _set_updater(self, updater: Callable[..., None]) -> None:
        self._updater = updater

    set_updater = _set_updater

    def save_optimizer_states(self, fname: str, dump_optimizer: bool = False) -> None:
        """Save the optimizer's states, in MXNet's form.

        Raises:
            AssertionError: there is no optimizer.
        """
        if not isinstance(self._updater, opt.Updater):
            raise _StoreError("Cannot save states for distributed training", fix="set an optimizer first")
        data = self._updater.get_states(dump_optimizer)
        with commit(fname, total=len(data)) as sink:
            sink.write(data)

    def load_optimizer_states(self, fname: str) -> None:
        """Take over an optimizer's states from a `.states` file.

        Raises:
            AssertionError: there is no optimizer.
            MXNetError: the states are not those of the store's values; all is listed, and nothing is changed.
        """
        if not isinstance(self._updater, opt.Updater):
            raise _StoreError("Cannot load states for distributed training", fix="set an optimizer first")
        with open_source(fname) as source:
            data = bytes(source.head(source.size))
        weights = {_number(key): value for key, value in self._values.items()}
        # releases before 1.1 name states by numbers
        self._updater.set_states(data, weights, {i: [key] for i, key in enumerate(weights)}, where=fname)

    def set_gradient_compression(self, compression_params: Mapping[str, Any]) -> None:
        """Compress the gradients of devices to two bits each, with what is lost kept for the next time.

        Args:
            compression_params: `type`, "2bit", and `threshold`, 0.5 where not given.

        Raises:
            ValueError: another type, a threshold that is not positive, or a store that sums on the CPU's side.
        """
        if "device" not in self.type and "dist" not in self.type:
            raise _StoreError(
                "Gradient compression is not supported for this type of kvstore",
                expected="device, or a dist kind",
                found=self.type,
            )
        params = dict(compression_params)
        kind, threshold = params.pop("type", None), float(params.pop("threshold", 0.5))
        if kind != "2bit" or params:
            raise _StoreError(
                "no such gradient compression", expected="type '2bit', threshold", found=str(dict(compression_params))
            )
        if threshold <= 0:
            raise _StoreError("the threshold must be greater than 0", found=threshold)
        self._compression = _TwoBit(threshold)

    # ---- processes

    def barrier(self) -> None:
        """Wait for the other processes; there are none."""

    _barrier = barrier

    def _send_command_to_servers(self, head: int, body: str) -> None:
        """Nothing: there are no servers."""


class _TwoBit:
    """Gradients as -threshold, 0 or threshold; what is lost is added to the next one."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._residuals: dict[tuple[Any, int], Any] = {}

    def __call__(self, key: Any, device: int, grad: Any) -> Any:
        whole = grad + self._residuals.get((key, device), 0.0)
        sent = (whole >= self._threshold) * self._threshold - (whole <= -self._threshold) * self._threshold
        self._residuals[(key, device)] = whole - sent
        return sent


def _number(key: Any) -> Any:
    """A key as updaters want it: numbers stay numbers."""
    return int(key) if isinstance(key, str) and key.isdigit() else key


_KINDS = ("local", "local_update_cpu", "local_allreduce_cpu", "local_allreduce_device", "device", "nccl")


def create(name: str = "local") -> Any:
    """A store by the name of its kind.

    Args:
        name: `local`, `device`, `nccl`, one of `dist_sync`, `dist_device_sync`, `dist_async`, or a registered class.

    Raises:
        TypeError: no text.
        ValueError: there is no such kind.

    >>> create("local").type
    'local'
    """
    if not isinstance(name, str):
        raise InputTypeError("name must be a string", found=type(name).__name__)
    kind = name.lower()
    if kind in KVStoreBase.kv_registry:
        return KVStoreBase.kv_registry[kind]()
    _require_kind(kind)
    if kind not in _KINDS:
        from evergraph.mxnet.kvstore_dist import create_distributed

        return create_distributed(kind)
    return KVStore(kind)


def _require_kind(name: str) -> None:
    kind = name.lower()
    known = [*_KINDS, "dist_sync", "dist_device_sync", *KVStoreBase.kv_registry]
    if kind not in known and not kind.startswith("dist") and kind not in ("horovod", "byteps", "p3"):
        raise _StoreError(f"Unknown KVStore type {printable(name)}", expected=", ".join(known))


def for_devices(kvstore: Any, devices: int, arg_params: Mapping[str, Any]) -> tuple[Any, bool]:
    """The store that training on so many devices uses, and whether it changes the weights itself.

    Raises:
        TypeError: neither a store nor its name.
    """
    on_store = os.getenv("MXNET_UPDATE_ON_KVSTORE", "1") not in ("0", "false", "False")
    if isinstance(kvstore, str):
        _require_kind(kvstore)
    if kvstore is None or (isinstance(kvstore, str) and devices == 1 and "dist" not in kvstore):
        return None, False
    if isinstance(kvstore, str):
        store = create(kvstore)
        largest = max((math.prod(p.shape) for p in arg_params.values()), default=0)
        on_store = on_store and not (kvstore == "local" and largest > 1024 * 1024 * 16)
    elif isinstance(kvstore, KVStoreBase):
        store = kvstore
    else:
        raise InputTypeError("kvstore must be KVStore, str or None", found=type(kvstore).__name__)
    return store, on_store and store.is_capable(KVStoreBase.OPTIMIZER)


def initialize(
    store: Any, param_arrays: Sequence[Any], arg_params: Mapping[str, Any], names: Sequence[str], on_store: bool
) -> None:
    """Give a store the parameters, and the devices what the store has."""
    for name, arrays in zip(names, param_arrays, strict=True):
        value = arg_params[name]
        # stores of a program's own need not keep values: broadcast is all that each of them has
        if (on_store and value.stype == "default") or not hasattr(store, "init"):
            store.broadcast(name, value.as_in_context(cpu()), out=arrays)
        else:
            store.init(name, value)
            if on_store or getattr(store, "num_workers", 1) > 1:
                store.pull(name, out=arrays, ignore_sparse=False)


def exchange(store: Any, name: str, weights: Any, grads: Any, place: int, on_store: bool) -> None:
    """Hand gradients to a store; what comes back are weights where the store changes them, else their sum."""
    out = weights if on_store else grads
    if grads[0].stype == weights[0].stype == "default":
        store.pushpull(name, grads, out=out, priority=-place)
    else:
        # as in MXNet, row_sparse weights are not pulled here: `prepare` pulls the rows that a batch needs
        store.push(name, grads, priority=-place)
        store.pull(name, out=out, priority=-place)
