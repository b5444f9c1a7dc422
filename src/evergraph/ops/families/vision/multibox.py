"""Single-shot detection: default boxes of a feature map, and detections from class scores and offsets."""

from typing import Any

from evergraph.errors import ShapeError
from evergraph.ops.families.vision.boxes import constant
from evergraph.ops.families.vision.nms import suppress
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify
from evergraph.ops.types import Floats

__all__ = ["MultiBoxDetection", "MultiBoxPrior"]


def _prior(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data = ins[0]
    if data is None:
        return ins, outs
    if len(data) < 4:
        raise ShapeError("MultiBoxPrior takes a feature map", expected="(N, C, height, width)", found=data)
    height, width = data[2:4]
    number = len(p.sizes) + len(p.ratios) - 1
    count = None if height is None or width is None else height * width * number
    return ins, [unify(outs[0], (1, count, 4))]


@operator("_contrib_MultiBoxPrior", aliases=("_npx_multibox_prior",), shape=_prior)
@constant
def MultiBoxPrior(
    data,
    *,
    sizes: Floats = (1.0,),
    ratios: Floats = (1.0,),
    clip: bool = False,
    steps: Floats = (-1.0, -1.0),
    offsets: Floats = (0.5, 0.5),
):
    """Default boxes (1, height * width * K, 4) of a feature map data (N, C, height, width), as fractions of the image.

    Each cell has a box for each size with the first ratio, then one for each further ratio with the first size:
    K = len(sizes) + len(ratios) - 1. steps and offsets are (y, x); both steps are one cell unless both are
    positive. No gradient passes.
    """
    if not sizes or not ratios or len(steps) != 2 or len(offsets) != 2:
        raise ShapeError(
            "MultiBoxPrior needs a size, a ratio, and two steps and offsets",
            found=f"sizes {sizes}, ratios {ratios}, steps {steps}, offsets {offsets}",
        )
    height, width = data.shape[2:4]
    exact = {"dtype": torch.float32, "device": data.device}  # MXNet computes them in float32 whatever the data's type
    roots = torch.tensor(ratios, **exact).sqrt()
    roots = torch.cat((roots[:1].expand(len(sizes)), roots[1:]))
    scale = torch.tensor((*sizes, *[sizes[0]] * (len(ratios) - 1)), **exact)
    half_width, half_height = scale * height / width * roots / 2, scale / roots / 2
    step_y, step_x = steps if min(steps) > 0 else (1.0 / height, 1.0 / width)
    y = (torch.arange(height, **exact) + offsets[0]) * step_y
    x = (torch.arange(width, **exact) + offsets[1]) * step_x
    y, x = y.view(-1, 1, 1), x.view(1, -1, 1)
    sides = (x - half_width, y - half_height, x + half_width, y + half_height)
    boxes = torch.stack([s.expand(height, width, len(scale)) for s in sides], -1)
    return (boxes.clamp_(0, 1) if clip else boxes).reshape(1, -1, 4).to(data.dtype)


def _detection(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    scores, offsets, anchors = ins
    if scores is None:
        return ins, outs
    if len(scores) != 3:
        raise ShapeError("MultiBoxDetection takes scores of classes", expected="(N, classes, anchors)", found=scores)
    batch, _, count = scores
    ins[1] = unify(offsets, (batch, None if count is None else 4 * count), "input loc_pred of MultiBoxDetection")
    ins[2] = unify(anchors, (1, count, 4), "input anchor of MultiBoxDetection")
    return ins, [unify(outs[0], (batch, count, 6))]


def _decode(offsets: Any, anchors: Any, variances: tuple[float, ...], clip: bool) -> Any:
    """Corners (4, N, A) from offsets (N, A, 4) and corner anchors (A, 4)."""
    left, top, right, bottom = anchors.unbind(-1)
    width, height = right - left, bottom - top
    px, py, pw, ph = offsets.unbind(-1)
    vx, vy, vw, vh = variances
    x, y = px * vx * width + (left + right) / 2, py * vy * height + (top + bottom) / 2
    half_width, half_height = torch.exp(pw * vw) * width / 2, torch.exp(ph * vh) * height / 2
    sides = torch.stack((x - half_width, y - half_height, x + half_width, y + half_height))
    return sides.clamp_(0, 1) if clip else sides


def _planes(sides: Any) -> Any:
    """Corners (4, N, A) with the area as a fifth plane; unlike elsewhere, a negative size may make it negative."""
    left, top, right, bottom = sides
    return torch.cat((sides, ((right - left) * (bottom - top)).unsqueeze(0)))


@operator("_contrib_MultiBoxDetection", aliases=("_npx_multibox_detection",), shape=_detection)
@constant
def MultiBoxDetection(
    cls_prob,
    loc_pred,
    anchor,
    *,
    clip: bool = True,
    threshold: float = 0.01,
    background_id: int = 0,
    nms_threshold: float = 0.5,
    force_suppress: bool = False,
    variances: Floats = (0.1, 0.1, 0.2, 0.2),
    nms_topk: int = -1,
):
    """Detections (N, A, 6), each (class, score, left, top, right, bottom), the best first.

    cls_prob is (N, classes, A) with class 0 as background (background_id changes nothing), loc_pred (N, A * 4),
    anchor (1, A, 4). Anchors whose best class is under the threshold do not count. Suppressed boxes keep their place
    and get class -1, as do those past nms_topk, which show what stood in their place before sorting. All else is -1.
    With nms_threshold outside (0, 1] boxes are neither sorted nor suppressed. No gradient passes.
    """
    if len(variances) != 4:
        raise ShapeError("MultiBoxDetection needs four variances", found=variances)
    batch, classes, count = cls_prob.shape
    sides = _decode(loc_pred.view(batch, count, 4), anchor[0], variances, clip)
    if classes > 1:
        score, label = cls_prob[:, 1:].max(1)
    else:
        score, label = cls_prob.new_full((batch, count), -1), torch.zeros_like(cls_prob[:, 0], dtype=torch.int64)
    valid = (score >= threshold) & (score > -1)
    rows = torch.cat((torch.stack((label.to(score.dtype), score)), sides)).permute(1, 2, 0)
    # what counts moves to the front; the rest falls on one slot too many, which is cut off
    place = torch.where(valid, valid.cumsum(1) - 1, count)
    blank = rows.new_full((batch, count + 1, 6), -1)
    packed = blank.scatter(1, place.unsqueeze(2).expand(-1, -1, 6), rows)[:, :count]
    if not 0 < nms_threshold <= 1:
        return packed.contiguous()
    kept = min(nms_topk, count) if nms_topk > 0 else count
    ids = None if force_suppress else label
    order, stays = suppress(score, valid, _planes(sides), ids, kept, nms_threshold, True, 0.0)
    best = rows.gather(1, order.unsqueeze(2).expand(-1, -1, 6))
    alive = valid.gather(1, order)
    best[..., 0].masked_fill_(~stays, -1)
    best = best.masked_fill_(~alive.unsqueeze(2), -1)
    rest = packed[:, kept:]
    rest[..., 0] = -1
    return torch.cat((best, rest), 1)
