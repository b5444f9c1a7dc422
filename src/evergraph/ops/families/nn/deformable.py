"""Convolution at places that the network itself moves."""

import math
from typing import Any, Literal

from evergraph.ops.families.nn.convolution import convolved_size
from evergraph.ops.families.nn.windows import spread
from evergraph.ops.lazy import F, torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify
from evergraph.ops.schema import Params
from evergraph.ops.types import NonNegative, NonNegativeLong, Shape

__all__ = ["DeformableConvolution", "ModulatedDeformableConvolution"]

_LAYOUT = Literal[None, "NCDHW", "NCHW", "NCW"]


def _convolved(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data = ins[0]
    if data is None:
        return ins, outs
    sizes = convolved_size(p, data[2:])
    taps = p.num_deformable_group * math.prod(p.kernel)
    ins[1] = unify(ins[1], (data[0], 2 * taps, *sizes), "offset of a deformable convolution")
    if "im2col_step" in p:
        ins[2] = unify(ins[2], (data[0], taps, *sizes), "mask of a deformable convolution")
    return ins, [unify(outs[0], (data[0], p.num_filter, *sizes), "output of a deformable convolution")]


def _weights(p: Any, data: Any) -> dict[str, Any]:
    inside = None if data[1] is None else data[1] // p.num_group
    return {"weight": (p.num_filter, inside, *p.kernel), "bias": (p.num_filter,)}


def _taps(p: Any, offset: Any) -> tuple[Any, Any]:
    """Y and x of every sample, (n * groups, taps, h', w'), in pixels."""
    groups = p.num_deformable_group
    n, _, high, wide = offset.shape
    moved = offset.reshape(n * groups, math.prod(p.kernel), 2, high, wide)
    stride, pad, dilate = spread(p.stride, 2, 1), spread(p.pad, 2, 0), spread(p.dilate, 2, 1)
    axes = [
        torch.arange(length, dtype=offset.dtype, device=offset.device) * s - q
        for length, s, q in zip((high, wide), stride, pad, strict=True)
    ]
    steps = [
        torch.arange(k, dtype=offset.dtype, device=offset.device) * e for k, e in zip(p.kernel, dilate, strict=True)
    ]
    rows = steps[0].repeat_interleave(p.kernel[1]).reshape(-1, 1, 1) + axes[0].reshape(-1, 1)
    columns = steps[1].repeat(p.kernel[0]).reshape(-1, 1, 1) + axes[1]
    return moved[:, :, 0] + rows, moved[:, :, 1] + columns


def _power_of_two(size: int) -> int:
    return 1 << max(size - 1, 0).bit_length()


def _sampled(data: Any, y: Any, x: Any, groups: int) -> Any:
    """Data (n, c, h, w) at y and x: (n * groups, c / groups, taps * h', w'), 0 outside."""
    n, c, h, w = data.shape
    # grid_sample takes places from -1 to 1; over a side of a power of two they convert without rounding, so that a
    # sample at a whole pixel stays there, and its gradient comes from the right neighbours
    high, wide = _power_of_two(h), _power_of_two(w)
    image = F.pad(data, (0, wide - w, 0, high - h)).reshape(n * groups, c // groups, high, wide)
    grid = torch.stack(((2 * x + 1) / wide - 1, (2 * y + 1) / high - 1), -1)
    return F.grid_sample(image, grid.flatten(1, 2), mode="bilinear", padding_mode="zeros", align_corners=False)


def _product(columns: Any, n: int, weight: Any, bias: Any, groups: int, size: tuple[int, ...]) -> Any:
    """Columns (n * deformable groups, their channels, taps * h' * w') times weight (f, c / groups, *kernel)."""
    filters = weight.reshape(groups, weight.shape[0] // groups, -1)
    columns = columns.reshape(n, groups, filters.shape[2], math.prod(size))
    out = torch.matmul(filters, columns).reshape(n, weight.shape[0], *size)
    return out if bias is None else out + bias.reshape(1, -1, 1, 1)


@operator(
    "_contrib_DeformableConvolution",
    aliases=("_npx_deformable_convolution",),
    shape=_convolved,
    optional={"bias": lambda p: not p.no_bias},
)
def DeformableConvolution(
    data,
    offset,
    weight,
    bias=None,
    *,
    kernel: Shape,
    stride: Shape = (),
    dilate: Shape = (),
    pad: Shape = (),
    num_filter: int,
    num_group: int = 1,
    num_deformable_group: int = 1,
    workspace: NonNegativeLong = 1024,
    no_bias: bool = False,
    layout: _LAYOUT = None,
):
    """A convolution of data (n, c, h, w) in which each tap of the kernel, at each position, is moved by offset
    (n, 2 * deformable groups * taps, h', w'; y before x) and sampled bilinearly, 0 outside.
    """
    p = Params(kernel=kernel, stride=stride, dilate=dilate, pad=pad, num_deformable_group=num_deformable_group)
    h, w = data.shape[2:]
    y, x = _taps(p, offset)
    inside = (y >= 0) & (x >= 0) & (y < h) & (x < w)
    # beyond the last row or column its values go on, up to a pixel's width; from there on offsets have no gradient
    y, x = torch.where(y < h - 1, y, h - 1), torch.where(x < w - 1, x, w - 1)
    # a sample outside goes far away, where all is 0
    columns = _sampled(data, torch.where(inside, y, -2 * h), x, num_deformable_group)
    return _product(columns, len(data), weight, bias, num_group, tuple(offset.shape[2:]))


@operator(
    "_contrib_ModulatedDeformableConvolution",
    aliases=("_npx_modulated_deformable_convolution",),
    shape=_convolved,
    optional={"bias": lambda p: not p.no_bias},
)
def ModulatedDeformableConvolution(
    data,
    offset,
    mask,
    weight,
    bias=None,
    *,
    kernel: Shape,
    stride: Shape = (),
    dilate: Shape = (),
    pad: Shape = (),
    num_filter: NonNegative,
    num_group: NonNegative = 1,
    num_deformable_group: NonNegative = 1,
    workspace: NonNegativeLong = 1024,
    no_bias: bool = False,
    im2col_step: NonNegative = 64,
    layout: _LAYOUT = None,
):
    """A deformable convolution whose samples are also multiplied by mask (n, deformable groups * taps, h', w').

    Outside of data samples fade to 0 over one pixel.
    """
    p = Params(kernel=kernel, stride=stride, dilate=dilate, pad=pad, num_deformable_group=num_deformable_group)
    y, x = _taps(p, offset)
    columns = _sampled(data, y, x, num_deformable_group)
    columns = columns.reshape(*columns.shape[:2], *y.shape[1:]) * mask.reshape(y.shape).unsqueeze(1)
    return _product(columns, len(data), weight, bias, num_group, tuple(offset.shape[2:]))


DeformableConvolution.parameter_shapes(_weights)
ModulatedDeformableConvolution.parameter_shapes(_weights)
