"""`mx.io`: iterators that give batches.

>>> from evergraph.mxnet import io, nd
>>> [batch.data[0].shape for batch in io.NDArrayIter(nd.ones((4, 3)), batch_size=2)]
[(2, 3), (2, 3)]
"""

from evergraph.mxnet.io import io, utils
from evergraph.mxnet.io.arrays import NDArrayIter
from evergraph.mxnet.io.batch import DataBatch, DataDesc, DataIter
from evergraph.mxnet.io.image_records import (
    ImageDetRecordIter,
    ImageRecordInt8Iter,
    ImageRecordIter,
    ImageRecordIter_v1,
    ImageRecordUInt8Iter,
    ImageRecordUInt8Iter_v1,
)
from evergraph.mxnet.io.mnist import MNISTIter
from evergraph.mxnet.io.native import MXDataIter
from evergraph.mxnet.io.tables import CSVIter, LibSVMIter
from evergraph.mxnet.io.wrappers import PrefetchingIter, ResizeIter

__all__ = [
    "CSVIter",
    "DataBatch",
    "DataDesc",
    "DataIter",
    "ImageDetRecordIter",
    "ImageRecordInt8Iter",
    "ImageRecordIter",
    "ImageRecordIter_v1",
    "ImageRecordUInt8Iter",
    "ImageRecordUInt8Iter_v1",
    "LibSVMIter",
    "MNISTIter",
    "MXDataIter",
    "NDArrayIter",
    "PrefetchingIter",
    "ResizeIter",
    "io",
    "utils",
]
