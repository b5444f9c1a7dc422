"""What every optimizer has: learning rates and decays by parameter, counts of updates, a registry by name."""

import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from evergraph.errors import UsageError, printable
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet._state import STATE
from evergraph.mxnet.base import InputTypeError

__all__ = ["Optimizer", "create", "register"]


class _NameError(UsageError, ValueError):
    """A name that no optimizer has."""


class _SettingError(UsageError, TypeError):
    """A setting that an optimizer does not have."""


def _settings(kind: type) -> list[str]:
    """Names of a class's settings, its bases' included."""
    found: dict[str, None] = {}
    for base in kind.__mro__:
        if "__init__" in vars(base) and base is not object:
            found |= dict.fromkeys(inspect.signature(vars(base)["__init__"]).parameters)
    return [name for name in found if name not in ("self", "args", "kwargs")]


class Optimizer:
    """The base of all optimizers: subclasses define `create_state` and `update`.

    Args:
        rescale_grad: what gradients are multiplied with first, usually 1 / batch size.
        param_idx2name: name of each parameter, by its index.
        wd: weight decay; parameters whose names end with neither `_weight` nor `_gamma` have none.
        clip_gradient: gradients are clipped to [-clip_gradient, clip_gradient].
        learning_rate: the rate; 0.01, or the scheduler's, where it is not given.
        lr_scheduler: the rate for each number of updates.
        sym: symbol whose attributes `__lr_mult__` and `__wd_mult__` count.
        begin_num_update: how many updates were done before.
        multi_precision: whether float16 weights are kept as float32 copies too.
        param_dict: parameters by index, with `lr_mult` and `wd_mult` of their own.
    """

    opt_registry: ClassVar[dict[str, type]] = {}

    def __init__(
        self,
        rescale_grad: float = 1.0,
        param_idx2name: Mapping[Any, str] | None = None,
        wd: float = 0.0,
        clip_gradient: float | None = None,
        learning_rate: float | None = None,
        lr_scheduler: Any = None,
        sym: Any = None,
        begin_num_update: int = 0,
        multi_precision: bool = False,
        param_dict: Mapping[Any, Any] | None = None,
    ) -> None:
        if param_idx2name is not None and not isinstance(param_idx2name, Mapping):
            raise InputTypeError(
                "param_idx2name should be a dict of param indexes to names.", found=type(param_idx2name).__name__
            )
        self.rescale_grad, self.lr_scheduler = rescale_grad, lr_scheduler
        self.lr: Any = 0.01 if lr_scheduler is None and learning_rate is None else learning_rate
        if lr_scheduler is not None and learning_rate is not None and lr_scheduler.base_lr != learning_rate:
            print(
                UserWarning(
                    "learning rate from ``lr_scheduler`` has been overwritten by ``learning_rate`` in optimizer."
                )
            )
            lr_scheduler.base_lr = learning_rate
        self.wd, self.clip_gradient, self.multi_precision = wd, clip_gradient, multi_precision
        self.lr_mult: dict[Any, float] = {}
        self.wd_mult: dict[Any, float] = {}
        self.begin_num_update = self.num_update = begin_num_update
        self._all_index_update_counts: dict[int, dict[Any, int]] = {0: {}}
        self._index_update_count = self._all_index_update_counts[0]
        self.aggregate_num = 0
        self.idx2name = dict(param_idx2name or {})
        self.sym_info = (sym.attr_dict(), sym.list_arguments()) if sym is not None else ()
        self.param_dict = param_dict or {}
        self.allow_np_array = STATE.np_array
        self.set_lr_mult({})
        self.set_wd_mult({})

    # ---- the registry

    @staticmethod
    def register(klass: type) -> type:
        """Make an optimizer known by its class's name; also a decorator."""
        name = klass.__name__.lower()
        old = Optimizer.opt_registry.get(name)
        if old is not None:
            warnings.warn(
                f"WARNING: New optimizer {klass.__module__}.{klass.__name__} is overriding existing optimizer"
                f" {old.__module__}.{old.__name__}",
                stacklevel=2,
            )
        Optimizer.opt_registry[name] = klass
        return klass

    @staticmethod
    def create_optimizer(name: str, **kwargs: Any) -> "Optimizer":
        """An optimizer by its name, in any case.

        Raises:
            ValueError: there is none of this name.

        >>> create("sgd", momentum=0.9).momentum
        0.9
        """
        found = Optimizer.opt_registry.get(name.lower())
        if found is None:
            raise _NameError(f"Cannot find optimizer {name}", expected=", ".join(sorted(Optimizer.opt_registry)))
        try:
            return found(**kwargs)
        except TypeError as error:
            known = _settings(found)
            unknown = [f"{printable(k)}: unknown" for k in kwargs if k not in known]
            if not unknown:
                raise
            shown = ", ".join(k for k in known if k not in ("self", "sym", "param_idx2name", "param_dict"))
            raise _SettingError(f"{found.__name__} has no such settings", expected=shown, details=unknown) from error

    # ---- what subclasses define

    def create_state(self, index: Any, weight: Any) -> Any:
        """The state that is kept for a weight: an array, a tuple of them, or None."""
        return None

    def update(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """Change a weight by its gradient, and its state."""
        raise NotImplementedError("an optimizer defines update(index, weight, grad, state)")

    def create_state_multi_precision(self, index: Any, weight: Any) -> Any:
        """The state of a weight; with `multi_precision` and float16, beside a float32 copy of it."""
        if self._has_master(weight):
            master = weight.astype(np.float32)
            return master, self.create_state(index, master)
        self._warn_of_half(weight)
        return self.create_state(index, weight)

    def update_multi_precision(self, index: Any, weight: Any, grad: Any, state: Any) -> None:
        """As `update`, on the float32 copy where there is one."""
        if self._has_master(weight):
            self.update(index, state[0], grad.astype(np.float32), state[1])
            state[0].astype(weight.dtype).copyto(weight)
        else:
            self.update(index, weight, grad, state)

    def _has_master(self, weight: Any) -> bool:
        return self.multi_precision and weight.dtype == np.float16

    def _warn_of_half(self, weight: Any) -> None:
        if weight.dtype == np.float16 and not self.multi_precision:
            warnings.warn(
                "Accumulating with float16 in optimizer can lead to poor accuracy or slow convergence. "
                f"Consider using multi_precision=True option of the {type(self).__name__} optimizer",
                stacklevel=3,
            )

    # ---- rates

    @property
    def learning_rate(self) -> float:
        """The rate at this number of updates."""
        return self.lr_scheduler(self.num_update) if self.lr_scheduler is not None else self.lr

    def set_learning_rate(self, lr: float) -> None:
        """Set the rate.

        Raises:
            UserWarning: a scheduler decides it.
        """
        if self.lr_scheduler is not None:
            raise UserWarning(
                "LRScheduler of the optimizer has already been defined. Note that set_learning_rate can mutate the"
                " value of the learning rate of the optimizer only when the LRScheduler of the optimizer is undefined."
            )
        self.lr = lr

    def set_lr_scale(self, args_lrscale: Any) -> None:
        """Gone; see `set_lr_mult`."""
        raise DeprecationWarning("set_lr_scale is gone: use set_lr_mult")

    def set_lr_mult(self, args_lr_mult: Mapping[Any, float]) -> None:
        """Multiply the rate of these parameters, by name or index, beside what the symbol's attributes say."""
        self.lr_mult = {**self._stated("__lr_mult__"), **args_lr_mult}

    def set_wd_mult(self, args_wd_mult: Mapping[Any, float]) -> None:
        """Multiply the decay of these parameters, by name or index, beside what the symbol's attributes say."""
        plain = {n: 0.0 for n in self.idx2name.values() if not n.endswith(self._decayed)}
        self.wd_mult = {**plain, **self._stated("__wd_mult__"), **args_wd_mult}

    _decayed = ("_weight", "_gamma")

    def _stated(self, key: str) -> dict[str, float]:
        if not self.sym_info:
            return {}
        attributes, names = self.sym_info
        return {n: float(attributes[n][key]) for n in names if key in attributes.get(n, {})}

    def _set_current_context(self, device_id: int) -> None:
        self._index_update_count = self._all_index_update_counts.setdefault(device_id, {})

    def _update_count(self, index: Any) -> None:
        for each in index if isinstance(index, (list, tuple)) else [index]:
            count = self._index_update_count.get(each, self.begin_num_update) + 1
            self._index_update_count[each] = count
            self.num_update = max(count, self.num_update)

    def _multiplied(self, value: float, attribute: str, table: Mapping[Any, float], index: Any) -> float:
        if index in self.param_dict:
            return value * getattr(self.param_dict[index], attribute)
        if index in table:
            return value * table[index]
        if index in self.idx2name:
            return value * table.get(self.idx2name[index], 1.0)
        return value

    def _all_multiplied(
        self, value: float, attribute: str, table: Mapping[Any, float], indices: Sequence[Any]
    ) -> list[float]:
        parameters = self.param_dict
        if not value or not (table or parameters):
            return [value] * len(indices)
        return [
            value * getattr(parameters[i], attribute)
            if i in parameters
            else self._multiplied(value, attribute, table, i)
            for i in indices
        ]

    def _get_lrs(self, indices: Sequence[Any]) -> list[float]:
        return self._all_multiplied(self.learning_rate, "lr_mult", self.lr_mult, indices)

    def _get_lr(self, index: Any) -> float:
        return self._get_lrs([index])[0]

    def _get_wds(self, indices: Sequence[Any]) -> list[float]:
        return self._all_multiplied(self.wd, "wd_mult", self.wd_mult, indices)

    def _get_wd(self, index: Any) -> float:
        return self._get_wds([index])[0]

    # ---- what update rules share

    def _rule(self, **parameters: Any) -> dict[str, Any]:
        """Parameters of an update operator: those that every rule takes, and these."""
        parameters["rescale_grad"] = self.rescale_grad
        if self.clip_gradient:
            parameters["clip_gradient"] = self.clip_gradient
        return parameters

    def _begin(self, index: Any) -> tuple[float, float, int]:
        """Count an update; returns its rate, its decay, and how many this weight has had."""
        self._update_count(index)
        return self._get_lr(index), self._get_wd(index), self._index_update_count[index]

    def _scaled(self, grad: Any) -> Any:
        """A gradient, rescaled and clipped."""
        return self._clipped(grad * self.rescale_grad)

    def _clipped(self, grad: Any) -> Any:
        if self.clip_gradient is None:
            return grad
        return nd.clip(grad, -self.clip_gradient, self.clip_gradient)

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "param_dict"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = {**state, "param_dict": {}}


register = Optimizer.register
create = Optimizer.create_optimizer


def zeros_like(weight: Any, number: int = 1, typed: bool = True, stored: bool = False) -> Any:
    """Zeros of a weight's shape for a state: one array, or a tuple of them.

    Args:
        weight: the weight.
        number: how many.
        typed: whether they have the weight's type; float32 else.
        stored: whether they have the weight's storage.
    """
    dtype, stype = weight.dtype if typed else None, weight.stype if stored else None
    made = tuple(nd.zeros(weight.shape, weight.context, dtype, stype=stype) for _ in range(number))
    return made[0] if number == 1 else made
