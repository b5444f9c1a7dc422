"""Region proposals from a region proposal network's scores and offsets."""

from typing import Any

from evergraph.errors import ShapeError
from evergraph.ops.families.vision.boxes import constant
from evergraph.ops.families.vision.nms import suppress
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify
from evergraph.ops.types import Floats

__all__ = ["MultiProposal", "Proposal"]


def _shapes(each: bool) -> Any:
    """The shape rule: rois for the batch, or for each of its images."""

    def rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
        scores = ins[0]
        if scores is None:
            return ins, outs
        if len(scores) != 4:
            raise ShapeError("proposals take scores of anchors", expected="(N, 2 * anchors, h, w)", found=scores)
        batch, channels, height, width = scores
        deltas = (batch, None if channels is None else channels * 2, height, width)
        ins[1] = unify(ins[1], deltas, "input bbox_pred of a proposal operator")
        ins[2] = unify(ins[2], (batch, 3), "input im_info of a proposal operator")
        rows = p.rpn_post_nms_top_n if not each else None if batch is None else batch * p.rpn_post_nms_top_n
        return ins, [unify(outs[0], (rows, 5)), unify(outs[1], (rows, 1))]

    return rule


def _anchors(stride: int, scales: tuple[float, ...], ratios: tuple[float, ...], like: Any) -> Any:
    """Corner anchors (K, 4) around the first cell: ratios outside, scales inside."""
    one = torch.float32  # MXNet rounds each step to float32
    scale = torch.tensor(scales, dtype=one, device=like.device).repeat(len(ratios))
    ratio = torch.tensor(ratios, dtype=one, device=like.device).repeat_interleave(len(scales))
    width = torch.floor(torch.sqrt(torch.floor(stride * stride / ratio)) + 0.5) * scale
    height = torch.floor(width / scale * ratio + 0.5) * scale
    center = 0.5 * (stride - 1)
    x, y = 0.5 * (width - 1), 0.5 * (height - 1)
    return torch.stack((center - x, center - y, center + x, center + y), 1).to(like.dtype)


def _moved(anchors: Any, deltas: Any, iou_loss: bool) -> tuple[Any, Any, Any, Any]:
    """Sides (N, A) of the anchors (A, 4) moved by deltas (N, A, 4)."""
    if iou_loss:
        return tuple((anchors + deltas).unbind(-1))
    left, top, right, bottom = anchors.unbind(-1)
    width, height = right - left + 1, bottom - top + 1
    dx, dy, dw, dh = deltas.unbind(-1)
    x, y = dx * width + (left + 0.5 * (width - 1)), dy * height + (top + 0.5 * (height - 1))
    half_width, half_height = 0.5 * (torch.exp(dw) * width - 1), 0.5 * (torch.exp(dh) * height - 1)
    return x - half_width, y - half_height, x + half_width, y + half_height


def _candidates(cls_prob: Any, bbox_pred: Any, im_info: Any, p: Any) -> tuple[Any, Any]:
    """Sides (4, N, A) and scores (N, A) of all anchors: cells row by row, the anchors of a cell together."""
    batch, channels, height, width = cls_prob.shape
    number = channels // 2
    anchors = _anchors(p["feature_stride"], p["scales"], p["ratios"], cls_prob)
    if len(anchors) != number:
        raise ShapeError(
            "the scores of a proposal operator do not fit its anchors",
            expected=f"{2 * len(anchors)} channels, for {len(p['ratios'])} ratios and {len(p['scales'])} scales",
            found=f"{channels} channels",
        )
    device = cls_prob.device
    y, x = torch.arange(height, device=device), torch.arange(width, device=device)
    shift = torch.stack((x.expand(height, width), y.unsqueeze(1).expand(height, width)), 2) * p["feature_stride"]
    anchors = (anchors + shift.repeat(1, 1, 2).unsqueeze(2)).reshape(-1, 4)
    deltas = bbox_pred.view(batch, number, 4, height, width).permute(0, 3, 4, 1, 2).reshape(batch, -1, 4)
    scores = cls_prob[:, number:].permute(0, 2, 3, 1)
    tall, wide, zoom = im_info.unsqueeze(-1).unbind(1)
    least = torch.zeros_like(tall)
    left, top, right, bottom = _moved(anchors, deltas, p["iou_loss"])
    sides = [
        torch.maximum(torch.minimum(side, limit - 1), least)
        for side, limit in ((left, wide), (top, tall), (right, wide), (bottom, tall))
    ]
    # cells of the padding around an image count for nothing
    rows = torch.trunc(tall / p["feature_stride"]).view(-1, 1, 1, 1)
    columns = torch.trunc(wide / p["feature_stride"]).view(-1, 1, 1, 1)
    outside = (y.view(1, -1, 1, 1) >= rows) | (x.view(1, 1, -1, 1) >= columns)
    size = p["rpn_min_size"] * zoom
    small = (sides[2] - sides[0] + 1 < size) | (sides[3] - sides[1] + 1 < size)
    grow = torch.where(small, size / 2, 0)
    sides = torch.stack((sides[0] - grow, sides[1] - grow, sides[2] + grow, sides[3] + grow))
    return sides, scores.masked_fill(outside, -1).reshape(batch, -1).masked_fill(small, -1)


