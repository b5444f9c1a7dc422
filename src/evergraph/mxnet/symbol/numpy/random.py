"""`mx.sym.np.random`: the functions of `mx.np.random` on symbols."""

from evergraph.mxnet.numpy.face import bound
from evergraph.mxnet.numpy.functions.random import TABLE
from evergraph.mxnet.symbol.numpy.face import FACE

__all__: list[str] = []

globals().update(bound(TABLE, FACE, "mxnet.symbol.numpy.random"))
