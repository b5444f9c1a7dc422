"""`mx.nd.np._internal`: the operators behind `mx.np`, as programs of MXNet 1.6 and later call them: `_npi.uniform`."""

from typing import Any

from evergraph.mxnet.numpy.functions.extension import inner_operators
from evergraph.mxnet.numpy_extension.operators import of_arrays

__all__: list[str] = []


def __getattr__(name: str) -> Any:
    found = of_arrays(inner_operators(), name, __name__)
    if found is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *inner_operators()})
