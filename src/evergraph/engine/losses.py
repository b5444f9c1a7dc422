"""Loss layers in inference: they need no labels, and are the prediction that they hold."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - what every PyTorch program calls it

from evergraph.engine.program import Program
from evergraph.ops import Params

__all__ = ["LOSSES", "softmax_channels", "softmax_last", "softmax_samples", "strip_losses"]


def softmax_samples(data: Any) -> Any:
    """The softmax over all values of each sample."""
    return F.softmax(data.flatten(1), 1).reshape(data.shape)


def softmax_channels(data: Any) -> Any:
    """The softmax over axis 1 at each position."""
    return F.softmax(data, 1)


def softmax_last(data: Any) -> Any:
    """The softmax over the last axis."""
    return F.softmax(data, -1)


def _softmax(p: Params) -> Callable[[Any], Any]:
    if p.multi_output:
        return softmax_channels
    return softmax_last if p.preserve_shape else softmax_samples


LOSSES: dict[str, Callable[[Params], Callable[[Any], Any] | None]] = {
    "SoftmaxOutput": _softmax,
    "LinearRegressionOutput": lambda _: None,
    "MAERegressionOutput": lambda _: None,
    "SVMOutput": lambda _: None,
    "LogisticRegressionOutput": lambda _: torch.sigmoid,
}
"""For each loss layer: (parameters) -> the prediction as a function of its data; None where it is the data itself."""


def strip_losses(program: Program) -> list[str]:
    """Replace loss layers by their predictions; labels and what is computed from them fall away.

    Args:
        program: changed in place; its inputs stay, also those that nothing reads any more.

    Returns:
        Names of the nodes that were replaced.
    """
    same: dict[int, int] = {}
    kept, names = [], []
    for step in program.steps:
        if any(v in same for v in step.inputs):
            step = step.replace(inputs=tuple(same.get(v, v) for v in step.inputs))
        if step.kind in LOSSES:
            names.append(step.name)
            prediction = LOSSES[step.kind](step.params)
            if prediction is None:
                same[step.outputs[0]] = step.inputs[0]
                continue
            step = step.replace(op=None, params=Params(), call=prediction, inputs=step.inputs[:1])
        kept.append(step)
    program.steps = kept
    program.outputs = [same.get(v, v) for v in program.outputs]
    if names:
        program.prune()
    return names
