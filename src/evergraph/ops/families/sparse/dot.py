"""Products with csr matrices: work and memory by the stored values."""

import functools
from typing import Any

from evergraph.errors import ShapeError
from evergraph.ops.families.math.dot import dot, stored_as
from evergraph.ops.families.sparse.gradients import rows_gradient
from evergraph.ops.lazy import F, torch
from evergraph.ops.run import Run
from evergraph.ops.schema import Params
from evergraph.ops.sparse import CSR, RowSparse, dense_value

__all__: list[str] = []


def _product(rows: Any, columns: Any, values: Any, offsets: Any, dense: Any, count: int) -> Any:
    """The product of the matrix (count, len(dense)) that has values at places with a dense one.

    Where the places are in the order of rows, `offsets` names the first of each row.
    """
    if offsets is not None and dense.dtype in (torch.float32, torch.float64) and len(columns):
        # a weighted sum of rows for each row: without the (nnz, columns) array in between, and some ten times faster
        return F.embedding_bag(columns, dense, offsets, mode="sum", per_sample_weights=values)
    zeros = torch.zeros((count, dense.shape[1]), dtype=dense.dtype, device=dense.device)
    return zeros.index_add(0, rows, dense.index_select(0, columns) * values.unsqueeze(1))


@functools.cache
def _function() -> Any:
    class Product(torch.autograd.Function):
        """The left matrix as in `_product`, the right one, the number of rows, whether its gradient is sparse."""

        @staticmethod
        def forward(
            ctx: Any, rows: Any, columns: Any, values: Any, offsets: Any, dense: Any, count: int, sparse: bool
        ) -> Any:
            ctx.save_for_backward(rows, columns, values, dense)
            ctx.sparse = sparse
            return _product(rows, columns, values, offsets, dense, count)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            rows, columns, values, dense = ctx.saved_tensors
            grad, of_values, of_dense = grads[0], None, None
            if ctx.needs_input_grad[2]:
                of_values = (grad.index_select(0, rows) * dense.index_select(0, columns)).sum(1)
            if ctx.needs_input_grad[4] and ctx.sparse:
                met, places = torch.unique(columns, return_inverse=True)
                of_dense = rows_gradient(met, _product(places, rows, values, None, grad, len(met)), dense)
            elif ctx.needs_input_grad[4]:
                of_dense = _product(columns, rows, values, None, grad, dense.shape[0])
            return None, None, of_values, None, of_dense, None, None

    return Product


def _multiplied(places: tuple[Any, Any, Any, Any], dense: Any, count: int, sparse: bool) -> Any:
    if torch.is_grad_enabled() and (places[2].requires_grad or dense.requires_grad):
        return _function().apply(*places, dense, count, sparse)
    return _product(*places, dense, count)


def _stored(places: tuple[Any, Any, Any, Any], rhs: RowSparse) -> tuple[Any, Any, Any, Any]:
    """Only the places whose column is a stored row of rhs, with the place of that row."""
    rows, columns, values, offsets = places
    columns, stored = rhs.places(columns)
    if bool(stored.all()):
        return rows, columns, values, offsets
    return rows[stored], columns[stored], values[stored], None


def _checked(rhs: Any, inner: int, p: Params) -> None:
    size = rhs.shape[1 if p.transpose_b else 0]
    if inner != size:
        raise ShapeError("the summed axes of a product differ", expected=inner, found=size)


def _csr_result(p: Params) -> str:
    return p.forward_stype or ("row_sparse" if p.transpose_a and not p.transpose_b else "default")


@dot.storage("csr", "default", result=_csr_result)
@dot.storage("csr", "row_sparse", result=_csr_result)
def _csr_dot(lhs: CSR, rhs: Any, *, run: Run, **parameters: Any) -> Any:
    p = Params(parameters)
    places = (lhs.rows(), lhs.indices, lhs.data, lhs.indptr[:-1])
    if p.transpose_a:
        places = (places[1], places[0], places[2], None)
    count, inner = reversed(lhs.shape) if p.transpose_a else lhs.shape
    if len(rhs.shape) != 2:
        return NotImplemented
    _checked(rhs, inner, p)
    if isinstance(rhs, RowSparse) and not p.transpose_b:
        places, dense = _stored(places, rhs), rhs.data
    else:
        dense = dense_value(rhs)
        dense = dense.t() if p.transpose_b else dense
    # a sparse gradient may only reach a leaf, or row_sparse data, whose makers take it
    sparse = run.sparse_gradients and not p.transpose_b and (isinstance(rhs, RowSparse) or rhs.is_leaf)
    if not p.transpose_a or p.transpose_b:
        return stored_as(_multiplied(places, dense, count, sparse), p.forward_stype)
    met, rows = torch.unique(places[0], return_inverse=True)
    found = _multiplied((rows, places[1], places[2], None), dense, len(met), sparse)
    return stored_as(RowSparse(found, met, (count, dense.shape[1])), p.forward_stype)


def _dense_result(p: Params) -> str:
    return p.forward_stype or ("default" if p.transpose_a else "csr")


@dot.storage("default", "csr", result=_dense_result)
def _dot_csr(lhs: Any, rhs: CSR, *, run: Run, **parameters: Any) -> Any:
    p = Params(parameters)
    if lhs.dim() != 2:
        return NotImplemented
    left = lhs.t() if p.transpose_a else lhs
    _checked(rhs, left.shape[1], p)
    # (a b)' = b' a': the rows of b' that b has columns for
    rows, columns = (rhs.rows(), rhs.indices) if p.transpose_b else (rhs.indices, rhs.rows())
    width = rhs.shape[0 if p.transpose_b else 1]
    if p.transpose_a or p.transpose_b:
        found = _multiplied((rows, columns, rhs.data, None), left.t(), width, False).t()
        return stored_as(found, _dense_result(p))
    met, places = torch.unique(rows, return_inverse=True)
    found = _multiplied((places, columns, rhs.data, None), left.t(), len(met), False).t()
    height = left.shape[0]
    indptr = torch.arange(height + 1, device=met.device) * len(met)
    return stored_as(CSR(found.reshape(-1), met.repeat(height), indptr, (height, width)), p.forward_stype)


dot.storage("default", "default", result=lambda p: p.forward_stype or "default")(dot.body)

for _kinds in (
    ("row_sparse", "default"),
    ("default", "row_sparse"),
    ("row_sparse", "row_sparse"),
    ("row_sparse", "csr"),
    ("csr", "csr"),
):

    @dot.storage(*_kinds, result=lambda p: p.forward_stype or "default")
    def _dense_copies(lhs: Any, rhs: Any, **parameters: Any) -> Any:
        found = dot.body(dense_value(lhs), dense_value(rhs), **parameters)
        return stored_as(found, parameters["forward_stype"])
