"""Convolution and its transpose, in one to three space dimensions."""

from typing import Any, Literal

from evergraph.errors import ShapeError
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify, window_size
from evergraph.ops.types import NonNegative, NonNegativeLong, Shape

__all__ = ["Convolution"]

_LAYOUTS_LAST = {"NWC", "NHWC", "NDHWC"}


def spread(value: tuple[int, ...] | None, rank: int, default: int) -> tuple[int, ...]:
    """A parameter for each space axis: as given, or the default for all."""
    return tuple(value) if value else (default,) * rank


def _convolved(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data, rank = ins[0], len(p.kernel)
    if data is None:
        return ins, outs
    if len(data) != rank + 2:
        raise ShapeError(
            "input data of Convolution has another rank than its kernel", expected=rank + 2, found=len(data)
        )
    last = p.layout in _LAYOUTS_LAST
    space = data[1:-1] if last else data[2:]
    stride, dilate, pad = spread(p.stride, rank, 1), spread(p.dilate, rank, 1), spread(p.pad, rank, 0)
    sizes = tuple(
        None if d is None else window_size(d, k, s, q, e)
        for d, k, s, q, e in zip(space, p.kernel, stride, pad, dilate, strict=True)
    )
    found = (data[0], *sizes, p.num_filter) if last else (data[0], p.num_filter, *sizes)
    return ins, [unify(outs[0], found, "output of Convolution")]


@operator(aliases=("_npx_convolution",), shape=_convolved, optional={"bias": lambda p: not p.no_bias})
def Convolution(
    data,
    weight,
    bias=None,
    *,
    kernel: Shape,
    stride: Shape = (),
    dilate: Shape = (),
    pad: Shape = (),
    num_filter: NonNegative,
    num_group: NonNegative = 1,
    workspace: NonNegativeLong = 1024,
    no_bias: bool = False,
    cudnn_tune: Literal[None, "fastest", "limited_workspace", "off"] = None,
    cudnn_off: bool = False,
    layout: Literal[None, "NCDHW", "NCHW", "NCW", "NDHWC", "NHWC"] = None,
):
    """Cross-correlation of data (N, C, *space) with weight (num_filter, C / num_group, *kernel), plus bias."""
    rank = len(kernel)
    if layout in _LAYOUTS_LAST:
        data, weight = data.movedim(-1, 1), weight.movedim(-1, 1)
    out = torch.convolution(
        data,
        weight,
        bias,
        spread(stride, rank, 1),
        spread(pad, rank, 0),
        spread(dilate, rank, 1),
        False,
        (0,) * rank,
        num_group,
    )
    return out.movedim(1, -1) if layout in _LAYOUTS_LAST else out


@Convolution.parameter_shapes
def _weights(p: Any, data: Any) -> dict[str, Any]:
    last = p.layout in _LAYOUTS_LAST
    channels = data[-1] if last else data[1]
    inside = None if channels is None else channels // p.num_group
    weight = (p.num_filter, *p.kernel, inside) if last else (p.num_filter, inside, *p.kernel)
    return {"weight": weight, "bias": (p.num_filter,)}
