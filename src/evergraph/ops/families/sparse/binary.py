"""Functions of two sparse arrays, and of a sparse array with a dense one, on the stored values."""

from collections.abc import Callable
from typing import Any

from evergraph.errors import ShapeError
from evergraph.ops.families.math.binary import add_n, divide, maximum, minimum
from evergraph.ops.families.sparse.gradients import elementwise, whole_gradient
from evergraph.ops.lazy import torch
from evergraph.ops.registry import get
from evergraph.ops.sparse import CSR, RowSparse, csr_from_places

__all__ = ["merged_rows", "summed"]


def _paired(lhs: Any, rhs: Any) -> None:
    if tuple(lhs.shape) != tuple(rhs.shape):
        raise ShapeError("sparse operands differ in shape", expected=tuple(lhs.shape), found=tuple(rhs.shape))


def merged_rows(*values: RowSparse) -> Any:
    """The rows that any of the arrays stores, ascending."""
    return torch.unique(torch.cat([v.indices for v in values]))


def _on_rows(function: Callable[[Any, Any], Any]) -> Callable[[RowSparse, RowSparse], RowSparse]:
    def body(lhs: RowSparse, rhs: RowSparse) -> RowSparse:
        _paired(lhs, rhs)
        rows = merged_rows(lhs, rhs)
        return RowSparse(whole_gradient(function(lhs.take(rows), rhs.take(rows))), rows, lhs.shape)

    return body


def _keys(value: CSR) -> Any:
    return value.rows() * value.shape[1] + value.indices


def _spread(value: CSR, keys: Any) -> Any:
    """The values at some places, 0 where none is stored; what stands twice is added up."""
    places = torch.searchsorted(keys, _keys(value))
    return torch.zeros(len(keys), dtype=value.data.dtype, device=value.data.device).index_add(0, places, value.data)


def _on_places(function: Callable[[Any, Any], Any]) -> Callable[[CSR, CSR], CSR]:
    def body(lhs: CSR, rhs: CSR) -> CSR:
        _paired(lhs, rhs)
        keys = torch.unique(torch.cat([_keys(lhs), _keys(rhs)]))
        data = function(_spread(lhs, keys), _spread(rhs, keys))
        # MXNet stores no zeros here
        kept = torch.nonzero(data.detach()).reshape(-1)
        keys, data = keys[kept], data.index_select(0, kept)
        columns = max(lhs.shape[1], 1)
        return csr_from_places(torch.div(keys, columns, rounding_mode="floor"), keys % columns, data, lhs.shape)

    return body


for _name, _function in {
    "elemwise_add": lambda lhs, rhs: lhs + rhs,
    "_grad_add": lambda lhs, rhs: lhs + rhs,
    "elemwise_sub": lambda lhs, rhs: lhs - rhs,
    "elemwise_mul": lambda lhs, rhs: lhs * rhs,
    "_maximum": maximum,
    "_minimum": minimum,
    "_hypot": lambda lhs, rhs: torch.hypot(lhs, rhs),
}.items():
    get(_name).storage("row_sparse", "row_sparse")(_on_rows(_function))
    get(_name).storage("csr", "csr")(_on_places(_function))


def _times_dense(value: Any, dense: Any) -> Any:
    _paired(value, dense)
    if isinstance(value, CSR):
        return value.with_data(value.data * dense[value.rows(), value.indices])
    other = dense.index_select(0, value.indices)
    if other.requires_grad:
        return value.with_data(whole_gradient(value.data * other))
    return value.with_data(elementwise(lambda data: data * other, value.data))


for _kind in ("row_sparse", "csr"):
    get("elemwise_mul").storage(_kind, "default")(_times_dense)
    get("elemwise_mul").storage("default", _kind, result=_kind)(lambda lhs, rhs: _times_dense(rhs, lhs))


@get("_scatter_elemwise_div").storage("row_sparse", "default")
@get("_scatter_elemwise_div").storage("row_sparse", "row_sparse")
def _divided_rows(lhs: RowSparse, rhs: Any) -> RowSparse:
    _paired(lhs, rhs)
    other = rhs.take(lhs.indices) if isinstance(rhs, RowSparse) else rhs.index_select(0, lhs.indices)
    return lhs.with_data(whole_gradient(divide(lhs.data, other)))


def _broadcast(function: Callable[[Any, Any], Any]) -> Callable[[CSR, Any], Any]:
    def body(lhs: CSR, rhs: Any) -> Any:
        shape = (1,) * (2 - rhs.dim()) + tuple(rhs.shape)
        if len(shape) != 2 or any(d not in (1, size) for d, size in zip(shape, lhs.shape, strict=True)):
            return NotImplemented
        grid = rhs.reshape(shape)
        rows = lhs.rows() if shape[0] > 1 else torch.zeros_like(lhs.indices)
        columns = lhs.indices if shape[1] > 1 else torch.zeros_like(lhs.indices)
        return lhs.with_data(function(lhs.data, grid[rows, columns]))

    return body


get("broadcast_mul").storage("csr", "default")(_broadcast(lambda lhs, rhs: lhs * rhs))
get("broadcast_div").storage("csr", "default")(_broadcast(divide))


@add_n.storage("row_sparse", "*")
def summed(*args: RowSparse) -> RowSparse:
    """The sum of row_sparse arrays: the rows that any of them stores."""
    for each in args:
        _paired(args[0], each)
    rows = merged_rows(*args)
    size = (len(rows), *args[0].shape[1:])
    total = torch.zeros(size, dtype=args[0].data.dtype, device=args[0].data.device)
    for each in args:
        total = total.index_add(0, torch.searchsorted(rows, each.indices), each.data)
    return RowSparse(whole_gradient(total), rows, args[0].shape)
