"""`mx.gluon.model_zoo`: well known networks."""

from evergraph.mxnet.gluon.model_zoo import model_store, vision

__all__ = ["model_store", "vision"]
