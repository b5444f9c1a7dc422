"""`mx.np`: arrays with NumPy's semantics and the functions on them.

>>> from evergraph.mxnet import np
>>> np.arange(3) * 2
array([0., 2., 4.])
"""

from typing import Any

import numpy as onp

from evergraph.mxnet.numpy.array import array
from evergraph.mxnet.numpy.face import bound
from evergraph.mxnet.numpy.functions import (
    binary,
    choosing,
    creation,
    editing,
    joining,
    products,
    reductions,
    shape,
    unary,
)
from evergraph.mxnet.numpy.methods import install
from evergraph.mxnet.numpy.multiarray import FACE, ndarray

__all__ = ["array", "ndarray"]

pi, e, inf, nan, newaxis = onp.pi, onp.e, onp.inf, onp.nan, None
bool_, float16, float32, float64 = onp.bool_, onp.float16, onp.float32, onp.float64
int8, uint8, int32, int64 = onp.int8, onp.uint8, onp.int32, onp.int64

_FUNCTIONS: dict[str, Any] = {}
for _home in (unary, binary, creation, reductions, shape, joining, choosing, editing, products):
    _FUNCTIONS.update(bound(_home.TABLE, FACE, "mxnet.numpy"))
globals().update(_FUNCTIONS)
install(ndarray, _FUNCTIONS)
