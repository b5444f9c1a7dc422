"""Element-wise functions of one array."""

from collections.abc import Callable
from typing import Any

from evergraph.ops.lazy import torch
from evergraph.ops.registry import register
from evergraph.ops.rules import elementwise
from evergraph.ops.schema import Operator

__all__ = ["unary"]


def unary(name: str, function: Callable[[Any], Any], doc: str, aliases: tuple[str, ...] = ()) -> Operator:
    """Register an element-wise operator of one input named data.

    >>> unary("_doctest_double", lambda x: x + x, "Twice the input.").doc
    'Twice the input.'
    """

    def body(data: Any) -> Any:
        return function(data)

    body.__doc__, body.__name__ = doc, name.lstrip("_")
    return register(Operator(name, body, aliases=aliases, shape=elementwise))


unary("abs", lambda x: torch.abs(x), "The absolute value; its gradient at 0 is 0.", ("_sparse_abs",))
unary("exp", lambda x: torch.exp(x), "The exponential.", ("_sparse_exp",))
