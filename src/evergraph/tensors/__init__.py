"""Element types, and tensors whose values are read when asked."""

from evergraph.tensors.blob import Blob, Computed, Extent, Held, Joined
from evergraph.tensors.dtypes import DTYPES, DType, dtype
from evergraph.tensors.tensor import CSR, DENSE, MAP, NONE, ROW_SPARSE, TEXT, Tensor

__all__ = [
    "CSR",
    "DENSE",
    "DTYPES",
    "MAP",
    "NONE",
    "ROW_SPARSE",
    "TEXT",
    "Blob",
    "Computed",
    "DType",
    "Extent",
    "Held",
    "Joined",
    "Tensor",
    "dtype",
]
