"""What cells do on the way back: gradients of their own (`bprop`), and hooks that see or replace gradients."""

from collections.abc import Callable
from typing import Any

import torch

from evergraph.errors import UsageError
from evergraph.mindspore.common.tensor import Tensor, unwrap, wrap

__all__ = ["hooked", "with_bprop"]


class _Tap(torch.autograd.Function):
    """Tensors as they are, whose gradients pass through a function."""

    @staticmethod
    def forward(ctx: Any, run: Callable[..., Any], *tensors: torch.Tensor) -> Any:
        """The tensors."""
        ctx.run = run
        return tuple(t.view_as(t) for t in tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        """What the function makes of the gradients."""
        return (None, *ctx.run(gradients))


def _tapped(values: tuple[Any, ...], run: Callable[..., Any]) -> tuple[Any, ...]:
    """The values, with the gradients of their Tensors passing through `run`."""
    places = [i for i, v in enumerate(values) if isinstance(v, Tensor) and v._torch.requires_grad]
    if not places:
        return values
    found = list(values)
    for place, tensor in zip(places, _Tap.apply(run, *(values[i]._torch for i in places)), strict=True):  # type: ignore[misc]
        found[place] = wrap(tensor)
    return tuple(found)


def _replaced(changed: Any, gradients: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a hook returned in the gradients' place; the gradients where it returned nothing."""
    if changed is None:
        return gradients
    return unwrap(tuple(changed) if isinstance(changed, (tuple, list)) else (changed,))


def hooked(cell: Any, inputs: tuple[Any, ...], before: list[Any], after: list[Any]) -> Any:
    """What a cell computes, with hooks on the gradients of its output (`before`) and of its inputs (`after`)."""
    seen: list[Any] = []

    def of_outputs(gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in before:
            gradients = _replaced(hook(cell, wrap(gradients)), gradients)
        seen[:] = [wrap(gradients)]
        return gradients

    def of_inputs(gradients: tuple[Any, ...]) -> tuple[Any, ...]:
        for hook in after:
            gradients = _replaced(hook(cell, wrap(gradients), seen[0]), gradients)
        return gradients

    output = cell.construct(*_tapped(inputs, of_inputs))
    found = _tapped(output if isinstance(output, tuple) else (output,), of_outputs)
    return found if isinstance(output, tuple) else found[0]


class _OwnGradient(torch.autograd.Function):
    """A cell's output, with the gradients that its `bprop` tells."""

    @staticmethod
    def forward(ctx: Any, cell: Any, inputs: tuple[Any, ...], *_: torch.Tensor) -> Any:
        """The output, as a tuple."""
        ctx.cell, ctx.inputs = cell, inputs
        ctx.output = cell.construct(*inputs)
        found = ctx.output if isinstance(ctx.output, tuple) else (ctx.output,)
        return tuple(t.clone() if any(t is i for i in unwrap(inputs)) else t for t in unwrap(found))

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        """The gradients of the Tensors among the inputs."""
        given = wrap(gradients) if isinstance(ctx.output, tuple) else wrap(gradients[0])
        found = ctx.cell.bprop(*ctx.inputs, ctx.output, given)
        found = found if isinstance(found, (tuple, list)) else (found,)
        if len(found) < len(ctx.inputs):
            raise UsageError(
                "bprop gives a gradient for each input",
                where=type(ctx.cell).__name__,
                expected=len(ctx.inputs),
                found=len(found),
            )
        return None, None, *(unwrap(g) for g, i in zip(found, ctx.inputs, strict=False) if isinstance(i, Tensor))


def with_bprop(cell: Any, inputs: tuple[Any, ...]) -> Any:
    """What a cell computes, whose gradients its method `bprop(*inputs, output, gradient)` gives."""
    detached = tuple(wrap(v._torch.detach()) if isinstance(v, Tensor) else v for v in inputs)
    tensors = [v._torch for v in inputs if isinstance(v, Tensor)]
    found = wrap(_OwnGradient.apply(cell, detached, *tensors))  # type: ignore[misc]
    return found[0] if len(found) == 1 else found
