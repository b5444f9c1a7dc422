"""`mx.sym._internal`: functions of operators whose names begin with an underscore."""

from evergraph.mxnet.symbol.namespaces import fill
from evergraph.mxnet.symbol.symbol import Symbol, SymbolBase

__all__ = ["Symbol", "SymbolBase"]

__getattr__, __dir__ = fill(globals(), "_internal")
