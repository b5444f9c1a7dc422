"""The maximum over parts of regions of interest."""

from typing import Any

from evergraph.ops.families.vision.tracing import opaque
from evergraph.ops.lazy import F, torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify
from evergraph.ops.types import Fraction, Shape

__all__ = ["ROIPooling"]


def _pooled(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data, rois = ins
    if rois is not None:
        ins[1] = unify(rois, (rois[0], 5), "rois of ROIPooling")
    if data is None or rois is None:
        return ins, outs
    found = (rois[0], data[1], *p.pooled_size)
    return ins, [unify(outs[0], found, "output of ROIPooling"), found]


def _round(x: Any) -> Any:
    """Halves away from 0, as C rounds."""
    return torch.sign(x) * torch.floor(torch.abs(x) + 0.5)


def _bins(start: Any, end: Any, number: int, size: int) -> tuple[Any, Any]:
    """First and past-last position of each of `number` parts of each region along one axis: two of (r, number)."""
    width = (end - start + 1).clamp_min(1) / number
    part = torch.arange(number, device=start.device)
    low = torch.floor(part * width.unsqueeze(1)) + start.unsqueeze(1)
    high = torch.ceil((part + 1) * width.unsqueeze(1)) + start.unsqueeze(1)
    return low.clamp(0, size).long(), high.clamp(0, size).long()


def _members(top: Any, bottom: Any, left: Any, right: Any, base: Any, width: int) -> tuple[Any, Any]:
    """Pixel numbers of all bins one after the other, row by row, and where each bin begins among them."""
    rows = (bottom - top).clamp_min(0).unsqueeze(2)
    columns = (right - left).clamp_min(0).unsqueeze(1)
    counts = (rows * columns).flatten()
    ends = counts.cumsum(0)
    begins = ends - counts
    owner = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
    place = torch.arange(len(owner), device=counts.device) - begins[owner]
    across = columns.expand(-1, rows.shape[1], -1).flatten()[owner]
    corner = (base.reshape(-1, 1, 1) + top.unsqueeze(2)) * width + left.unsqueeze(1)
    return corner.flatten()[owner] + place // across * width + place % across, begins


@operator(aliases=("_npx_roi_pooling",), shape=_pooled, outputs=("output", "maxidx"), visible=1)
def ROIPooling(data, rois, *, pooled_size: Shape, spatial_scale: Fraction):
    """The maxima of pooled_size (h, w) parts of each region of data (n, c, h, w): (r, c, h, w).

    A region is a row of rois (r, 5): number in the batch, x1, y1, x2, y2 in the input image's pixels, times
    spatial_scale rounded to those of data. A part that holds no pixel gives 0, and so
    does a region whose number in the batch is negative.
    """
    return _pool(data, rois, list(pooled_size), spatial_scale)


def _empty(data: Any, rois: Any, size: list[int], scale: float) -> Any:
    return data.new_empty((rois.shape[0], data.shape[1], *size))


# the number of pixels in all bins depends on the regions
@opaque("roi_pool(Tensor data, Tensor rois, int[] size, float scale) -> Tensor", _empty)
def _pool(data: Any, rois: Any, size: list[int], scale: float) -> Any:
    n, c, h, w = data.shape
    with torch.no_grad():
        left, top, right, bottom = _round(rois[:, 1:] * scale).unbind(1)
        first_row, past_row = _bins(top, bottom, size[0], h)
        first_column, past_column = _bins(left, right, size[1], w)
        # a region outside the batch, as regions that fill up a list are, has no pixels
        past_row = torch.where(rois[:, :1] < 0, 0, past_row)
        base = rois[:, 0].long() * h
        pixels, begins = _members(first_row, past_row, first_column, past_column, base, w)
    table = data.permute(0, 2, 3, 1).reshape(n * h * w, c)
    # a bag of vectors' maximum: its gradient goes to the first one, and empty bags give 0
    found = F.embedding_bag(pixels, table, begins, mode="max")
    return found.reshape(rois.shape[0], *size, c).permute(0, 3, 1, 2).contiguous()
