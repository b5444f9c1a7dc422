"""Reductions of sparse arrays over their stored values."""

from typing import Any

from evergraph.ops.lazy import torch
from evergraph.ops.registry import get
from evergraph.ops.rules import reduced_axes
from evergraph.ops.sparse import CSR, RowSparse, SparseValue

__all__: list[str] = []


def _axis(axis: Any, exclude: bool, rank: int) -> int | None:
    """The one axis that is reduced; None for all."""
    axes = reduced_axes(axis, exclude, rank)
    return None if len(axes) == rank else axes[0] if len(axes) == 1 else -1


def _sum_csr(data: CSR, axis: int | None) -> Any:
    if axis is None:
        return data.data.sum().reshape(1)
    places, size = (data.indices, data.shape[1]) if axis == 0 else (data.rows(), data.shape[0])
    zeros = torch.zeros(size, dtype=data.data.dtype, device=data.data.device)
    return zeros.index_add(0, places, data.data)


def _shaped(value: Any, data: Any, axis: int | None, keepdims: bool) -> Any:
    if not keepdims:
        return value
    return value.reshape([1 if axis is None or i == axis else d for i, d in enumerate(data.shape)])


@get("sum").storage("csr", result="default")
def _sum(data: CSR, *, axis: Any, keepdims: bool, exclude: bool) -> Any:
    at = _axis(axis, exclude, 2)
    return NotImplemented if at == -1 else _shaped(_sum_csr(data, at), data, at, keepdims)


@get("mean").storage("csr", result="default")
def _mean(data: CSR, *, axis: Any, keepdims: bool, exclude: bool) -> Any:
    at = _axis(axis, exclude, 2)
    if at == -1 or not data.data.is_floating_point():
        return NotImplemented
    count = data.shape[0] * data.shape[1] if at is None else data.shape[at]
    return _shaped(_sum_csr(data, at) / count, data, at, keepdims)


@get("norm").storage("csr", result="default")
@get("norm").storage("row_sparse", result="default")
def _norm(data: SparseValue, *, ord: int, axis: Any, out_dtype: Any, keepdims: bool) -> Any:
    # zeros add nothing to a norm: that of the stored values is the whole one's
    if _axis(axis, False, len(data.shape)) is not None:
        return NotImplemented
    found = get("norm").body(data.data, ord=ord, axis=None, out_dtype=out_dtype, keepdims=False)
    return found.reshape([1] * len(data.shape)) if keepdims else found


def _squares_kind(p: Any) -> str:
    return "row_sparse" if p.keepdims and p.axis in ((1,), (-1,), 1, -1) and not p.exclude else "default"


@get("_square_sum").storage("row_sparse", result=_squares_kind)
def _square_sum(data: RowSparse, *, axis: Any, keepdims: bool, exclude: bool) -> Any:
    at = _axis(axis, exclude, 2) if len(data.shape) == 2 else -1
    if at == -1:
        return NotImplemented
    squares = data.data * data.data
    if at == 1 and keepdims:
        return RowSparse(squares.sum(1, keepdim=True), data.indices, (data.shape[0], 1))
    if at == 1:
        zeros = torch.zeros(data.shape[0], dtype=squares.dtype, device=squares.device)
        return zeros.index_copy(0, data.indices, squares.sum(1))
    found = squares.sum().reshape(1) if at is None else squares.sum(0)
    return _shaped(found, data, at, keepdims)
