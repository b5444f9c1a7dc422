"""`mint.nn`: PyTorch's layers under PyTorch's names and arguments, with PyTorch's names of parameters, as Cells.

>>> from evergraph.mindspore import Tensor, mint
>>> [p.name for p in mint.nn.BatchNorm1d(2).get_parameters()]
['weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked']
"""

import importlib
from typing import Any

import torch

from evergraph.mindspore.common.initializer import initializer
from evergraph.mindspore.common.parameter import Parameter
from evergraph.mindspore.common.tensor import fresh, unwrap, wrap
from evergraph.mindspore.nn.cell import Cell

_LAYERS = """AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d AdaptiveMaxPool1d AdaptiveMaxPool2d
AvgPool1d AvgPool2d AvgPool3d BCELoss BCEWithLogitsLoss BatchNorm1d BatchNorm2d BatchNorm3d ConstantPad1d
ConstantPad2d ConstantPad3d Conv1d Conv2d Conv3d ConvTranspose2d CosineEmbeddingLoss CrossEntropyLoss Dropout
Dropout2d ELU Embedding Flatten Fold GELU GLU GroupNorm Hardshrink Hardsigmoid Hardswish Hardtanh Identity
KLDivLoss L1Loss LayerNorm Linear LogSigmoid LogSoftmax MSELoss MaxPool2d MaxUnpool2d Mish NLLLoss PReLU
PixelShuffle ReLU ReLU6 ReflectionPad1d ReflectionPad2d ReflectionPad3d ReplicationPad1d ReplicationPad2d
ReplicationPad3d SELU SiLU Sigmoid SmoothL1Loss SoftMarginLoss Softmax Softshrink Tanh Threshold Unfold Upsample
UpsamplingBilinear2d UpsamplingNearest2d ZeroPad1d ZeroPad2d ZeroPad3d"""


class _Layer(Cell):
    """A layer of PyTorch's, whose parameters and buffers are Parameters."""

    _kind: type[torch.nn.Module]

    def __init__(self, *args: Any, weight_init: Any = None, bias_init: Any = None, **named: Any) -> None:
        super().__init__()
        made = self._kind(*map(unwrap, args), **unwrap(named))
        for name, data in made.named_parameters():
            self.insert_param_to_cell(name, Parameter(fresh(data.detach()), name))
        for name, data in made.named_buffers():
            self.insert_param_to_cell(name, Parameter(fresh(data), name, requires_grad=False))
        for name, init in (("weight", weight_init), ("bias", bias_init)):
            held = self._params.get(name)
            if init is not None and held is not None:
                held.set_data(initializer(init, held.shape, held.dtype))
        self.__dict__["_layer"] = made.to("meta")  # its values are the Parameters'

    def construct(self, *inputs: Any) -> Any:
        """Compute."""
        layer = self._layer.train(self.training)
        held = {name: getattr(self, name)._torch for name in self._params}
        return wrap(torch.func.functional_call(layer, held, unwrap(inputs)))

    def extend_repr(self) -> str:
        """The arguments, as PyTorch prints them."""
        return self._layer.extra_repr()


def __getattr__(name: str) -> Any:
    if name == "functional":
        return importlib.import_module(f"{__name__}.functional")
    if name == "Cell":
        return Cell
    if name not in _LAYERS.split():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    body = {"_kind": getattr(torch.nn, name), "__doc__": f"As torch.nn's {name}.", "__module__": __name__}
    globals()[name] = found = type(name, (_Layer,), body)
    return found


def __dir__() -> list[str]:
    return sorted([*_LAYERS.split(), "Cell", "functional"])
