"""Boxes: overlap, encoding against anchors, decoding."""

import functools
from collections.abc import Callable
from typing import Any, Literal

from evergraph.errors import ShapeError
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, forward, like, unify

__all__ = ["box_planes", "constant", "pair_overlap"]

Format = Literal["center", "corner"]


def constant(body: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a body whose results pass no gradient to its inputs."""

    @functools.wraps(body)
    def call(*inputs: Any, **parameters: Any) -> Any:
        with torch.no_grad():
            return body(*inputs, **parameters)

    return call


def box_planes(boxes: Any, format: str = "corner") -> tuple[Any, ...]:
    """Left, top, right, bottom and area, each (...), of boxes (..., 4); a box of negative size has area 0."""
    a, b, c, d = boxes.unbind(-1)
    if format == "center":
        width, height, half_width, half_height = c, d, c / 2, d / 2
        left, top, right, bottom = a - half_width, b - half_height, a + half_width, b + half_height
    else:
        left, top, right, bottom = a, b, c, d
        width, height = c - a, d - b
    area = (width * height).masked_fill((width < 0) | (height < 0), 0)
    return left, top, right, bottom, area


def pair_overlap(one: tuple[Any, ...], two: tuple[Any, ...], plus: float = 0) -> Any:
    """Intersection over union of each pair: planes (..., n) and (..., m) give (..., n, m).

    Args:
        one: left, top, right, bottom, area; see `box_planes`.
        two: the same of the other boxes.
        plus: added to each side, 1 where coordinates count pixels.
    """
    ax, ay, ar, ab, one_area = (p.unsqueeze(-1) for p in one)
    bx, by, br, bb, two_area = (p.unsqueeze(-2) for p in two)
    # in-place steps: the pairs outgrow the caches, and each saved array is a saved pass over memory
    inter = torch.minimum(ar, br).sub_(torch.maximum(ax, bx))
    height = torch.minimum(ab, bb).sub_(torch.maximum(ay, by))
    if plus:
        inter, height = inter.add_(plus), height.add_(plus)
    inter = inter.clamp_(min=0).mul_(height.clamp_(min=0))
    return inter / torch.add(one_area, two_area, out=height).sub_(inter)


def _pairs(p: Any, lhs: Any, rhs: Any) -> Dims:
    for name, shape in (("lhs", lhs), ("rhs", rhs)):
        if len(shape) < 2 or shape[-1] != 4:
            raise ShapeError(f"input {name} of box_iou holds no boxes", expected="(..., boxes, 4)", found=shape)
    return (*lhs[:-1], *rhs[:-1])


@operator("_contrib_box_iou", shape=forward(_pairs))
@constant
def box_iou(lhs, rhs, *, format: Format = "corner"):
    """Intersection over union of each box of lhs (..., 4) with each of rhs (..., 4): (*lhs[:-1], *rhs[:-1]).

    Boxes are (left, top, right, bottom), or (x, y, width, height) in center format. No gradient passes.
    """
    one, two = (box_planes(b.reshape(-1, 4), format) for b in (lhs, rhs))
    overlap = pair_overlap(one, two)
    # two empty boxes: 0 / 0 counts as no overlap
    return overlap.nan_to_num_(nan=0.0).reshape(*lhs.shape[:-1], *rhs.shape[:-1])


def _encoded(_: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    anchors = ins[2]
    return ins, [unify(o, anchors, "an encoded box") for o in outs]


@operator("_contrib_box_encode", shape=_encoded, outputs=2)
@constant
def box_encode(samples, matches, anchors, refs, means, stds):
    """Offsets (B, N, 4) that lead from anchors (B, N, 4) to their matched refs (B, M, 4), and their mask (B, N, 4).

    samples (B, N) is 1 where an anchor counts, matches (B, N) the row in refs; boxes are corners. Offsets are
    normalised by means (4) and stds (4); both outputs are 0 where samples is not above 0.5. No gradient passes.
    """
    index = matches.long().unsqueeze(-1).expand(*matches.shape, 4)
    left, top, right, bottom = refs.gather(1, index).unbind(-1)
    a_left, a_top, a_right, a_bottom = anchors.unbind(-1)
    width, height, a_width, a_height = right - left, bottom - top, a_right - a_left, a_bottom - a_top
    x, y = left + width * 0.5, top + height * 0.5
    a_x, a_y = a_left + a_width * 0.5, a_top + a_height * 0.5
    steps = ((x - a_x) / a_width, (y - a_y) / a_height, torch.log(width / a_width), torch.log(height / a_height))
    used = (samples > 0.5).unsqueeze(-1)
    targets = ((torch.stack(steps, -1) - means) / stds).masked_fill_(~used, 0)
    return targets, used.to(targets.dtype).expand_as(targets).contiguous()


@operator("_contrib_box_decode", shape=like(0))
@constant
def box_decode(
    data,
    anchors,
    *,
    std0: float = 1.0,
    std1: float = 1.0,
    std2: float = 1.0,
    std3: float = 1.0,
    clip: float = -1.0,
    format: Format = "center",
):
    """Corner boxes (B, N, 4) from offsets data (B, N, 4) and anchors (1, N, 4) of the given format.

    Log sizes are limited to `clip` where it is positive. No gradient passes.
    """
    a, b, c, d = anchors.unbind(-1)
    if format == "corner":
        c, d = c - a, d - b
        a, b = a + c * 0.5, b + d * 0.5
    dx, dy, dw, dh = data.unbind(-1)
    x, y = dx * std0 * c + a, dy * std1 * d + b
    dw, dh = dw * std2, dh * std3
    if clip > 0:
        dw, dh = dw.clamp(max=clip), dh.clamp(max=clip)
    half_width, half_height = torch.exp(dw) * c * 0.5, torch.exp(dh) * d * 0.5
    return torch.stack((x - half_width, y - half_height, x + half_width, y + half_height), -1)
