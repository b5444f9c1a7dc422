"""Region pooling by bilinear sampling: upright, rotated, and for the masks of Mask R-CNN."""

import math
from typing import Any

from evergraph.errors import ShapeError
from evergraph.ops.families.vision.boxes import constant
from evergraph.ops.lazy import F, torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify
from evergraph.ops.types import Shape

__all__ = ["ROIAlign", "RROIAlign", "mrcnn_mask_target", "sum_taps", "taps"]


def _pooled(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data, rois = ins
    if len(p.pooled_size) != 2:
        raise ShapeError("pooled_size takes a height and a width", found=p.pooled_size)
    if data is not None and len(data) != 4:
        raise ShapeError("region pooling takes a feature map", expected="(N, C, height, width)", found=data)
    channels = None if data is None else data[1]
    if channels is not None and p.get("position_sensitive"):
        cells = math.prod(p.pooled_size)
        if channels % cells:
            raise ShapeError(
                "position-sensitive pooling needs channels for each bin",
                expected=f"a multiple of {cells} channels",
                found=channels,
            )
        channels //= cells
    return ins, [unify(outs[0], (None if rois is None else rois[0], channels, *p.pooled_size))]


def taps(x: Any, y: Any, height: int, width: int, reach: float = 1.0) -> tuple[Any, Any]:
    """Positions (..., 4) in a flattened map and weights (..., 4) of the pixels around points x, y.

    Points further than `reach` outside get the weights 0, those nearer the value of the border.
    """
    inside = (y >= -reach) & (y <= height - 1 + reach) & (x >= -reach) & (x <= width - 1 + reach)
    x, y = x.clamp(0, width - 1), y.clamp(0, height - 1)
    left, top = x.floor(), y.floor()
    right_part, bottom_part = x - left, y - top
    left_part, top_part = (1 - right_part) * inside, 1 - bottom_part
    right_part = right_part * inside
    column, row = left.long(), top.long()
    # at a pixel's centre both are one: the gradient to the position is 0 there
    next_column, next_row = x.ceil().long(), y.ceil().long()
    row, next_row = row * width, next_row * width
    index = torch.stack((row + column, row + next_column, next_row + column, next_row + next_column), -1)
    weight = torch.stack(
        (top_part * left_part, top_part * right_part, bottom_part * left_part, bottom_part * right_part), -1
    )
    return index, weight


def sum_taps(rows: Any, index: Any, weight: Any, starts: Any = None) -> Any:
    """Weighted sums (bags, C) of rows (n, C): index and weight (bags, taps), or (taps,) with the bags' starts.

    An embedding bag is this sum: each tap reads all channels of a pixel, which lie together.
    """
    if not rows.shape[1] or not (len(index) if starts is None else len(starts)):
        return rows.new_zeros(len(index) if starts is None else len(starts), rows.shape[1])
    if rows.dtype in (torch.float32, torch.float64):
        return F.embedding_bag(index, rows, starts, mode="sum", per_sample_weights=weight.to(rows.dtype))
    return F.embedding_bag(index, rows.float(), starts, mode="sum", per_sample_weights=weight.float()).to(rows.dtype)


def _grid(size: Any, pooled: int, ratio: int) -> Any:
    """Samples along one axis of each region's bins (R,): the ratio, or one for each pixel of a bin."""
    return torch.full_like(size, ratio) if ratio > 0 else (size / pooled).ceil().clamp(min=1)


def _sample(rows: Any, first: Any, box: tuple[Any, ...], pooled: tuple[int, int], ratio: int, place: Any) -> Any:
    """Averages (R, bins, C) of bilinear samples in the bins of each region.

    Args:
        rows: (n, C) pixels of all maps.
        first: (R, bins) row of each bin's map, negative where the region counts for nothing.
        box: left, top, width and height (R,) of each region in pixels of the map.
        pooled: bins along height and width.
        ratio: samples along each side of a bin; not positive: as many as it has pixels.
        place: (x, y, region) -> positions and weights, see `taps`.
    """
    left, top, width, height = box
    tall, wide = pooled
    count_y, count_x = _grid(height, tall, ratio), _grid(width, wide, ratio)
    bin_height, bin_width = height / tall, width / wide
    regions, bins = first.shape
    device = first.device
    part, starts = torch.arange(bins, device=device), None
    if ratio > 0:
        shape = (regions, bins, ratio * ratio)
        region = torch.arange(regions, device=device).view(-1, 1, 1)
        part, within = part.view(1, -1, 1), torch.arange(ratio * ratio, device=device)
        iy, ix = within // ratio, within % ratio
    else:
        number = (count_y * count_x).long().repeat_interleave(bins)
        owner = torch.repeat_interleave(torch.arange(regions * bins, device=device), number)
        within = torch.arange(len(owner), device=device) - (number.cumsum(0) - number)[owner]
        starts = (number.cumsum(0) - number) * 4
        region, part = owner // bins, owner % bins
        across = count_x.long()[region]
        iy, ix, shape = within // across, within % across, owner.shape
    row, column = part // wide, part % wide
    y = top[region] + row * bin_height[region] + (iy + 0.5) * bin_height[region] / count_y[region]
    x = left[region] + column * bin_width[region] + (ix + 0.5) * bin_width[region] / count_x[region]
    index, weight = place(x.expand(shape), y.expand(shape), region)
    base = first.expand(regions, bins)[region.expand(shape), part.expand(shape)]
    weight = weight * ((base >= 0) / (count_y * count_x)[region]).unsqueeze(-1)
    index = index + base.clamp(min=0).unsqueeze(-1)
    bags = (regions * bins, -1) if starts is None else (-1,)
    return sum_taps(rows, index.view(bags), weight.view(bags), starts).view(regions, bins, rows.shape[1])


def _pixels(data: Any, cells: int) -> Any:
    """Rows of pixels (N * cells * H * W, C / cells): channel c of bin b is c * cells + b of the map."""
    batch, channels, height, width = data.shape
    pixels = data.reshape(batch, channels // cells, cells, height, width).permute(0, 2, 3, 4, 1)
    return pixels.flatten(0, 3).contiguous()  # an embedding bag is ten times slower on strided rows


@operator("_contrib_ROIAlign", shape=_pooled)
def ROIAlign(
    data,
    rois,
    *,
    pooled_size: Shape,
    spatial_scale: float,
    sample_ratio: int = -1,
    position_sensitive: bool = False,
    aligned: bool = False,
):
    """Averages (R, C, *pooled_size) of bilinear samples of data (N, C, H, W) in the bins of rois (R, 5).

    A roi is (image, left, top, right, bottom), times spatial_scale in pixels of data; one of a negative image gives
    0. Each bin has sample_ratio samples a side, or as many as it has pixels. With aligned, pixel centres lie at
    halves and small rois keep their size. With position_sensitive each bin has channels of its own. The gradient
    goes to data alone.
    """
    channels, height, width = data.shape[1:]
    cells = math.prod(pooled_size) if position_sensitive else 1
    rois = rois.detach().to(torch.promote_types(rois.dtype, torch.float32))
    image = rois[:, 0].long()
    offset = 0.5 if aligned else 0.0
    left, top, right, bottom = (rois[:, 1:5] * spatial_scale - offset).unbind(1)
    wide, tall = right - left, bottom - top
    if not aligned:
        wide, tall = wide.clamp(min=1), tall.clamp(min=1)
    bins = math.prod(pooled_size)
    map_of_bin = torch.arange(bins, device=data.device) if position_sensitive else image.new_zeros(bins)
    first = (image.unsqueeze(1) * cells + map_of_bin) * (height * width)
    first = first.masked_fill((image < 0).unsqueeze(1), -1)
    out = _sample(
        _pixels(data, cells),
        first,
        (left, top, wide, tall),
        pooled_size,
        sample_ratio,
        lambda x, y, _: taps(x, y, height, width),
    )
    return out.transpose(1, 2).reshape(len(rois), channels // cells, *pooled_size)


@operator("_contrib_RROIAlign", shape=_pooled)
@constant
def RROIAlign(data, rois, *, pooled_size: Shape, spatial_scale: float, sampling_ratio: int = -1):
    """ROIAlign for rotated rois (R, 6), each (image, x, y, width, height, angle in degrees). No gradient passes."""
    height, width = data.shape[2:]
    rois = rois.to(torch.promote_types(rois.dtype, torch.float32))
    image = rois[:, 0].long()
    x, y, wide, tall = (rois[:, 1:5] * spatial_scale).unbind(1)
    wide, tall = wide.clamp(min=1), tall.clamp(min=1)
    angle = rois[:, 5] * (math.pi / 180)
    cosine, sine = angle.cos(), angle.sin()

    def turned(a: Any, b: Any, region: Any) -> tuple[Any, Any]:
        c, s = cosine[region], sine[region]
        return taps(a * c + b * s + x[region], b * c - a * s + y[region], height, width)

    bins = math.prod(pooled_size)
    first = (image * (height * width)).unsqueeze(1).expand(-1, bins)
    box = (-wide / 2, -tall / 2, wide, tall)
    out = _sample(_pixels(data, 1), first, box, pooled_size, sampling_ratio, turned)
    return out.transpose(1, 2).reshape(len(rois), data.shape[1], *pooled_size)


def _masks(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    rois = ins[0]
    batch = None if rois is None else rois[0]
    ins[0] = unify(rois, (batch, p.num_rois, 4), "input rois of mrcnn_mask_target")
    for i, name in ((2, "matches"), (3, "cls_targets")):
        ins[i] = unify(ins[i], (batch, p.num_rois), f"input {name} of mrcnn_mask_target")
    found = (batch, p.num_rois, p.num_classes, *p.mask_size)
    return ins, [unify(o, found, "output of mrcnn_mask_target") for o in outs]


@operator("_contrib_mrcnn_mask_target", shape=_masks, outputs=2)
@constant
def mrcnn_mask_target(
    rois,
    gt_masks,
    matches,
    cls_targets,
    *,
    num_rois: int,
    num_classes: int,
    mask_size: Shape,
    sample_ratio: int = 2,
    aligned: bool = False,
):
    """Mask targets of Mask R-CNN and where they count, both (B, num_rois, num_classes, *mask_size).

    rois (B, num_rois, 4) are corners in pixels of gt_masks (B, M, H, W); matches (B, num_rois) says which mask is
    cut, cls_targets (B, num_rois) for which class it counts. No gradient passes. MXNet has this on GPUs only.
    """
    batch, number, height, width = gt_masks.shape
    corners = rois.reshape(-1, 4).to(torch.promote_types(rois.dtype, torch.float32)) - (0.5 if aligned else 0.0)
    left, top, right, bottom = corners.unbind(1)
    wide, tall = right - left, bottom - top
    if not aligned:
        wide, tall = wide.clamp(min=1), tall.clamp(min=1)
    owner = torch.arange(batch, device=rois.device).unsqueeze(1) * number + matches.long()
    first = (owner.reshape(-1, 1) * (height * width)).expand(-1, math.prod(mask_size))
    masks = _sample(
        gt_masks.reshape(-1, 1),
        first,
        (left, top, wide, tall),
        mask_size,
        sample_ratio,
        lambda x, y, _: taps(x, y, height, width),
    )
    shape = (batch, num_rois, num_classes, *mask_size)
    classes = torch.arange(num_classes, device=rois.device, dtype=cls_targets.dtype)
    used = (cls_targets.unsqueeze(2) == classes).to(masks.dtype)[..., None, None]
    return masks.view(batch, num_rois, 1, *mask_size).expand(shape).contiguous(), used.expand(shape).contiguous()
