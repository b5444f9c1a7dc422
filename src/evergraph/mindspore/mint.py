"""`mint`: PyTorch's functions under PyTorch's names and arguments, on MindSpore's Tensors.

>>> from evergraph.mindspore import Tensor, mint
>>> mint.max(Tensor([1.0, 3.0]))
Tensor(shape=[], dtype=Float32, value= 3)
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from evergraph.mindspore.common.tensor import unwrap, wrap


def _wrapped(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
    def function(*args: Any, **named: Any) -> Any:
        return wrap(run(*map(unwrap, args), **unwrap(named)))

    function.__name__, function.__doc__ = name, f"As torch's `{name}`."
    return function


def __getattr__(name: str) -> Any:
    run = getattr(torch, name, None) or getattr(F, name, None)
    if name.startswith("_") or not callable(run) or isinstance(run, type):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = _wrapped(name, run)
    return found
