"""Greedy non-maximum suppression without a loop over boxes, shared by the operators that need one."""

import math
from typing import Any

from evergraph.ops.families.vision.tracing import opaque
from evergraph.ops.lazy import torch

__all__ = ["greedy_keep", "stable_top", "suppress"]

_BLOCK = 128  # suppressors settled at once: measured best of 64 to 512 on 8,732 SSD boxes
_PAIRS = 1 << 18  # pairs compared at once: a few MB, so that the passes over them stay in the caches
_GROUPED = 1 << 17  # boxes padded side by side in one chunk of groups


def stable_top(scores: Any, count: int) -> Any:
    """Positions (B, count) of the highest of scores (B, N), descending; equal ones in their order.

    >>> import torch
    >>> stable_top(torch.tensor([[1.0, 3.0, 3.0]]), 2)
    tensor([[1, 2]])
    """
    rows, size = scores.shape
    if count * 8 > size or size < 4096:
        return torch.sort(scores, dim=1, descending=True, stable=True)[1][:, :count]
    # a full sort of 800,000 scores costs ten times this: pick what reaches the last place, sort only that
    last = torch.topk(scores, count, sorted=True)[0][:, -1:]
    reached = scores >= last
    picked = []
    for row in range(rows):
        index = reached[row].nonzero().squeeze(1)
        picked.append(index[torch.sort(scores[row, index], descending=True, stable=True)[1][:count]])
    return torch.stack(picked) if picked else torch.zeros(0, count, dtype=torch.int64, device=scores.device)


def _suppress_shapes(scores: Any, valid: Any, planes: Any, ids: Any, count: int, *_: Any) -> Any:
    order = scores.new_empty(scores.shape[0], count, dtype=torch.int64)
    return order, torch.empty_like(order, dtype=torch.bool)


@opaque(
    "suppress(Tensor scores, Tensor valid, Tensor planes, Tensor? ids, int count, float threshold, bool inclusive,"
    " float plus) -> (Tensor, Tensor)",
    _suppress_shapes,
)
def suppress(
    scores: Any, valid: Any, planes: Any, ids: Any, count: int, threshold: float, inclusive: bool, plus: float
) -> tuple[Any, Any]:
    """Best boxes of each image and which of them stay: positions (b, count), best first, and bool (b, count).

    Args:
        scores: (b, n); equal ones keep their order.
        valid: (b, n) bool; what is not valid comes last and never stays.
        planes: (5, b, n) left, top, right, bottom and area of each box.
        ids: (b, n) integers, or None; where given, a box removes only boxes of its own id.
        count: candidates of each image, at most n.
        threshold: overlap above which the later of two boxes goes.
        inclusive: whether an overlap equal to the threshold is enough.
        plus: added to each side of an intersection, 1 where coordinates count pixels.
    """
    rows = scores.shape[0]
    order = stable_top(scores.masked_fill(~valid, -math.inf), count)
    alive = valid.gather(1, order)
    stays = torch.zeros_like(alive)
    if not alive.any():
        return order, stays
    group = torch.arange(rows, device=scores.device).unsqueeze(1).expand(rows, count)
    if ids is not None:
        ids = ids.gather(1, order)
        least, most = ids.aminmax()
        group = group * (most - least + 1) + (ids - least)
    chosen = alive.flatten().nonzero().squeeze(1)
    group = group.flatten()[chosen]
    if ids is not None:
        group, perm = torch.sort(group, stable=True)
        chosen = chosen[perm]
    picked = planes.gather(2, order.expand(5, rows, count)).flatten(1)[:, chosen]
    stays.view(-1)[chosen] = greedy_keep(picked, group, threshold, inclusive, plus)
    return order, stays


def greedy_keep(planes: Any, group: Any, threshold: float, inclusive: bool, plus: float) -> Any:
    """Which of n boxes stay: (n,) bool. Each box that stays removes the later ones of its group that overlap it.

    Args:
        planes: (5, n) left, top, right, bottom, area; boxes of a group stand together, the best first.
        group: (n,) int64, ascending: the image, or image and class, of each box.
        threshold: overlap above which the later box goes.
        inclusive: whether an overlap equal to the threshold is enough.
        plus: added to each side of an intersection.
    """
    keep = torch.ones_like(group, dtype=torch.bool)
    if not len(group):
        return keep
    rule = _Rule(planes, threshold, inclusive, plus)
    # a box without a finite size overlaps nothing: an infinite area and finite sides say so in the arithmetic below
    endless = ~planes[4].isfinite()
    planes = torch.where(endless, planes.new_tensor([[0], [0], [0], [0], [math.inf]]), planes)
    sizes = torch.unique_consecutive(group, return_counts=True)[1]
    starts = sizes.cumsum(0) - sizes
    order = torch.argsort(sizes, descending=True)
    sizes, starts = sizes[order], starts[order]
    widths, first = sizes.tolist(), 0
    while first < len(widths):
        # groups of like size side by side: padding them to the largest at most doubles the work
        last, width = first, widths[first]
        while last < len(widths) and widths[last] * 2 > width and (last - first) * width < _GROUPED:
            last += 1
        slots = torch.arange(width, device=group.device)
        real = slots < sizes[first:last, None]
        index = torch.where(real, starts[first:last, None] + slots, 0)
        chunk = planes[:, index]
        chunk[4].masked_fill_(~real, math.inf)
        keep[index[real]] = _keep_padded(chunk, real, rule)[real]
        first = last
    return keep


