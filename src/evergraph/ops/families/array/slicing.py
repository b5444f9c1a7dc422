"""Parts of an array by position: slice, slice_axis, slice_like, and assignment to parts."""

from typing import Any

from evergraph.errors import ShapeError
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, first_dtype, mapped, normalize_axes, unify
from evergraph.ops.types import Double, Shape

__all__ = ["bounds", "part"]


def _range(begin: int | None, end: int | None, step: int, size: int) -> range:
    return range(*slice(begin, end, step).indices(size))


def _checked(begin: Any, end: Any, step: Any, rank: int) -> tuple[Any, ...]:
    """The steps, one for each axis that is cut."""
    if not len(begin) == len(end) == len(step or begin) or len(begin) > rank:
        raise ShapeError(
            "begin, end and step must have one length, of the array's rank at most",
            expected=f"up to {rank} axes",
            found=f"{begin}, {end}, {step}",
        )
    steps = tuple(1 if s is None else s for s in step) if step else (1,) * len(begin)
    if 0 in steps:
        raise ShapeError("a slice cannot have step 0", found=step)
    return steps


def bounds(begin: Any, end: Any, step: Any, sizes: Any) -> list[range]:
    """The positions that a slice takes of each axis that it names; bounds outside the array are drawn in.

    >>> bounds((None, 5), (-1, 0), (1, -2), (4, 5))
    [range(0, 3), range(4, 0, -2)]
    """
    steps = _checked(begin, end, step, len(sizes))
    return [_range(b, e, s, d) for b, e, s, d in zip(begin, end, steps, sizes, strict=False)]


def part(data: Any, begin: Any, end: Any, step: Any) -> tuple[Any, list[int]]:
    """The part of an array that a slice takes, and the axes along which it has yet to be turned round.

    torch has no negative steps: such an axis is cut with the opposite step.
    """
    index, turned = [], []
    for axis, (b, e, s) in enumerate(zip(begin, end, _checked(begin, end, step, data.dim()), strict=True)):
        if s > 0:
            index.append(slice(b, e, s))
            continue
        turned.append(axis)
        if b is None and e is None and s == -1:  # without the size, which may be symbolic
            index.append(slice(None))
        else:
            places = _range(b, e, s, data.shape[axis])[::-1]
            index.append(slice(places.start, max(places.stop, places.start), places.step))
    return data[tuple(index)], turned


def _sliced(p: Any, data: Any) -> Dims:
    steps = _checked(p.begin, p.end, p.step, len(data))
    found = list(data)
    for axis, (b, e, s) in enumerate(zip(p.begin, p.end, steps, strict=True)):
        size = data[axis]
        if size is not None:
            found[axis] = len(_range(b, e, s, size))
        elif not (b in (None, 0) and e is None and abs(s) == 1):
            found[axis] = None
    return tuple(found)


def _unsliced(p: Any, out: Any) -> Dims:
    """Axes that are taken whole have the output's sizes."""
    steps = _checked(p.begin, p.end, p.step, len(out))
    found = list(out)
    for axis, (b, e, s) in enumerate(zip(p.begin, p.end, steps, strict=True)):
        if not (b is None and e is None and abs(s) == 1):
            found[axis] = None
    return tuple(found)


@operator("slice", aliases=("_npi_slice", "_npx_slice", "_sparse_slice", "crop"), shape=mapped(_sliced, _unsliced))
def slice_(data, *, begin: Shape, end: Shape, step: Shape = ()):
    """A part of data: from begin to before end by step, for the first axes; None stands for the axis's own end."""
    found, turned = part(data, begin, end, step)
    return found.flip(turned) if turned else found


@slice_.quickened
def _slice_quickly(p: Any, recorded: bool, data: Any) -> Any:
    steps = _checked(p.begin, p.end, p.step, data.dim())
    index = tuple(slice(b, e, s) for b, e, s in zip(p.begin, p.end, steps, strict=True))
    ordered = torch.contiguous_format
    return None if min(steps, default=1) < 0 else lambda x: x[index].clone(memory_format=ordered)


def _one(begin: int, end: int | None, size: int) -> tuple[int, int]:
    if size == 0:
        return 0, 0
    first = begin + size if begin < 0 else begin
    last = size if end is None else end + size if end < 0 else end
    if not 0 <= first < last <= size:
        raise ShapeError("slice_axis takes nothing, or more than there is", expected=f"0 to {size}", found=(begin, end))
    return first, last


