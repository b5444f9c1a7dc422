"""Small convolutions' weights turned channels last together, once in a run, and their gradients back."""

from collections.abc import Sequence
from typing import Any

import torch

from evergraph.engine.program import Program, Step
from evergraph.ops import Params

__all__ = ["turn_weights"]

_SMALL = 1 << 16
"""Elements of a weight up to which the calls that turn it cost more than its memory, which is there twice, is worth."""
_FEWEST = 4
"""Weights from which on a step of their own costs less than PyTorch's turning."""


def turn_weights(program: Program) -> None:
    """Let the two-dimensional convolutions of a training program read copies of their small weights, channels last.

    PyTorch turns a weight for each use, forward and backward, and its gradient when it arrives: a ResNet-20 trains by
    1 % slower, and by 2 % on two cores, for none of that runs on both.
    """
    given = set(program.inputs)
    places = [i for i, s in enumerate(program.steps) if _is_turned(s) and s.inputs[1] in given]
    weights = list(dict.fromkeys(program.steps[i].inputs[1] for i in places))
    if len(weights) < _FEWEST:
        return
    turned = {value: program.value() for value in weights}
    for i in places:
        step = program.steps[i]
        program.steps[i] = step.replace(inputs=(step.inputs[0], turned[step.inputs[1]], *step.inputs[2:]))
    known = Params(engine="weights, channels last")
    program.steps.insert(0, Step("weights", None, known, _turned, tuple(weights), tuple(turned.values())))


def _is_turned(step: Step) -> bool:
    """Whether a step is a convolution of images by more than single pixels, over all channels."""
    p = step.params
    return (
        step.kind == "Convolution"
        and len(p.kernel) == 2
        and set(p.kernel) != {1}
        and p.num_group == 1
        and p.layout in (None, "NCHW")
    )


def _turned(*weights: Any) -> Sequence[Any]:
    found = list(weights)
    # what asks for no gradient stays outside, or it would get one
    small = [i for i, w in enumerate(weights) if w.requires_grad and _is_small(w)]
    if len(small) >= _FEWEST and torch.is_grad_enabled():
        turned: Any = _Turn.apply(*[weights[i] for i in small])
        for i, each in zip(small, turned, strict=True):
            found[i] = each
    return found


def _is_small(weight: Any) -> bool:
    small = weight.dim() == 4 and weight.numel() <= _SMALL and weight.is_floating_point()
    return small and not weight.is_contiguous(memory_format=torch.channels_last)


class _Turn(torch.autograd.Function):
    """Weights in the usual order to weights channels last; gradients come back in the usual order."""

    @staticmethod
    def forward(ctx: Any, *weights: Any) -> Any:
        ctx.set_materialize_grads(False)
        return tuple(w.contiguous(memory_format=torch.channels_last) for w in weights)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:  # noqa: ARG004
        return tuple(None if g is None else g.contiguous() for g in gradients)
