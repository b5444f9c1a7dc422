"""`mx.io.io`: the iterators, by the module's old name."""

from evergraph.mxnet.io.arrays import NDArrayIter
from evergraph.mxnet.io.batch import DataBatch, DataDesc, DataIter
from evergraph.mxnet.io.wrappers import PrefetchingIter, ResizeIter

__all__ = ["DataBatch", "DataDesc", "DataIter", "NDArrayIter", "PrefetchingIter", "ResizeIter"]
