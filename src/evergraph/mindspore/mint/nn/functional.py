"""`mint.nn.functional`: PyTorch's functions of layers under PyTorch's names and arguments."""

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F

from evergraph.mindspore.common.tensor import unwrap, wrap


def wrapped(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
    """A function of torch tensors as one of Tensors."""

    def function(*args: Any, **named: Any) -> Any:
        return wrap(run(*map(unwrap, args), **unwrap(named)))

    function.__name__, function.__doc__ = name, f"As torch's `{name}`."
    return function


def __getattr__(name: str) -> Any:
    run = getattr(F, name, None)
    if name.startswith("_") or not callable(run) or isinstance(run, type):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = wrapped(name, run)
    return found
