"""`mx.sym.random`: draws from distributions whose parameters are numbers, or symbols of arrays of them."""

from typing import Any

from evergraph.errors import UsageError
from evergraph.mxnet.base import _Null, numeric_types
from evergraph.mxnet.symbol import namespaces
from evergraph.mxnet.symbol.functions import make
from evergraph.mxnet.symbol.symbol import Symbol, SymbolBase

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


class _ParameterError(UsageError, ValueError, AssertionError):
    """Distribution parameters that are neither all numbers nor all symbols."""


def _drawn(name: str, values: dict[str, Any], shape: Any, dtype: Any, kwargs: dict[str, Any]) -> Symbol:
    options = {k: v for k, v in {"shape": shape, "dtype": dtype}.items() if v is not _Null}
    if all(isinstance(v, SymbolBase) for v in values.values()):
        op = f"_sample_{name}"
        return make(op, op, tuple(values.values()), **options, **kwargs)
    if not all(isinstance(v, numeric_types) for v in values.values()):
        raise _ParameterError(
            "Distribution parameters must all have the same type: numbers, or Symbols",
            found=", ".join(f"{k} {type(v).__name__}" for k, v in values.items()),
        )
    op = f"_random_{name}"
    return make(op, op, **values, **options, **kwargs)


def uniform(low: Any = 0, high: Any = 1, shape: Any = _Null, dtype: Any = _Null, **kwargs: Any) -> Symbol:
    """Uniform in [low, high)."""
    return _drawn("uniform", {"low": low, "high": high}, shape, dtype, kwargs)


def normal(loc: Any = 0, scale: Any = 1, shape: Any = _Null, dtype: Any = _Null, **kwargs: Any) -> Symbol:
    """Normal with this mean and standard deviation."""
    return _drawn("normal", {"loc": loc, "scale": scale}, shape, dtype, kwargs)


def randn(*shape: int, **kwargs: Any) -> Symbol:
    """Normal, of a shape given by its sizes."""
    loc, scale, dtype = kwargs.pop("loc", 0), kwargs.pop("scale", 1), kwargs.pop("dtype", _Null)
    return _drawn("normal", {"loc": loc, "scale": scale}, shape, dtype, kwargs)


def poisson(lam: Any = 1, shape: Any = _Null, dtype: Any = _Null, **kwargs: Any) -> Symbol:
    """Poisson with this rate."""
    return _drawn("poisson", {"lam": lam}, shape, dtype, kwargs)


def exponential(scale: Any = 1, shape: Any = _Null, dtype: Any = _Null, **kwargs: Any) -> Symbol:
    """Exponential with this mean."""
    if isinstance(scale, SymbolBase):
        rate = make("_RDivScalar", "_rdivscalar", data=scale, scalar=1.0)
        return _drawn("exponential", {"lam": rate}, shape, dtype, kwargs)
    return _drawn("exponential", {"lam": 1.0 / scale}, shape, dtype, kwargs)


def gamma(alpha: Any = 1, beta: Any = 1, shape: Any = _Null, dtype: Any = _Null, **kwargs: Any) -> Symbol:
    """Gamma with this shape and scale."""
    return _drawn("gamma", {"alpha": alpha, "beta": beta}, shape, dtype, kwargs)


def negative_binomial(k: Any = 1, p: Any = 1, shape: Any = _Null, dtype: Any = _Null, **kwargs: Any) -> Symbol:
    """Failures before k successes of probability p."""
    return _drawn("negative_binomial", {"k": k, "p": p}, shape, dtype, kwargs)


def generalized_negative_binomial(
    mu: Any = 1, alpha: Any = 1, shape: Any = _Null, dtype: Any = _Null, **kwargs: Any
) -> Symbol:
    """Negative binomial with this mean and dispersion."""
    return _drawn("generalized_negative_binomial", {"mu": mu, "alpha": alpha}, shape, dtype, kwargs)


def multinomial(data: Symbol, shape: Any = _Null, get_prob: bool = True, dtype: Any = "int32", **kwargs: Any) -> Symbol:
    """Indices drawn with the probabilities of the last axis."""
    options = {} if shape is _Null else {"shape": shape}
    return make(
        "_sample_multinomial", "_sample_multinomial", data=data, get_prob=get_prob, dtype=dtype, **options, **kwargs
    )


def shuffle(data: Symbol, **kwargs: Any) -> Symbol:
    """The rows in a random order."""
    return make("_shuffle", "_shuffle", data=data, **kwargs)


def randint(low: Any, high: Any, shape: Any = _Null, dtype: Any = _Null, **kwargs: Any) -> Symbol:
    """Whole numbers from low up to high, without high."""
    return _drawn("randint", {"low": low, "high": high}, shape, dtype, kwargs)


__getattr__, __dir__ = namespaces.fill(globals(), "random")
