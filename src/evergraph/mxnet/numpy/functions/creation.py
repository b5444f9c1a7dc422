"""Arrays made from sizes and ranges."""

from collections.abc import Callable
from typing import Any

import numpy as onp

from evergraph.mxnet.numpy.face import Face, Table

__all__ = ["TABLE"]

TABLE = Table()


def _text(ctx: Any) -> dict[str, Any]:
    return {} if ctx is None else {"ctx": str(ctx)}


def _only_c(order: str) -> None:
    if order != "C":
        raise NotImplementedError(f"arrays are stored in order 'C' alone, found {order!r}")


@TABLE.add
def zeros(op: Face, shape: Any, dtype: Any = None, order: str = "C", ctx: Any = None) -> Any:
    """`numpy.zeros`, of float32 where no type is given."""
    _only_c(order)
    return op("_npi_zeros", shape=shape, dtype=dtype or "float32", **_text(ctx))


@TABLE.add
def ones(op: Face, shape: Any, dtype: Any = onp.float32, order: str = "C", ctx: Any = None) -> Any:
    """`numpy.ones`, of float32 where no type is given."""
    _only_c(order)
    return op("_npi_ones", shape=shape, dtype=dtype or "float32", **_text(ctx))


@TABLE.add
def empty(op: Face, shape: Any, dtype: Any = onp.float32, order: str = "C", ctx: Any = None) -> Any:
    """`numpy.empty`, of float32 where no type is given; the values are zeros."""
    return zeros(op, shape, dtype, order, ctx)


@TABLE.add
def full(
    op: Face, shape: Any, fill_value: Any, dtype: Any = None, order: str = "C", ctx: Any = None, out: Any = None
) -> Any:
    """`numpy.full`, of float32 where no type is given, of bool where `fill_value` is one; of an array, broadcast."""
    _only_c(order)
    if op.holds(fill_value):
        found = op("_npi_broadcast_to", fill_value, shape=shape)
        return found if dtype is None else found.astype(dtype)
    kind = dtype if dtype is not None else "bool" if isinstance(fill_value, bool) else "float32"
    return op("_npi_full", shape=shape, value=fill_value, dtype=kind, out=out, **_text(ctx))


def _like(op: Face, a: Any, value: float, dtype: Any, order: str, ctx: Any, out: Any) -> Any:
    _only_c(order)
    return op("_npi_full_like", a, fill_value=value, dtype=dtype, out=out, **_text(ctx))


@TABLE.add
def full_like(
    op: Face, a: Any, fill_value: Any, dtype: Any = None, order: str = "C", ctx: Any = None, out: Any = None
) -> Any:
    """`numpy.full_like`."""
    return _like(op, a, float(fill_value), dtype, order, ctx, out)


@TABLE.add
def zeros_like(op: Face, a: Any, dtype: Any = None, order: str = "C", ctx: Any = None, out: Any = None) -> Any:
    """`numpy.zeros_like`."""
    return _like(op, a, 0.0, dtype, order, ctx, out)


@TABLE.add
def ones_like(op: Face, a: Any, dtype: Any = None, order: str = "C", ctx: Any = None, out: Any = None) -> Any:
    """`numpy.ones_like`."""
    return _like(op, a, 1.0, dtype, order, ctx, out)


@TABLE.add
def arange(op: Face, start: Any, stop: Any = None, step: Any = 1, dtype: Any = None, ctx: Any = None) -> Any:
    """`numpy.arange`, of float32 where no type is given.

    Raises:
        ZeroDivisionError: the step is 0.
    """
    step = 1 if step is None else step
    if step == 0:
        raise ZeroDivisionError("step cannot be 0")
    first, last = (0, start) if stop is None else (start, stop)
    return op("_npi_arange", start=first, stop=last, step=step, dtype=dtype or "float32", **_text(ctx))


