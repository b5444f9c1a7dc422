"""Draws from distributions whose parameters are numbers, or arrays that broadcast."""

from typing import Any

from evergraph.errors import UsageError
from evergraph.mxnet.base import numeric_types
from evergraph.mxnet.numpy.face import Face, Table

__all__ = ["TABLE", "drawn", "on"]

TABLE = Table()


class _KindError(UsageError, AssertionError):
    """Something else than an array where nothing else is taken."""


def on(ctx: Any) -> dict[str, Any]:
    """The parameter that says where a result is made, where it is given."""
    return {} if ctx is None else {"ctx": str(ctx)}


def drawn(op: Face, name: str, values: dict[str, Any], size: Any, ctx: Any, out: Any = None, **params: Any) -> Any:
    """Call an operator of a distribution: its arrays become inputs, and None stands in their place.

    Args:
        op: the face.
        name: the operator.
        values: the distribution's parameters, numbers or arrays.
        size: the result's shape; that of the parameters together where it is None or ().
        ctx: the device.
        out: the array that takes the result.
        params: further parameters.

    Raises:
        MXNetError: a parameter is neither an array of this face nor a number.
    """
    wrong = {k: v for k, v in values.items() if not op.holds(v) and not isinstance(v, numeric_types)}
    if wrong:
        raise UsageError(
            "a distribution's parameters are arrays or numbers",
            found=", ".join(f"{k}: {type(v).__name__}" for k, v in wrong.items()),
            fix="make arrays of others: mx.np.array(value)",
        )
    arrays = [v for v in values.values() if op.holds(v)]
    numbers = {k: None if op.holds(v) else v for k, v in values.items()}
    shape = None if isinstance(size, (tuple, list)) and not size else size
    return op(name, *arrays, out=out, **numbers, size=shape, **on(ctx), **params)


def _require_array(op: Face, name: str, value: Any) -> None:
    if not op.holds(value):
        raise _KindError(f"{name} must be an array of mx.np", found=type(value).__name__, fix="mx.np.array(value)")


@TABLE.add
def uniform(
    op: Face, low: Any = 0.0, high: Any = 1.0, size: Any = None, dtype: Any = None, ctx: Any = None, out: Any = None
) -> Any:
    """Numbers that are even from low to before high."""
    return drawn(op, "_npi_uniform", {"low": low, "high": high}, size, ctx, out, dtype=dtype or "float32")


@TABLE.add
def normal(
    op: Face, loc: Any = 0.0, scale: Any = 1.0, size: Any = None, dtype: Any = None, ctx: Any = None, out: Any = None
) -> Any:
    """Normally distributed numbers; gradients reach arrays of loc and scale."""
    return drawn(op, "_npi_normal", {"loc": loc, "scale": scale}, size, ctx, out, dtype=dtype or "float32")


@TABLE.add
def lognormal(
    op: Face, mean: Any = 0.0, sigma: Any = 1.0, size: Any = None, dtype: Any = None, ctx: Any = None, out: Any = None
) -> Any:
    """Numbers whose logarithms are normally distributed."""
    return op("_npi_exp", normal(op, mean, sigma, size, dtype, ctx), out=out)


@TABLE.add
def logistic(op: Face, loc: Any = 0.0, scale: Any = 1.0, size: Any = None, ctx: Any = None, out: Any = None) -> Any:
    """Logistically distributed numbers."""
    return drawn(op, "_npi_logistic", {"loc": loc, "scale": scale}, size, ctx, out)


@TABLE.add
def gumbel(op: Face, loc: Any = 0.0, scale: Any = 1.0, size: Any = None, ctx: Any = None, out: Any = None) -> Any:
    """Gumbel distributed numbers."""
    return drawn(op, "_npi_gumbel", {"loc": loc, "scale": scale}, size, ctx, out)


@TABLE.add
def exponential(op: Face, scale: Any = 1.0, size: Any = None, ctx: Any = None, out: Any = None) -> Any:
    """Exponentially distributed numbers with mean scale."""
    return drawn(op, "_npi_exponential", {"scale": scale}, size, ctx, out)


@TABLE.add
def rayleigh(op: Face, scale: Any = 1.0, size: Any = None, ctx: Any = None, out: Any = None) -> Any:
    """Rayleigh distributed numbers with mode scale."""
    return drawn(op, "_npi_rayleigh", {"scale": scale}, size, ctx, out)


@TABLE.add
def pareto(op: Face, a: Any, size: Any = None, ctx: Any = None, out: Any = None) -> Any:
    """Pareto (Lomax) distributed numbers with shape a."""
    return drawn(op, "_npi_pareto", {"a": a}, size, ctx, out)


