"""Sums of products, and diagonals."""

from typing import Any

from evergraph.mxnet.base import InputTypeError, numeric_types
from evergraph.mxnet.numpy.face import Face, Table
from evergraph.mxnet.numpy.functions.unary import legal_keywords

__all__ = ["TABLE"]

TABLE = Table()


@TABLE.add
def dot(op: Face, a: Any, b: Any, out: Any = None) -> Any:
    """`numpy.dot`."""
    return op("_np_dot", a, b, out=out)


@TABLE.add
def matmul(op: Face, a: Any, b: Any, out: Any = None, **kwargs: Any) -> Any:
    """`numpy.matmul`."""
    legal_keywords("matmul", kwargs)
    return op("_npi_matmul", a, b, out=out)


@TABLE.add
def tensordot(op: Face, a: Any, b: Any, axes: Any = 2) -> Any:
    """`numpy.tensordot`.

    Raises:
        ValueError: the two lists of axes have different lengths.
    """
    if isinstance(axes, numeric_types):
        return op("_npi_tensordot_int_axes", a, b, axes=int(axes))
    if len(axes) != 2:
        raise ValueError(f"axes must be a number or two lists of axes, found {axes!r}")
    first, second = ((each,) if isinstance(each, numeric_types) else tuple(each) for each in axes)
    if len(first) != len(second):
        raise ValueError(f"both arrays must be summed over equally many axes, found {first} and {second}")
    return op("_npi_tensordot", a, b, a_axes_summed=first, b_axes_summed=second)


@TABLE.add
def inner(op: Face, a: Any, b: Any) -> Any:
    """`numpy.inner`."""
    return tensordot(op, a, b, (-1, -1))


@TABLE.add
def outer(op: Face, a: Any, b: Any) -> Any:
    """`numpy.outer`."""
    flat = (op("_npi_reshape", each, newshape=-1) for each in (a, b))
    return tensordot(op, *flat, axes=0)


@TABLE.add
def vdot(op: Face, a: Any, b: Any) -> Any:
    """`numpy.vdot`."""
    flat = (op("_npi_reshape", each, newshape=-1) for each in (a, b))
    return tensordot(op, *flat, axes=1)


@TABLE.add
def einsum(op: Face, *operands: Any, **kwargs: Any) -> Any:
    """`numpy.einsum` with the subscripts as text.

    Args:
        op: the face.
        operands: the subscripts and the arrays.
        kwargs: `out`; `optimize`, which changes only the order of the work.

    Raises:
        TypeError: another keyword.
        InputTypeError: there is no text first.
    """
    out, optimize = kwargs.pop("out", None), kwargs.pop("optimize", False)
    if kwargs:
        raise TypeError(f"einsum() got an unexpected keyword argument {min(kwargs)!r}")
    if not operands or not isinstance(operands[0], str):
        raise InputTypeError("einsum takes the subscripts as text first, and then the arrays")
    arrays = operands[1:]
    return op(
        "_npi_einsum", *arrays, num_args=len(arrays), subscripts=operands[0], optimize=int(bool(optimize)), out=out
    )


@TABLE.add
def trace(op: Face, a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, out: Any = None) -> Any:
    """`numpy.trace`."""
    return op("_np_trace", a, offset=offset, axis1=axis1, axis2=axis2, out=out)


@TABLE.add
def diag(op: Face, array: Any, k: int = 0) -> Any:
    """`numpy.diag`, a copy."""
    return op("_np_diag", array, k=k)


@TABLE.add
def diagflat(op: Face, array: Any, k: int = 0) -> Any:
    """`numpy.diagflat`."""
    return op("_np_diagflat", array, k=k)


@TABLE.add
def diagonal(op: Face, a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """`numpy.diagonal`, a copy."""
    return op("_np_diagonal", a, offset=offset, axis1=axis1, axis2=axis2)


@TABLE.add
def tril(op: Face, m: Any, k: int = 0) -> Any:
    """`numpy.tril`."""
    return op("_npi_tril", m, k=k)


@TABLE.add
def polyval(op: Face, p: Any, x: Any) -> Any:
    """`numpy.polyval` of two arrays.

    Raises:
        TypeError: one array and one number.
    """
    if op.holds(p) and op.holds(x):
        return op("_npi_polyval", p, x)
    if op.holds(p) or op.holds(x):
        raise TypeError("polyval takes two arrays, or two that are none")
    import numpy

    return numpy.polyval(p, x)
