"""`mx.contrib.text`: tokens counted, indexed and embedded."""

from evergraph.mxnet.contrib.text import embedding, utils, vocab

__all__ = ["embedding", "utils", "vocab"]
