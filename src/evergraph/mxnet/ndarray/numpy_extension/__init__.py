"""`mx.nd.npx`: the functions of `mx.npx` that symbols have too: `F.npx` of a block's `hybrid_forward`."""

from typing import Any

from evergraph.mxnet import numpy_extension as _extension
from evergraph.mxnet.numpy.functions.extension import TABLE as _TABLE
from evergraph.mxnet.numpy.functions.extension import operators as _operators
from evergraph.mxnet.numpy_extension import image, random

__all__ = ["image", "random"]


def __getattr__(name: str) -> Any:
    if name not in _operators() and name not in _TABLE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(_extension, name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_operators(), *_TABLE})
