"""Linear algebra on the matrices in the last two axes of an array."""

import math
from collections.abc import Callable
from typing import Any

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.gradients import with_gradient
from evergraph.ops.lazy import F, torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, ShapeRule, elementwise, mapped, unify
from evergraph.ops.types import Double

__all__ = ["square"]


def square(data: Any, what: str) -> Any:
    """The shape of an array of square matrices, checked.

    Raises:
        ShapeError: the last two sizes differ.
    """
    if len(data) < 2 or (None not in data[-2:] and data[-1] != data[-2]):
        raise ShapeError(f"{what} takes square matrices", expected="two last axes of one length", found=tuple(data))
    return data


def _squares(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    ins, outs = elementwise(p, ins, outs)
    if ins[0] is not None:
        square(ins[0], "this operator")
    return ins, outs


def _computed(function: Callable[..., Any], *args: Any) -> Any:
    """A decomposition, with LAPACK's refusals as errors of ours."""
    try:
        return function(*args)
    except torch.linalg.LinAlgError as error:  # pyright: ignore[reportPrivateImportUsage]
        raise OperatorError("the matrix has no such decomposition", found=str(error).splitlines()[0]) from error


def _multiplied(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    a, b = ins[0], ins[1]
    if a is None or b is None:
        return ins, outs
    at = _row_axis(p.axis, len(a))
    rows, inner = (a[-1], a[at]) if p.transpose_a else (a[at], a[-1])
    below, columns = (b[-1], b[at]) if p.transpose_b else (b[at], b[-1])
    if len(a) != len(b) or (inner != below and None not in (inner, below)):
        raise ShapeError("the matrices cannot be multiplied", expected=inner, found=f"{a} and {b}")
    unify((*a[:at], *a[at + 1 : -1]), (*b[:at], *b[at + 1 : -1]), "a batch of matrices")
    found: Dims = (*a[:at], rows, *a[at + 1 : -1], columns)
    if len(ins) == 3:
        found = unify(found, ins[2], "the matrices to add")
        ins = [a, b, found]
    return ins, [unify(outs[0], found, "a product of matrices")]


def _row_axis(axis: int, rank: int) -> int:
    at = axis + rank if axis < 0 else axis
    if not 0 <= at < rank - 1:
        raise ShapeError("the axis of rows is outside the array", expected=f"0 to {rank - 2}", found=axis)
    return at


def _product(A: Any, B: Any, transpose_a: bool, transpose_b: bool, alpha: float, at: int) -> Any:
    left, right = A.movedim(at, -2), B.movedim(at, -2)
    if left.shape[:-2] != right.shape[:-2]:
        raise ShapeError("batches of matrices differ", expected=tuple(A.shape), found=tuple(B.shape))
    left, right = left.mT if transpose_a else left, right.mT if transpose_b else right
    if left.shape[-1] != right.shape[-2]:
        raise ShapeError("the matrices cannot be multiplied", expected=left.shape[-1], found=right.shape[-2])
    found = torch.matmul(left, right)
    return (found if alpha == 1 else alpha * found).movedim(-2, at)


@operator(aliases=("linalg_gemm",), shape=_multiplied)
def _linalg_gemm(
    A,
    B,
    C,
    *,
    transpose_a: bool = False,
    transpose_b: bool = False,
    alpha: Double = 1.0,
    beta: Double = 1.0,
    axis: int = -2,
):
    """The matrices alpha * A B + beta * C, with A and B transposed where asked; rows are at `axis`, columns last."""
    return _product(A, B, transpose_a, transpose_b, alpha, _row_axis(axis, A.dim())) + beta * C


@operator(aliases=("linalg_gemm2",), shape=_multiplied)
def _linalg_gemm2(A, B, *, transpose_a: bool = False, transpose_b: bool = False, alpha: Double = 1.0, axis: int = -2):
    """The matrices alpha * A B, with A and B transposed where asked; rows are at `axis`, columns last."""
    return _product(A, B, transpose_a, transpose_b, alpha, _row_axis(axis, A.dim()))


@_linalg_gemm2.quickened
def _gemm_quickly(p: Any, recorded: bool, A: Any, B: Any) -> Any:
    if A.dim() != 2 or B.dim() != 2 or p.alpha != 1 or not A.is_floating_point():
        return None
    _row_axis(p.axis, 2)
    product = torch.mm
    if p.transpose_a:
        return (lambda a, b: product(a.t(), b.t())) if p.transpose_b else lambda a, b: product(a.t(), b)
    return F.linear if p.transpose_b else product


@operator(aliases=("linalg_potrf",), shape=_squares)
def _linalg_potrf(A):
    """The lower triangular L with L L^T = A, of positive definite A."""
    square(A.shape, "potrf")
    return _computed(torch.linalg.cholesky, A)


@operator(aliases=("linalg_potri",), shape=_squares)
def _linalg_potri(A):
    """The inverse of L L^T, where A is the lower triangular L."""
    square(A.shape, "potri")
    unit = torch.eye(A.shape[-1], dtype=A.dtype, device=A.device).expand(A.shape)
    inverse = torch.linalg.solve_triangular(A.tril(), unit, upper=False)
    return torch.matmul(inverse.mT, inverse)


def _triangular(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    other = unify(ins[1], outs[0], "the matrices B")
    matrix = ins[0]
    if matrix is not None:
        square(matrix, "this operator")
    if other is not None:
        size = other[-1 if p.rightside else -2]
        matrix = unify(matrix, (*other[:-2], size, size), "the matrices A")
    return [matrix, other], [other]


def _triangle(A: Any, lower: bool, transpose: bool) -> Any:
    kept = A.tril() if lower else A.triu()
    return kept.mT if transpose else kept


@operator(aliases=("linalg_trmm",), shape=_triangular)
def _linalg_trmm(A, B, *, transpose: bool = False, rightside: bool = False, lower: bool = True, alpha: Double = 1.0):
    """The matrices alpha * A B, or alpha * B A with `rightside`, of one triangle of A (transposed where asked)."""
    square(A.shape, "trmm")
    left = _triangle(A, lower, transpose)
    return alpha * (torch.matmul(B, left) if rightside else torch.matmul(left, B))


@operator(aliases=("linalg_trsm",), shape=_triangular)
def _linalg_trsm(A, B, *, transpose: bool = False, rightside: bool = False, lower: bool = True, alpha: Double = 1.0):
    """The X with A X = alpha * B, or X A = alpha * B with `rightside`, of one triangle of A, transposed where asked."""
    square(A.shape, "trsm")
    upper = lower if transpose else not lower
    return torch.linalg.solve_triangular(_triangle(A, lower, transpose), alpha * B, upper=upper, left=not rightside)


def _gram(p: Any, data: Any) -> Dims:
    size = data[-1] if p.transpose else data[-2]
    return (*data[:-2], size, size)


@operator(aliases=("linalg_syrk",), shape=mapped(_gram))
def _linalg_syrk(A, *, transpose: bool = False, alpha: Double = 1.0):
    """The matrices alpha * A A^T, or alpha * A^T A with `transpose`."""
    return alpha * (torch.matmul(A.mT, A) if transpose else torch.matmul(A, A.mT))


def _scalars(p: Any, data: Any) -> Dims:
    return tuple(square(data, "this operator")[:-2]) or (1,)


def _each(value: Any) -> Any:
    return value.reshape(1) if value.dim() == 0 else value


@operator(aliases=("linalg_sumlogdiag",), shape=mapped(_scalars))
def _linalg_sumlogdiag(A):
    """The sum of the logarithms of each matrix's diagonal; of a single matrix, shape (1,)."""
    square(A.shape, "sumlogdiag")
    return _each(torch.diagonal(A, 0, -2, -1).log().sum(-1))


def _diagonal_length(data: Any, offset: int) -> Any:
    size = square(data, "this operator")[-1]
    if size is not None and size <= abs(offset):
        raise ShapeError("the matrix has no such diagonal", expected=f"an offset below {size}", found=offset)
    return None if size is None else size - abs(offset)


@operator(aliases=("linalg_extractdiag",), shape=mapped(lambda p, data: (*data[:-2], _diagonal_length(data, p.offset))))
def _linalg_extractdiag(A, *, offset: int = 0):
    """The diagonal of each matrix, `offset` above the main one."""
    _diagonal_length(A.shape, offset)
    return torch.diagonal(A, offset, -2, -1)


def _diagonal_matrix(p: Any, data: Any) -> Dims:
    size = None if data[-1] is None else data[-1] + abs(p.offset)
    return (*data[:-1], size, size)


@operator(aliases=("linalg_makediag",), shape=mapped(_diagonal_matrix))
def _linalg_makediag(A, *, offset: int = 0):
    """Matrices of zeros with the vectors A as their diagonals, `offset` above the main one."""
    return torch.diag_embed(A, offset)


def _triangle_places(size: int, offset: int, lower: bool, device: Any) -> Any:
    """Rows and columns (2, n) of the triangle that begins at a diagonal: row by row below, column by column above."""
    places = torch.tril_indices(size, size, -abs(offset), device=device)
    return places if offset < 0 or (offset == 0 and lower) else places.flip(0)


def _triangle_size(p: Any, data: Any) -> Dims:
    size = _diagonal_length(data, p.offset)
    return (*data[:-2], None if size is None else size * (size + 1) // 2)


@operator(aliases=("linalg_extracttrian",), shape=mapped(_triangle_size))
def _linalg_extracttrian(A, *, offset: int = 0, lower: bool = True):
    """One triangle of each matrix as a vector, from its diagonal, which `offset` moves and which then says which one.

    A lower triangle is read row by row, an upper one column by column.
    """
    _diagonal_length(A.shape, offset)
    rows, columns = _triangle_places(A.shape[-1], offset, lower, A.device)
    return A[..., rows, columns]


def _triangle_side(count: int, offset: int) -> int:
    side = (math.isqrt(8 * count + 1) - 1) // 2
    if side * (side + 1) // 2 != count:
        raise ShapeError("no triangle has as many values", expected="1, 3, 6, 10, ...", found=count)
    return side + abs(offset)


def _triangle_matrix(p: Any, data: Any) -> Dims:
    size = None if data[-1] is None else _triangle_side(data[-1], p.offset)
    return (*data[:-1], size, size)


@operator(aliases=("linalg_maketrian",), shape=mapped(_triangle_matrix))
def _linalg_maketrian(A, *, offset: int = 0, lower: bool = True):
    """Matrices of zeros with the vectors A as one triangle; the inverse of extracttrian."""
    size = _triangle_side(A.shape[-1], offset)
    rows, columns = _triangle_places(size, offset, lower, A.device)
    flat = torch.zeros((*A.shape[:-1], size * size), dtype=A.dtype, device=A.device)
    return flat.index_copy(-1, rows * size + columns, A).reshape(*A.shape[:-1], size, size)


def _through_inverse(data: Any, singular: Any, grad: Any) -> Any:
    """The transposed inverses times the gradients; 0 for singular matrices, as in MXNet."""
    singular = singular[..., None, None]
    regular = torch.where(singular, torch.eye(data.shape[-1], dtype=data.dtype, device=data.device), data)
    return torch.where(singular, 0, grad[..., None, None] * torch.linalg.inv_ex(regular)[0].mT)


def _determinant_gradient(saved: Any, grad: Any) -> Any:
    data, value = saved.args[0], saved.outputs[0]
    return _through_inverse(data, value == 0, grad * value)


@with_gradient(_determinant_gradient)
def _determinant(A: Any) -> Any:
    return torch.linalg.det(A)


def _log_determinant_gradient(saved: Any, _: Any, grad: Any) -> Any:
    return _through_inverse(saved.args[0], saved.outputs[0] == 0, grad)


@with_gradient(_log_determinant_gradient)
def _log_determinant(A: Any) -> Any:
    return tuple(torch.linalg.slogdet(A))


def _determinant_shapes(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    """The determinants, then what MXNet keeps for the gradient: the LU factors and their pivots."""
    data = ins[0]
    if data is None:
        return ins, outs
    count = len(outs) - 2
    square(data, "a determinant")
    return ins, [tuple(data[:-2]) or (1,)] * count + [data, data[:-1]]


def _determinant_dtypes(p: Any, ins: list[str | None], outs: list[str | None]) -> Any:
    return ins, [ins[0]] * (len(outs) - 1) + ["int32"]


@operator(
    aliases=("_npi_det", "linalg_det"), shape=_determinant_shapes, dtype=_determinant_dtypes, outputs=3, visible=1
)
def _linalg_det(A):
    """The determinant of each matrix; of a single matrix, shape (1,). Where it is 0, so is the gradient."""
    square(A.shape, "det")
    return _each(_determinant(A))


@operator(
    aliases=("_npi_slogdet", "linalg_slogdet"),
    shape=_determinant_shapes,
    dtype=_determinant_dtypes,
    outputs=4,
    visible=2,
)
def _linalg_slogdet(A):
    """Sign and logarithm of the size of each determinant; of a single matrix, shapes (1,)."""
    square(A.shape, "slogdet")
    sign, size = _log_determinant(A)
    return _each(sign), _each(size)


@operator(aliases=("_npi_inv", "linalg_inverse"), shape=_squares)
def _linalg_inverse(A):
    """The inverse of each matrix."""
    square(A.shape, "inverse")
    return _computed(torch.linalg.inv, A)


def _factors(last: Callable[[Any], Any]) -> ShapeRule:
    def rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
        whole = unify(ins[0], outs[0], "a factor")
        return [whole], [whole, outs[1] if whole is None else unify(outs[1], last(whole), "a factor")]

    return rule


@operator(aliases=("linalg_gelqf",), shape=_factors(lambda data: (*data[:-1], data[-2])), outputs=2)
def _linalg_gelqf(A):
    """Q with orthonormal rows and lower triangular L such that A = L Q, of A with no more rows than columns."""
    if A.shape[-2] > A.shape[-1]:
        raise ShapeError("gelqf takes no more rows than columns", expected=A.shape[-1], found=A.shape[-2])
    q, r = torch.linalg.qr(A.mT)
    return q.mT, r.mT


@operator(aliases=("linalg_syevd",), shape=_factors(lambda data: data[:-1]), outputs=2)
def _linalg_syevd(A):
    """U, whose rows are the eigenvectors of symmetric A, and the ascending eigenvalues L: A = U^T diag(L) U."""
    square(A.shape, "syevd")
    values, columns = _computed(torch.linalg.eigh, A)
    rows = columns.mT
    # an eigenvector's sign is free: MXNet makes the first of its largest elements positive
    largest = rows.detach().abs().argmax(-1, keepdim=True)
    sign = torch.sign(rows.detach().gather(-1, largest))
    return rows * sign, values
