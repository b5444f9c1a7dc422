"""Arrays made from sizes and ranges."""

from typing import Any

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
def ones(op: Face, shape: Any, dtype: Any = "float32", order: str = "C", ctx: Any = None) -> Any:
    """`numpy.ones`, of float32 where no type is given."""
    _only_c(order)
    return op("_npi_ones", shape=shape, dtype=dtype or "float32", **_text(ctx))


@TABLE.add
def arange(op: Face, start: Any, stop: Any = None, step: Any = 1, dtype: Any = None, ctx: Any = None) -> Any:
    """`numpy.arange`, of float32 where no type is given.

    Raises:
        ValueError: there is no step.
    """
    if step is None:
        step = 1
    first, last = (0, start) if stop is None else (start, stop)
    return op("_npi_arange", start=first, stop=last, step=step, dtype=dtype or "float32", **_text(ctx))
