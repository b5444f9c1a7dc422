"""`mx.nd._internal`: the functions of these operators."""

from evergraph.mxnet.ndarray.namespaces import fill

__getattr__, __dir__ = fill(globals(), "_internal")
