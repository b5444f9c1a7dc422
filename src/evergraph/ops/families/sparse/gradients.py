"""Gradients of row_sparse data, which may arrive as torch's sparse tensors over some of its rows."""

import functools
from collections.abc import Callable
from typing import Any

from evergraph.ops.lazy import torch

__all__ = ["elementwise", "rows_gradient", "whole_gradient"]


def rows_gradient(places: Any, values: Any, like: Any) -> Any:
    """A gradient of some rows of an array, which are named once each."""
    return torch.sparse_coo_tensor(places.unsqueeze(0), values, like.shape, check_invariants=False, is_coalesced=True)


@functools.cache
def _elementwise_function() -> Any:
    class Elementwise(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, data: Any, function: Callable[[Any], Any]) -> Any:
            ctx.save_for_backward(data)
            ctx.function = function
            with torch.enable_grad():
                return function(data.detach()).detach()

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:
            (data,), grad = ctx.saved_tensors, grads[0]
            if not grad.is_sparse:
                return _derived(ctx.function, data, grad), None
            grad = grad.coalesce()
            places = grad.indices()[0]
            return rows_gradient(places, _derived(ctx.function, data[places], grad.values()), data), None

    return Elementwise


def _derived(function: Callable[[Any], Any], data: Any, grad: Any) -> Any:
    with torch.enable_grad():
        leaf = data if torch.is_grad_enabled() and data.requires_grad else data.detach().requires_grad_()
        out = function(leaf)
        if not out.requires_grad:
            return torch.zeros_like(data)
        return torch.autograd.grad(out, leaf, grad, allow_unused=True)[0]


def elementwise(function: Callable[[Any], Any], data: Any) -> Any:
    """A function of each value, whose gradient touches only the rows that its own gradient has."""
    if torch.is_grad_enabled() and data.requires_grad:
        return _elementwise_function().apply(data, function)
    return function(data)


@functools.cache
def _whole_function() -> Any:
    class Whole(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, data: Any) -> Any:  # noqa: ARG004
            return data.view_as(data)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> Any:  # noqa: ARG004
            return grads[0].to_dense() if grads[0].is_sparse else grads[0]

    return Whole


def whole_gradient(data: Any) -> Any:
    """The same values, whose gradient reaches what made them as a dense tensor."""
    if torch.is_grad_enabled() and data.requires_grad:
        return _whole_function().apply(data)
    return data
