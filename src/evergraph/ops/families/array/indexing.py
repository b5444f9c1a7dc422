"""Values looked up by position: take, pick, one_hot and their kin."""

from typing import Any, Literal

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.dtypes import torch_dtype
from evergraph.ops.families.array.create import Number
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, dtype_from, first_dtype, mapped, normalize_axes, unify
from evergraph.ops.types import Double

__all__ = ["inside", "one_hot_rows"]


def inside(index: Any, size: int, mode: str) -> Any:
    """Positions as int64 (fractions cut off), brought inside an axis: drawn to its ends, or counted round it."""
    places = index.to(torch.int64)
    if mode == "clip":
        return places.clamp(0, size - 1)
    return torch.remainder(places, size) if mode == "wrap" else places


def _taken(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data, index = ins
    if data is None or index is None:
        return ins, outs
    at = normalize_axes(p.axis, len(data))[0]
    return ins, [unify(outs[0], (*data[:at], *index, *data[at + 1 :]), "output of take")]


def _filled_axis(data: Any, at: int, index: Any) -> int:
    size = data.shape[at]
    if size == 0 and index.numel():
        raise ShapeError("an axis of no elements has nothing to take", found=tuple(data.shape))
    return size


@operator(aliases=("_npi_take",), shape=_taken, dtype=first_dtype)
def take(a, indices, *, axis: int = 0, mode: Literal["clip", "raise", "wrap"] = "clip"):
    """The elements of an axis at `indices`, whose shape takes the axis's place.

    Positions outside are drawn to the ends (clip), counted round (wrap), or refused (raise).
    """
    at = normalize_axes(axis, a.dim())[0]
    size = _filled_axis(a, at, indices)
    places = inside(indices, size, mode)
    flat = places.dim() == 1
    try:
        found = a.index_select(at, places if flat else places.reshape(-1))
    except IndexError as error:
        raise OperatorError("take was given positions outside the axis", expected=f"0 to {size - 1}") from error
    return found if flat else found.reshape((*a.shape[:at], *indices.shape, *a.shape[at + 1 :]))


@take.quickened
def _take_quickly(p: Any, recorded: bool, a: Any, indices: Any) -> Any:
    select, at = torch.index_select, normalize_axes(p.axis, a.dim())[0]
    if indices.dim() != 1 or p.mode != "clip":
        return None
    return lambda x, i: select(x, at, i.long().clamp(0, x.shape[at] - 1))


def _row_taken(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    shape = unify(ins[1], outs[0], "the positions")
    return [ins[0], shape], [shape]


@operator(shape=_row_taken, dtype=first_dtype)
def batch_take(a, indices):
    """From each row of a (n, m), the element at its position in indices, drawn inside the row."""
    places = inside(indices, a.shape[-1], "clip").reshape(-1, 1)
    return a.reshape(-1, a.shape[-1]).gather(1, places).reshape(indices.shape)


def _picked(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data, index = ins
    if data is None:
        return ins, outs
    at = _pick_axis(p.axis, len(data))
    without = (*data[:at], *data[at + 1 :])
    kept = (*data[:at], 1, *data[at + 1 :])
    if index is None:
        index = kept if p.keepdims else without or (1,)
    else:
        index = unify(index, kept if len(index) == len(data) else without, "the positions to pick")
    return [data, index], [unify(outs[0], kept if p.keepdims else without or (1,), "output of pick")]


def _pick_axis(axis: int | None, rank: int) -> int:
    if axis is None:
        raise OperatorError("pick needs an axis", expected="axis, a number", found=None)
    return normalize_axes(axis, rank)[0]


@operator(
    aliases=("_npx_pick", "choose_element_0index"),
    shape=_picked,
    dtype=first_dtype,
    retired={"lhs": "the spelling of the first input", "rhs": "the spelling of the second input"},
)
def pick(data, index, *, axis: int | None = -1, keepdims: bool = False, mode: Literal["clip", "wrap"] = "clip"):
    """From each row along an axis, the element at its position in index."""
    at = _pick_axis(axis, data.dim())
    places = inside(index, data.shape[at], mode)
    expected = (*data.shape[:at], 1, *data.shape[at + 1 :])
    if places.shape != expected:
        if tuple(places.shape) != (*expected[:at], *expected[at + 1 :]):
            raise ShapeError("pick needs one position for each row", expected=expected, found=tuple(index.shape))
        places = places.unsqueeze(at)
    found = data.gather(at, places)
    return found if keepdims or data.dim() == 1 else found.squeeze(at)


@pick.quickened
def _pick_quickly(p: Any, recorded: bool, data: Any, index: Any) -> Any:
    gather, rank = torch.gather, data.dim()
    if rank < 2 or _pick_axis(p.axis, rank) != rank - 1 or index.dim() != rank - 1 or p.mode != "clip" or p.keepdims:
        return None

    def picked(x: Any, i: Any) -> Any:
        *rows, size = x.shape
        if i.shape != (*rows,):
            raise ValueError(i.shape)
        return gather(x, -1, i.long().clamp(0, size - 1).unsqueeze(-1)).squeeze(-1)

    return picked


def one_hot_rows(index: Any, depth: int, on: float, off: float, dtype: Any) -> Any:
    """Rows of `off` with `on` at each position; a position outside leaves its row as it is."""
    hit = index.to(torch.int64).unsqueeze(-1) == torch.arange(depth, device=index.device)
    if (on, off) == (1, 0):
        return hit.to(dtype)
    if not dtype.is_floating_point:
        on, off = int(on), int(off)
    return torch.full(hit.shape, off, dtype=dtype, device=index.device).masked_fill(hit, on)


@operator(
    aliases=("_npx_one_hot",),
    shape=mapped(lambda p, data: (*data, p.depth)),
    dtype=dtype_from("dtype"),
)
def one_hot(indices, *, depth: int, on_value: Double = 1.0, off_value: Double = 0.0, dtype: Number = "float32"):
    """A new last axis of length `depth` with `on_value` at the position and `off_value` elsewhere."""
    return one_hot_rows(indices, depth, on_value, off_value, torch_dtype(dtype))


@one_hot.quickened
def _one_hot_quickly(p: Any, recorded: bool, indices: Any) -> Any:
    if (p.on_value, p.off_value) != (1, 0) or recorded:
        return None
    places, kind = torch.arange(p.depth, device=indices.device), torch_dtype(p.dtype)
    return lambda i: (i.long().unsqueeze(-1) == places).type(kind)


def _like_second(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    shape = unify(ins[1], outs[0], "the rows to write")
    return [ins[0], shape], [shape]


def _second_dtype(p: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    return ins, [ins[1]]


@operator(shape=_like_second, dtype=_second_dtype, description={"lhs": "NDArray", "rhs": "NDArray"})
def _onehot_encode(lhs, rhs):
    """Rows in the shape and type of rhs (n, depth) with 1 at the positions lhs (n,), and 0 elsewhere."""
    return one_hot_rows(lhs, rhs.shape[1], 1, 0, rhs.dtype)


def _filled_rows(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    whole = unify(ins[0], outs[0], "the rows to fill")
    rows = None if whole is None else whole[:1]
    return [whole, unify(ins[1], rows), unify(ins[2], rows)], [whole]


@operator(
    shape=_filled_rows,
    dtype=first_dtype,
    description={"lhs": "NDArray", "mhs": "NDArray", "rhs": "NDArray"},
)
def fill_element_0index(lhs, mhs, rhs):
    """A copy of lhs (n, m) in which each row has its value of mhs (n,) at its position of rhs (n,).

    A position outside leaves its row as it is.
    """
    hit = rhs.to(torch.int64).unsqueeze(1) == torch.arange(lhs.shape[1], device=lhs.device)
    return torch.where(hit, mhs.to(lhs.dtype).unsqueeze(1), lhs)
