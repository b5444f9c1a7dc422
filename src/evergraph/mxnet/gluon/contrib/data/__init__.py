"""`mx.gluon.contrib.data`: a sampler and texts beside the main ones."""

from evergraph.mxnet.gluon.contrib.data import sampler, text
from evergraph.mxnet.gluon.contrib.data.sampler import IntervalSampler

__all__ = ["IntervalSampler", "sampler", "text"]