@TABLE.add
def weibull(op: Face, a: Any, size: Any = None, ctx: Any = None, out: Any = None) -> Any:
    """Weibull distributed numbers with shape a."""
    return drawn(op, "_npi_weibull", {"a": a}, size, ctx, out)


@TABLE.add
def power(op: Face, a: Any, size: Any = None) -> Any:
    """Numbers from 0 to 1 with density a x^(a - 1)."""
    return drawn(op, "_npi_powerd", {"a": a}, size, None)


@TABLE.add
def gamma(
    op: Face, shape: Any, scale: Any = 1.0, size: Any = None, dtype: Any = None, ctx: Any = None, out: Any = None
) -> Any:
    """Gamma distributed numbers with mean shape * scale."""
    return drawn(op, "_npi_gamma", {"shape": shape, "scale": scale}, size, ctx, out, dtype=dtype or "float32")


@TABLE.add
def beta(op: Face, a: Any, b: Any, size: Any = None, dtype: Any = None, ctx: Any = None) -> Any:
    """Numbers from 0 to 1 of the beta distribution."""
    first = gamma(op, a, 1, size, "float64", ctx)
    second = gamma(op, b, 1, size, "float64", ctx)
    share = op("_npi_true_divide", first, op("_npi_add", first, second))
    return op("_npi_cast", share, dtype=dtype or "float32")


@TABLE.add
def chisquare(op: Face, df: Any, size: Any = None, dtype: Any = None, ctx: Any = None) -> Any:
    """Sums of df squares of normally distributed numbers, a quarter of them: so MXNet 1.9.1 scales them."""
    half = op("_npi_true_divide_scalar", df, scalar=2.0) if op.holds(df) else df / 2
    return gamma(op, half, 0.5, size, dtype, ctx)


@TABLE.add
def randint(
    op: Face, low: Any, high: Any = None, size: Any = None, dtype: Any = None, ctx: Any = None, out: Any = None
) -> Any:
    """Whole numbers from low to before high, or from 0 to before low; int64, or int32 where asked."""
    low, high = (0, low) if high is None else (low, high)
    shape = () if size is None else size
    return op("_random_randint", low=low, high=high, shape=shape, dtype=dtype or "int64", out=out, **on(ctx))


@TABLE.add
def choice(
    op: Face, a: Any, size: Any = None, replace: bool = True, p: Any = None, ctx: Any = None, out: Any = None
) -> Any:
    """Entries of an array along its first axis, or whole numbers before a, each as likely or by probabilities p."""
    if p is not None:
        _require_array(op, "p", p)
    weights = [] if p is None else [p]
    params: dict[str, Any] = {"size": size, "replace": replace, "weighted": p is not None, **on(ctx)}
    if not op.holds(a):
        return op("_npi_choice", *weights, a=a, out=out, **params)
    return op("_npi_take", a, op("_npi_choice", a, *weights, a=None, **params), out=out)


@TABLE.add
def shuffle(op: Face, x: Any) -> None:
    """Bring the entries of x along its first axis into a random order, in place."""
    _require_array(op, "x", x)
    op("_npi_shuffle", x, out=x)


@TABLE.add
def multivariate_normal(
    op: Face,
    mean: Any,
    cov: Any,
    size: Any = None,
    check_valid: Any = None,  # noqa: ARG001
    tol: Any = None,  # noqa: ARG001
) -> Any:
    """Normally distributed vectors with this mean (..., N) and covariance (..., N, N), `size` of them in front."""
    _require_array(op, "mean", mean)
    _require_array(op, "cov", cov)
    values, vectors = op("_npi_eigh", cov)
    scale = op("_npi_sqrt", op("_npi_maximum_scalar", values, scalar=0.0))
    factor = op("_npi_multiply", vectors, op("_npi_expand_dims", scale, axis=-2))
    flat = op("_npi_multiply_scalar", op("_npi_add", mean, values), scalar=0.0)
    noise = op("_npi_normal_n", flat, loc=None, scale=1.0, size=size, dtype="float32")
    turned = op("_npi_matmul", factor, op("_npi_expand_dims", noise, axis=-1))
    return op("_npi_add", op("_np_squeeze", turned, axis=-1), mean)


@TABLE.add
def rand(op: Face, *size: int, **kwargs: Any) -> Any:
    """Numbers that are even from 0 to before 1, sizes as arguments; see `uniform`."""
    return uniform(op, 0, 1, size=size, **kwargs)
