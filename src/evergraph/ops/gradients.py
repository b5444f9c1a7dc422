"""Gradients that are not the derivative of the forward pass: loss layers, straight-through estimators, MXNet's ties."""

import functools
from collections.abc import Callable
from typing import Any

from evergraph.ops.lazy import torch

__all__ = ["with_gradient"]


def with_gradient(backward: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorates a function of tensors and plain values so that `backward` computes its gradient.

    The decorated function is called by position only. Where no gradient is recorded, it is called as it is.

    Args:
        backward: (saved, *output gradients) -> gradients of all arguments, None where there is none. `saved.args`
            are the arguments of the call, `saved.outputs` a tuple of its results.

    >>> import torch
    >>> @with_gradient(lambda saved, g: g * 10)
    ... def twice(x):
    ...     return x * 2
    >>> x = torch.ones(1, requires_grad=True)
    >>> twice(x).backward(); x.grad
    tensor([10.])
    """

    def decorate(forward: Callable[..., Any]) -> Callable[..., Any]:
        @functools.cache
        def function() -> Any:
            return _function(forward, backward)

        @functools.wraps(forward)
        def call(*args: Any) -> Any:
            if torch.is_grad_enabled() and any(isinstance(a, torch.Tensor) and a.requires_grad for a in args):
                return function().apply(*args)
            return forward(*args)

        return call

    return decorate


class _Saved:
    """What the backward pass may look at."""

    __slots__ = ("args", "outputs")

    def __init__(self, args: tuple[Any, ...], outputs: tuple[Any, ...]) -> None:
        self.args, self.outputs = args, outputs


def _function(forward: Callable[..., Any], backward: Callable[..., Any]) -> Any:
    def run_forward(ctx: Any, *args: Any) -> Any:
        result = forward(*args)
        outputs = result if isinstance(result, tuple) else (result,)
        kept = [v for v in (*args, *outputs) if isinstance(v, torch.Tensor)]
        ctx.plan = [None if isinstance(v, torch.Tensor) else v for v in (*args, *outputs)]
        ctx.is_tensor = [isinstance(v, torch.Tensor) for v in (*args, *outputs)]
        ctx.count = len(args)
        ctx.save_for_backward(*kept)
        return result

    def run_backward(ctx: Any, *grads: Any) -> Any:
        tensors = iter(ctx.saved_tensors)
        values = [
            next(tensors) if is_tensor else value for is_tensor, value in zip(ctx.is_tensor, ctx.plan, strict=True)
        ]
        found = backward(_Saved(tuple(values[: ctx.count]), tuple(values[ctx.count :])), *grads)
        found = found if isinstance(found, tuple) else (found,)
        return (*found, *([None] * (ctx.count - len(found))))

    methods = {"forward": staticmethod(run_forward), "backward": staticmethod(run_backward)}
    return type(getattr(forward, "__name__", "function"), (torch.autograd.Function,), methods)
