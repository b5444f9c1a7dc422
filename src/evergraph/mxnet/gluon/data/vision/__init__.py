"""`mx.gluon.data.vision`: data sets of images from local files, and transforms."""

from evergraph.mxnet.gluon.data.vision import datasets, transforms
from evergraph.mxnet.gluon.data.vision.datasets import (
    CIFAR10,
    CIFAR100,
    MNIST,
    FashionMNIST,
    ImageFolderDataset,
    ImageRecordDataset,
)

__all__ = [
    "CIFAR10",
    "CIFAR100",
    "MNIST",
    "FashionMNIST",
    "ImageFolderDataset",
    "ImageRecordDataset",
    "datasets",
    "transforms",
]
