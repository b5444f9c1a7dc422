"""`mx.sym.np._internal`: the operators behind `mx.sym.np`, as programs of MXNet 1.6 and later call them."""

from typing import Any

from evergraph.mxnet.numpy.functions.extension import inner_operators
from evergraph.mxnet.symbol.numpy.face import of_symbols

__all__: list[str] = []


def __getattr__(name: str) -> Any:
    if name not in inner_operators():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return of_symbols(inner_operators()[name], name)


def __dir__() -> list[str]:
    return sorted({*globals(), *inner_operators()})
