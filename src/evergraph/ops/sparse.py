"""Sparse values that operators take and return: row_sparse and csr, over torch tensors.

How sparse values are computed with, and what their gradients are:

- `compute` looks for the computation that an operator registered (`Operator.storage`) for its inputs' kinds. Where
  there is none, or it answers NotImplemented, sparse inputs become dense copies and the operator's body computes
  (MXNet's storage fallback). The storage of a result is what the computation returns; `result_kind` tells it before,
  from what was declared with the computation.
- Gradients pass through `data`: a sparse leaf is one whose `data` requires gradients, and its gradient has the same
  sparsity. With `Run.sparse_gradients`, a product with a csr matrix gives a leaf its gradient as torch's sparse tensor
  over only those rows that the product met; `row_gradient` reads both forms.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

from evergraph.ops.lazy import torch
from evergraph.ops.run import Run
from evergraph.ops.schema import Operator, Params

__all__ = [
    "CSR",
    "RowSparse",
    "SparseValue",
    "compute",
    "csr_from_dense",
    "csr_from_places",
    "dense_value",
    "is_sparse",
    "kind_of",
    "result_kind",
    "row_gradient",
    "rows_from_dense",
]


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
        """The whole array as a torch tensor; `data` itself where all rows are stored."""
        if len(self.indices) == self.shape[0]:
            return self.data
        whole = torch.zeros(self.shape, dtype=self.data.dtype, device=self.data.device)
        return whole.index_copy(0, self.indices, self.data)

    def fill(self) -> Any:
        """The whole array as the tensor that `data` now is: rows that were not stored are, as zeros."""
        if len(self.indices) != self.shape[0]:
            whole = self.dense()
            self.data.set_(whole)
            self.indices.set_(torch.arange(self.shape[0], device=whole.device))
        return self.data

    def with_data(self, data: Any) -> "RowSparse":
        """The same rows with other values, of the same sizes."""
        return RowSparse(data, self.indices, self.shape)

    def places(self, rows: Any) -> tuple[Any, Any]:
        """Where each of these row numbers is stored in `data`, and whether it is stored at all."""
        if len(self.indices) == self.shape[0]:
            return rows, torch.ones_like(rows, dtype=torch.bool)
        found = torch.searchsorted(self.indices, rows)
        if not len(self.indices):
            return found, torch.zeros_like(rows, dtype=torch.bool)
        found = found.clamp(max=len(self.indices) - 1)
        return found, self.indices[found] == rows

    def take(self, rows: Any) -> Any:
        """The values of these rows, zeros where they are not stored."""
        places, stored = self.places(rows)
        if not len(self.indices):
            return torch.zeros((len(rows), *self.shape[1:]), dtype=self.data.dtype, device=self.data.device)
        return self.data.index_select(0, places) * stored.reshape(-1, *(1,) * (self.data.dim() - 1)).to(self.data.dtype)


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
        numbers = torch.arange(self.shape[0], device=self.data.device)
        return torch.repeat_interleave(numbers, counts, output_size=len(self.indices))

    def dense(self) -> Any:
        """The whole matrix as a torch tensor."""
        whole = torch.zeros(self.shape, dtype=self.data.dtype, device=self.data.device)
        # accumulate: MXNet sums the entries that stand twice
        return whole.index_put((self.rows(), self.indices), self.data, accumulate=True)

    def with_data(self, data: Any) -> "CSR":
        """The same places with other values."""
        return CSR(data, self.indices, self.indptr, self.shape)


SparseValue = RowSparse | CSR


def is_sparse(value: Any) -> TypeGuard[SparseValue]:
    """Whether a value is row_sparse or csr."""
    return isinstance(value, (RowSparse, CSR))


def kind_of(value: Any) -> str:
    """MXNet's name of a value's storage: default, row_sparse or csr."""
    return value.kind if is_sparse(value) else "default"


def dense_value(value: Any) -> Any:
    """A tensor, whatever the storage."""
    return value.dense() if is_sparse(value) else value


def rows_from_dense(array: Any) -> RowSparse:
    """The rows of an array that are not all zero.

    >>> import torch
    >>> rows_from_dense(torch.tensor([[0, 0], [1, 0]])).indices
    tensor([1])
    """
    occupied = (array.detach() != 0).reshape(array.shape[0], -1).any(1)
    indices = torch.nonzero(occupied).reshape(-1)
    return RowSparse(array.index_select(0, indices), indices, tuple(array.shape))


def csr_from_places(rows: Any, columns: Any, data: Any, shape: tuple[int, ...]) -> CSR:
    """A csr matrix from places in ascending order of rows."""
    counts = torch.zeros(shape[0] + 1, dtype=torch.int64, device=rows.device)
    counts = counts.index_add(0, rows + 1, torch.ones_like(rows))
    return CSR(data, columns, counts.cumsum(0), shape)


def csr_from_dense(array: Any) -> CSR:
    """The values of a matrix that are not zero.

    >>> import torch
    >>> csr_from_dense(torch.tensor([[0, 3], [1, 0]])).indices
    tensor([1, 0])
    """
    rows, columns = torch.nonzero(array.detach(), as_tuple=True)
    return csr_from_places(rows, columns, array[rows, columns], tuple(array.shape))


def row_gradient(value: RowSparse) -> RowSparse | None:
    """The gradient of a row_sparse leaf after a backward pass: the rows that were met, in ascending order."""
    grad = value.data.grad
    if grad is None:
        return None
    if not grad.is_sparse:
        return value.with_data(grad)
    grad = grad.coalesce()
    return RowSparse(grad.values(), value.indices[grad.indices()[0]], value.shape)


def _registered(op: Operator, kinds: tuple[str, ...]) -> tuple[str, ...] | None:
    if kinds in op.sparse_bodies:
        return kinds
    if op.variadic is not None and len(set(kinds)) == 1 and (kinds[0], "*") in op.sparse_bodies:
        return (kinds[0], "*")
    return None


def result_kind(op: Operator, p: Params, kinds: Sequence[str]) -> str:
    """The storage of an operator's first output, from that of its inputs, before anything is computed.

    A computation may still fall back to dense where its values, rather than its parameters, call for it.
    """
    key = _registered(op, tuple(kinds))
    if key is None:
        return "default"
    declared = op.sparse_results[key]
    return declared if isinstance(declared, str) else declared(p)


def compute(op: Operator, inputs: Sequence[Any], p: Params, run: Run | None = None) -> Any:
    """An operator's result on tensors and sparse values: by its computation for these kinds, or on dense copies.

    Args:
        op: the operator.
        inputs: arguments in the order of its body, None for one that is not used (`Operator.arrange`).
        p: parsed parameters.
        run: what the operator may know of the run.
    """
    if any(is_sparse(v) for v in inputs):
        key = _registered(op, tuple(kind_of(v) for v in inputs if v is not None))
        if key is not None:
            body = op.sparse_bodies[key]
            found = body(*inputs, **p, **({"run": run or Run()} if _wants_run(body) else {}))
            if found is not NotImplemented:
                return found
        changed = [i.kind == "in place" for i in op.inputs] if op.variadic is None else [False] * len(inputs)
        # what the body changes stays changed: its rows are all stored, and no copy is made
        inputs = [
            v.fill() if c and isinstance(v, RowSparse) else dense_value(v) for v, c in zip(inputs, changed, strict=True)
        ]
    return op.body(*inputs, **p, **({"run": run or Run()} if op.wants_run else {}))


@functools.cache
def _wants_run(body: Callable[..., Any]) -> bool:
    return "run" in inspect.signature(body).parameters
