"""Datasets and their transforms."""

from evergraph.mindspore.dataset import transforms, vision
from evergraph.mindspore.dataset.datasets import (
    Dataset,
    GeneratorDataset,
    ImageFolderDataset,
    MnistDataset,
    NumpySlicesDataset,
    zip,
)

__all__ = [
    "Dataset",
    "GeneratorDataset",
    "ImageFolderDataset",
    "MnistDataset",
    "NumpySlicesDataset",
    "transforms",
    "vision",
    "zip",
]