def _propose(cls_prob: Any, bbox_pred: Any, im_info: Any, p: Any) -> tuple[Any, Any]:
    sides, scores = _candidates(cls_prob, bbox_pred, im_info, p)
    batch, total = scores.shape
    count = min(p["rpn_pre_nms_top_n"], total) if p["rpn_pre_nms_top_n"] > 0 else total
    left, top, right, bottom = sides
    planes = torch.cat((sides, ((right - left + 1) * (bottom - top + 1)).unsqueeze(0)))
    order, stays = suppress(
        scores, torch.ones_like(scores, dtype=torch.bool), planes, None, count, p["threshold"], False, 1.0
    )
    wanted = p["rpn_post_nms_top_n"]
    kept = stays.sum(1, keepdim=True).clamp(max=min(wanted, count))
    # fewer boxes than wanted: they repeat from the first
    place = torch.arange(wanted, device=scores.device) % kept
    front = torch.argsort(~stays, dim=1, stable=True)
    index = order.gather(1, front.gather(1, place))
    boxes = sides.gather(2, index.expand(4, batch, wanted)).permute(1, 2, 0)
    image = torch.arange(batch, device=scores.device, dtype=boxes.dtype).view(-1, 1, 1).expand(batch, wanted, 1)
    return torch.cat((image, boxes), 2).reshape(-1, 5), scores.gather(1, index).reshape(-1, 1)


def _visible(p: Any) -> int:
    return 2 if p.output_score else 1


@operator("_contrib_Proposal", shape=_shapes(each=False), outputs=("output", "score"), visible=_visible)
@constant
def Proposal(
    cls_prob,
    bbox_pred,
    im_info,
    *,
    rpn_pre_nms_top_n: int = 6000,
    rpn_post_nms_top_n: int = 300,
    threshold: float = 0.7,
    rpn_min_size: int = 16,
    scales: Floats = (4.0, 8.0, 16.0, 32.0),
    ratios: Floats = (0.5, 1.0, 2.0),
    feature_stride: int = 16,
    output_score: bool = False,
    iou_loss: bool = False,
):
    """Regions (rpn_post_nms_top_n, 5), each (0, left, top, right, bottom) in pixels, and their scores, for one image.

    cls_prob is (1, 2 * K, h, w), background scores first, for K = len(scales) * len(ratios) anchors; bbox_pred is
    (1, 4 * K, h, w), im_info (1, 3) the image's height, width and scale. Where fewer regions stay they repeat.
    MXNet orders equal scores at random; here the first cell comes first. No gradient passes.
    """
    if len(cls_prob) != 1:
        raise ShapeError("Proposal takes one image; MultiProposal takes several", expected=1, found=len(cls_prob))
    return _propose(cls_prob, bbox_pred, im_info, locals())


@operator("_contrib_MultiProposal", shape=_shapes(each=True), outputs=("output", "score"), visible=_visible)
@constant
def MultiProposal(
    cls_prob,
    bbox_pred,
    im_info,
    *,
    rpn_pre_nms_top_n: int = 6000,
    rpn_post_nms_top_n: int = 300,
    threshold: float = 0.7,
    rpn_min_size: int = 16,
    scales: Floats = (4.0, 8.0, 16.0, 32.0),
    ratios: Floats = (0.5, 1.0, 2.0),
    feature_stride: int = 16,
    output_score: bool = False,
    iou_loss: bool = False,
):
    """Regions (N * rpn_post_nms_top_n, 5), each (image, left, top, right, bottom); otherwise as _contrib_Proposal."""
    return _propose(cls_prob, bbox_pred, im_info, locals())
