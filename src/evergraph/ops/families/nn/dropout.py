"""Dropout."""

from typing import Any, Literal

from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify
from evergraph.ops.run import Run
from evergraph.ops.types import Axes, Fraction

__all__ = ["Dropout", "keep_mask"]


def keep_mask(data: Any, p: float, run: Run, shape: tuple[int, ...] | None = None) -> Any:
    """Zeros with probability p, elsewhere 1 / (1 - p): what dropout multiplies its input by."""
    mask = torch.empty(data.shape if shape is None else shape, dtype=data.dtype, device=data.device)
    if p >= 1:
        return mask.zero_()
    return mask.bernoulli_(1 - p, generator=run.generator(data.device)).div_(1 - p)


def _dropped(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    shape = unify(ins[0], outs[0], "output of Dropout")
    if shape is None:
        return ins, outs
    return [shape], [shape, tuple(1 if i in p.axes else d for i, d in enumerate(shape))]


@operator(aliases=("_npx_dropout",), shape=_dropped, outputs=("output", "mask"), visible=1)
def Dropout(
    data,
    *,
    p: Fraction = 0.5,
    mode: Literal["always", "training"] = "training",
    axes: Axes = (),
    cudnn_off: bool | None = False,
    run: Run,
):
    """In training, data with each value set to 0 with probability p, and the others divided by 1 - p.

    Outside of training data as it is, unless mode is "always". Along `axes` all values share their fate.
    """
    if p == 0 or not (run.training or mode == "always"):
        return data
    shared = tuple(1 if i in axes else d for i, d in enumerate(data.shape))
    return data * keep_mask(data, p, run, shared)
