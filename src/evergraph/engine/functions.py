"""Operators as plain functions of tensors, by name: what a traced module's code calls.

`evergraph.engine.functions.Convolution` computes as in inference, `...Convolution_training` as in training.

>>> import torch
>>> from evergraph.engine import functions
>>> functions.clip(torch.tensor([-2.0, 0.5]), a_min=-1.0, a_max=1.0)
tensor([-1.0000,  0.5000])
"""

import functools
from collections.abc import Callable
from typing import Any

import torch

from evergraph.errors import OperatorError
from evergraph.ops import Operator, Params, get
from evergraph.ops.run import Run

__all__ = ["Function", "TorchRun", "function"]

_TRAINING = "_training"


class TorchRun(Run):
    """A run in which layers change their states in the forward pass, as PyTorch's layers do."""

    __slots__ = ()

    def later(self, move: Callable[[], Any], through: Any) -> None:
        """Move states on now."""
        with torch.no_grad():
            move()


class Function:
    """One operator as a function: inputs by position (None for those not used), parameters by name.

    Args:
        op: the operator.
        training: whether it behaves as in training.
    """

    def __init__(self, op: Operator, training: bool) -> None:
        self.op, self.training = op, training
        self.__name__ = self.__qualname__ = op.name + (_TRAINING if training else "")
        self.__module__ = __name__
        self.__doc__ = op.doc

    def __call__(self, *inputs: Any, **parameters: Any) -> Any:
        """The visible outputs: a tensor, or a tuple where there are several."""
        if torch.overrides.has_torch_function(inputs):  # a tracer records the call itself
            return torch.overrides.handle_torch_function(self, inputs, *inputs, **parameters)
        run = {"run": TorchRun(self.training)} if self.op.wants_run else {}
        params = self.op.convert(parameters)
        found = self.op.body(*inputs, **params, **run)
        return self.visible(params, found)

    def visible(self, params: Params, found: Any) -> Any:
        """What others see of the body's result."""
        count = self.op.visible_outputs(params)
        if not isinstance(found, (tuple, list)):
            return found
        return found[0] if count == 1 else tuple(found[:count])

    def __reduce__(self) -> str:
        return self.__name__

    def __deepcopy__(self, memo: dict[int, Any]) -> "Function":
        return self


@functools.cache
def function(name: str, training: bool = False) -> Function:
    """The function of an operator.

    Raises:
        OperatorError: there is no such operator.
    """
    return Function(get(name), training)


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    try:
        return function(name.removesuffix(_TRAINING), name.endswith(_TRAINING))
    except OperatorError as error:
        raise AttributeError(str(error)) from error
