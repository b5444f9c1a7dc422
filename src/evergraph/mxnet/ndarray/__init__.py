"""`mx.nd`: arrays and the functions on them.

>>> from evergraph.mxnet import nd
>>> x = nd.arange(6).reshape((2, 3))
>>> x[1:] + 10
<BLANKLINE>
[[13. 14. 15.]]
<NDArray 1x3 @cpu(0)>
"""

import importlib
from typing import Any

from evergraph.mxnet.ndarray import creation, namespaces, ndarray, sparse, utils
from evergraph.mxnet.ndarray.arithmetic import BINARY, function_of_two
from evergraph.mxnet.ndarray.ndarray import NDArray
from evergraph.mxnet.ndarray.sparse import BaseSparseNDArray, CSRNDArray, RowSparseNDArray
from evergraph.mxnet.ndarray.tables import (
    _DTYPE_MX_TO_NP,
    _DTYPE_NP_TO_MX,
    _GRAD_REQ_MAP,
    _STORAGE_TYPE_ID_TO_STR,
    _STORAGE_TYPE_STR_TO_ID,
)

__all__ = [
    "_DTYPE_MX_TO_NP",
    "_DTYPE_NP_TO_MX",
    "_GRAD_REQ_MAP",
    "_STORAGE_TYPE_ID_TO_STR",
    "_STORAGE_TYPE_STR_TO_ID",
    "BaseSparseNDArray",
    "CSRNDArray",
    "NDArray",
    "RowSparseNDArray",
    "ndarray",
    "sparse",
]

_MODULES = {n: n for n in ("_internal", "contrib", "image", "linalg", "op", "random")}
_MODULES |= {"np": "numpy", "npx": "numpy_extension", "numpy": "numpy", "numpy_extension": "numpy_extension"}

for _name in BINARY:
    globals()[_name] = function_of_two(_name)
_power = function_of_two("power")


def power(base: Any, exp: Any) -> Any:
    """The base to the power of exp, element by element; both are arrays or numbers.

    >>> power(base=array([2, 3]), exp=2).asnumpy()
    array([4., 9.], dtype=float32)
    """
    return _power(base, exp)


for _home in (creation, utils):
    globals().update({n: getattr(_home, n) for n in _home.__all__})

_find, _names = namespaces.fill(globals(), "op")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        # layers ask for F.npx at every call
        found = globals()[name] = importlib.import_module(f"{__name__}.{_MODULES[name]}")
        return found
    return _find(name)


def __dir__() -> list[str]:
    return sorted({*_names(), *_MODULES})
