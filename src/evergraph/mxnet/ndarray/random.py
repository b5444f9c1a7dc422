"""`mx.nd.random`: draws from distributions whose parameters are numbers, or arrays of them.

With numbers the result has the shape that is asked for; with arrays each of their elements is a distribution's
parameter, and the result has their shape with the asked one behind it. Streams are seeded by `mx.random.seed` and
repeat; they are not the streams of MXNet, which draws other numbers from the same seed.
"""

from typing import Any

from evergraph.errors import UsageError
from evergraph.mxnet.base import _Null, numeric_types
from evergraph.mxnet.ndarray import namespaces
from evergraph.mxnet.ndarray.base import Array
from evergraph.mxnet.ndarray.functions import function
from evergraph.mxnet.ndarray.ndarray import NDArray

__all__ = [
    "exponential",
    "gamma",
    "generalized_negative_binomial",
    "multinomial",
    "negative_binomial",
    "normal",
    "poisson",
    "randint",
    "randn",
    "shuffle",
    "uniform",
]


_PLAIN = frozenset((int, float))


class _MixedError(UsageError, ValueError, AssertionError):
    """Distribution parameters that are neither all numbers nor all arrays."""


def _drawn(
    name: str, values: tuple[Any, ...], shape: Any, dtype: Any, ctx: Any, out: Any, kwargs: dict[str, Any]
) -> Any:
    """Call `_random_<name>` for numbers, `_sample_<name>` for arrays.

    Raises:
        ValueError: numbers and arrays are mixed, or neither.
    """
    if out is None and shape is not _Null:
        for value in values:
            if value.__class__ not in _PLAIN:
                break
        else:
            return function(f"_random_{name}")(*values, shape=shape, dtype=dtype, ctx=ctx, **kwargs)
    arrays = [isinstance(v, Array) for v in values]
    if any(arrays):
        if not all(arrays):
            raise _MixedError("Distribution parameters must all have the same type: numbers, or NDArrays")
        return function(f"_sample_{name}")(*values, shape=shape, dtype=dtype, out=out, **kwargs)
    if not all(isinstance(v, numeric_types) for v in values):
        raise ValueError(
            "Distribution parameters must be either NDArray or numbers, "
            f"but got {', '.join(type(v).__name__ for v in values)}."
        )
    if shape is _Null and out is None:
        shape = 1
    if out is not None and shape is _Null:
        shape = out.shape
    if out is not None and dtype is _Null and name != "randint":
        dtype = out.dtype
    if out is not None:
        ctx = out.context
    return function(f"_random_{name}")(*values, shape=shape, dtype=dtype, ctx=ctx, out=out, **kwargs)


def uniform(
    low: Any = 0, high: Any = 1, shape: Any = _Null, dtype: Any = _Null, ctx: Any = None, out: Any = None, **kwargs: Any
) -> NDArray:
    """Numbers even between low and high, without high.

    Args:
        low: least value, or an array of them.
        high: greatest value, or an array of them.
        shape: sizes of the result, (1,) where it is not given; behind the parameters' own.
        dtype: float16, float32 or float64.
        ctx: device; the current one, or the parameters' own.
        out: an array that takes the result.
        kwargs: further keywords of the operator.

    >>> uniform(0, 1, shape=(2, 3)).shape
    (2, 3)
    """
    return _drawn("uniform", (low, high), shape, dtype, ctx, out, kwargs)


def normal(
    loc: Any = 0,
    scale: Any = 1,
    shape: Any = _Null,
    dtype: Any = _Null,
    ctx: Any = None,
    out: Any = None,
    **kwargs: Any,
) -> NDArray:
    """Numbers of the normal distribution with mean loc and standard deviation scale; see `uniform`."""
    return _drawn("normal", (loc, scale), shape, dtype, ctx, out, kwargs)


def randn(*shape: int, **kwargs: Any) -> NDArray:
    """Numbers of the normal distribution, sizes as arguments; `loc`, `scale`, `dtype`, `ctx`, `out` as keywords."""
    loc, scale = kwargs.pop("loc", 0), kwargs.pop("scale", 1)
    return normal(loc, scale, shape=shape or _Null, **kwargs)


def poisson(
    lam: Any = 1, shape: Any = _Null, dtype: Any = _Null, ctx: Any = None, out: Any = None, **kwargs: Any
) -> NDArray:
    """Counts of the Poisson distribution with rate lam; see `uniform`."""
    return _drawn("poisson", (lam,), shape, dtype, ctx, out, kwargs)


def exponential(
    scale: Any = 1, shape: Any = _Null, dtype: Any = _Null, ctx: Any = None, out: Any = None, **kwargs: Any
) -> NDArray:
    """Numbers of the exponential distribution with mean scale; see `uniform`."""
    return _drawn("exponential", (1.0 / scale,), shape, dtype, ctx, out, kwargs)


def gamma(
    alpha: Any = 1,
    beta: Any = 1,
    shape: Any = _Null,
    dtype: Any = _Null,
    ctx: Any = None,
    out: Any = None,
    **kwargs: Any,
) -> NDArray:
    """Numbers of the gamma distribution with shape alpha and scale beta; see `uniform`."""
    return _drawn("gamma", (alpha, beta), shape, dtype, ctx, out, kwargs)


def negative_binomial(
    k: Any = 1, p: Any = 1, shape: Any = _Null, dtype: Any = _Null, ctx: Any = None, out: Any = None, **kwargs: Any
) -> NDArray:
    """Failures before the k-th success of probability p; see `uniform`."""
    return _drawn("negative_binomial", (k, p), shape, dtype, ctx, out, kwargs)


def generalized_negative_binomial(
    mu: Any = 1, alpha: Any = 1, shape: Any = _Null, dtype: Any = _Null, ctx: Any = None, out: Any = None, **kwargs: Any
) -> NDArray:
    """Counts with mean mu and dispersion alpha; see `uniform`."""
    return _drawn("generalized_negative_binomial", (mu, alpha), shape, dtype, ctx, out, kwargs)


def multinomial(
    data: NDArray, shape: Any = _Null, get_prob: bool = False, out: Any = None, dtype: Any = "int32", **kwargs: Any
) -> Any:
    """Class numbers, drawn by the probabilities in the last axis.

    Args:
        data: probabilities; rows of a matrix are distributions of their own.
        shape: draws of each; one where it is not given.
        get_prob: whether the draws' log probabilities are returned too.
        out: an array that takes the result.
        dtype: type of the numbers.
        kwargs: further keywords of the operator.
    """
    return function("_sample_multinomial")(data, shape=shape, get_prob=get_prob, out=out, dtype=dtype, **kwargs)


def shuffle(data: NDArray, **kwargs: Any) -> NDArray:
    """The same elements along the first axis in random order."""
    return function("_shuffle")(data, **kwargs)


def randint(
    low: Any, high: Any, shape: Any = _Null, dtype: Any = _Null, ctx: Any = None, out: Any = None, **kwargs: Any
) -> NDArray:
    """Whole numbers from low to before high; int32, or int64 where asked; see `uniform`."""
    return _drawn("randint", (low, high), shape, dtype, ctx, out, kwargs)


__getattr__, __dir__ = namespaces.fill(globals(), "random")
