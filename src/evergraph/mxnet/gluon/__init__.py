"""`mx.gluon`: networks as Python objects, imperative or as graphs.

>>> from evergraph.mxnet import gluon
>>> net = gluon.nn.HybridSequential()
>>> net.add(gluon.nn.Dense(4, activation="relu"), gluon.nn.Dense(2))
>>> len(net)
2
"""

import importlib
from typing import Any

from evergraph.mxnet.gluon.block import Block
from evergraph.mxnet.gluon.hybrid import HybridBlock
from evergraph.mxnet.gluon.parameter import Constant, DeferredInitializationError, Parameter, tensor_types
from evergraph.mxnet.gluon.parameter_dict import ParameterDict
from evergraph.mxnet.gluon.symbol_block import SymbolBlock

__all__ = [
    "Block",
    "Constant",
    "DeferredInitializationError",
    "HybridBlock",
    "Parameter",
    "ParameterDict",
    "SymbolBlock",
    "tensor_types",
]

_MODULES = frozenset(("contrib", "data", "loss", "model_zoo", "nn", "rnn", "trainer", "utils"))


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name == "Trainer":
        return importlib.import_module(f"{__name__}.trainer").Trainer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
