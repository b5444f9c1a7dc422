"""`mx.sym.contrib`: the functions of these operators."""

from evergraph.mxnet.symbol import namespaces

__getattr__, __dir__ = namespaces.fill(globals(), "contrib")
