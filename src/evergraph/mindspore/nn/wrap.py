"""Networks around networks: with a loss, with one training step, with loss scaling, with evaluation."""

from typing import Any

import torch

from evergraph.errors import UsageError, printable
from evergraph.mindspore.common import dtype as mstype
from evergraph.mindspore.common.parameter import Parameter
from evergraph.mindspore.common.tensor import Tensor, wrap
from evergraph.mindspore.nn.cell import Cell, recording

__path__: list[str] = []  # programs import from modules below it

__all__ = [
    "DistributedGradReducer",
    "DynamicLossScaleUpdateCell",
    "FixedLossScaleUpdateCell",
    "ForwardValueAndGrad",
    "TrainOneStepCell",
    "TrainOneStepWithLossScaleCell",
    "WithEvalCell",
    "WithLossCell",
]


class WithLossCell(Cell):
    """A network whose output is the loss of (data, label).

    Args:
        backbone: the network.
        loss_fn: the loss, of the network's output and the label.
    """

    def __init__(self, backbone: Cell, loss_fn: Any) -> None:
        super().__init__(auto_prefix=False)
        self._backbone = backbone
        self._loss_fn = loss_fn

    def construct(self, data: Any, label: Any) -> Any:
        """The loss."""
        return self._loss_fn(self._backbone(data), label)

    @property
    def backbone_network(self) -> Cell:
        """The network."""
        return self._backbone


class WithEvalCell(Cell):
    """A network that gives (loss, output, label) of (data, label)."""

    def __init__(self, network: Cell, loss_fn: Any, add_cast_fp32: bool = False) -> None:
        super().__init__(auto_prefix=False)
        self._network = network
        self._loss_fn = loss_fn
        self.add_cast_fp32 = add_cast_fp32

    def construct(self, data: Any, label: Any) -> Any:
        """The loss, the output and the label."""
        outputs = self._network(data)
        if self.add_cast_fp32:
            outputs = outputs.astype(mstype.float32)
        return self._loss_fn(outputs, label), outputs, label


def loss_and_gradients(network: Any, weights: Any, inputs: Any, named: Any, sens: Any) -> tuple[Any, list[Any]]:
    """What a network gives, and the gradients of the sum of its first output times `sens`."""
    with recording():
        loss = network(*inputs, **named)
    first = loss[0] if isinstance(loss, tuple) else loss
    start = sens if isinstance(sens, torch.Tensor) else torch.full_like(first._torch, float(sens))
    held = [p._torch for p in weights]
    gradients = torch.autograd.grad(first._torch, held, start, allow_unused=True)
    found = [torch.zeros_like(p) if g is None else g for g, p in zip(gradients, held, strict=True)]
    return _detached(loss), found


def _detached(value: Any) -> Any:
    if isinstance(value, Tensor):
        return wrap(value._torch.detach())
    return tuple(map(_detached, value)) if isinstance(value, (tuple, list)) else value


class TrainOneStepCell(Cell):
    """One training step: loss, gradients, update; its output is the loss.

    Args:
        network: whose output is the loss.
        optimizer: what updates; its parameters are trained.
        sens: what the loss is scaled by before gradients are taken.
    """

    def __init__(self, network: Cell, optimizer: Any, sens: float | None = None, return_grad: bool = False) -> None:
        super().__init__(auto_prefix=False)
        self.network = network
        self.network.set_grad()
        self.optimizer = optimizer
        self.weights = optimizer.parameters
        self.sens = 1.0 if sens is None else sens
        self.return_grad = return_grad

    def construct(self, *inputs: Any, **named: Any) -> Any:
        """The loss, after which the weights are updated."""
        loss, gradients = loss_and_gradients(self.network, self.weights, inputs, named, self.sens)
        self.optimizer(gradients)
        if self.return_grad:
            return loss, {p.name: wrap(g) for p, g in zip(self.weights, gradients, strict=True)}
        return loss


class DistributedGradReducer(Cell):
    """Gradients as they are: one device has all of them."""

    def __init__(self, parameters: Any, mean: bool | None = None, degree: int | None = None, **_: Any) -> None:
        super().__init__(auto_prefix=False)

    def construct(self, grads: Any) -> Any:
        """The gradients."""
        return grads


