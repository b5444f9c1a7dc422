"""Correlation of two feature maps over a neighbourhood of displacements, as optical flow networks use it."""

import math
from typing import Any

from evergraph.errors import ShapeError
from evergraph.ops.gradients import with_gradient
from evergraph.ops.lazy import F, torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify
from evergraph.ops.schema import Params
from evergraph.ops.types import NonNegative

__all__ = ["Correlation"]


def _sizes(p: Any, height: int, width: int) -> tuple[int, int]:
    """Space of the output."""
    border = p.max_displacement + (p.kernel_size - 1) // 2
    found = tuple(math.ceil((d + 2 * p.pad_size - 2 * border) / p.stride1) for d in (height, width))
    if min(found) < 1:
        raise ShapeError("Correlation leaves nothing", expected=f"sides above {2 * border}", found=(height, width))
    return found


def _correlated(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data = unify(ins[0], ins[1], "second input of Correlation")
    if data is None or data[2] is None or data[3] is None:
        return [data, data], outs
    side = 2 * (p.max_displacement // p.stride2) + 1
    found = (data[0], side * side, *_sizes(p, data[2], data[3]))
    padded = (data[0], data[2] + 2 * p.pad_size, data[3] + 2 * p.pad_size, data[1])
    return [data, data], [unify(outs[0], found, "output of Correlation"), padded, padded]


def _row_products(a: Any, b: Any, number: int, stride: int) -> Any:
    """Products of a (n, c, h, w) with b (n, c, h, w + (number - 1) * stride) at each shift: (n, number, h, w)."""
    n, _, h, w = a.shape
    # whole rows against whole rows, of which the shifts are the diagonals: wasteful in number, fast in fact
    rows = torch.matmul(a.permute(0, 2, 3, 1), b.permute(0, 2, 1, 3)).contiguous()
    wide = rows.shape[3]
    return rows.as_strided((n, number, h, w), (h * w * wide, stride, w * wide, wide + 1))


def _distance_gradient(saved: Any, grad: Any) -> tuple[Any, Any]:
    a, b = saved.args
    # equal values have the gradients 1 and -1, where abs would give 0
    found = torch.where(a >= b, 1.0, -1.0).to(grad.dtype) * grad.unsqueeze(1)
    return found, -found


@with_gradient(_distance_gradient)
def _distance(a: Any, b: Any) -> Any:
    return (a - b).abs_().sum(1)


def _row_distances(a: Any, b: Any, number: int, stride: int) -> Any:
    """Absolute differences summed over channels, in the shape of `_row_products`."""
    shifts = [_distance(a, b.narrow(3, i * stride, a.shape[3])) for i in range(number)]
    return torch.stack(shifts, 1)


@operator(shape=_correlated, outputs=("output", "tmp1", "tmp2"), visible=1)
def Correlation(
    data1,
    data2,
    *,
    kernel_size: NonNegative = 1,
    max_displacement: NonNegative = 1,
    stride1: NonNegative = 1,
    stride2: NonNegative = 1,
    pad_size: NonNegative = 0,
    is_multiply: bool = True,
):
    """For each displacement up to max_displacement in steps of stride2, and each position in steps of stride1, the mean
    over channels and a kernel_size window of data1 times the displaced data2 (or of their absolute difference).

    Inputs (n, c, h, w), padded with zeros; displacements are the output's channels, row by row.
    """
    if kernel_size % 2 == 0:
        raise ShapeError("the window of Correlation needs a middle", expected="an odd kernel_size", found=kernel_size)
    p = Params(kernel_size=kernel_size, max_displacement=max_displacement, stride1=stride1, pad_size=pad_size)
    high, wide = _sizes(p, *data1.shape[2:])
    high, wide = ((d - 1) * stride1 + kernel_size for d in (high, wide))
    a, b = (F.pad(d, [pad_size] * 4) for d in (data1, data2))
    reach = max_displacement // stride2
    side, left = 2 * reach + 1, max_displacement - reach * stride2
    a = a[:, :, max_displacement : max_displacement + high, max_displacement : max_displacement + wide]
    combine = _row_products if is_multiply else _row_distances
    rows = [
        combine(a, b[:, :, top : top + high, left : left + wide + 2 * reach * stride2], side, stride2)
        for top in range(left, left + side * stride2, stride2)
    ]
    return F.avg_pool2d(torch.cat(rows, 1), kernel_size, stride1) / data1.shape[1]
