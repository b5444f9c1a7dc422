"""`mx.sym.op`: the functions of operators, without those written by hand."""

from evergraph.mxnet.symbol.namespaces import fill

__getattr__, __dir__ = fill(globals(), "op")
