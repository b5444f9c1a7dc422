"""`mx.nd.op`: the functions of all public operators."""

from evergraph.mxnet.ndarray.namespaces import fill

__getattr__, __dir__ = fill(globals(), "op")
