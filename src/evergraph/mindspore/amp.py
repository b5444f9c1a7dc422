"""`amp`: loss scalers for training that is written as functions. Mixed precision is computed in Float32."""

import warnings
from typing import Any

import torch

from evergraph.errors import UsageError, printable
from evergraph.mindspore.common import dtype as mstype
from evergraph.mindspore.common.parameter import Parameter
from evergraph.mindspore.common.tensor import Tensor, wrap
from evergraph.mindspore.nn.cell import Cell
from evergraph.mindspore.nn.wrap import TrainOneStepCell, TrainOneStepWithLossScaleCell, WithLossCell
from evergraph.mindspore.train.loss_scale_manager import (
    DynamicLossScaleManager,
    FixedLossScaleManager,
    LossScaleManager,
)

__all__ = [
    "DynamicLossScaleManager",
    "DynamicLossScaler",
    "FixedLossScaleManager",
    "LossScaleManager",
    "LossScaler",
    "StaticLossScaler",
    "all_finite",
    "auto_mixed_precision",
    "build_train_network",
    "custom_mixed_precision",
]

_LEVELS = ("O0", "O1", "O2", "O3", "auto")


def all_finite(inputs: Any) -> Tensor:
    """Whether no element of any Tensor is infinite or NaN.

    >>> all_finite((Tensor([1.0, float("inf")]), Tensor([1.0])))
    Tensor(shape=[], dtype=Bool, value= False)
    """
    given = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
    return wrap(torch.tensor(all(bool(torch.isfinite(t._torch).all()) for t in given)))


class LossScaler:
    """What scales a loss, takes the scale from its gradients, and follows overflows; subclasses define it."""

    scale_value: Any = 1.0

    def scale(self, inputs: Any) -> Any:
        """Tensors times the scale."""
        return self._each(inputs, lambda t: t * self._factor())

    def unscale(self, inputs: Any) -> Any:
        """Tensors over the scale."""
        return self._each(inputs, lambda t: t / self._factor())

    def adjust(self, grads_finite: Any) -> Any:
        """Change the scale after a step."""
        raise UsageError("a scaler defines adjust(grads_finite)", where=type(self).__name__)

    def _factor(self) -> Any:
        return self.scale_value._torch.detach()

    def _each(self, inputs: Any, run: Any) -> Any:
        if isinstance(inputs, (tuple, list)):
            return tuple(self._each(v, run) for v in inputs)
        return wrap(run(inputs._torch).to(inputs._torch.dtype))


class StaticLossScaler(LossScaler):
    """One scale for all steps.

    Args:
        scale_value: above 0.
    """

    def __init__(self, scale_value: float) -> None:
        if not scale_value > 0:
            raise UsageError("scale_value is above 0", found=printable(scale_value))
        self.scale_value = Parameter(Tensor(float(scale_value), mstype.float32), name="scale_value")

    def adjust(self, grads_finite: Any) -> Any:
        """Nothing; False, as the scale stays."""
        return wrap(torch.tensor(False))


class DynamicLossScaler(LossScaler):
    """A scale that is divided at each overflow, and multiplied after so many steps without one.

    Args:
        scale_value: the first scale.
        scale_factor: what it is divided and multiplied by; it stays at least 1.
        scale_window: so many steps.

    >>> scaler = DynamicLossScaler(4, 2, 2)
    >>> for finite in (True, True, False):
    ...     _ = scaler.adjust(Tensor(finite))
    ...     print(float(scaler.scale_value), int(scaler.counter))
    4.0 1
    8.0 0
    4.0 0
    """

    def __init__(self, scale_value: float, scale_factor: int, scale_window: int) -> None:
        numbers = {"scale_value": scale_value, "scale_factor": scale_factor, "scale_window": scale_window}
        wrong = [f"{k} = {printable(v)}" for k, v in numbers.items() if not (isinstance(v, (int, float)) and v > 0)]
        if not isinstance(scale_window, int) or wrong:
            raise UsageError(
                "numbers above 0 are given, and a whole scale_window", details=wrong, found=printable(scale_window)
            )
        self.scale_factor, self.scale_window = scale_factor, scale_window
        self.scale_value = Parameter(Tensor(float(scale_value), mstype.float32), name="scale_value")
        self.counter = Parameter(Tensor(0, mstype.int32), name="counter")

    def adjust(self, grads_finite: Any) -> Any:
        """Change the scale after a step whose gradients are finite, or not; True."""
        scale, counter = self.scale_value._torch.data, self.counter._torch.data
        if not bool(grads_finite):
            scale.div_(self.scale_factor).clamp_(min=1)
            counter.zero_()
        elif int(counter) + 1 >= self.scale_window:
            if bool(torch.isfinite(scale * self.scale_factor)):
                scale.mul_(self.scale_factor)
            counter.zero_()
        else:
            counter.add_(1)
        return wrap(torch.tensor(True))


def auto_mixed_precision(network: Any, amp_level: str = "O0", dtype: Any = mstype.float16) -> Any:  # noqa: ARG001
    """The network, which computes in Float32 at every level.

    Raises:
        UsageError: it is no Cell, or there is no such level.
    """
    if not isinstance(network, Cell):
        raise UsageError("mixed precision is for a Cell", found=printable(type(network).__name__))
    if amp_level not in _LEVELS:
        raise UsageError("no such amp_level", expected=", ".join(_LEVELS), found=printable(amp_level))
    if amp_level != "O0":
        warnings.warn(f"amp_level={amp_level!r}: everything is computed in Float32", UserWarning, stacklevel=2)
    return network


def custom_mixed_precision(
    network: Any, *, white_list: Any = None, black_list: Any = None, dtype: Any = mstype.float16
) -> Any:
    """The network, which computes in Float32.

    Raises:
        UsageError: it is no Cell, or not just one list is given.
    """
    if (white_list is None) == (black_list is None):
        raise UsageError("either white_list or black_list is given", where="custom_mixed_precision")
    return auto_mixed_precision(network, "auto", dtype)


def build_train_network(
    network: Any,
    optimizer: Any,
    loss_fn: Any = None,
    level: str = "O0",
    boost_level: str = "O0",  # noqa: ARG001
    loss_scale_manager: Any = None,
    keep_batchnorm_fp32: bool | None = None,  # noqa: ARG001
) -> Any:
    """The training step of a network: what `Model` makes.

    Args:
        network: a Cell; its output is the loss where there is no `loss_fn`.
        optimizer: what updates.
        loss_fn: the loss, of the network's output and the label.
        level: as `auto_mixed_precision` takes it.
        boost_level: taken; it changes nothing.
        loss_scale_manager: the manager of the loss scale.
        keep_batchnorm_fp32: taken: everything is in Float32.
    """
    whole = auto_mixed_precision(network, level)
    whole = whole if loss_fn is None else WithLossCell(whole, loss_fn)
    if loss_scale_manager is None:
        return TrainOneStepCell(whole, optimizer).set_train()
    update = loss_scale_manager.get_update_cell()
    if update is None:
        return TrainOneStepCell(whole, optimizer, loss_scale_manager.get_loss_scale()).set_train()
    return TrainOneStepWithLossScaleCell(whole, optimizer, update).set_train()
