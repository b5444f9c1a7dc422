"""Parts of an array taken out, put in, and put around it."""

from typing import Any, Literal

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.families.numpy.creation import number_for
from evergraph.ops.families.numpy.linalg import can_look
from evergraph.ops.families.numpy.shape import ordered_axis
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify
from evergraph.ops.types import Double, Shapes

__all__ = []


def _span(p: Any, size: int) -> range:
    return range(*slice(p.start, p.stop, p.step).indices(size))


def _at(index: int, size: int, last: int) -> int:
    found = index + size if index < 0 else index
    if not 0 <= found <= last:
        raise ShapeError("an index is outside the axis", expected=f"{-size} to {last}", found=index)
    return found


def _laid_out(sizes: Any, axis: int | None) -> tuple[Any, int]:
    """The sizes that are edited, flattened without an axis, and the axis."""
    if axis is not None and len(sizes):
        return tuple(sizes), ordered_axis(axis, len(sizes))
    total: int | None = 1
    for d in sizes:
        total = None if d is None or total is None else total * d
    return (total,), 0


def _with_size(sizes: Any, at: int, size: int | None) -> Any:
    return (*sizes[:at], size, *sizes[at + 1 :])


def _by_number(p: Any) -> bool:
    return p.step is not None or p.int_ind is not None


def _delete_rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if ins[0] is None:
        return ins, outs
    sizes, at = _laid_out(ins[0], p.axis)
    size = sizes[at]
    left = None
    if _by_number(p) and size is not None:
        left = size - (1 if p.int_ind is not None else len(_span(p, size)))
    return ins, [unify(outs[0], _with_size(sizes, at, left), "what is left")]


@operator(shape=_delete_rule, optional={"obj": lambda p: not _by_number(p)})
def _npi_delete(
    arr,
    obj: Any = None,
    *,
    start: int | None = None,
    stop: int | None = None,
    step: int | None = None,
    int_ind: int | None = None,
    axis: int | None = None,
):
    """The array without some places along an axis (of the flattened array without one).

    They are the index `int_ind`, the slice start:stop:step (whenever `step` is given), or those in obj: booleans, or
    indices, of which those below 0 and behind the end are passed over.
    """
    if axis is None or arr.dim() == 0:
        arr, axis = arr.reshape(-1), 0
    size = arr.shape[axis]
    if obj is None:
        span = range(*slice(start, stop, step).indices(size))
        gone = [_at(int_ind, size, size - 1)] if int_ind is not None else list(span)
        dropped = torch.zeros(size, dtype=torch.int8, device=arr.device)
        dropped[gone] = 1
        # how many are left is known: a stable sort puts them in front
        return arr.index_select(axis, torch.argsort(dropped, stable=True)[: size - len(gone)])
    if obj.dtype == torch.bool:
        keep = ~obj
    else:
        index = obj.reshape(-1).to(torch.int64)
        keep = torch.ones(size, dtype=torch.bool, device=arr.device)
        # MXNet passes over what is below 0 as well, where NumPy counts from the end
        keep[index[(index >= 0) & (index < size)]] = False
    return arr.index_select(axis, keep.nonzero().squeeze(1))


def _inserted(arr: Any, values: Any, index: Any, axis: int) -> Any:
    """The array with values put before the places of a vector of indices along an axis."""
    size, count = arr.shape[axis], index.shape[0]
    shape = _with_size(arr.shape, axis, count)
    source = torch.cat([values.to(arr.dtype).expand(shape), arr], axis)
    # what is put in comes right before the place it names, in the order given
    places = torch.arange(size, device=arr.device) * 2 + 1
    return source.index_select(axis, torch.argsort(torch.cat([index * 2, places]), stable=True))


def _padded_front(values: Any, rank: int) -> Any:
    return values.reshape((1,) * (rank - values.dim()) + tuple(values.shape))


