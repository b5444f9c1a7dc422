"""`mx.np.random`: draws from distributions; streams are those of `mx.random`, seeded by `mx.npx.random.seed`.

>>> from evergraph.mxnet import np, npx
>>> npx.random.seed(1)
>>> np.random.normal(0, 1, size=(2, 3)).shape
(2, 3)
"""

from typing import Any

from evergraph.mxnet.ndarray.functions import function
from evergraph.mxnet.numpy.array import array
from evergraph.mxnet.numpy.face import bound
from evergraph.mxnet.numpy.functions.random import TABLE
from evergraph.mxnet.numpy.multiarray import FACE, ndarray
from evergraph.mxnet.random import seed

__all__ = ["choice", "multinomial", "normal", "rand", "randn", "seed", "uniform"]

_FUNCTIONS = bound(TABLE, FACE, "mxnet.numpy.random")
globals().update(_FUNCTIONS)
_NUMBERS = frozenset((int, float))
_UNIFORM, _NORMAL = function("_random_uniform", ndarray), function("_random_normal", ndarray)


def _asked(size: Any, dtype: Any, ctx: Any) -> dict[str, Any]:
    shape = () if size is None else tuple(size) if isinstance(size, list) else size
    return {"shape": shape, "dtype": dtype or "float32"} | ({} if ctx is None else {"ctx": ctx})


# plain numbers by the legacy operators, which draw by the same laws, and whose calls are planned: 15 times as quick
def uniform(
    low: Any = 0.0, high: Any = 1.0, size: Any = None, dtype: Any = None, ctx: Any = None, out: Any = None
) -> ndarray:
    """Numbers that are even from low to before high.

    Args:
        low: least value, a number or an array.
        high: greatest value, a number or an array.
        size: the result's shape; that of the parameters together where it is not given.
        dtype: float16, float32 or float64.
        ctx: the device; the current one, or the parameters' own.
        out: the array that takes the result.

    Raises:
        MXNetError: low is above high, or the parameters do not broadcast to the shape.
    """
    if out is None and type(low) in _NUMBERS and type(high) in _NUMBERS:
        return _UNIFORM(low=low, high=high, **_asked(size, dtype, ctx))
    return _FUNCTIONS["uniform"](low, high, size, dtype, ctx, out)


def normal(
    loc: Any = 0.0, scale: Any = 1.0, size: Any = None, dtype: Any = None, ctx: Any = None, out: Any = None
) -> ndarray:
    """Normally distributed numbers with mean loc and standard deviation scale; see `uniform`.

    Gradients reach arrays of loc and scale.
    """
    if out is None and type(loc) in _NUMBERS and type(scale) in _NUMBERS:
        return _NORMAL(loc=loc, scale=scale, **_asked(size, dtype, ctx))
    return _FUNCTIONS["normal"](loc, scale, size, dtype, ctx, out)


def choice(a: Any, size: Any = None, replace: bool = True, p: Any = None, ctx: Any = None, out: Any = None) -> ndarray:
    """Entries of an array along its first axis, or whole numbers before a.

    Args:
        a: the array, or how many numbers there are.
        size: the result's shape.
        replace: whether an entry may come twice.
        p: the entries' probabilities, an array; all are as likely where it is not given.
        ctx: the device, where `a` is a number.
        out: the array that takes the result.

    Raises:
        AssertionError: the probabilities are no array of mx.np.
        MXNetError: without replacement more are wanted than there are.
    """
    if type(a) is int and a > 0 and replace is True and p is None and out is None:
        return _FUNCTIONS["randint"](0, a, size, None, ctx)
    return _FUNCTIONS["choice"](a, size, replace, p, ctx, out)


def rand(*size: int, **kwargs: Any) -> ndarray:
    """Numbers that are even from 0 to before 1, sizes as arguments; `dtype` and `ctx` as keywords."""
    return uniform(0, 1, size=size, **kwargs)


def randn(*size: int, **kwargs: Any) -> ndarray:
    """Normally distributed numbers, sizes as arguments; `dtype` and `ctx` as keywords.

    Raises:
        TypeError: another keyword.
    """
    unknown = kwargs.keys() - {"dtype", "ctx"}
    if unknown:
        raise TypeError(f"randn() got an unexpected keyword argument {min(unknown)!r}")
    return normal(0.0, 1.0, size=size, **kwargs)


def multinomial(n: int, pvals: Any, size: Any = None, **kwargs: Any) -> ndarray:
    """How often each category comes up in n draws, int64.

    Args:
        n: number of draws.
        pvals: the categories' probabilities, an array of mx.np, a list or a tuple.
        size: shape of repetitions, in front.
        kwargs: further keywords of the operator.

    Raises:
        TypeError: the probabilities are a legacy array.
        ValueError: they are an array of NumPy.
        MXNetError: they add up to more than 1.
    """
    if not isinstance(pvals, (list, tuple, ndarray)) and type(pvals).__module__.partition(".")[0] == "numpy":
        raise ValueError("probabilities are an array of mx.np, or a list, found numpy.ndarray; call mx.np.array")
    chances = pvals if hasattr(pvals, "_data") else array(pvals, dtype="float64")
    return function("_npi_multinomial", ndarray)(chances, n=n, size=size, **kwargs)
