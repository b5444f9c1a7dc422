"""`mint.optim`: PyTorch's optimizers under PyTorch's names and arguments, called with gradients."""

from typing import Any

import torch

from evergraph.errors import UsageError, printable
from evergraph.mindspore.common.parameter import Parameter, ParameterTuple
from evergraph.mindspore.common.tensor import Tensor, unwrap

__all__ = ["SGD", "Adam", "AdamW"]


class _Optimizer:
    """Updates Parameters from their gradients.

    Args:
        params: Parameters, or groups `{"params": [...], "lr": ...}`.
        lr: the learning rate.
        named: as torch's optimizer of this name takes them.
    """

    _kind: Any = None

    def __init__(self, params: Any, lr: Any = 1e-3, **named: Any) -> None:
        groups: list[Any] = list(params)
        given: list[dict[str, Any]] = groups if groups and isinstance(groups[0], dict) else [{"params": groups}]
        wrong = [p for group in given for p in group["params"] if not isinstance(p, Parameter)]
        if wrong:
            raise UsageError("Parameters are optimized", found=printable(type(wrong[0]).__name__))
        self.parameters = ParameterTuple([p for group in given for p in group["params"]])
        rows = [unwrap(group) | {"params": [p._torch for p in group["params"]]} for group in given]
        self._run = self._kind(rows, lr=float(lr), **unwrap(named))

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups, whose `lr` may be set."""
        return self._run.param_groups

    def __call__(self, gradients: Any) -> None:
        """Update every Parameter from its gradient.

        Raises:
            UsageError: there is not one for each.
        """
        found = list(gradients)
        if len(found) != len(self.parameters):
            raise UsageError("a gradient for each Parameter", expected=len(self.parameters), found=len(found))
        for param, gradient in zip(self.parameters, found, strict=True):
            param._torch.grad = gradient._torch if isinstance(gradient, Tensor) else gradient
        self._run.step()
        for param in self.parameters:
            param._torch.grad = None

    step = construct = __call__


class Adam(_Optimizer):
    """As torch.optim's Adam."""

    _kind = torch.optim.Adam


class AdamW(_Optimizer):
    """As torch.optim's AdamW."""

    _kind = torch.optim.AdamW


class SGD(_Optimizer):
    """As torch.optim's SGD."""

    _kind = torch.optim.SGD
