"""Windows of an image as columns, and columns back into an image."""

import math
from typing import Any

from evergraph.ops.families.nn.convolution import convolved_size
from evergraph.ops.families.nn.windows import spread
from evergraph.ops.lazy import F, torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify
from evergraph.ops.types import Shape

__all__ = ["col2im", "im2col"]


def _columns(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data = ins[0]
    if data is None:
        return ins, outs
    sizes = convolved_size(p, data[2:])
    positions = None if None in sizes else math.prod(s for s in sizes if s is not None)
    channels = None if data[1] is None else data[1] * math.prod(p.kernel)
    return ins, [unify(outs[0], (data[0], channels, positions), "output of im2col")]


@operator(shape=_columns)
def im2col(data, *, kernel: Shape, stride: Shape = (), dilate: Shape = (), pad: Shape = ()):
    """The windows of data (n, c, *space) as columns (n, c * size of the kernel, number of windows)."""
    rank = len(kernel)
    pads = [w for q in reversed(spread(pad, rank, 0)) for w in (q, q)]
    x = F.pad(data, pads) if any(pads) else data
    each = zip(kernel, spread(stride, rank, 1), spread(dilate, rank, 1), strict=True)
    for axis, (k, s, e) in enumerate(each, 2):
        x = x.unfold(axis, e * (k - 1) + 1, s)[..., ::e]
    # (n, c, *positions, *kernel) to (n, c, *kernel, *positions)
    order = (0, 1, *range(2 + rank, 2 + 2 * rank), *range(2, 2 + rank))
    return x.permute(order).flatten(2 + rank).flatten(1, 1 + rank)


def _image(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    columns = ins[0]
    if columns is None:
        return ins, outs
    channels = None if columns[1] is None else columns[1] // math.prod(p.kernel)
    return ins, [unify(outs[0], (columns[0], channels, *p.output_size), "output of col2im")]


@operator(shape=_image)
def col2im(data, *, output_size: Shape, kernel: Shape, stride: Shape = (), dilate: Shape = (), pad: Shape = ()):
    """The image (n, c, *output_size) in which each value is the sum of its places in the columns that im2col makes."""
    rank, taps = len(kernel), math.prod(kernel)
    steps, dilates, pads = spread(stride, rank, 1), spread(dilate, rank, 1), spread(pad, rank, 0)
    channels = data.shape[1] // taps
    each = list(zip(output_size, kernel, steps, pads, dilates, strict=True))
    positions = [(d + 2 * q - e * (k - 1) - 1) // s + 1 for d, k, s, q, e in each]
    # a transposed convolution, for each channel, with a kernel for each tap that is 1 there and 0 elsewhere
    taps_kernel = torch.eye(taps, dtype=data.dtype, device=data.device).reshape(taps, 1, *kernel)
    left = [d + 2 * q - ((n - 1) * s + e * (k - 1) + 1) for n, (d, k, s, q, e) in zip(positions, each, strict=True)]
    columns = data.reshape(data.shape[0] * channels, taps, *positions)
    image = torch.convolution(columns, taps_kernel, None, steps, pads, dilates, True, left, 1)
    return image.reshape(data.shape[0], channels, *output_size)
