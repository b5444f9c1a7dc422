"""`mx.sym.npx.random`: the draws of `mx.npx.random` on symbols."""

from evergraph.mxnet.numpy.face import bound
from evergraph.mxnet.numpy.functions.extension_random import TABLE
from evergraph.mxnet.symbol.numpy.face import FACE

__all__: list[str] = []

globals().update(bound(TABLE, FACE, "mxnet.symbol.numpy_extension.random"))
