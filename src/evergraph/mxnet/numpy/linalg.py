"""`mx.np.linalg`: linear algebra on stacks of matrices.

>>> from evergraph.mxnet import np
>>> np.linalg.det(np.array([[4, 1], [1, 3]]))
array(11.)
"""

from typing import Any

import numpy as onp

from evergraph.mxnet.ndarray.base import Array
from evergraph.mxnet.numpy.face import bound
from evergraph.mxnet.numpy.fallback import fallback
from evergraph.mxnet.numpy.functions.linalg import TABLE
from evergraph.mxnet.numpy.multiarray import FACE, ndarray

__all__: list[str] = []

_BY_NUMPY = ("cond", "lstsq", "matrix_power", "matrix_rank", "multi_dot", "qr")


def _lstsq(a: Any, b: Any, rcond: Any = "warn") -> Any:
    # NumPy once meant -1 by "warn", and newer ones do not know the word
    return onp.linalg.lstsq(a, b, rcond=-1 if rcond == "warn" else rcond)


def _plain(found: Any) -> Any:
    """A result of NumPy's as a tuple: it names its parts, under which arrays of ours could not stand."""
    return tuple(found) if isinstance(found, tuple) else found


def _qr(a: Any, mode: str = "reduced") -> Any:
    if isinstance(a, Array) and not isinstance(a, ndarray):
        raise ValueError("qr takes arrays of mx.np, found a legacy NDArray: call as_np_ndarray() on it")
    return _plain(onp.linalg.qr(a, mode))  # type: ignore[call-overload]


_OURS = {"lstsq": _lstsq, "qr": _qr}
globals().update(bound(TABLE, FACE, "mxnet.numpy.linalg"))
globals().update({n: fallback(n, _OURS.get(n) or getattr(onp.linalg, n)) for n in _BY_NUMPY})
