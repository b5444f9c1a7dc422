"""What all optimizers share: groups, learning rates, weight decay, loss scale, the order of their state."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from evergraph.errors import UsageError, printable
from evergraph.mindspore.common import dtype as mstype
from evergraph.mindspore.common.parameter import Parameter, ParameterTuple
from evergraph.mindspore.common.tensor import Tensor, wrap
from evergraph.mindspore.nn.cell import Cell
from evergraph.mindspore.nn.learning_rate_schedule import LearningRateSchedule

__all__ = ["Optimizer"]

foreach: Any = torch
"""torch, for its `_foreach` functions, which update many tensors at once and are not in its public list."""


class _ListedRate(LearningRateSchedule):
    """A learning rate for each step, from a list that the checkpoint holds."""

    def __init__(self, rates: Any, name: str) -> None:
        super().__init__(auto_prefix=False)
        self.learning_rate = Parameter(Tensor(np.asarray(rates, np.float32)), name=name)

    def construct(self, global_step: Any) -> Tensor:
        """The rate at this step.

        Raises:
            UsageError: the list is shorter.
        """
        step, held = int(global_step._torch.reshape(-1)[0]), self.learning_rate
        if step >= len(held):
            raise UsageError(
                "the list of learning rates is at its end (Gather index out of range)",
                expected=f"a rate for step {step}",
                found=f"{len(held)} rates",
                fix="give a rate for each step of all epochs",
            )
        return wrap(held._torch.detach()[step])


class _ConstantRate(LearningRateSchedule):
    """The same learning rate at every step, beside groups whose rates change."""

    def __init__(self, rate: Parameter) -> None:
        super().__init__(auto_prefix=False)
        self.learning_rate = rate

    def construct(self, global_step: Any) -> Tensor:
        """The rate."""
        return wrap(self.learning_rate._torch.detach())


class Optimizer(Cell):
    """Updates Parameters from their gradients.

    Args:
        learning_rate: a number, a list or 1-D Tensor of one for each step, or a LearningRateSchedule.
        parameters: Parameters, or groups `{"params": [...], "lr": ..., "weight_decay": ...}`, with at most one
            `{"order_params": [...]}`.
        weight_decay: what of a weight is added to its gradient; not to names with `beta` or `gamma` without groups.
        loss_scale: what gradients are divided by.

    Raises:
        UsageError: no Parameters, a Parameter twice, an unknown key, or a negative number.
    """

    decays_by_gradient = True

    def __init__(self, learning_rate: Any, parameters: Any, weight_decay: Any = 0.0, loss_scale: float = 1.0) -> None:
        super().__init__(auto_prefix=False)
        items = list(parameters)
        if not items:
            raise UsageError("there are no Parameters to optimize", where=type(self).__name__)
        if loss_scale <= 0 or (isinstance(weight_decay, (int, float)) and weight_decay < 0):
            raise UsageError(
                "loss_scale is above 0, weight_decay at least 0", found=printable((loss_scale, weight_decay))
            )
        self.loss_scale = float(loss_scale)
        self.is_group = isinstance(items[0], dict)
        self.global_step = Parameter(Tensor(np.zeros(1, np.int32)), name="global_step")
        self.weight_decay = weight_decay
        rows = self._grouped(items, learning_rate) if self.is_group else [(p, None, weight_decay) for p in items]
        self._own_rates(learning_rate, rows, items)
        self._decays = [
            wd if self.is_group or not ("beta" in p.name or "gamma" in p.name) else 0.0 for p, _, wd in rows
        ]
        trained = self._named(ParameterTuple([p for p, _, _ in rows]))
        self.__dict__["_trained"] = self.__dict__["parameters"] = trained
        self.__dict__["_before_trained"], self.__dict__["_listed_as"] = len(self._params), [p.name for p in trained]
        self._weights = [p._torch for p in self._trained]

    def _listed(self) -> "list[tuple[str, Parameter | None]]":
        """Its own Parameters with those that it trains among them, where MindSpore lists them.

        They are no attributes: a weight may be called as one of the optimizer's own.
        """
        own, at = super()._listed(), self.__dict__.get("_before_trained", 0)
        trained = zip(self.__dict__.get("_listed_as", ()), self.__dict__.get("_trained", ()), strict=True)
        return [*own[:at], *trained, *own[at:]]

    # learning rates

    def _grouped(self, groups: list[dict[str, Any]], learning_rate: Any) -> list[tuple[Parameter, Any, Any]]:
        """Each Parameter with its group's number where the group has a rate, and its weight decay."""
        rows: list[tuple[Parameter, Any, Any]] = []
        order: list[Parameter] | None = None
        known = {"params", "lr", "weight_decay", "order_params", "grad_centralization"}
        for number, group in enumerate(groups):
            if not isinstance(group, dict) or group.keys() - known:
                raise UsageError("a group is a dict", expected=", ".join(sorted(known)), found=printable(group))
            if "order_params" in group:
                order = list(group["order_params"])
                continue
            if group.get("grad_centralization"):
                warnings.warn(
                    "grad_centralization changes nothing, as in MindSpore on a CPU", UserWarning, stacklevel=4
                )
            decay = group.get("weight_decay", self.weight_decay)
            rows += [(p, number if "lr" in group else None, decay) for p in group["params"]]
        if order is not None:
            places = {id(p): i for i, p in enumerate(order)}
            rows.sort(key=lambda row: places.get(id(row[0]), len(places)))
        return rows

    def _own_rates(self, learning_rate: Any, rows: Sequence[tuple[Parameter, Any, Any]], groups: list[Any]) -> None:
        """Make the learning rates' parameters in the order of the Parameters that they serve.

        Where a group's rate changes from step to step, all stand behind the optimizer's state, as in MindSpore.
        """
        rates: dict[int | None, Any] = {}
        for number in dict.fromkeys(number for _, number, _ in rows):
            name = "learning_rate" if number is None else f"learning_rate_group_{number}"
            rates[number] = self._rate(learning_rate if number is None else groups[number]["lr"], name)
        self.dynamic_lr = any(not isinstance(r, Parameter) for r in rates.values())
        for number, rate in rates.items():
            held = _ConstantRate(rate) if self.dynamic_lr and isinstance(rate, Parameter) else rate
            rates[number] = held
            setattr(self, "learning_rate" if number is None else f"learning_rate_group_{number}", held)
        self.is_group_lr = any(number is not None for number in rates)
        self.__dict__["_rates"] = [rates[number] for _, number, _ in rows]

    @staticmethod
    def _rate(value: Any, name: str) -> Any:
        if isinstance(value, LearningRateSchedule):
            return value
        if isinstance(value, Cell):
            raise UsageError("a schedule is a LearningRateSchedule", found=printable(type(value).__name__))
        if isinstance(value, Tensor):
            value = value.asnumpy()
        array = np.asarray(list(value) if not np.isscalar(value) and np.ndim(value) else value, np.float32)
        if array.ndim == 0:
            if array < 0:
                raise UsageError("a learning rate is at least 0", found=printable(value))
            return Parameter(Tensor(array), name=name)
        return _ListedRate(array, name)

    def get_lr(self) -> Any:
        """The learning rate of this step, a Parameter where it stays; of groups, one for each Parameter."""
        now = zip(self._rates, self._rates_now(), strict=True)
        found = [held if isinstance(held, Parameter) else wrap(torch.tensor(rate)) for held, rate in now]
        return tuple(found) if self.is_group_lr else found[0]

    def _rates_now(self) -> list[float]:
        """A learning rate for each Parameter."""
        made: dict[int, float] = {}
        for rate in self._rates:
            if id(rate) not in made:
                made[id(rate)] = float(rate if isinstance(rate, Parameter) else rate(self.global_step))
        return [made[id(rate)] for rate in self._rates]

    def get_weight_decay(self) -> Any:
        """The weight decay of each Parameter."""
        return tuple(self._decays)

    # one step

    def state(self, prefix: str, init: Any = "zeros") -> ParameterTuple:
        """State of the Parameters' shapes, named `prefix.name`."""
        return self._trained.clone(prefix, init)

    def construct(self, gradients: Any) -> Any:
        """Update every Parameter from its gradient; True for each."""
        given = [g._torch if isinstance(g, Tensor) else g for g in gradients]
        if len(given) != len(self._weights):
            raise UsageError("a gradient for each Parameter", expected=len(self._weights), found=len(given))
        with torch.no_grad():
            rates = self._rates_now()
            decays = [float(d if isinstance(d, (int, float)) else d(self.global_step)) for d in self._decays]
            if self.decays_by_gradient and any(decays):
                # MindSpore scales the decay up as the loss is, and both down again
                shares = [d * self.loss_scale for d in decays]
                given = [g.add(p, alpha=d) if d else g for g, p, d in zip(given, self._weights, shares, strict=True)]
            if self.loss_scale != 1:
                given = foreach._foreach_mul(given, 1 / self.loss_scale)
            given = [g if g.dtype == p.dtype else g.to(p.dtype) for g, p in zip(given, self._weights, strict=True)]
            self.global_step._torch.add_(1)
            self.update(self._weights, given, rates, decays)
        return (True,) * len(self._weights)

    def update(
        self,
        weights: list[torch.Tensor],
        gradients: list[torch.Tensor],
        rates: list[float],
        decays: list[float],
    ) -> None:
        """Update weights in place; a subclass defines it."""
        raise UsageError("an optimizer defines its update", where=type(self).__name__)

    @property
    def unique(self) -> bool:
        """Whether gradients' rows are added up before they are used: always."""
        return True

    def get_lr_parameter(self, param: Any) -> Any:
        """The learning rate of a Parameter, or of several: a Parameter, or a schedule."""
        order = list(self._trained)
        found = [
            self._rates[next(i for i, mine in enumerate(order) if mine is one)]
            for one in ([param] if isinstance(param, Parameter) else param)
        ]
        return found[0] if isinstance(param, Parameter) else found

    def target(self, *_: Any) -> None:
        """Kept for programs that choose where the update runs."""


def tensors(parameters: Sequence[Parameter]) -> list[torch.Tensor]:
    """The torch tensors of Parameters."""
    return [p._torch for p in parameters]


def by_rate(run: Callable[..., None], rates: list[float], *columns: Sequence[Any]) -> None:
    """Call `run(rate, *columns)` once for each learning rate, with the Parameters that have it."""
    if len(set(rates)) == 1:
        run(rates[0], *columns)
        return
    for rate in dict.fromkeys(rates):
        run(rate, *([v for v, r in zip(column, rates, strict=True) if r == rate] for column in columns))


def number(name: str, value: Any) -> Parameter:
    """A 0-d Float32 Parameter."""
    return Parameter(Tensor(float(value), mstype.float32), name=name)


def single(value: float) -> float:
    """The nearest number of single precision: MindSpore's optimizers hold their settings so."""
    return float(np.float32(value))


def checked_share(**named: float) -> None:
    """Refuse decay rates that are not between 0 and 1.

    Raises:
        UsageError: one is not.
    """
    wrong = [f"{k} = {printable(v)}" for k, v in named.items() if not 0 < v < 1]
    if wrong:
        raise UsageError("decay rates lie between 0 and 1", details=wrong)