class _Rule:
    """When one box removes another, with the arrays in which pairs are compared."""

    def __init__(self, planes: Any, threshold: float, inclusive: bool, plus: float) -> None:
        self.threshold, self.inclusive, self.plus = threshold, inclusive, plus
        # reused for every comparison: fresh arrays of this size cost more in page faults than the arithmetic
        self._work = planes.new_empty(3, _PAIRS)
        kind = torch.finfo(planes.dtype)
        self._least = kind.tiny if kind.bits > 16 else kind.tiny * kind.eps

    def overlap(self, one: Any, two: Any) -> Any:
        """Intersection over union (g, k, r) of planes (5, g, k) and (5, g, r); valid until the next call."""
        ax, ay, ar, ab, one_area = one.unsqueeze(3).unbind()
        bx, by, br, bb, two_area = two.unsqueeze(2).unbind()
        shape = (*one.shape[1:], two.shape[2])
        first, second, third = (w[: math.prod(shape)].view(shape) for w in self._work)
        torch.minimum(ar, br, out=first).sub_(torch.maximum(ax, bx, out=third))
        torch.minimum(ab, bb, out=second).sub_(torch.maximum(ay, by, out=third))
        if self.plus:
            first.add_(self.plus)
            second.add_(self.plus)
        first.clamp_(min=0).mul_(second.clamp_(min=0))
        # two empty boxes: 0 / 0 counts as no overlap
        return first.div_(torch.add(one_area, two_area, out=second).sub_(first).clamp_(min=self._least))

    def exceeds(self, overlap: Any) -> Any:
        """Where overlaps are enough: written over them as 1 and 0."""
        return overlap.ge_(self.threshold) if self.inclusive else overlap.gt_(self.threshold)


def _keep_padded(planes: Any, real: Any, rule: _Rule) -> Any:
    """Which boxes stay, (g, m), of planes (5, g, m); unused slots, at each end, have an infinite area."""
    keep = torch.zeros_like(real)
    slots = torch.arange(real.shape[1], device=real.device).expand(real.shape)
    while True:
        block, planes = planes[:, :, :_BLOCK], planes[:, :, _BLOCK:]
        stays = _settle(block, real[:, :_BLOCK], rule)
        keep.scatter_(1, slots[:, :_BLOCK], stays)
        slots, real = slots[:, _BLOCK:], real[:, _BLOCK:]
        if slots.shape[1]:
            order, suppressors = _front(stays)
            by = block.gather(2, order.expand(5, *order.shape))
            by[4].masked_fill_(~suppressors, math.inf)
            order, real = _front(real & ~_removed(by, planes, rule))
            planes, slots = planes.gather(2, order.expand(5, *order.shape)), slots.gather(1, order)
            planes[4].masked_fill_(~real, math.inf)
        if not slots.shape[1]:
            return keep


def _front(wanted: Any) -> tuple[Any, Any]:
    """Positions (g, w) that move what is wanted to the front of each row, and which of them are wanted."""
    number = wanted.sum(1, keepdim=True)
    width = int(number.max())
    order = torch.argsort(~wanted, dim=1, stable=True)[:, :width]
    return order, torch.arange(width, device=wanted.device) < number


def _settle(block: Any, real: Any, rule: _Rule) -> Any:
    """Which boxes (g, t) of a block stay: those that no earlier box that stays overlaps.

    Starting from all, each round settles at least one more box from the front, so the fixed point is the greedy
    answer; on real boxes it takes a handful of rounds.
    """
    _, groups, width = block.shape
    step = max(1, _PAIRS // (width * width))
    found = []
    for g in range(0, groups, step):
        part, valid = block[:, g : g + step], real[g : g + step]
        over = rule.exceeds(rule.overlap(part, part)).triu_(1)
        stays = valid
        while True:
            removed = torch.bmm(stays.to(over.dtype).unsqueeze(1), over).squeeze(1) > 0
            after = valid & ~removed
            if torch.equal(after, stays):
                break
            stays = after
        found.append(stays)
    return torch.cat(found)


def _removed(by: Any, planes: Any, rule: _Rule) -> Any:
    """Which boxes (g, r) of planes (5, g, r) overlap one of the boxes `by` (5, g, k)."""
    _, groups, width = planes.shape
    gone = planes.new_empty(groups, width)
    count = by.shape[2]
    step = max(1, _PAIRS // (count * width))
    across = min(width, _PAIRS // count)
    for g in range(0, groups, step):
        for w in range(0, width, across):
            overlap = rule.overlap(by[:, g : g + step], planes[:, g : g + step, w : w + across])
            torch.amax(overlap, 1, out=gone[g : g + step, w : w + across])
    return rule.exceeds(gone) > 0
