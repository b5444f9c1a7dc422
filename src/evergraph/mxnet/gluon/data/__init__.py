"""`mx.gluon.data`: data sets, the order of their samples, and batches."""

from evergraph.mxnet.gluon.data.dataloader import DataLoader, default_batchify_fn
from evergraph.mxnet.gluon.data.dataset import ArrayDataset, Dataset, SimpleDataset
from evergraph.mxnet.gluon.data.sampler import BatchSampler, FilterSampler, RandomSampler, Sampler, SequentialSampler

__all__ = [
    "ArrayDataset",
    "BatchSampler",
    "DataLoader",
    "Dataset",
    "FilterSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SimpleDataset",
    "default_batchify_fn",
]
