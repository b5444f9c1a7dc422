"""Non-maximum suppression of scored boxes."""

from typing import Any

from evergraph.errors import ShapeError
from evergraph.ops.families.vision.boxes import Format, box_planes
from evergraph.ops.families.vision.nms import suppress
from evergraph.ops.gradients import with_gradient
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify

__all__ = ["box_nms"]


def _shapes(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data = ins[0] = unify(ins[0], outs[0])
    if data is None:
        return ins, outs
    if len(data) < 2:
        raise ShapeError("box_nms takes boxes as rows", expected="(..., boxes, values of a box)", found=data)
    width = data[-1]
    if width is not None:
        _check_columns(p, width)
    return ins, [data, unify(outs[1], (*data[:-1], 1))]


def _check_columns(p: Any, width: int) -> None:
    least = 6 if p.id_index > 0 else 5
    sides = range(p.coord_start, p.coord_start + 4)
    columns = {"score_index": p.score_index} | ({"id_index": p.id_index} if p.id_index >= 0 else {})
    wrong = [f"{name} {c} is no column" for name, c in columns.items() if not 0 <= c < width]
    wrong += [f"{name} {c} is one of the coordinates" for name, c in columns.items() if c in sides]
    if p.coord_start < 0 or p.coord_start + 4 > width:
        wrong.append(f"the coordinates would be columns {sides[0]} to {sides[-1]}")
    if p.id_index == p.score_index:
        wrong.append(f"id_index and score_index are both {p.id_index}")
    if wrong or width < least:
        raise ShapeError(
            "rows of box_nms do not hold what the parameters say",
            expected=f"rows of at least {least} values",
            found=f"rows of {width}",
            details=wrong,
        )


def _select(boxes: Any, p: Any) -> tuple[Any, Any]:
    """Row numbers (b, k) of the candidates of boxes (b, n, w), best first, and which of them stay."""
    score = boxes[..., p["score_index"]]
    valid = score > p["valid_thresh"]
    ids = boxes[..., p["id_index"]] if p["id_index"] >= 0 else None
    if ids is not None:
        valid = valid & (ids != p["background_id"])  # -1 too: the rows that an earlier suppression emptied
    planes = torch.stack(box_planes(boxes[..., p["coord_start"] : p["coord_start"] + 4], p["in_format"]))
    count = boxes.shape[1] if p["topk"] < 0 else min(boxes.shape[1], p["topk"])
    separate = ids.int().long() if ids is not None and not p["force_suppress"] else None
    return suppress(score, valid, planes, separate, count, p["overlap_thresh"], False, 0.0)


def _record(boxes: Any, p: Any) -> Any:
    """Row number (b, n) of the box that each output row shows, -1 where it shows none."""
    rows, size, _ = boxes.shape
    if p["topk"] == 0:
        return torch.arange(size, device=boxes.device).expand(rows, size)
    order, stays = _select(boxes, p)
    # kept boxes move to the front in their order; the rest falls on one slot too many, which is cut off
    place = torch.where(stays, stays.cumsum(1) - 1, size)
    return torch.full((rows, size + 1), -1, device=boxes.device).scatter_(1, place, order)[:, :size]


def _convert(out: Any, start: int, format: str) -> Any:
    """Boxes in the other format. As in MXNet, rows whose first coordinate is negative stay as they are."""
    a, b, c, d = out[..., start : start + 4].unbind(-1)
    if format == "center":
        sides = ((a + c) / 2, (b + d) / 2, c - a, d - b)
    else:
        sides = (a - c / 2, b - d / 2, a + c / 2, b + d / 2)
    sides = torch.where((a < 0).unsqueeze(-1), out[..., start : start + 4], torch.stack(sides, -1))
    return torch.cat((out[..., :start], sides, out[..., start + 4 :]), -1)


def _straight_through(saved: Any, grad: Any, _: Any) -> Any:
    """The gradient of an output row goes to the input row that it shows, past the conversion of formats."""
    data, record = saved.args[0], saved.args[1]
    width = data.shape[-1]
    shown = (record >= 0).unsqueeze(-1)
    index = record.clamp(min=0).unsqueeze(-1).expand(*record.shape, width)
    values = torch.where(shown, grad.reshape(*record.shape, width), 0)
    return torch.zeros_like(values).scatter_add_(1, index, values).view_as(data), None


@with_gradient(_straight_through)
def _show(data: Any, record: Any, start: int, format: str | None) -> tuple[Any, Any]:
    rows, size = record.shape
    width = data.shape[-1]
    index = record.clamp(min=0).unsqueeze(-1).expand(rows, size, width)
    out = data.reshape(rows, size, width).gather(1, index).masked_fill((record < 0).unsqueeze(-1), -1)
    if format is not None:
        out = _convert(out, start, format)
    offset = torch.arange(rows, device=data.device).unsqueeze(1) * size
    numbers = torch.where(record < 0, -1, record + offset).to(data.dtype)
    return out.view(data.shape), numbers.view(*data.shape[:-1], 1)


@operator(
    "_contrib_box_nms",
    aliases=("_contrib_box_non_maximum_suppression",),
    shape=_shapes,
    outputs=2,
    visible=1,
)
def box_nms(
    data,
    *,
    overlap_thresh: float = 0.5,
    valid_thresh: float = 0.0,
    topk: int = -1,
    coord_start: int = 2,
    score_index: int = 1,
    id_index: int = -1,
    background_id: int = -1,
    force_suppress: bool = False,
    in_format: Format = "corner",
    out_format: Format = "corner",
):
    """Rows of data (..., N, K), best score first, without those that overlap a better one; -1 fills the rest.

    A row holds a score, four coordinates and perhaps a class id, in the columns that the parameters name. Rows whose
    score is not above valid_thresh go, as do those of class background_id; of the rest topk take part. A box removes
    later boxes of its class (of any, with force_suppress) whose overlap is above overlap_thresh. The gradient of a
    row goes to the row it came from, as if both formats were the same. A second, hidden output numbers those rows.
    """
    p = locals()
    with torch.no_grad():
        record = _record(data.detach().reshape(-1, *data.shape[-2:]), p)
    return _show(data, record, coord_start, None if in_format == out_format or topk == 0 else out_format)
