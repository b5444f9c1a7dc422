"""Sparse values that operators take and return: row_sparse and csr, over torch tensors."""

from dataclasses import dataclass
from typing import Any

from evergraph.ops.lazy import torch

__all__ = ["CSR", "RowSparse", "SparseValue"]


@dataclass(frozen=True, slots=True)
class RowSparse:
    """Some rows of an array; all others are zero.

    Args:
        data: (k, *rest) values of the stored rows.
        indices: (k,) int64, ascending and unique row numbers.
        shape: (n, *rest) of the whole array.
    """

    data: Any
    indices: Any
    shape: tuple[int, ...]
    kind = "row_sparse"

    def dense(self) -> Any:
        """The whole array as a torch tensor."""
        whole = torch.zeros(self.shape, dtype=self.data.dtype, device=self.data.device)
        return whole.index_copy(0, self.indices, self.data) if len(self.indices) else whole


@dataclass(frozen=True, slots=True)
class CSR:
    """A matrix in compressed sparse rows.

    Args:
        data: (nnz,) values.
        indices: (nnz,) int64 column numbers.
        indptr: (rows + 1,) int64 offsets of each row in data.
        shape: (rows, columns).
    """

    data: Any
    indices: Any
    indptr: Any
    shape: tuple[int, ...]
    kind = "csr"

    def rows(self) -> Any:
        """(nnz,) int64 row number of each stored value."""
        counts = self.indptr[1:] - self.indptr[:-1]
        return torch.repeat_interleave(torch.arange(self.shape[0], device=self.data.device), counts)

    def dense(self) -> Any:
        """The whole matrix as a torch tensor."""
        whole = torch.zeros(self.shape, dtype=self.data.dtype, device=self.data.device)
        # accumulate: MXNet sums the entries that stand twice
        return whole.index_put((self.rows(), self.indices), self.data, accumulate=True)


SparseValue = RowSparse | CSR
