"""Single-shot detection: which default boxes are trained towards which objects."""

from typing import Any

from evergraph.errors import ShapeError
from evergraph.ops.families.vision.boxes import constant
from evergraph.ops.families.vision.matching import greedy_match
from evergraph.ops.families.vision.tracing import opaque
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify
from evergraph.ops.types import Floats

__all__ = ["MultiBoxTarget"]


_OUTPUTS = ("loc_target", "loc_mask", "cls_target")


def _shapes(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    anchor, label, scores = ins
    if label is not None and (len(label) != 3 or (label[2] is not None and label[2] < 5)):
        raise ShapeError(
            "MultiBoxTarget takes labels of (class, left, top, right, bottom)",
            expected="(N, objects, at least 5)",
            found=label,
        )
    count = anchor[1] if anchor is not None else scores[2] if scores is not None else None
    batch = label[0] if label is not None else scores[0] if scores is not None else None
    ins[0] = unify(anchor, (1, count, 4), "input anchor of MultiBoxTarget")
    ins[2] = unify(scores, (batch, None, count), "input cls_pred of MultiBoxTarget")
    size = None if count is None else 4 * count
    found = [(batch, size), (batch, size), (batch, count)]
    return ins, [unify(o, f, "output of MultiBoxTarget") for o, f in zip(outs, found, strict=True)]


def _overlaps(anchors: Any, objects: Any, work: Any) -> Any:
    """Intersection over union (L, A) of objects (L, 4) with anchors (4, A); 0 where there is none.

    `work` (3, L, A) is written over: fresh arrays for each image would cost more than the arithmetic.
    """
    inter, other, spare = work
    left, top, right, bottom = anchors
    o_left, o_top, o_right, o_bottom = objects.unsqueeze(1).unbind(2)
    torch.minimum(right, o_right, out=inter).sub_(torch.maximum(left, o_left, out=spare)).clamp_(min=0)
    torch.minimum(bottom, o_bottom, out=other).sub_(torch.maximum(top, o_top, out=spare)).clamp_(min=0)
    inter.mul_(other)
    area, o_area = (right - left) * (bottom - top), (o_right - o_left) * (o_bottom - o_top)
    union = torch.add(area, o_area, out=other).sub_(inter)
    return inter.div_(union.clamp_(min=torch.finfo(union.dtype).tiny))


def _match_shapes(anchors: Any, labels: Any, threshold: float) -> tuple[Any, Any, Any]:
    shape = (labels.shape[0], anchors.shape[0])
    flags, overlap = labels.new_empty(shape, dtype=torch.bool), labels.new_empty(shape)
    return flags, torch.empty_like(flags, dtype=torch.int64), overlap


@opaque("match_anchors(Tensor anchors, Tensor labels, float threshold) -> (Tensor, Tensor, Tensor)", _match_shapes)
def match_anchors(anchors: Any, labels: Any, threshold: float) -> tuple[Any, Any, Any]:
    """Which anchors (N, A) train towards an object, towards which, and each anchor's best overlap.

    Args:
        anchors: (A, 4) corners.
        labels: (N, L, 5 or more): class and corners; the objects of an image end at the first class -1.
        threshold: overlap above which an anchor trains without being an object's own; none does where it is not
            positive.
    """
    batch, count = len(labels), len(anchors)
    numbers = (labels[..., 0] != -1).cumprod(1).sum(1).tolist()
    positive = labels.new_zeros(batch, count, dtype=torch.bool)
    target = torch.zeros_like(positive, dtype=torch.int64)
    best = labels.new_full((batch, count), -1)
    work = labels.new_empty(3, max(numbers, default=0), count)
    planes = anchors.t().contiguous()
    for n, number in enumerate(numbers):
        if number:
            overlap = _overlaps(planes, labels[n, :number, 1:5], work[:, :number])
            torch.max(overlap, 0, out=(best[n], target[n]))
            if threshold > 0:
                positive[n] = best[n] > threshold
            own = greedy_match(overlap.unsqueeze(0), 1e-6)[0]
            matched = (own >= 0).nonzero().squeeze(1)
            positive[n, own[matched]] = True
            target[n, own[matched]] = matched
    return positive, target, best


def _offsets(anchors: Any, objects: Any, variances: tuple[float, ...]) -> Any:
    """Normalised offsets (N, A, 4) from anchors (A, 4) to objects (N, A, 4)."""
    left, top, right, bottom = anchors.unbind(-1)
    o_left, o_top, o_right, o_bottom = objects.unbind(-1)
    width, height = right - left, bottom - top
    vx, vy, vw, vh = variances
    return torch.stack(
        (
            ((o_left + o_right) * 0.5 - (left + right) * 0.5) / width / vx,
            ((o_top + o_bottom) * 0.5 - (top + bottom) * 0.5) / height / vy,
            torch.log((o_right - o_left) / width) / vw,
            torch.log((o_bottom - o_top) / height) / vh,
        ),
        -1,
    )


def _hardest(scores: Any, positive: Any, best: Any, ratio: float, under: float) -> Any:
    """Which anchors (N, A) train as background: the least sure of it, `ratio` for each positive one."""
    count = positive.shape[1]
    number = positive.sum(1, keepdim=True)
    wanted = torch.minimum((number * ratio).long(), count - number)
    free = ~positive & (best < under)
    sure = torch.softmax(scores, 1)[:, 0]
    order = torch.sort(sure.masked_fill(~free, float("inf")), dim=1, stable=True)[1]
    place = torch.empty_like(order).scatter_(1, order, torch.arange(count, device=order.device).expand_as(order))
    return free & (place < wanted)


@operator("_contrib_MultiBoxTarget", aliases=("_npx_multibox_target",), shape=_shapes, outputs=_OUTPUTS)
@constant
def MultiBoxTarget(
    anchor,
    label,
    cls_pred,
    *,
    overlap_threshold: float = 0.5,
    ignore_label: float = -1.0,
    negative_mining_ratio: float = -1.0,
    negative_mining_thresh: float = 0.5,
    minimum_negative_samples: int = 0,
    variances: Floats = (0.1, 0.1, 0.2, 0.2),
):
    """Training targets of anchors (1, A, 4): offsets (N, A * 4), their mask (N, A * 4), classes (N, A), 0 background.

    label is (N, L, 5 or more), each (class, left, top, right, bottom), ended by class -1; cls_pred is
    (N, classes, A). Each object takes the anchor that overlaps it best, then anchors train towards their best object
    where the overlap is above the threshold. All others are background, or with a positive negative_mining_ratio only
    the hardest of them, as many for each positive one, the rest getting ignore_label. An image without objects gets
    ignore_label everywhere. minimum_negative_samples changes nothing. No gradient passes.
    """
    if len(variances) != 4:
        raise ShapeError("MultiBoxTarget needs four variances", found=variances)
    anchors = anchor.reshape(-1, 4)
    positive, target, best = match_anchors(anchors, label, overlap_threshold)
    some = (label[:, :1, 0] != -1).expand_as(positive) if label.shape[1] else torch.zeros_like(positive)
    negative = ~positive
    if negative_mining_ratio > 0:
        negative = _hardest(cls_pred, positive, best, negative_mining_ratio, negative_mining_thresh)
    kind = torch.full_like(best, ignore_label).masked_fill_(negative & some, 0)
    if not label.shape[1]:
        flat = best.new_zeros(len(label), anchors.shape[0] * 4)
        return flat, flat.clone(), kind
    objects = label.gather(1, target.unsqueeze(2).expand(*target.shape, label.shape[2]))
    kind = torch.where(positive, objects[..., 0] + 1, kind)
    wanted = positive.unsqueeze(2)
    offsets = _offsets(anchors, objects[..., 1:5], variances).masked_fill_(~wanted, 0)
    mask = wanted.to(offsets.dtype).expand_as(offsets)
    return offsets.flatten(1), mask.flatten(1), kind
