"""Diagonals of matrices: taken, made, added up; triangles kept."""

from typing import Any

from evergraph.errors import ShapeError
from evergraph.ops.families.numpy.shape import ordered_axis
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, forward, mapped

__all__ = ["diagonal_length"]


def diagonal_length(rows: int, columns: int, offset: int) -> int:
    """How many values a diagonal has.

    >>> diagonal_length(3, 4, 1), diagonal_length(3, 4, -2), diagonal_length(3, 4, 9)
    (3, 1, 0)
    """
    return max(min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns), 0)


def _diag_shape(p: Any, data: Any) -> Any:
    if len(data) not in (1, 2):
        raise ShapeError("diag takes a vector or a matrix", found=data)
    if len(data) == 1:
        return (data[0] + abs(p.k),) * 2
    return (diagonal_length(data[0], data[1], p.k),)


@operator(aliases=("_npi_diag",), shape=forward(_diag_shape))
def _np_diag(data, *, k: int = 0):
    """The `k`-th diagonal of a matrix, or the matrix with a vector on its `k`-th diagonal. MXNet 2.0: _npi_diag."""
    if data.dim() not in (1, 2):
        raise ShapeError("diag takes a vector or a matrix", found=tuple(data.shape))
    if data.dim() == 2 and diagonal_length(data.shape[0], data.shape[1], k) == 0:
        return data.new_empty(0)
    return torch.diag(data, k)


def _flat_shape(p: Any, data: Any) -> Any:
    size = 1
    for d in data:
        size *= d
    return (size + abs(p.k),) * 2


@operator(aliases=("_npi_diagflat",), shape=forward(_flat_shape))
def _np_diagflat(data, *, k: int = 0):
    """The matrix with all values of an array on its `k`-th diagonal. MXNet 2.0 calls it _npi_diagflat."""
    return torch.diag_embed(data.reshape(-1), k)


def _plane(p: Any, rank: int) -> tuple[int, int]:
    first, second = ordered_axis(p.axis1, rank), ordered_axis(p.axis2, rank)
    if rank < 2 or first == second:
        raise ShapeError("a diagonal lies in a plane of two axes", found=f"{p.axis1} and {p.axis2} of {rank}")
    return first, second


def _diagonal_shape(p: Any, data: Any) -> Any:
    first, second = _plane(p, len(data))
    rest = tuple(d for i, d in enumerate(data) if i not in (first, second))
    return (*rest, diagonal_length(data[first], data[second], p.offset))


def _diagonal(data: Any, offset: int, axis1: int, axis2: int) -> Any:
    rank = data.dim()
    first, second = ordered_axis(axis1, rank), ordered_axis(axis2, rank)
    if rank < 2 or first == second:
        raise ShapeError("a diagonal lies in a plane of two axes", found=f"{axis1} and {axis2} of {rank}")
    if diagonal_length(data.shape[first], data.shape[second], offset) == 0:
        # torch refuses an offset that lies outside the matrix
        return data.sum((first, second), dtype=data.dtype).unsqueeze(-1).expand(*[-1] * (rank - 2), 1)[..., :0]
    return torch.diagonal(data, offset, first, second)


@operator(aliases=("_npi_diagonal",), shape=forward(_diagonal_shape))
def _np_diagonal(data, *, offset: int = 0, axis1: int = 0, axis2: int = 1):
    """A diagonal of each plane of two axes, as the last axis. MXNet 2.0 calls it _npi_diagonal."""
    return _diagonal(data, offset, axis1, axis2).clone()


def _trace_shape(p: Any, data: Any) -> Any:
    return _diagonal_shape(p, data)[:-1]


@operator(aliases=("_npi_trace",), shape=forward(_trace_shape))
def _np_trace(data, *, offset: int = 0, axis1: int = 0, axis2: int = 1):
    """The sum of a diagonal of each plane of two axes, in the input's type. MXNet 2.0 calls it _npi_trace."""
    return _diagonal(data, offset, axis1, axis2).sum(-1, dtype=data.dtype)


def _triangle_shape(_: Any, data: Any) -> Dims:
    return (data[0], data[0]) if len(data) == 1 else data


def _triangle(data: Any, name: str) -> Any:
    if data.dim() == 0:
        raise ShapeError(f"{name} takes a vector or matrices", found=())
    return data.expand(data.shape[0], -1) if data.dim() == 1 else data


@operator(shape=mapped(_triangle_shape))
def _npi_tril(data, *, k: int = 0):
    """The matrices with 0 above the `k`-th diagonal; a vector stands for a matrix with it in every row."""
    return torch.tril(_triangle(data, "tril"), k)


@operator(shape=mapped(_triangle_shape))
def _npi_triu(data, *, k: int = 0):
    """The matrices with 0 below the `k`-th diagonal; a vector stands for a matrix with it in every row.

    MXNet 1.9.1 lacks it.
    """
    return torch.triu(_triangle(data, "triu"), k)
