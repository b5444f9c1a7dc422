"""Position-sensitive region pooling: each bin reads channels of its own."""

from typing import Any

from evergraph.errors import ShapeError
from evergraph.ops.families.vision.roi_align import sum_taps, taps
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify

__all__ = ["DeformablePSROIPooling", "PSROIPooling"]


def _pooled(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data, rois = ins[:2]
    group = p.group_size or p.pooled_size
    if data is not None:
        if len(data) != 4:
            raise ShapeError("region pooling takes a feature map", expected="(N, C, height, width)", found=data)
        if data[1] not in (None, p.output_dim * group * group):
            raise ShapeError(
                "position-sensitive pooling needs channels for each output and bin",
                expected=p.output_dim * group * group,
                found=data[1],
            )
    found = (None if rois is None else rois[0], p.output_dim, p.pooled_size, p.pooled_size)
    return ins, [unify(o, found, "pooled regions") for o in outs]


def _rounded(x: Any) -> Any:
    return torch.where(x < 0, -torch.floor(0.5 - x), torch.floor(x + 0.5))  # halves away from zero, as C rounds


def _regions(rois: Any, scale: float, shift: float) -> tuple[Any, Any, Any, Any]:
    """Left, top, width and height (R, 1, 1) in pixels of the map."""
    corners = _rounded(rois[:, 1:5])
    left, top = ((corners[:, i] * scale - shift).view(-1, 1, 1) for i in (0, 1))
    right, bottom = (((corners[:, i] + 1) * scale - shift).view(-1, 1, 1) for i in (2, 3))
    return left, top, (right - left).clamp(min=0.1), (bottom - top).clamp(min=0.1)


def _rows(maps: Any, group: int) -> Any:
    """Rows (N * group² * H * W, output_dim) of maps (N, output_dim * group², H, W)."""
    batch, channels, height, width = maps.shape
    cells = group * group
    return maps.reshape(batch, channels // cells, cells, height, width).permute(0, 2, 3, 4, 1).flatten(0, 3)


def _first(rois: Any, pooled: int, group: int, size: int) -> Any:
    """Row (R, p, p) where the map of each bin's own channels begins."""
    part = (torch.arange(pooled, device=rois.device) * group // pooled).clamp(0, group - 1)
    cell = part.view(-1, 1) * group + part
    return (rois[:, 0].long().view(-1, 1, 1) * (group * group) + cell) * size


def _arranged(out: Any, regions: int, pooled: int) -> Any:
    return out.view(regions, pooled, pooled, -1).permute(0, 3, 1, 2).contiguous()


@operator("_contrib_PSROIPooling", shape=_pooled, description={"data": "Symbol", "rois": "Symbol"})
def PSROIPooling(data, rois, *, spatial_scale: float, output_dim: int, pooled_size: int, group_size: int = 0):
    """Averages (R, output_dim, p, p) over the bins of rois (R, 5) in data (N, output_dim * group_size², H, W).

    A roi is (image, left, top, right, bottom), rounded, times spatial_scale in pixels of data. A group_size of 0
    means pooled_size. The gradient goes to data alone.
    """
    group = group_size or pooled_size
    height, width = data.shape[2:]
    rois = rois.detach()
    left, top, wide, tall = _regions(rois, spatial_scale, 0.0)
    cell = torch.arange(pooled_size, device=data.device, dtype=rois.dtype)
    row, column = cell.view(1, -1, 1), cell.view(1, 1, -1)
    bin_height, bin_width = tall / pooled_size, wide / pooled_size
    first_row = torch.floor(row * bin_height + top).clamp(0, height).long()
    last_row = torch.ceil((row + 1) * bin_height + top).clamp(0, height).long()
    first_column = torch.floor(column * bin_width + left).clamp(0, width).long()
    last_column = torch.ceil((column + 1) * bin_width + left).clamp(0, width).long()
    # sums over rectangles from four corners of the running sums, which float64 holds exactly enough
    sums = torch.nn.functional.pad(data.double().cumsum(2).cumsum(3), (1, 0, 1, 0))
    across = width + 1
    corners = (
        last_row * across + last_column,
        first_row * across + last_column,
        last_row * across + first_column,
        first_row * across + first_column,
    )
    base = _first(rois, pooled_size, group, (height + 1) * across)
    index = torch.stack([base + c for c in corners], -1).view(-1, 4)
    area = (last_row - first_row).clamp(min=0) * (last_column - first_column).clamp(min=0)
    share = torch.where(area > 0, 1.0 / area.double(), 0.0).unsqueeze(-1)
    weight = share * torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64, device=data.device)
    out = sum_taps(_rows(sums, group).contiguous(), index, weight.view(-1, 4)).to(data.dtype)
    return _arranged(out, len(rois), pooled_size)


def _visible_trans(p: Any) -> bool:
    return not p.no_trans


@operator(
    "_contrib_DeformablePSROIPooling",
    shape=_pooled,
    outputs=("output", "top_count"),
    visible=1,
    optional={"trans": _visible_trans},
    description={"data": "Symbol", "rois": "Symbol", "trans": "Symbol"},
)
def DeformablePSROIPooling(
    data,
    rois,
    trans=None,
    *,
    spatial_scale: float,
    output_dim: int,
    group_size: int,
    pooled_size: int,
    part_size: int = 0,
    sample_per_part: int = 1,
    trans_std: float = 0.0,
    no_trans: bool = False,
):
    """PSROIPooling by bilinear samples in bins that trans (R, 2 * K, part_size, part_size) moves.

    Each bin averages sample_per_part² samples; those more than half a pixel outside do not count. The k-th pair of
    trans (x, y), times trans_std and the region's size, moves the bins of the k-th share of the output channels. A
    part_size of 0 means pooled_size. A second, hidden output holds the number of samples. Gradients go to data and
    trans.
    """
    height, width = data.shape[2:]
    rois = rois.detach()
    left, top, wide, tall = (v.unsqueeze(1) for v in _regions(rois, spatial_scale, 0.5))
    cell = torch.arange(pooled_size, device=data.device)
    x = cell.view(1, -1) * (wide / pooled_size) + left
    y = cell.view(-1, 1) * (tall / pooled_size) + top
    share = 1
    if not no_trans and trans is not None:
        share = trans.shape[1] // 2
        part = cell * (part_size or pooled_size) // pooled_size
        moves = trans[:, :, part][..., part] * trans_std
        x, y = x + moves[:, 0::2] * wide, y + moves[:, 1::2] * tall
    step = torch.arange(sample_per_part, device=data.device)
    shape = (*torch.broadcast_shapes(x.shape, y.shape), sample_per_part, sample_per_part)
    x = x[..., None, None] + step * (wide / pooled_size / sample_per_part)[..., None, None]
    y = y[..., None, None] + step.view(-1, 1) * (tall / pooled_size / sample_per_part)[..., None, None]
    index, weight = taps(x.expand(shape), y.expand(shape), height, width, reach=0.5)
    # (R, share, p, p, sy, sx): a sample counts where it is not too far outside
    with torch.no_grad():
        counted = (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
        count = counted.expand(shape).sum((-2, -1))
    weight = weight / count.clamp(min=1)[..., None, None, None]
    index = index + _first(rois, pooled_size, group_size, height * width)[:, None, :, :, None, None, None]
    regions, each = len(rois), output_dim // share
    rows = _rows(data, group_size)
    outs = [
        _arranged(
            sum_taps(
                rows[:, k * each : (k + 1) * each].contiguous(),
                index[:, k].reshape(regions * pooled_size**2, -1),
                weight[:, k].reshape(regions * pooled_size**2, -1),
            ),
            regions,
            pooled_size,
        )
        for k in range(share)
    ]
    return torch.cat(outs, 1), count.repeat_interleave(each, 1).to(data.dtype)
