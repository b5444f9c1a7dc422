"""The functions of `mx.npx` that are operators' own, of arrays."""

from collections.abc import Callable, Mapping
from typing import Any

from evergraph.mxnet.ndarray.functions import function
from evergraph.mxnet.numpy.multiarray import ndarray

__all__ = ["of_arrays"]


def of_arrays(operators: Mapping[str, str], name: str, module: str) -> Callable[..., Any] | None:
    """The function of this name that takes and gives arrays of `mx.np`; None where there is none.

    Args:
        operators: function -> operator.
        name: the function.
        module: what it says that it belongs to.
    """
    if name not in operators:
        return None
    found = function(operators[name], ndarray)
    found.__name__ = found.__qualname__ = name
    found.__module__ = module.removeprefix("evergraph.")
    return found