def _axis_sliced(p: Any, data: Any) -> Dims:
    at = normalize_axes(p.axis, len(data))[0]
    size = data[at]
    if size is None:
        # both ends counted from one side: their distance tells the size
        fixed = p.end is not None and (p.begin < 0) == (p.end < 0)
        length = p.end - p.begin if fixed else -p.begin if p.end is None and p.begin < 0 else None
    else:
        first, last = _one(p.begin, p.end, size)
        length = last - first
    return (*data[:at], length, *data[at + 1 :])


def _axis_unsliced(p: Any, out: Any) -> Dims:
    at = normalize_axes(p.axis, len(out))[0]
    return (*out[:at], None, *out[at + 1 :])


@operator(shape=mapped(_axis_sliced, _axis_unsliced))
def slice_axis(data, *, axis: int, begin: int, end: int | None):
    """The part of data from begin to before end along one axis; negative numbers count from the axis's end."""
    at = normalize_axes(axis, data.dim())[0]
    first, last = _one(begin, end, data.size(at))
    return data.narrow(at, first, last - first)


@slice_axis.quickened
def _slice_axis_quickly(p: Any, recorded: bool, data: Any) -> Any:
    copied, at, begin, end = torch.slice_copy, normalize_axes(p.axis, data.dim())[0], p.begin, p.end

    def cut(x: Any) -> Any:
        first, last = _one(begin, end, x.shape[at])
        return copied(x, at, first, last)

    return cut


def _like(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data, other = ins
    if data is None or other is None:
        return ins, outs
    found = list(data)
    for axis in normalize_axes(p.axes or None, len(data)):
        if axis >= len(other):
            raise ShapeError("slice_like needs an array of the same axes", expected=data, found=other)
        mine, size = data[axis], other[axis]
        if mine is not None and size is not None and size > mine:
            raise ShapeError("slice_like cannot take more than there is", expected=f"{mine} at most", found=size)
        found[axis] = size
    return ins, [unify(outs[0], tuple(found), "output of slice_like")]


@operator(shape=_like, dtype=first_dtype)
def slice_like(data, shape_like, *, axes: Shape = ()):
    """The beginning of data, as long as shape_like along `axes`, or along all of them."""
    for axis in normalize_axes(axes or None, data.dim()):
        size = shape_like.shape[axis]
        if size > data.shape[axis]:
            raise ShapeError("slice_like cannot take more than there is", expected=data.shape[axis], found=size)
        data = data.narrow(axis, 0, size)
    return data


@slice_like.quickened
def _begin_quickly(p: Any, recorded: bool, data: Any, shape_like: Any) -> Any:
    if recorded:
        return None
    copied, axes = torch.as_strided_copy, normalize_axes(p.axes or None, data.dim())

    def cut(x: Any, like: Any) -> Any:
        sizes, wanted = list(x.shape), like.shape
        for axis in axes:
            if wanted[axis] > sizes[axis]:
                raise ValueError(wanted)  # said better by the long way
            sizes[axis] = wanted[axis]
        return copied(x, sizes, x.stride())

    return cut


def _assigned(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    whole = unify(ins[0], outs[0], "an assigned array")
    if whole is not None and len(ins) > 1:
        ins[1] = unify(ins[1], _sliced(p, whole), "the values to assign")
    return [whole, *ins[1:]], [whole]


@operator(aliases=("_crop_assign", "_npi_slice_assign"), shape=_assigned)
def _slice_assign(lhs, rhs, *, begin: Shape, end: Shape, step: Shape = ()):
    """A copy of lhs whose part from begin to end by step is rhs."""
    whole = lhs.clone()
    place, turned = part(whole, begin, end, step)
    if place.shape != rhs.shape:
        raise ShapeError("the values do not fill the part", expected=tuple(place.shape), found=tuple(rhs.shape))
    place.copy_(rhs.flip(turned) if turned else rhs)
    return whole


@operator(aliases=("_crop_assign_scalar", "_npi_slice_assign_scalar"), shape=_assigned)
def _slice_assign_scalar(data, *, scalar: Double = 0.0, begin: Shape, end: Shape, step: Shape = ()):
    """A copy of data whose part from begin to end by step is `scalar`."""
    whole = data.clone()
    place, _ = part(whole, begin, end, step)
    place.fill_(scalar)
    return whole
