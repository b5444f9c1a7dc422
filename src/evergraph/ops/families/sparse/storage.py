"""Storage changed, and rows chosen: cast_storage, retain, slices and concatenations of csr."""

from typing import Any, Literal

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.families.array.indexing import inside, take
from evergraph.ops.families.array.join import Concat
from evergraph.ops.families.array.slicing import bounds
from evergraph.ops.families.sparse.gradients import whole_gradient
from evergraph.ops.lazy import torch
from evergraph.ops.registry import get, operator
from evergraph.ops.rules import Dims, elementwise, first_dtype, normalize_axes, unify
from evergraph.ops.sparse import CSR, RowSparse, SparseValue, csr_from_dense, csr_from_places, rows_from_dense
from evergraph.ops.types import Shape

__all__ = ["cast_storage"]


@operator(aliases=("_sparse_cast_storage",), shape=elementwise)
def cast_storage(data, *, stype: Literal["csr", "default", "row_sparse"]):
    """The same array in another storage; sparse ones hold the rows, or the values, that are not zero."""
    if stype == "row_sparse":
        found = rows_from_dense(data)
        return found.with_data(whole_gradient(found.data))
    if stype == "csr":
        if data.dim() != 2:
            raise ShapeError("csr stores matrices only", expected="two axes", found=tuple(data.shape))
        return csr_from_dense(data)
    return data.clone()


cast_storage.storage("default", result=lambda p: p.stype)(cast_storage.body)


@cast_storage.storage("row_sparse", result=lambda p: p.stype)
@cast_storage.storage("csr", result=lambda p: p.stype)
def _cast(data: SparseValue, *, stype: str) -> Any:
    if stype == data.kind:
        return data.with_data(data.data.clone())
    if stype == "default":
        whole = data.dense()
        return whole.clone() if whole is data.data else whole
    return _rows_of(data) if isinstance(data, CSR) else _csr_of(data)


def _rows_of(value: CSR) -> RowSparse:
    stored, rows = value.rows(), None
    indices, rows = torch.unique(stored, return_inverse=True)
    data = torch.zeros((len(indices), value.shape[1]), dtype=value.data.dtype, device=value.data.device)
    return RowSparse(data.index_put((rows, value.indices), value.data, accumulate=True), indices, value.shape)


def _csr_of(value: RowSparse) -> CSR:
    if len(value.shape) != 2:
        raise ShapeError("csr stores matrices only", expected="two axes", found=value.shape)
    rows, columns = torch.nonzero(value.data.detach(), as_tuple=True)
    return csr_from_places(value.indices[rows], columns, whole_gradient(value.data)[rows, columns], value.shape)


