"""`mx.sym`: computations described before they are done.

>>> from evergraph.mxnet import sym
>>> (sym.Variable("a") + sym.Variable("b") * 2).list_arguments()
['a', 'b']
"""

import importlib
from typing import Any

from evergraph.mxnet.symbol import creation, namespaces, operators, symbol
from evergraph.mxnet.symbol.symbol import Group, Symbol, SymbolBase, fromjson, load, load_json, loads

__all__ = ["Group", "Symbol", "SymbolBase", "fromjson", "load", "load_json", "loads", "operators", "symbol"]

_MODULES = {n: n for n in ("_internal", "contrib", "image", "linalg", "op", "random", "sparse")}
_MODULES |= {"np": "numpy", "npx": "numpy_extension", "numpy": "numpy", "numpy_extension": "numpy_extension"}

globals().update({n: getattr(creation, n) for n in creation.__all__})

_find, _names = namespaces.fill(globals(), "op")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        # layers ask for F.npx at every call
        found = globals()[name] = importlib.import_module(f"{__name__}.{_MODULES[name]}")
        return found
    return _find(name)


def __dir__() -> list[str]:
    return sorted({*_names(), *_MODULES})
