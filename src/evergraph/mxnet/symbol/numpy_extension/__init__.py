"""`mx.sym.npx`: the functions of `mx.npx` on symbols.

>>> from evergraph.mxnet import sym
>>> sym.npx.fully_connected(sym.var("x").as_np_ndarray(), num_hidden=2, name="fc").list_arguments()
['x', 'fc_weight', 'fc_bias']
"""

from typing import Any

from evergraph.mxnet.numpy.face import bound
from evergraph.mxnet.numpy.functions.extension import TABLE as _TABLE
from evergraph.mxnet.numpy.functions.extension import operators as _operators
from evergraph.mxnet.symbol.numpy.face import FACE as _FACE
from evergraph.mxnet.symbol.numpy.face import of_symbols as _of_symbols
from evergraph.mxnet.symbol.numpy_extension import image, random

__all__ = ["image", "random"]

globals().update(bound(_TABLE, _FACE, "mxnet.symbol.numpy_extension"))


def __getattr__(name: str) -> Any:
    if name not in _operators():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = _of_symbols(_operators()[name], name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_operators()})