class FixedLossScaleUpdateCell(Cell):
    """Keeps the loss scale as it is."""

    def __init__(self, loss_scale_value: float) -> None:
        super().__init__(auto_prefix=False)
        self.loss_scale_value = loss_scale_value

    def get_loss_scale(self) -> float:
        """The scale."""
        return self.loss_scale_value

    def construct(self, _: Any, overflow: Any) -> Any:
        """Whether there was an overflow."""
        return overflow


class DynamicLossScaleUpdateCell(Cell):
    """Divides the loss scale after an overflow, and multiplies it after so many steps without one.

    Args:
        loss_scale_value: the first scale.
        scale_factor: what it is divided and multiplied by.
        scale_window: so many steps.
    """

    def __init__(self, loss_scale_value: float, scale_factor: int, scale_window: int) -> None:
        super().__init__(auto_prefix=False)
        self.loss_scale_value = loss_scale_value
        self.scale_factor, self.scale_window = scale_factor, scale_window
        self.cur_iter = Parameter(Tensor(1, mstype.int32), name="current_iterator_step")
        self.last_overflow_iter = Parameter(Tensor(0, mstype.int32), name="last_overflow_iterator_step")

    def get_loss_scale(self) -> float:
        """The first scale."""
        return self.loss_scale_value

    def construct(self, loss_scale: Any, overflow: Any) -> Any:
        """Change `loss_scale` in place; whether there was an overflow."""
        step, last = self.cur_iter._torch, self.last_overflow_iter._torch
        if bool(overflow):
            loss_scale._torch.data.div_(self.scale_factor).clamp_(min=1)
            last.copy_(step)
        elif int(step) - int(last) >= self.scale_window:
            loss_scale._torch.data.mul_(self.scale_factor)
            last.copy_(step)
        step.add_(1)
        return overflow


class TrainOneStepWithLossScaleCell(TrainOneStepCell):
    """One training step under a loss scale; its output is (loss, overflow, scale).

    Args:
        network: whose output is the loss.
        optimizer: what updates, in steps without overflow.
        scale_sense: an update cell, or a scale that stays.
    """

    def __init__(self, network: Cell, optimizer: Any, scale_sense: Any) -> None:
        super().__init__(network, optimizer)
        self.loss_scaling_manager: Any = None
        if isinstance(scale_sense, Cell):
            self.loss_scaling_manager = scale_sense
            first: Any = Tensor(float(scale_sense.get_loss_scale()), mstype.float32)  # type: ignore[operator]
        elif isinstance(scale_sense, Tensor):
            first = scale_sense
        else:
            raise UsageError("scale_sense is a Cell or a Tensor", found=printable(type(scale_sense).__name__))
        self.scale_sense = Parameter(first, name="scale_sense")

    def set_sense_scale(self, sens: Any) -> None:
        """Use another scale from now on."""
        self.scale_sense.set_data(sens)

    def construct(self, *inputs: Any, **named: Any) -> Any:
        """The loss, whether gradients overflowed, and the scale that was used."""
        scale = self.scale_sense._torch.detach().clone()
        loss, gradients = loss_and_gradients(self.network, self.weights, inputs, named, float(scale))
        gradients = [g / scale for g in gradients]
        overflow = not all(bool(torch.isfinite(g).all()) for g in gradients)
        if self.loss_scaling_manager is not None:
            self.loss_scaling_manager(self.scale_sense, overflow)
        if not overflow:
            self.optimizer(gradients)
        return loss, wrap(torch.tensor(overflow)), wrap(scale)


class ForwardValueAndGrad(Cell):
    """The network's output, and its gradients.

    Args:
        network: the network.
        weights: the Parameters to take gradients of, where `get_by_list`.
        get_all: whether gradients of all inputs are taken.
        get_by_list: whether gradients of the weights are taken.
        sens_param: whether the last input is the output's gradient.
    """

    def __init__(
        self,
        network: Any,
        weights: Any = None,
        get_all: bool = False,
        get_by_list: bool = False,
        sens_param: bool = False,
    ) -> None:
        super().__init__(auto_prefix=False)
        self.network, self.weights = network, weights
        self.get_all, self.get_by_list, self.sens_param = get_all, get_by_list, sens_param

    def construct(self, *inputs: Any) -> Any:
        """The output and the gradients."""
        from evergraph.mindspore.ops.gradients import gradients_of

        sens = inputs[-1] if self.sens_param else None
        inputs = inputs[:-1] if self.sens_param else inputs
        positions = tuple(range(len(inputs))) if self.get_all else None if self.get_by_list else 0
        return gradients_of(self.network, inputs, positions, self.weights if self.get_by_list else None, sens)
