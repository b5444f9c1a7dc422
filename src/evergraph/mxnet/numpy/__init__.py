"""`mx.np`: arrays with NumPy's semantics and the functions on them.

>>> from evergraph.mxnet import np
>>> np.arange(3) * 2
array([0., 2., 4.])
"""

from typing import Any

from evergraph.mxnet.numpy import arrayprint, fallback, io, linalg, random, utils
from evergraph.mxnet.numpy.arithmetic import in_place, reflected, shortened
from evergraph.mxnet.numpy.array import array
from evergraph.mxnet.numpy.arrayprint import set_printoptions
from evergraph.mxnet.numpy.face import bound
from evergraph.mxnet.numpy.functions import arrays_only as _arrays_only
from evergraph.mxnet.numpy.functions import binary as _binary
from evergraph.mxnet.numpy.functions import choosing as _choosing
from evergraph.mxnet.numpy.functions import creation as _creation
from evergraph.mxnet.numpy.functions import editing as _editing
from evergraph.mxnet.numpy.functions import joining as _joining
from evergraph.mxnet.numpy.functions import products as _products
from evergraph.mxnet.numpy.functions import reductions as _reductions
from evergraph.mxnet.numpy.functions import shape as _shapes
from evergraph.mxnet.numpy.functions import unary as _unary
from evergraph.mxnet.numpy.io import genfromtxt
from evergraph.mxnet.numpy.methods import install
from evergraph.mxnet.numpy.multiarray import FACE, ndarray
from evergraph.mxnet.numpy.short import shorten_methods, shortened_calls

__all__ = [
    "array",
    "arrayprint",
    "fallback",
    "genfromtxt",
    "io",
    "linalg",
    "ndarray",
    "random",
    "set_printoptions",
    "utils",
]

_FAMILIES = (_unary, _binary, _creation, _reductions, _shapes, _joining, _choosing, _editing, _products, _arrays_only)
_FUNCTIONS: dict[str, Any] = {}
for _home in _FAMILIES:
    _FUNCTIONS.update(bound(_home.TABLE, FACE, "mxnet.numpy"))
_FUNCTIONS.update(shortened(_FUNCTIONS))
_FUNCTIONS.update(shortened_calls(_FUNCTIONS))
globals().update({name: getattr(utils, name) for name in utils.__all__})
globals().update(fallback.FUNCTIONS)
globals().update(_FUNCTIONS)
install(ndarray, _FUNCTIONS, in_place, reflected)
shorten_methods(ndarray, _FUNCTIONS)
