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

__all__ = ["multinomial", "randn", "seed"]

_FUNCTIONS = bound(TABLE, FACE, "mxnet.numpy.random")
globals().update(_FUNCTIONS)


def randn(*size: int, **kwargs: Any) -> ndarray:
    """Normally distributed numbers, sizes as arguments; `dtype` and `ctx` as keywords.

    Raises:
        TypeError: another keyword.
    """
    unknown = kwargs.keys() - {"dtype", "ctx"}
    if unknown:
        raise TypeError(f"randn() got an unexpected keyword argument {min(unknown)!r}")
    return _FUNCTIONS["normal"](0.0, 1.0, size=size, **kwargs)


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
