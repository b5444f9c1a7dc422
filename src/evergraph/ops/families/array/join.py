"""Arrays joined, cut, repeated and turned round along axes."""

from typing import Any

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, concat, elementwise, mapped, normalize_axes, unify
from evergraph.ops.types import Axes, Positive, Shape

__all__ = ["Concat", "SliceChannel", "stack"]


@operator(aliases=("_sparse_concat", "concat"), shape=concat)
def Concat(*data, num_args: Positive, dim: int = 1):
    """Arrays joined along axis `dim`; all other sizes are equal."""
    return torch.cat(data, normalize_axes(dim, data[0].dim())[0])


@Concat.quickened
def _concat_quickly(p: Any, recorded: bool, *data: Any) -> Any:
    join, at = torch.cat, normalize_axes(p.dim, data[0].dim())[0]
    return lambda *parts: join(parts, at)


def _stacked(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    shape: Dims = None
    for each in ins:
        shape = unify(shape, each, "an array to stack")
    out = outs[0]
    if out is not None:
        at = normalize_axes(p.axis, len(out))[0]
        shape = unify(shape, (*out[:at], *out[at + 1 :]), "an array to stack")
    if shape is not None:
        at = normalize_axes(p.axis, len(shape) + 1)[0]
        out = unify(out, (*shape[:at], len(ins), *shape[at:]), "output of stack")
    return [shape] * len(ins), [out]


@operator(shape=_stacked)
def stack(*data, axis: int = 0, num_args: int):
    """Arrays of one shape joined along a new axis."""
    return torch.stack(data, axis)


@stack.quickened
def _stack_quickly(p: Any, recorded: bool, *data: Any) -> Any:
    join, at = torch.stack, p.axis
    return lambda *parts: join(parts, at)


def _channel_sizes(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    """Both ways: the parts of the whole, and the whole of a part."""
    part: Dims = None
    for each in outs:
        part = unify(part, each, "an output of SliceChannel")
    whole = ins[0]
    if part is not None:
        at = normalize_axes(p.axis, len(part) + p.squeeze_axis)[0]
        size = p.num_outputs if p.squeeze_axis else None if part[at] is None else part[at] * p.num_outputs
        whole = unify(whole, (*part[:at], size, *part[at + (not p.squeeze_axis) :]), "input of SliceChannel")
    if whole is None:
        return ins, outs
    at = normalize_axes(p.axis, len(whole))[0]
    size = whole[at]
    if (size is not None and size % p.num_outputs) or (p.squeeze_axis and size not in (p.num_outputs, None)):
        raise ShapeError(f"SliceChannel cannot cut axis {at} into {p.num_outputs} equal parts", found=whole)
    middle = () if p.squeeze_axis else (None if size is None else size // p.num_outputs,)
    found = (*whole[:at], *middle, *whole[at + 1 :])
    return [whole], [unify(o, found, "an output of SliceChannel") for o in outs]


def _numbered(p: Any) -> tuple[str, ...]:
    # numbered even when there is only one
    return tuple(f"output{i}" for i in range(p.num_outputs))


@operator(aliases=("split",), shape=_channel_sizes, outputs=_numbered)
def SliceChannel(data, *, num_outputs: int, axis: int = 1, squeeze_axis: bool = False):
    """Data cut into `num_outputs` equal parts along an axis, which `squeeze_axis` takes away if each has length 1."""
    at = normalize_axes(axis, data.dim())[0]
    size = data.shape[at]
    if size % num_outputs or (squeeze_axis and size != num_outputs):
        raise ShapeError(f"SliceChannel cannot cut axis {at} into {num_outputs} equal parts", found=tuple(data.shape))
    return data.unbind(at) if squeeze_axis else data.split(size // num_outputs, at)


def _pieces(p: Any, size: int) -> list[int]:
    """Lengths of the parts that `_split_v2` cuts an axis into."""
    if p.sections > 0:
        least, more = divmod(size, p.sections)
        return [least + (i < more) for i in range(p.sections)]
    ends = [*p.indices[1:], size]
    if any(b < a for a, b in zip(p.indices, ends, strict=True)) or p.indices[:1] < (0,):
        raise ShapeError("_split_v2's cuts do not ascend within the axis", expected=f"0 to {size}", found=p.indices)
    return [b - a for a, b in zip(p.indices, ends, strict=True)]


def _cut(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data = ins[0]
    if data is None:
        return ins, outs
    at = normalize_axes(p.axis, len(data))[0]
    size = data[at]
    lengths = [None] * len(outs) if size is None else _pieces(p, size)
    if p.squeeze_axis and any(n not in (1, None) for n in lengths):
        raise ShapeError("_split_v2 squeezes only parts of length 1", found=lengths)
    shapes = [(*data[:at], *(() if p.squeeze_axis else (n,)), *data[at + 1 :]) for n in lengths]
    return ins, [unify(o, s, "an output of _split_v2") for o, s in zip(outs, shapes, strict=True)]


@operator(
    aliases=("_npi_split",),
    shape=_cut,
    outputs=lambda p: p.sections if p.sections > 0 else len(p.indices),
)
def _split_v2(data, *, indices: Shape, axis: int = 1, squeeze_axis: bool = False, sections: int = 0):
    """Data cut along an axis into `sections` parts, or at `indices`, which name where each part begins.

    Where the axis does not divide into equal parts, the first ones are longer by one.
    """
    at = normalize_axes(axis, data.dim())[0]
    size = data.shape[at]
    least, more = divmod(size, sections) if sections > 0 else (0, 0)
    begins = [least * i + min(i, more) for i in range(sections)] if sections > 0 else list(indices)
    ends = [*begins[1:], size]
    parts = [data.narrow(at, b, e - b) for b, e in zip(begins, ends, strict=True)]
    return [part.squeeze(at) for part in parts] if squeeze_axis else parts


def _tiled(p: Any, data: Any) -> Dims:
    rank = max(len(data), len(p.reps))
    sizes = (1,) * (rank - len(data)) + tuple(data)
    reps = (1,) * (rank - len(p.reps)) + tuple(p.reps)
    return tuple(None if d is None else d * r for d, r in zip(sizes, reps, strict=True))


@operator(aliases=("_npi_tile",), shape=mapped(_tiled))
def tile(data, *, reps: Shape):
    """Data laid side by side, `reps` times along each axis (of the last axes, if there are fewer)."""
    return torch.tile(data, reps)


def _repeated(p: Any, data: Any) -> Dims:
    if p.axis is None:
        total = p.repeats
        for d in data:
            total = None if d is None or total is None else total * d
        return (total,)
    at = normalize_axes(p.axis, len(data))[0]
    return tuple((None if d is None else d * p.repeats) if i == at else d for i, d in enumerate(data))


@operator(aliases=("_np_repeat",), shape=mapped(_repeated))
def repeat(data, *, repeats: int, axis: int | None = None):
    """Each value repeated next to itself, along an axis or in the flattened array."""
    if repeats < 0:
        raise OperatorError("repeat takes no negative number", expected="repeats of 0 or more", found=repeats)
    return torch.repeat_interleave(data, repeats, axis)


@operator(aliases=("flip",), shape=elementwise)
def reverse(data, *, axis: Axes):
    """The order of values turned round along axes."""
    return torch.flip(data, axis)
