"""`mx.sym.np.linalg`: the functions of `mx.np.linalg` on symbols."""

from evergraph.mxnet.numpy.face import bound
from evergraph.mxnet.numpy.functions.linalg import TABLE
from evergraph.mxnet.symbol.numpy.face import FACE

__all__: list[str] = []

globals().update(bound(TABLE, FACE, "mxnet.symbol.numpy.linalg"))
