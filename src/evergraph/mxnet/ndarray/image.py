"""`mx.nd.image`: the functions of these operators."""

from evergraph.mxnet.ndarray.namespaces import fill

__getattr__, __dir__ = fill(globals(), "image")
