"""`mint`: PyTorch's functions under PyTorch's names and arguments, on MindSpore's Tensors.

>>> from evergraph.mindspore import Tensor, mint
>>> mint.max(Tensor([1.0, 3.0]))
Tensor(shape=[], dtype=Float32, value= 3)
"""

import importlib
from typing import Any

import torch
import torch.nn.functional as F

from evergraph.mindspore.mint.nn.functional import wrapped


def __getattr__(name: str) -> Any:
    if name in ("nn", "optim"):
        return importlib.import_module(f"{__name__}.{name}")
    run = getattr(torch, name, None) or getattr(F, name, None)
    if name.startswith("_") or not callable(run) or isinstance(run, type):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = wrapped(name, run)
    return found
