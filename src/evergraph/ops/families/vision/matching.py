"""Greedy matching of rows with columns by score, in parallel rounds."""

from typing import Any

from evergraph.errors import ShapeError
from evergraph.ops.families.vision.boxes import constant
from evergraph.ops.families.vision.tracing import opaque
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, forward

__all__ = ["greedy_match"]


def _columns(scores: Any, above: float) -> Any:
    return scores.new_empty(scores.shape[:2], dtype=torch.int64)


@opaque("greedy_match(Tensor scores, float above) -> Tensor", _columns)
def greedy_match(scores: Any, above: float) -> Any:
    """Column matched with each row, (b, rows) int64, -1 where none, of scores (b, rows, columns).

    The highest score above the limit is matched first, then the highest of what is left; among equal scores the
    first row, and in it the first column. A pair that is best in its row and in its column will be matched whatever
    comes before it, so each round matches all such pairs at once.

    >>> import torch
    >>> greedy_match(torch.tensor([[[0.5, 0.9], [0.4, 0.8]]]), 0.0)
    tensor([[1, 0]])
    """
    batch, rows, columns = scores.shape
    matched = torch.full((batch, rows), -1, dtype=torch.int64, device=scores.device)
    if not scores.numel():
        return matched
    low = float("-inf")
    left = scores.clone()
    numbers = torch.arange(rows, device=scores.device)
    best, column = left.max(2)
    while True:
        open_rows = (matched < 0) & (best > above)
        if columns < rows:
            first = left.masked_fill(~open_rows.unsqueeze(2), low).argmax(1).gather(1, column)
        else:
            # only the columns that some row likes best can hold a mutual pair: (b, row, row that likes the column)
            rivals = left.gather(2, column.unsqueeze(1).expand(batch, rows, rows))
            first = rivals.masked_fill_(~open_rows.unsqueeze(2), low).argmax(1)
        mutual = open_rows & (first == numbers)
        if not mutual.any():
            return matched
        matched = torch.where(mutual, column, matched)
        at = mutual.nonzero()
        left[at[:, 0], :, column[mutual]] = low
        again = (open_rows & ~mutual).nonzero().unbind(1)
        lost = left[again[0], again[1], column[again]] == low
        again = (again[0][lost], again[1][lost])
        best[again], column[again] = left[again].max(1)


def _matched(_: Any, data: Any) -> list[Dims]:
    if len(data) < 2:
        raise ShapeError("bipartite_matching takes scores of rows and columns", expected="(..., N, M)", found=data)
    return [data[:-1], (*data[:-2], data[-1])]


@operator("_contrib_bipartite_matching", shape=forward(_matched), outputs=2)
@constant
def bipartite_matching(data, *, is_ascend: bool = False, threshold: float, topk: int = -1):
    """Greedy matching by scores data (..., N, M): the column of each row (..., N) and the row of each column (..., M).

    The best score is matched first, down to the threshold (the least score first, up to it, with is_ascend); -1
    stands for no match. As in MXNet a positive topk stops after topk + 1 matches. No gradient passes.
    """
    *lead, rows, columns = data.shape
    scores = data.reshape(-1, rows, columns)
    key = -scores if is_ascend else scores
    column = greedy_match(key, -threshold if is_ascend else threshold)
    if topk > 0:
        won = key.gather(2, column.clamp(min=0).unsqueeze(2)).squeeze(2).masked_fill(column < 0, float("-inf"))
        place = torch.argsort(torch.argsort(won, dim=1, descending=True, stable=True), dim=1)
        column = column.masked_fill(place > topk, -1)
    slots = torch.where(column < 0, columns, column)
    row = data.new_full((len(scores), columns + 1), -1)
    numbers = torch.arange(rows, device=data.device, dtype=data.dtype).expand(slots.shape)
    row.scatter_(1, slots, numbers)
    return column.to(data.dtype).view(*lead, rows), row[:, :columns].reshape(*lead, columns)