def _values(arr: Any, values: Any, val: float | None) -> Any:
    if values is None:
        if val is None:
            raise OperatorError("insert needs something to put in", expected="an array or the parameter val")
        values = torch.scalar_tensor(number_for(val, arr.dtype), dtype=arr.dtype, device=arr.device)
    return _padded_front(values, arr.dim())


def _single(arr: Any, values: Any, place: Any, axis: int, along: bool) -> Any:
    """Values put in at one place: as many slices as they have along the axis (along their first, if `along`)."""
    values = values.movedim(0, axis) if along else values
    return _inserted(arr, values, place.reshape(1).expand(values.shape[axis]), axis)


def _many(arr: Any, values: Any, index: Any, axis: int) -> Any:
    size = arr.shape[axis]
    if can_look(index) and bool(((index < -size) | (index > size)).any()):
        raise ShapeError("an index is outside the axis", expected=f"{-size} to {size}", found=index.tolist())
    index = torch.where(index < 0, index + size, index)
    if index.dim() == 0 or index.shape[0] == 1:
        return _single(arr, values, index, axis, along=index.dim() == 0)
    return _inserted(arr, values, index, axis)


def _insert_size(p: Any, values: Dims, rank: int, at: int, along: bool) -> int | None:
    """How many slices come in at one place."""
    if p.val is not None:
        return 1
    if values is None:
        return None
    padded = (1,) * (rank - len(values)) + tuple(values)
    return padded[0 if along else at]


def _insert_scalar_rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if ins[0] is None:
        return ins, outs
    sizes, at = _laid_out(ins[0], p.axis)
    more = _insert_size(p, None if p.val is not None else ins[1], len(sizes), at, along=True)
    size = None if more is None or sizes[at] is None else sizes[at] + more
    return ins, [unify(outs[0], _with_size(sizes, at, size), "an array with more in it")]


_NO_VALUE = {"values": lambda p: p.val is None}


@operator(shape=_insert_scalar_rule, optional=_NO_VALUE)
def _npi_insert_scalar(
    arr,
    values=None,
    *,
    val: Double | None = None,
    start: int | None = None,
    stop: int | None = None,
    step: int | None = None,
    int_ind: int | None = None,
    axis: int | None = None,
):
    """The array with values, or the number `val`, put before the index `int_ind` along an axis (or flattened)."""
    if axis is None or arr.dim() == 0:
        arr, axis = arr.reshape(-1), 0
    axis = ordered_axis(axis, arr.dim())
    size = arr.shape[axis]
    place = torch.tensor(_at(int_ind or 0, size, size), device=arr.device)
    return _single(arr, _values(arr, values, val), place, axis, along=True)


def _insert_slice_rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if ins[0] is None:
        return ins, outs
    sizes, at = _laid_out(ins[0], p.axis)
    size = sizes[at]
    if size is not None:
        count: int | None = len(_span(p, size))
        if count == 1:
            count = _insert_size(p, None if p.val is not None else ins[1], len(sizes), at, along=False)
        size = None if count is None else size + count
    return ins, [unify(outs[0], _with_size(sizes, at, size), "an array with more in it")]


@operator(shape=_insert_slice_rule, optional=_NO_VALUE)
def _npi_insert_slice(
    arr,
    values=None,
    *,
    val: Double | None = None,
    start: int | None = None,
    stop: int | None = None,
    step: int | None = None,
    int_ind: int | None = None,
    axis: int | None = None,
):
    """The array with values, or the number `val`, put before each index of start:stop:step along an axis."""
    if axis is None or arr.dim() == 0:
        arr, axis = arr.reshape(-1), 0
    axis = ordered_axis(axis, arr.dim())
    span = range(*slice(start, stop, step).indices(arr.shape[axis]))
    index = torch.tensor(list(span), dtype=torch.int64, device=arr.device)
    return _many(arr, _values(arr, values, val), index, axis)


