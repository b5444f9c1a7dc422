"""`mx.nd.np`: the functions of `mx.np` that symbols may have too: `F.np` of a block's `hybrid_forward`."""

from typing import Any

from evergraph.mxnet import numpy as _numpy
from evergraph.mxnet.ndarray.numpy import _internal
from evergraph.mxnet.numpy import linalg, random

__all__ = ["_internal", "linalg", "random"]


def _is_here(name: str, found: Any) -> bool:
    # of what NumPy computes itself, symbols have resize alone
    return name == "resize" or (getattr(found, "__module__", "") == "mxnet.numpy" and not isinstance(found, type))


def __getattr__(name: str) -> Any:
    found = getattr(_numpy, name, None) if not name.startswith("_") else None
    if found is None or not _is_here(name, found):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *(n for n, v in vars(_numpy).items() if _is_here(n, v))})
