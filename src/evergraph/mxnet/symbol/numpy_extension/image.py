"""`mx.sym.npx.image`: the operators on images, on symbols."""

from typing import Any

from evergraph.mxnet.numpy.functions.extension import image_operators
from evergraph.mxnet.symbol.numpy.face import of_symbols

__all__: list[str] = []


def __getattr__(name: str) -> Any:
    if name not in image_operators():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = of_symbols(image_operators()[name], name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *image_operators()})
