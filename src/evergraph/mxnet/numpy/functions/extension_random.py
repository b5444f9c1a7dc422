"""Draws that NumPy lacks: of bits, and of as many as asked for each pair of parameters."""

from typing import Any

from evergraph.mxnet.numpy.face import Face, Table
from evergraph.mxnet.numpy.functions.random import drawn

__all__ = ["TABLE"]

TABLE = Table()


@TABLE.add
def bernoulli(
    op: Face,
    prob: Any = None,
    logit: Any = None,
    size: Any = None,
    dtype: Any = None,
    ctx: Any = None,
    out: Any = None,
) -> Any:
    """1 with this probability, or with that whose logarithm of odds is given, else 0.

    Raises:
        ValueError: both are given, or neither.
    """
    if (prob is None) == (logit is None):
        raise ValueError("Either `prob` or `logit` must be specified, but not both.")
    known, other = ("prob", "logit") if logit is None else ("logit", "prob")
    values = {known: prob if logit is None else logit}
    params = {other: None, "is_logit": prob is None, "dtype": dtype or "float32"}
    return drawn(op, "_npi_bernoulli", values, size, ctx, out, **params)


@TABLE.add
def uniform_n(
    op: Face, low: Any = 0.0, high: Any = 1.0, batch_shape: Any = None, dtype: Any = None, ctx: Any = None
) -> Any:
    """Numbers that are even from low to before high, `batch_shape` of them in front of the parameters' shape."""
    return drawn(op, "_npi_uniform_n", {"low": low, "high": high}, batch_shape, ctx, dtype=dtype or "float32")


@TABLE.add
def normal_n(
    op: Face, loc: Any = 0.0, scale: Any = 1.0, batch_shape: Any = None, dtype: Any = None, ctx: Any = None
) -> Any:
    """Normally distributed numbers, `batch_shape` of them in front of the parameters' shape."""
    return drawn(op, "_npi_normal_n", {"loc": loc, "scale": scale}, batch_shape, ctx, dtype=dtype or "float32")
