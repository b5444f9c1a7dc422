"""`mx.sym.np`: NumPy's functions on symbols: computations described before they are done.

>>> from evergraph.mxnet import sym
>>> x = sym.var("x").as_np_ndarray()
>>> sym.np.mean(x * 2, axis=0).list_arguments()
['x']
"""

from evergraph.mxnet.symbol.numpy import _internal, linalg, random
from evergraph.mxnet.symbol.numpy._symbol import _Symbol
from evergraph.mxnet.symbol.numpy.functions import FUNCTIONS as _FUNCTIONS
from evergraph.mxnet.symbol.numpy.functions import METHODS as _METHODS
from evergraph.mxnet.symbol.numpy.methods import install as _install

__all__ = ["_Symbol", "_internal", "linalg", "random"]

globals().update(_FUNCTIONS)
_install(_Symbol, _METHODS)
