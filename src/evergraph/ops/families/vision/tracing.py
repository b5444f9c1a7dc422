"""Computations whose steps depend on their values, kept whole when torch traces a network."""

import functools
from collections.abc import Callable
from typing import Any

from evergraph.ops.lazy import torch

__all__ = ["opaque"]


def opaque(schema: str, fake: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorates a function of tensors and plain values so that torch.export and torch.compile see one node.

    Outside of tracing the function is called as it is.

    Args:
        schema: name, arguments and results as torch.library writes them: `f(Tensor x, float t) -> Tensor`.
        fake: the same arguments -> empty results of the right shapes and types.

    >>> import torch
    >>> @opaque("_doctest_first(Tensor x) -> Tensor", lambda x: torch.empty_like(x[:1]))
    ... def first(x):
    ...     return x[x > 0][:1]
    >>> first(torch.tensor([-1.0, 2.0]))
    tensor([2.])
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        name = schema[: schema.index("(")]
        made: list[Any] = []

        def register() -> bool:
            if not made:
                kind = torch.library.custom_op(
                    f"evergraph::{name}", function, mutates_args=(), schema=schema[len(name) :]
                )
                kind.register_fake(fake)
                made.append(kind)
            return True

        # what torch.compiler.assume_constant_result sets, without importing torch here: the tracer calls `register`
        # and does not look into it
        register.__dict__["_dynamo_marked_constant"] = True

        @functools.wraps(function)
        def call(*args: Any) -> Any:
            if torch.compiler.is_compiling() and register():
                return getattr(torch.ops.evergraph, name)(*args)
            return function(*args)

        return call

    return decorate
