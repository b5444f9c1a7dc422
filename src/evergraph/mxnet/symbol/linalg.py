"""`mx.sym.linalg`: the functions of these operators."""

from evergraph.mxnet.symbol.namespaces import fill

__getattr__, __dir__ = fill(globals(), "linalg")