def _spaced(op: Face, name: str, start: Any, stop: Any, num: int, axis: int, named: dict[str, Any], ctx: Any) -> Any:
    if isinstance(start, (list, tuple, onp.ndarray)) or op.holds(start):
        raise NotImplementedError("start and stop are numbers")
    if isinstance(stop, (list, tuple, onp.ndarray)) or op.holds(stop):
        raise NotImplementedError("start and stop are numbers")
    if axis != 0:
        raise NotImplementedError("the values lie along axis 0")
    return op(name, start=start, stop=stop, num=num, **named, **_text(ctx))


@TABLE.add
def linspace(
    op: Face,
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    ctx: Any = None,
) -> Any:
    """`numpy.linspace` between numbers, of float32 where no type is given.

    Raises:
        NotImplementedError: the ends are arrays, or another axis than 0.
    """
    named = {"endpoint": endpoint, "dtype": dtype or "float32"}
    found = _spaced(op, "_npi_linspace", start, stop, num, axis, named, ctx)
    if not retstep:
        return found
    steps = num - 1 if endpoint else num
    return found, (stop - start) / steps


@TABLE.add
def logspace(
    op: Face,
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: float = 10.0,
    dtype: Any = None,
    axis: int = 0,
    ctx: Any = None,
) -> Any:
    """`numpy.logspace` between numbers, of float32 where no type is given.

    Raises:
        NotImplementedError: the ends are arrays, or another axis than 0.
    """
    named = {"endpoint": endpoint, "base": base, "dtype": dtype or "float32"}
    return _spaced(op, "_npi_logspace", start, stop, num, axis, named, ctx)


@TABLE.add
def eye(op: Face, N: int, M: int | None = None, k: int = 0, dtype: Any = onp.float32, **kwargs: Any) -> Any:
    """`numpy.eye`, of float32 where no type is given.

    Args:
        op: the face.
        N: number of rows.
        M: number of columns; as many where it is not given.
        k: the diagonal.
        dtype: the element type.
        kwargs: `ctx`, the device.
    """
    _only_c(kwargs.pop("order", "C"))
    return op("_npi_eye", N=N, M=M, k=k, dtype=dtype or "float32", **_text(kwargs.pop("ctx", None)), **kwargs)


@TABLE.add
def identity(op: Face, n: int, dtype: Any = None, ctx: Any = None) -> Any:
    """`numpy.identity`, of float32 where no type is given.

    Raises:
        TypeError: `n` is no integer.
        ValueError: `n` is negative.
    """
    if not isinstance(n, int):
        raise TypeError("identity takes the number of rows as an integer")
    if n < 0:
        raise ValueError("identity takes a number of rows that is not negative")
    return op("_npi_identity", shape=(n, n), dtype=dtype or "float32", **_text(ctx))


@TABLE.add
def indices(op: Face, dimensions: Any, dtype: Any = onp.int32, ctx: Any = None) -> Any:
    """`numpy.indices`, of int32 where no type is given.

    Raises:
        ValueError: `dimensions` is no list of sizes.
    """
    if not isinstance(dimensions, (tuple, list)):
        raise ValueError("The dimensions must be sequence of ints")
    return op("_npi_indices", dimensions=dimensions, dtype=dtype, **_text(ctx))


def _window(name: str) -> Callable[..., Any]:
    def call(op: Face, M: int, dtype: Any = onp.float32, ctx: Any = None) -> Any:
        return op(f"_npi_{name}", M=M, dtype=dtype or "float32", **_text(ctx))

    call.__name__ = name
    call.__doc__ = f"`numpy.{name}`: a window of M values, of float32 where no type is given."
    return call


for _name in ("hanning", "hamming", "blackman"):
    TABLE[_name] = _window(_name)


@TABLE.add
def diag_indices_from(op: Face, arr: Any) -> Any:
    """`numpy.diag_indices_from`."""
    return op.rows(op("_npi_diag_indices_from", arr))
