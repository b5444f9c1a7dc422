"""Activations."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from evergraph.errors import UsageError, printable
from evergraph.mindspore.common import dtype as mstype
from evergraph.mindspore.common.initializer import initializer
from evergraph.mindspore.common.parameter import Parameter
from evergraph.mindspore.common.tensor import wrap
from evergraph.mindspore.nn.cell import Cell

__all__ = ["PReLU", "get_activation"]


def _simple(name: str, run: Callable[..., torch.Tensor], **defaults: Any) -> type[Cell]:
    """An activation without parameters: its arguments become attributes and go to `run`."""

    def __init__(self: Any, *args: Any, **named: Any) -> None:
        Cell.__init__(self)
        if len(args) > len(defaults) or named.keys() - defaults.keys():
            raise UsageError("no such argument", where=name, expected=", ".join(defaults) or "none")
        self.arguments = defaults | dict(zip(defaults, args, strict=False)) | named

    def construct(self: Any, x: Any) -> Any:
        """Apply it to each element."""
        return wrap(run(x._torch, **self.arguments))

    body = {"__init__": __init__, "construct": construct, "__doc__": f"{name} of each element.", "__module__": __name__}
    return type(name, (Cell,), body)


ReLU = _simple("ReLU", torch.relu)
ReLU6 = _simple("ReLU6", F.relu6)
Sigmoid = _simple("Sigmoid", torch.sigmoid)
Tanh = _simple("Tanh", torch.tanh)
SiLU = _simple("SiLU", F.silu)
Mish = _simple("Mish", F.mish)
SeLU = _simple("SeLU", F.selu)
LogSigmoid = _simple("LogSigmoid", F.logsigmoid)
Softsign = _simple("Softsign", F.softsign)
Tanhshrink = _simple("Tanhshrink", F.tanhshrink)
HSigmoid = _simple("HSigmoid", lambda x: F.relu6(x + 3) / 6)
HSwish = _simple("HSwish", lambda x: x * F.relu6(x + 3) / 6)
FastGelu = _simple("FastGelu", lambda x: x * torch.sigmoid(1.702 * x))
GELU = _simple(
    "GELU", lambda x, approximate: F.gelu(x, approximate="tanh" if approximate else "none"), approximate=True
)
LeakyReLU = _simple("LeakyReLU", lambda x, alpha: F.leaky_relu(x, negative_slope=alpha), alpha=0.2)
ELU = _simple("ELU", F.elu, alpha=1.0)
CELU = _simple("CELU", F.celu, alpha=1.0)
Softmax = _simple("Softmax", lambda x, axis: torch.softmax(x, dim=axis), axis=-1)
LogSoftmax = _simple("LogSoftmax", lambda x, axis: torch.log_softmax(x, dim=axis), axis=-1)
Softmin = _simple("Softmin", lambda x, axis: torch.softmax(-x, dim=axis), axis=-1)
Softmax2d = _simple("Softmax2d", lambda x: torch.softmax(x, dim=-3))
SoftShrink = _simple("SoftShrink", F.softshrink, lambd=0.5)
HShrink = _simple("HShrink", F.hardshrink, lambd=0.5)
Hardtanh = _simple("Hardtanh", F.hardtanh, min_val=-1.0, max_val=1.0)
Threshold = _simple("Threshold", F.threshold, threshold=0.0, value=0.0)
GLU = _simple("GLU", lambda x, axis: F.glu(x, dim=axis), axis=-1)


class PReLU(Cell):
    """max(0, x) + w * min(0, x), with a trained w for all channels, or for each.

    Args:
        channel: 1, or the number of channels.
        w: what w begins with.
    """

    def __init__(self, channel: int = 1, w: Any = 0.25, dtype: Any = mstype.float32) -> None:
        super().__init__()
        self.w = Parameter(initializer(w, (channel,), dtype), name="a")

    def construct(self, x: Any) -> Any:
        """Apply it to each element."""
        return wrap(F.prelu(x._torch, self.w._torch))


_NAMES: dict[str, Callable[[], Cell]] = {
    "relu": ReLU,
    "relu6": ReLU6,
    "sigmoid": Sigmoid,
    "tanh": Tanh,
    "silu": SiLU,
    "softmax": Softmax,
    "logsoftmax": LogSoftmax,
    "leakyrelu": LeakyReLU,
    "gelu": GELU,
    "elu": ELU,
    "hsigmoid": HSigmoid,
    "hswish": HSwish,
    "prelu": PReLU,
    "selu": SeLU,
    "mish": Mish,
    "logsigmoid": LogSigmoid,
    "fast_gelu": FastGelu,
}


def get_activation(name: str, prim_name: str | None = None) -> Cell:
    """The activation of this name.

    Raises:
        UsageError: there is none.

    >>> get_activation("relu")
    ReLU()
    """
    if name not in _NAMES:
        raise UsageError(f"no activation {printable(name)}", where=prim_name, expected=", ".join(_NAMES))
    return _NAMES[name]()
