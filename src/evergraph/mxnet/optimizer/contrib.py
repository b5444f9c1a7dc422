"""`mx.optimizer.contrib`: the optimizer that MXNet calls experimental."""

from evergraph.mxnet.optimizer.adaptive import GroupAdaGrad

__all__ = ["GroupAdaGrad"]