def _insert_tensor_rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    values, index = (None, ins[1]) if p.val is not None else (ins[1], ins[2])
    if ins[0] is None or index is None:
        return ins, outs
    sizes, at = _laid_out(ins[0], p.axis)
    count = index[0] if index else 1
    if count == 1:
        count = _insert_size(p, values, len(sizes), at, along=not index)
    size = None if count is None or sizes[at] is None else sizes[at] + count
    return ins, [unify(outs[0], _with_size(sizes, at, size), "an array with more in it")]


@operator(shape=_insert_tensor_rule, optional=_NO_VALUE)
def _npi_insert_tensor(
    arr,
    values=None,
    obj: Any = None,
    *,
    val: Double | None = None,
    start: int | None = None,
    stop: int | None = None,
    step: int | None = None,
    int_ind: int | None = None,
    axis: int | None = None,
):
    """The array with values, or the number `val`, put before each index in obj along an axis (or flattened)."""
    if axis is None or arr.dim() == 0:
        arr, axis = arr.reshape(-1), 0
    return _many(arr, _values(arr, values, val), obj.to(torch.int64), ordered_axis(axis, arr.dim()))


def _widths(widths: Any, rank: int) -> list[tuple[int, int]]:
    if len(widths) == 1 and rank != 1:
        widths = tuple(widths) * rank
    pairs = [(w[0], w[-1]) for w in widths]
    if len(pairs) != rank or any(len(w) not in (1, 2) for w in widths) or any(n < 0 for w in pairs for n in w):
        raise ShapeError("pad takes two widths of 0 or more for each axis", expected=f"{rank} pairs", found=widths)
    return pairs


def _pad_rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if ins[0] is None:
        return ins, outs
    pairs = _widths(p.pad_width, len(ins[0]))
    found = tuple(None if d is None else d + sum(w) for d, w in zip(ins[0], pairs, strict=True))
    return ins, [unify(outs[0], found, "a padded array")]


def _mirrored(before: int, size: int, behind: int, mode: str, device: Any) -> Any:
    """The index into an axis for each place of the padded one."""
    places = torch.arange(-before, size + behind, device=device)
    if mode == "edge" or size == 1:
        return places.clamp(0, size - 1)
    period = 2 * size - (2 if mode == "reflect" else 0)
    places = torch.remainder(places, period)
    return torch.minimum(places, period - (0 if mode == "reflect" else 1) - places)


def _extended(data: Any, axis: int, before: int, behind: int, mode: str) -> Any:
    """One axis padded by an extreme value along it, or by its own values."""
    if mode in ("maximum", "minimum"):
        found = (torch.amax if mode == "maximum" else torch.amin)(data, axis, keepdim=True)
        sides = [found.expand(_with_size(data.shape, axis, n)) for n in (before, behind)]
        return torch.cat([sides[0], data, sides[1]], axis)
    return data.index_select(axis, _mirrored(before, data.shape[axis], behind, mode, data.device))


@operator(shape=_pad_rule)
def _npi_pad(
    data,
    *,
    pad_width: Shapes,
    mode: Literal["constant", "edge", "maximum", "minimum", "reflect", "symmetric"] = "constant",
    constant_value: Double = 0.0,
    reflect_type: str = "even",
):
    """The array with values put around it, `pad_width` (before, behind) for each axis: a constant, the edge, or others.

    reflect mirrors at the outermost value, symmetric behind it; maximum and minimum put what they find along the axis.
    """
    pairs = _widths(pad_width, data.dim())
    if mode == "constant":
        flat = [n for pair in reversed(pairs) for n in pair]
        return torch.constant_pad_nd(data, flat, number_for(constant_value, data.dtype))
    if reflect_type != "even":
        raise OperatorError("pad mirrors only evenly", expected="reflect_type even", found=reflect_type)
    for axis, (before, behind) in enumerate(pairs):
        if before or behind:
            if data.shape[axis] == 0:
                raise ShapeError("an axis of no values cannot be continued", found=tuple(data.shape))
            data = _extended(data, axis, before, behind, mode)
    return data.clone() if not any(n for pair in pairs for n in pair) else data