def _retained(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    whole = unify(ins[0], outs[0], "output of _sparse_retain")
    return [whole, ins[1]], [whole]


@operator(shape=_retained, dtype=first_dtype)
def _sparse_retain(data, indices):
    """Data with zeros in all rows but those named; of row_sparse data, just these rows."""
    keep = torch.zeros(data.shape[0], dtype=data.dtype, device=data.device).index_fill(0, indices.to(torch.int64), 1)
    return data * keep.reshape(-1, *(1,) * (data.dim() - 1))


@_sparse_retain.storage("row_sparse", "default")
def _retain_rows(data: RowSparse, indices: Any) -> RowSparse:
    rows = torch.unique(indices.to(torch.int64))
    return RowSparse(whole_gradient(data.take(rows)), rows, data.shape)


@get("slice").storage("csr", result=lambda p: "csr" if all(s in (1, None) for s in p.step) else "default")
def _slice_csr(data: CSR, *, begin: Shape, end: Shape, step: Shape) -> Any:
    if any(s not in (1, None) for s in step):
        return NotImplemented
    rows, *columns = bounds(begin, end, step, data.shape) or [range(data.shape[0])]
    indptr = data.indptr[rows.start : max(rows.stop, rows.start) + 1]
    first, last = indptr[0], indptr[-1]
    places = torch.arange(len(data.indices), device=data.indices.device)
    inside_rows = (places >= first) & (places < last)
    found = CSR(data.data[inside_rows], data.indices[inside_rows], indptr - first, (len(rows), data.shape[1]))
    return _columns(found, columns[0]) if columns else found


def _columns(data: CSR, columns: range) -> CSR:
    kept = (data.indices >= columns.start) & (data.indices < columns.stop)
    shape = (data.shape[0], len(columns))
    return csr_from_places(data.rows()[kept], data.indices[kept] - columns.start, data.data[kept], shape)


@take.storage("csr", "default", result=lambda p: "csr" if p.axis in (0, -2) and p.mode != "raise" else "default")
def _take_csr(a: CSR, indices: Any, *, axis: int, mode: str) -> Any:
    if indices.dim() != 1 or normalize_axes(axis, 2)[0] != 0 or mode == "raise":
        return NotImplemented
    rows = inside(indices, a.shape[0], mode)
    counts = (a.indptr[1:] - a.indptr[:-1])[rows]
    indptr = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    # each stored value of each chosen row: the row's first place, and its number within the row
    which = torch.repeat_interleave(torch.arange(len(rows), device=rows.device), counts)
    places = a.indptr[rows][which] + torch.arange(len(which), device=rows.device) - indptr[which]
    return CSR(a.data.index_select(0, places), a.indices[places], indptr, (len(rows), a.shape[1]))


@Concat.storage("csr", "*", result=lambda p: "csr" if p.dim in (0, -2) else "default")
def _concat_csr(*data: CSR, num_args: int, dim: int) -> Any:
    if normalize_axes(dim, 2)[0] != 0:
        return NotImplemented
    indptr, total = [data[0].indptr[:1]], 0
    for each in data:
        indptr.append(each.indptr[1:] + total)
        total += len(each.indices)
    shape = (sum(d.shape[0] for d in data), data[0].shape[1])
    return CSR(torch.cat([d.data for d in data]), torch.cat([d.indices for d in data]), torch.cat(indptr), shape)


def _count_shape(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    found = (1,) if p.axis is None else None if ins[0] is None else (ins[0][0],)
    return ins, [unify(outs[0], found, "output of getnnz")]


def _counted_axis(axis: int | None) -> bool:
    if axis not in (None, 1, -1):
        raise OperatorError("getnnz counts in all, or by row", expected="axis None or 1", found=axis)
    return axis is not None


@operator(shape=_count_shape, dtype=lambda _p, ins, _outs: (ins, ["int64"]))
def _contrib_getnnz(data, *, axis: int | None = None):
    """The number of stored values of a csr matrix, in all or (axis 1) by row; of a dense one, of those not 0."""
    found = (data != 0).sum(1) if _counted_axis(axis) else (data != 0).sum().reshape(1)
    return found.to(torch.int64)


@_contrib_getnnz.storage("csr", result="default")
def _stored_count(data: CSR, *, axis: int | None) -> Any:
    if _counted_axis(axis):
        return data.indptr[1:] - data.indptr[:-1]
    return data.indptr[-1:].clone()


def _edge_shape(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    shape = unify(unify(ins[1], ins[2], "nodes"), outs[0], "output of edge_id")
    return [ins[0], shape, shape], [shape]


@operator(shape=_edge_shape, dtype=first_dtype)
def _contrib_edge_id(data, u, v):
    """The values of a matrix at rows u and columns v, -1 where none is stored (where it is 0, in a dense one)."""
    found = data[u.to(torch.int64), v.to(torch.int64)]
    return torch.where(found == 0, -1, found)


@_contrib_edge_id.storage("csr", "default", "default", result="default")
def _stored_edges(data: CSR, u: Any, v: Any) -> Any:
    keys, order = torch.sort(data.rows() * data.shape[1] + data.indices, stable=True)
    wanted = u.to(torch.int64) * data.shape[1] + v.to(torch.int64)
    if not len(keys):
        return torch.full(wanted.shape, -1, dtype=data.data.dtype, device=data.data.device)
    places = torch.searchsorted(keys, wanted).clamp(max=len(keys) - 1)
    return torch.where(keys[places] == wanted, data.data[order[places]], -1)
