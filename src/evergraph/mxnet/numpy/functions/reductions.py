"""Sums, means, extremes, quantiles and histograms."""

from typing import Any

from evergraph.mxnet.base import integer_types, numeric_types
from evergraph.mxnet.numpy.face import Face, Table

__all__ = ["TABLE"]

TABLE = Table()


@TABLE.add
def sum_(
    op: Face, a: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False, initial: Any = None, out: Any = None
) -> Any:
    """`numpy.sum`: of booleans in int64, of everything else in the array's type."""
    return op("_np_sum", a, axis=axis, dtype=dtype, keepdims=keepdims, initial=initial, out=out)


@TABLE.also("product")
def prod(op: Face, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    """`numpy.prod`: of booleans in int64, of everything else in the array's type."""
    return op("_np_prod", a, axis=axis, dtype=dtype, keepdims=keepdims, out=out)


@TABLE.add
def mean(op: Face, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:
    """`numpy.mean`: of integers in float32."""
    return op("_npi_mean", a, axis=axis, dtype=dtype, keepdims=keepdims, out=out)


@TABLE.add
def std(
    op: Face, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0, keepdims: bool = False
) -> Any:
    """`numpy.std`: of integers in float32."""
    return op("_npi_std", a, axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims, out=out)


@TABLE.add
def var(
    op: Face, a: Any, axis: Any = None, dtype: Any = None, out: Any = None, ddof: int = 0, keepdims: bool = False
) -> Any:
    """`numpy.var`: of integers in float32."""
    return op("_npi_var", a, axis=axis, dtype=dtype, ddof=ddof, keepdims=keepdims, out=out)


@TABLE.also("amax")
def max_(op: Face, a: Any, axis: Any = None, keepdims: bool = False, out: Any = None) -> Any:
    """`numpy.max`."""
    return op("_np_max", a, axis=axis, keepdims=keepdims, out=out)


@TABLE.also("amin")
def min_(op: Face, a: Any, axis: Any = None, keepdims: bool = False, out: Any = None) -> Any:
    """`numpy.min`."""
    return op("_np_min", a, axis=axis, keepdims=keepdims, out=out)


@TABLE.add
def all_(op: Face, a: Any, axis: Any = None, keepdims: bool = False, out: Any = None) -> Any:
    """`numpy.all`: whether every value is not 0."""
    return op("_np_all", a, axis=axis, keepdims=keepdims, out=out)


@TABLE.also("sometrue")
def any_(op: Face, a: Any, axis: Any = None, keepdims: bool = False, out: Any = None) -> Any:
    """`numpy.any`: whether some value is not 0."""
    return op("_np_any", a, axis=axis, keepdims=keepdims, out=out)


@TABLE.add
def argmax(op: Face, a: Any, axis: int | None = None, out: Any = None) -> Any:
    """`numpy.argmax`."""
    return op("_npi_argmax", a, axis=axis, keepdims=False, out=out)


@TABLE.add
def argmin(op: Face, a: Any, axis: int | None = None, out: Any = None) -> Any:
    """`numpy.argmin`."""
    return op("_npi_argmin", a, axis=axis, keepdims=False, out=out)


@TABLE.add
def cumsum(op: Face, a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    """`numpy.cumsum`."""
    return op("_np_cumsum", a, axis=axis, dtype=dtype, out=out)


@TABLE.add
def average(op: Face, a: Any, axis: Any = None, weights: Any = None, returned: bool = False, out: Any = None) -> Any:
    """`numpy.average`: the mean, or the weighted mean; with the sum of the weights, as a list, if `returned`."""
    inputs = (a,) if weights is None else (a, weights)
    return op("_npi_average", *inputs, axis=axis, returned=returned, weighted=weights is not None, out=out)


@TABLE.add
def percentile(
    op: Face,
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool | None = None,
    interpolation: str = "linear",
    keepdims: bool = False,
) -> Any:
    """`numpy.percentile`.

    Raises:
        NotImplementedError: the input may be overwritten.
    """
    if overwrite_input is not None:
        raise NotImplementedError("percentile never overwrites its input: leave overwrite_input out")
    named = {"axis": axis, "interpolation": interpolation, "keepdims": keepdims, "out": out}
    if isinstance(q, numeric_types):
        return op("_npi_percentile", a, q_scalar=float(q), **named)
    return op("_npi_percentile", a, q, **named)


@TABLE.add
def quantile(
    op: Face,
    a: Any,
    q: Any,
    axis: Any = None,
    out: Any = None,
    overwrite_input: bool | None = None,
    interpolation: str = "linear",
    keepdims: bool = False,
) -> Any:
    """`numpy.quantile`.

    Raises:
        NotImplementedError: the input may be overwritten.
    """
    return percentile(op, a, q * 100, axis, out, overwrite_input, interpolation, keepdims)


@TABLE.add
def histogram(
    op: Face,
    a: Any,
    bins: Any = 10,
    range: Any = None,
    normed: bool | None = None,
    weights: Any = None,
    density: bool | None = None,
) -> Any:
    """`numpy.histogram`: the counts, and the edges of the bins.

    Raises:
        NotImplementedError: `normed`, `weights` or `density`; a number of bins without a range; bins that are neither
            a number nor an array.
    """
    if normed or weights is not None or density:
        raise NotImplementedError("histogram counts: leave normed, weights and density out")
    if isinstance(bins, integer_types):
        if range is None:
            raise NotImplementedError("histogram takes the range of the bins beside their number")
        return op("_npi_histogram", a, bin_cnt=int(bins), range=tuple(range))
    if op.holds(bins):
        return op("_npi_histogram", a, bins)
    raise NotImplementedError("histogram takes a number of bins and their range, or an array of edges")
