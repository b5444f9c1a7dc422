"""Linear algebra on stacks of matrices, the last two axes; computed in float32 or float64."""

import math
from typing import Any

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.families.numpy.promotion import aligned, promote
from evergraph.ops.families.numpy.shape import ordered_axis
from evergraph.ops.gradients import with_gradient
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, fixed_dtype, forward, mapped, unify
from evergraph.ops.types import Double, Shape

__all__ = ["can_look", "square"]


def can_look(data: Any) -> bool:
    """Whether there are values to look at: not on the meta device, and not while a graph is traced."""
    return type(data) is torch.Tensor and not data.is_meta and not torch.compiler.is_compiling()


def square(data: Any, what: str) -> Any:
    """The shape of a stack of square matrices.

    Raises:
        ShapeError: it is none.
    """
    if len(data) < 2 or (data[-1] != data[-2] and None not in data[-2:]):
        raise ShapeError(f"{what} takes square matrices", found=tuple(data))
    return tuple(data)


def _solvable(data: Any) -> Any:
    """The array in a type that linear algebra is done in: integers become float64, float16 becomes float32."""
    if data.dtype in (torch.float32, torch.float64):
        return data
    return data.to(torch.float32 if data.is_floating_point() else torch.float64)


def _solvable_dtype(_: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    """Integers become float64; arrays of two types become the wider."""
    names = [d if d is None or "float" in d else "float64" for d in ins]
    found = outs[0] if None in names else names[0]
    for each in names:
        found = promote(found, each)
    return ins, ["float32" if found in ("float16", "bfloat16") else found] * len(outs)


@operator(shape=mapped(lambda _, data: square(data, "cholesky")), documented=("A",))
def _npi_cholesky(A, *, lower: bool = True):
    """The triangular factor of positive definite matrices, lower or upper."""
    square(A.shape, "cholesky")
    factor, info = torch.linalg.cholesky_ex(A, upper=not lower)
    if can_look(info) and bool((info != 0).any()):
        raise OperatorError("a matrix that is not positive definite has no Cholesky factor")
    return factor


def _solved(_: Any, A: Any, B: Any) -> Any:
    square(A, "solve")
    vector = len(B) == len(A) - 1
    if A[-1] != (B[-1] if vector else B[-2]) or A[:-2] != (B[:-1] if vector else B[:-2]):
        raise ShapeError("the sides of a linear system do not fit", expected=f"{A[:-1]} and columns", found=B)
    return B


@operator(shape=forward(_solved), dtype=_solvable_dtype)
def _npi_solve(A, B):
    """The X with A X = B, where B has the columns of the right side, or is one vector for each matrix."""
    _solved(None, tuple(A.shape), tuple(B.shape))
    matrix, right = aligned(_solvable(A), _solvable(B))
    vector = right.dim() == matrix.dim() - 1
    found, info = torch.linalg.solve_ex(matrix, right.unsqueeze(-1) if vector else right)
    if can_look(info) and bool((info != 0).any()):
        raise OperatorError("a singular matrix cannot be solved")
    return found.squeeze(-1) if vector else found


def _decomposed(_: Any, A: Any) -> list[Any]:
    if len(A) < 2:
        raise ShapeError("svd takes matrices", found=A)
    least = min(A[-2:])
    return [(*A[:-1], least), (*A[:-2], least), (*A[:-2], least, A[-1])]


def _positive_peaks(vectors: Any, axis: int) -> Any:
    """1 or -1 for each vector along an axis: the sign of its largest entry."""
    peaks = torch.gather(vectors, axis, vectors.abs().argmax(axis, keepdim=True))
    return torch.where(peaks < 0, -1.0, 1.0).to(vectors.dtype)


@operator(shape=forward(_decomposed), outputs=3)
def _npi_svd(A):
    """The singular value decomposition: U, the values L in descending order, and V with A = U diag(L) V.

    The sign is that which makes the largest entry of each row of V positive.
    """
    left, values, right = torch.linalg.svd(A, full_matrices=False)
    if not right.shape[-2]:
        return left, values, right
    signs = _positive_peaks(right.detach(), -1)
    return left * signs.mT, values, right * signs


def _inverted(_: Any, A: Any) -> Any:
    if len(A) < 2:
        raise ShapeError("pinv takes matrices", found=A)
    return (*A[:-2], A[-1], A[-2])


@operator(shape=forward(lambda p, A, _: _inverted(p, A)))
def _npi_pinv(A, rcond, *, hermitian: bool = False):
    """The pseudo-inverse; singular values up to `rcond` times the largest count as 0. No gradient passes."""
    return torch.linalg.pinv(A.detach(), rtol=rcond.detach().to(A.dtype), hermitian=hermitian)


@operator(shape=mapped(_inverted))
def _npi_pinv_scalar_rcond(A, *, rcond: Double = 1e-15, hermitian: bool = False):
    """The pseudo-inverse; singular values up to `rcond` times the largest count as 0. No gradient passes."""
    return torch.linalg.pinv(A.detach(), rtol=rcond, hermitian=hermitian)


def _front(a: Any, ind: int) -> int:
    if not 0 < ind < len(a) or math.prod(a[:ind]) != math.prod(a[ind:]):
        raise ShapeError("tensorinv takes an array that is square over its axes", found=f"{tuple(a)}, ind {ind}")
    return math.prod(a[:ind])


def _tensor_inverse(p: Any, a: Any) -> Any:
    _front(a, p.ind)
    return (*a[p.ind :], *a[: p.ind])


@operator(shape=forward(_tensor_inverse))
def _npi_tensorinv(a, *, ind: int = 2):
    """The inverse of the array as a matrix from its last axes to its first `ind` axes."""
    size = _front(a.shape, ind)
    inverse = torch.linalg.inv(a.reshape(size, size))
    return inverse.reshape(*a.shape[ind:], *a.shape[:ind])


def _solved_axes(a: Any, b: Any, a_axes: Any) -> list[int]:
    """The axes of a in the order in which they make a matrix: those of `a_axes` come last."""
    last = [ordered_axis(i, len(a)) for i in a_axes or ()]
    order = [i for i in range(len(a)) if i not in last] + last
    sizes = [a[i] for i in order]
    if len(a) < len(b) or math.prod(sizes[: len(b)]) != math.prod(b) or math.prod(sizes[len(b) :]) != math.prod(b):
        raise ShapeError("tensorsolve takes an array that is square over the right side", found=f"{a} and {b}")
    return order


def _tensor_solution(p: Any, a: Any, b: Any) -> Any:
    order = _solved_axes(a, b, p.a_axes)
    return tuple(a[i] for i in order[len(b) :])


@operator(shape=forward(_tensor_solution), dtype=_solvable_dtype)
def _npi_tensorsolve(a, b, *, a_axes: Shape = ()):
    """The x whose product with a over all axes of x is b; the axes `a_axes` of a are moved behind the others first."""
    order = _solved_axes(tuple(a.shape), tuple(b.shape), a_axes)
    moved, right = aligned(_solvable(a).permute(order), _solvable(b))
    size = math.prod(b.shape)
    found = torch.linalg.solve(moved.reshape(size, size), right.reshape(size))
    return found.reshape(moved.shape[b.dim() :])


def _eigenvalue_shape(_: Any, A: Any) -> Any:
    return square(A, "an eigenvalue problem")[:-1]


def _eigen_shapes(_: Any, A: Any) -> list[Any]:
    return [square(A, "an eigenvalue problem")[:-1], A]


def _triangle(UPLO: str) -> str:
    if UPLO not in ("L", "U"):
        raise OperatorError("a triangle of a symmetric matrix", expected="UPLO L or U", found=UPLO)
    return UPLO


def _real_only(values: Any) -> Any:
    if can_look(values) and bool((values.imag.abs() > 1e-15).any()):
        raise OperatorError("a matrix has complex eigenvalues, which MXNet's arrays cannot hold")
    return values.real


@operator(shape=forward(_eigenvalue_shape), dtype=_solvable_dtype)
def _npi_eigvals(A):
    """The eigenvalues of real matrices that have only real ones. No gradient passes."""
    square(A.shape, "eigvals")
    return _real_only(torch.linalg.eigvals(_solvable(A.detach())))


@operator(shape=forward(_eigen_shapes), dtype=_solvable_dtype, outputs=2)
def _npi_eig(A):
    """The eigenvalues of real matrices that have only real ones, and the eigenvectors as columns.

    No gradient passes.
    """
    square(A.shape, "eig")
    values, vectors = torch.linalg.eig(_solvable(A.detach()))
    return _real_only(values), vectors.real.contiguous()


@operator(shape=forward(_eigenvalue_shape), dtype=_solvable_dtype, description={"UPLO": ", optional, default=L"})
def _npi_eigvalsh(A, *, UPLO: str = "L"):
    """The eigenvalues of symmetric matrices in ascending order, read from one triangle. No gradient passes."""
    square(A.shape, "eigvalsh")
    return torch.linalg.eigvalsh(_solvable(A.detach()), UPLO=_triangle(UPLO))


@operator(shape=forward(_eigen_shapes), dtype=_solvable_dtype, outputs=2, description={"UPLO": ", optional, default=L"})
def _npi_eigh(A, *, UPLO: str = "L"):
    """The eigenvalues of symmetric matrices in ascending order, and the eigenvectors as columns. No gradient passes.

    One triangle is read. The largest entry of each eigenvector is positive.
    """
    square(A.shape, "eigh")
    values, vectors = torch.linalg.eigh(_solvable(A.detach()), UPLO=_triangle(UPLO))
    return values, vectors * _positive_peaks(vectors, -2) if vectors.shape[-1] else vectors


def _norm_axes(p: Any, rank: int) -> tuple[int, ...]:
    return tuple(range(rank)) if p["axis"] is None else tuple(ordered_axis(i, rank) for i in p["axis"])


def _norm_rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if ins[0] is None:
        return ins, outs
    axes = _norm_axes(p, len(ins[0]))
    if p.keepdims:
        found: Dims = tuple(1 if i in axes else d for i, d in enumerate(ins[0]))
    else:
        found = tuple(d for i, d in enumerate(ins[0]) if i not in axes)
    return ins, [unify(outs[0], found, "a norm"), *outs[1:]]


# MXNet multiplies the gradient of these norms by the head gradient twice, and models were trained with that
@with_gradient(lambda _, grad: grad * grad)
def _squaring_its_gradient(norm: Any) -> Any:
    return norm.clone()


@operator(shape=_norm_rule, outputs=4, visible=1, documented=("data",))
def _npi_norm(data, *, ord: Double = 2.0, axis: Shape | None = None, keepdims: bool = False, flag: int = -1):
    """The norm over axes (all, without `axis`): of vectors over one axis, of matrices over two, in order `ord`.

    A `flag` of 1 or -2 stands for the Frobenius norm (any number of axes), 2 for the nuclear norm. The gradient of the
    other norms of matrices has the head gradient as a factor twice, as in MXNet. The hidden outputs, MXNet's singular
    value decomposition, are not computed.
    """
    axes = _norm_axes({"axis": axis}, data.dim())
    if flag in (1, -2) or (not axes and flag != 2):
        return torch.linalg.vector_norm(data, 2, axes or None, keepdim=keepdims) if axes else data.abs()
    if flag == 2:
        return torch.linalg.matrix_norm(data, "nuc", axes, keepdim=keepdims)
    if len(axes) == 1:
        return torch.linalg.vector_norm(data, ord, axes, keepdim=keepdims)
    if len(axes) != 2 or abs(ord) not in (1, 2, math.inf):
        found = f"{len(axes)} axes, ord {ord:g}"
        raise OperatorError("a norm of this order is not known", expected="1 axis, or 2 and ord 1, 2, inf", found=found)
    return _squaring_its_gradient(torch.linalg.matrix_norm(data, ord, axes, keepdim=keepdims))


def _rank_of(values: Any, limit: Any) -> Any:
    return (values > limit).sum(-1, dtype=torch.int64)


def _singular_values(M: Any, hermitian: bool) -> Any:
    if M.dim() < 2:
        return (M != 0).any().reshape(1).to(M.dtype)
    return torch.linalg.eigvalsh(M).abs() if hermitian else torch.linalg.svdvals(M)


@operator(shape=forward(lambda _, M: M[:-2]), dtype=fixed_dtype("int64"))
def _npi_matrix_rank_none_tol(M, *, finfoEps32: float = 0.0, finfoEps64: Double = 0.0, hermitian: bool = False):
    """How many singular values are greater than the largest times the longer side times the type's epsilon.

    MXNet 1.9.1 lacks it.
    """
    values = _singular_values(M.detach(), hermitian)
    given = finfoEps32 if M.dtype == torch.float32 else finfoEps64
    ratio = (given or torch.finfo(M.dtype).eps) * max(M.shape[-2:], default=1)
    return _rank_of(values, values.amax(-1, keepdim=True) * ratio if M.dim() > 1 else 0)


@operator(shape=forward(lambda _, M, __: M[:-2]), dtype=fixed_dtype("int64"))
def _npi_matrix_rank(M, tol, *, hermitian: bool = False):
    """How many singular values are greater than tol, a number or one for each matrix.

    MXNet 1.9.1 lacks it.
    """
    return _rank_of(_singular_values(M.detach(), hermitian), tol.detach().unsqueeze(-1))


def _orthogonal_shapes(_: Any, A: Any) -> list[Any]:
    if len(A) < 2:
        raise ShapeError("qr takes matrices", found=A)
    return [(*A[:-1], min(A[-2:])), (*A[:-2], min(A[-2:]), A[-1])]


@operator(shape=forward(_orthogonal_shapes), dtype=_solvable_dtype, outputs=2)
def _npi_qr(A):
    """Matrices as the product of Q, whose columns are orthonormal, and the upper triangular R.

    MXNet 1.9.1 lacks it.
    """
    found = torch.linalg.qr(_solvable(A))
    return found.Q, found.R


def _least_squares_shapes(_: Any, A: Any, B: Any) -> list[Any]:
    if len(A) != 2 or len(B) not in (1, 2) or A[0] != B[0]:
        raise ShapeError("lstsq takes a matrix and right sides with as many rows", found=f"{A} and {B}")
    count = B[1] if len(B) == 2 else 1
    return [(A[1], *B[1:]), (count if A[0] > A[1] else 0,), (), (min(A),)]


def _least_squares_dtype(p: Any, ins: list[str | None], outs: list[str | None]) -> Any:
    ins, (found, *_) = _solvable_dtype(p, ins, outs)
    return ins, [found, found, "int32", found]


@operator(shape=forward(_least_squares_shapes), dtype=_least_squares_dtype, outputs=4)
def _npi_lstsq(
    A, B, *, rcond: Double = -1.0, finfoEps32: float = 0.0, finfoEps64: Double = 0.0, new_default: bool = False
):
    """The shortest x for which A x is nearest to B, the squared distances, the rank of A and its singular values.

    Singular values up to `rcond` (the type's epsilon where it is negative, times the longer side with `new_default`)
    times the largest count as 0. The distances are empty unless A is tall. No gradient passes.
    MXNet 1.9.1 lacks it.
    """
    _least_squares_shapes(None, tuple(A.shape), tuple(B.shape))
    matrix, right = aligned(_solvable(A.detach()), _solvable(B.detach()))
    left, values, columns = torch.linalg.svd(matrix, full_matrices=False)
    ratio = rcond if rcond >= 0 else torch.finfo(matrix.dtype).eps * (max(A.shape) if new_default else 1)
    large = values > ratio * values.max() if values.numel() else values > 0
    inverse = torch.where(large, 1 / torch.where(large, values, 1), 0)
    sides = right if right.dim() == 2 else right.unsqueeze(1)
    found = columns.mT @ (inverse.unsqueeze(1) * (left.mT @ sides))
    rank = large.sum(dtype=torch.int32)
    distance = ((matrix @ found - sides) ** 2).sum(0)
    distance = distance if A.shape[0] > A.shape[1] else distance[:0]
    return found.reshape(A.shape[1], *B.shape[1:]), distance, rank, values
