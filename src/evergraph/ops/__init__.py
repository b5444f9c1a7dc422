"""The operators: a module for each family, schema and computation together, found by name."""

from evergraph.ops.registry import find, get, names, operator
from evergraph.ops.schema import Aux, InPlace, Input, Operator, Parameter, Params, Subgraphs

__all__ = [
    "Aux",
    "InPlace",
    "Input",
    "Operator",
    "Parameter",
    "Params",
    "Subgraphs",
    "find",
    "get",
    "names",
    "operator",
]
