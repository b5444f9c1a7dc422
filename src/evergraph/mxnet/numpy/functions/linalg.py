"""Linear algebra on stacks of matrices."""

import math
from collections.abc import Callable
from typing import Any

from evergraph.errors import UsageError
from evergraph.mxnet.base import InputTypeError
from evergraph.mxnet.numpy.face import Face, Table

__all__ = ["TABLE"]

TABLE = Table()

_OPERATORS = {
    "cholesky": ("_npi_cholesky", "The lower triangular factors of positive definite matrices."),
    "eigvals": ("_npi_eigvals", "The eigenvalues of matrices that have real ones. No gradient passes."),
    "inv": ("_npi_inv", "The inverses of square matrices."),
}
"""Function of one array -> operator, and what it does."""


class _KindError(InputTypeError):
    """Something else than an array of mx.np."""


def _require(op: Face, *values: Any) -> None:
    for value in values:
        if not op.holds(value):
            raise _KindError("an array of mx.np is needed", found=type(value).__name__, fix="mx.np.array(value)")


def _of_one(name: str, operator: str, doc: str) -> Callable[..., Any]:
    def call(op: Face, a: Any) -> Any:
        _require(op, a)
        return op(operator, a)

    call.__name__, call.__doc__ = name, doc
    return call


for _name, (_operator, _doc) in _OPERATORS.items():
    TABLE[_name] = _of_one(_name, _operator, _doc)


@TABLE.add
def det(op: Face, a: Any) -> Any:
    """The determinants of square matrices."""
    _require(op, a)
    return _number(op, a, op("_npi_det", a))


@TABLE.add
def slogdet(op: Face, a: Any) -> Any:
    """The signs of determinants, and the logarithms of their absolute values."""
    _require(op, a)
    return [_number(op, a, found) for found in op("_npi_slogdet", a)]


def _number(op: Face, a: Any, found: Any) -> Any:
    """What the operator gives of one matrix as (1,), as a number."""
    return op("_npi_reshape", found, newshape=()) if op.rank(a) == 2 else found


@TABLE.add
def svd(op: Face, a: Any) -> Any:
    """U, the singular values in descending order, and V with a = U diag(values) V."""
    _require(op, a)
    return tuple(op("_npi_svd", a))


@TABLE.add
def eig(op: Face, a: Any) -> Any:
    """The eigenvalues of matrices that have real ones, and the eigenvectors as columns. No gradient passes."""
    _require(op, a)
    return tuple(op("_npi_eig", a))


@TABLE.add
def eigh(op: Face, a: Any, UPLO: str = "L") -> Any:
    """The ascending eigenvalues of symmetric matrices, and the eigenvectors as columns. No gradient passes."""
    _require(op, a)
    return tuple(op("_npi_eigh", a, UPLO=UPLO))


@TABLE.add
def eigvalsh(op: Face, a: Any, UPLO: str = "L") -> Any:
    """The ascending eigenvalues of symmetric matrices. No gradient passes."""
    _require(op, a)
    return op("_npi_eigvalsh", a, UPLO=UPLO)


@TABLE.add
def solve(op: Face, a: Any, b: Any) -> Any:
    """The x with a x = b."""
    _require(op, a, b)
    return op("_npi_solve", a, b)


@TABLE.add
def pinv(op: Face, a: Any, rcond: Any = 1e-15, hermitian: bool = False) -> Any:
    """The pseudo-inverses; singular values up to rcond times the largest count as 0. No gradient passes.

    Raises:
        NotImplementedError: `hermitian` is true.
    """
    _require(op, a)
    if hermitian is True:
        raise NotImplementedError("pinv takes hermitian=False alone")
    if op.holds(rcond):
        return op("_npi_pinv", a, rcond, hermitian=hermitian)
    return op("_npi_pinv_scalar_rcond", a, rcond=rcond, hermitian=hermitian)


@TABLE.add
def tensorinv(op: Face, a: Any, ind: int = 2) -> Any:
    """The inverse of an array as a matrix from its last axes to its first `ind` axes."""
    _require(op, a)
    return op("_npi_tensorinv", a, ind=ind)


@TABLE.add
def tensorsolve(op: Face, a: Any, b: Any, axes: Any = None) -> Any:
    """The x whose product with a over all axes of x is b; `axes` of a are moved behind the others first."""
    _require(op, a, b)
    return op("_npi_tensorsolve", a, b, a_axes=() if axes is None else axes)


@TABLE.add
def norm(op: Face, x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The norm over one axis, of matrices over two, or over all axes.

    Args:
        op: the face.
        x: the array.
        ord: a number, "fro", "nuc", "inf" or "-inf"; Euclid's and Frobenius's norm where it is not given.
        axis: an axis, or several; all where it is not given.
        keepdims: whether axes of length 1 stay where it was taken.
    """
    _require(op, x)
    axes = axis if axis is None or isinstance(axis, (tuple, list)) else (axis,)
    axes = axes if axes is None else tuple(axes)
    if ord in ("inf", "-inf") and (axes is None or len(axes) == 1):
        return op("_np_max" if ord == "inf" else "_np_min", _size(op, x), axis=axes, keepdims=keepdims)
    if axes is not None and len(axes) == 2 and ord in (1, -1, math.inf, -math.inf, "inf", "-inf"):
        return _of_sums(op, x, float(ord), axes, keepdims)
    if ord is None:
        found, flag = 2, -2 if axes is None else 1
    elif ord in ("fro", "nuc"):
        found, flag = 2, 1 if ord == "fro" else 2
    elif isinstance(ord, str):
        raise UsageError("a norm of this order is not known", expected="a number, fro, nuc, inf, -inf", found=ord)
    else:
        found, flag = ord, 0 if axes is not None and len(axes) == 2 and ord in (2, -2) else -1
    return op("_npi_norm", x, ord=found, axis=axes, keepdims=keepdims, flag=flag)


def _size(op: Face, x: Any) -> Any:
    return op("_npi_absolute", x)


def _of_sums(op: Face, x: Any, ord: float, axes: tuple[int, ...], keepdims: bool) -> Any:
    """The greatest or the least of the sums of absolute values along rows or columns."""
    summed, compared = axes if abs(ord) == 1 else axes[::-1]
    sums = op("_np_sum", _size(op, x), axis=(summed,), keepdims=True)
    found = op("_np_max" if ord > 0 else "_np_min", sums, axis=(compared,), keepdims=True)
    return found if keepdims else op("_np_squeeze", found, axis=axes)
