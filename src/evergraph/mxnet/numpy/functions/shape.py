"""The same values under other shapes: reshaped, turned round, repeated."""

from typing import Any

import numpy as onp

from evergraph.mxnet.base import numeric_types
from evergraph.mxnet.numpy.face import Face, Table

__all__ = ["TABLE"]

TABLE = Table()


def _only_c(order: str) -> None:
    if order != "C":
        raise NotImplementedError(f"arrays are read and stored in order 'C' alone, found {order!r}")


@TABLE.add
def reshape(op: Face, a: Any, newshape: Any, order: str = "C", out: Any = None) -> Any:
    """`numpy.reshape`, a copy.

    Raises:
        NotImplementedError: another order than "C".
    """
    _only_c(order)
    return op("_np_reshape", a, newshape=newshape, out=out)


@TABLE.add
def ravel(op: Face, x: Any, order: str = "C") -> Any:
    """`numpy.ravel`, a copy; a number by NumPy's own.

    Raises:
        NotImplementedError: another order than "C".
    """
    _only_c(order)
    if isinstance(x, numeric_types):
        return onp.reshape(x, -1)
    return op("_npi_reshape", x, newshape=-1)


@TABLE.add
def transpose(op: Face, a: Any, axes: Any = None) -> Any:
    """`numpy.transpose`, a copy."""
    return op("_np_transpose", a, axes=axes)


@TABLE.add
def moveaxis(op: Face, a: Any, source: Any, destination: Any) -> Any:
    """`numpy.moveaxis`, a copy."""
    return op("_np_moveaxis", a, source=source, destination=destination)


@TABLE.add
def swapaxes(op: Face, a: Any, axis1: int, axis2: int) -> Any:
    """`numpy.swapaxes`, a copy."""
    return op("_npi_swapaxes", a, dim1=axis1, dim2=axis2)


@TABLE.add
def roll(op: Face, a: Any, shift: Any, axis: Any = None) -> Any:
    """`numpy.roll`."""
    return op("_np_roll", a, shift=shift, axis=axis)


@TABLE.add
def rot90(op: Face, m: Any, k: int = 1, axes: Any = (0, 1)) -> Any:
    """`numpy.rot90`, a copy."""
    return op("_npi_rot90", m, k=k, axes=axes)


@TABLE.add
def flip(op: Face, m: Any, axis: Any = None, out: Any = None) -> Any:
    """`numpy.flip`, a copy; a number by NumPy's own."""
    if isinstance(m, numeric_types):
        return onp.flip(m, axis)
    return op("_npi_flip", m, axis=axis, out=out)


@TABLE.add
def flipud(op: Face, m: Any) -> Any:
    """`numpy.flipud`, a copy."""
    return flip(op, m, 0)


@TABLE.add
def fliplr(op: Face, m: Any) -> Any:
    """`numpy.fliplr`, a copy."""
    return flip(op, m, 1)


@TABLE.add
def squeeze(op: Face, a: Any, axis: Any = None, out: Any = None) -> Any:
    """`numpy.squeeze`, a copy."""
    return op("_np_squeeze", a, axis=axis, out=out)


@TABLE.add
def expand_dims(op: Face, a: Any, axis: int) -> Any:
    """`numpy.expand_dims`, a copy, for one axis."""
    return op("_npi_expand_dims", a, axis=axis)


@TABLE.add
def broadcast_to(op: Face, array: Any, shape: Any) -> Any:
    """`numpy.broadcast_to`, a copy."""
    if isinstance(array, numeric_types):
        return op("_npi_full", shape=shape, value=array, dtype="bool" if isinstance(array, bool) else "float32")
    return op("_npi_broadcast_to", array, shape=shape)


@TABLE.add
def tile(op: Face, A: Any, reps: Any) -> Any:
    """`numpy.tile`."""
    if isinstance(A, numeric_types):
        return onp.tile(A, reps)
    return op("_npi_tile", A, reps=reps)


@TABLE.add
def repeat(op: Face, a: Any, repeats: int, axis: int | None = None) -> Any:
    """`numpy.repeat`, every value equally often."""
    return op("_np_repeat", a, repeats=repeats, axis=axis)


def _at_least(op: Face, name: str, arys: tuple[Any, ...]) -> Any:
    return op(name, *arys, num_args=len(arys))


@TABLE.add
def atleast_1d(op: Face, *arys: Any) -> Any:
    """`numpy.atleast_1d`, copies; of several arrays a list."""
    return _at_least(op, "_np_atleast_1d", arys)


@TABLE.add
def atleast_2d(op: Face, *arys: Any) -> Any:
    """`numpy.atleast_2d`, copies; of several arrays a list."""
    return _at_least(op, "_np_atleast_2d", arys)


@TABLE.add
def atleast_3d(op: Face, *arys: Any) -> Any:
    """`numpy.atleast_3d`, copies; of several arrays a list."""
    return _at_least(op, "_np_atleast_3d", arys)
