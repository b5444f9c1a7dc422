"""Axes of length 1 repeated: broadcast_to, broadcast_axis, broadcast_like."""

from typing import Any

from evergraph.errors import ShapeError
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, first_dtype, mapped, normalize_axes, unify
from evergraph.ops.types import Shape

__all__: list[str] = []


def _target(shape: Any, sizes: Any) -> tuple[Any, ...]:
    """The wanted shape, in which 0 keeps a size."""
    if len(shape) != len(sizes):
        raise ShapeError("broadcast_to needs a size for each axis", expected=f"{len(sizes)} sizes", found=shape)
    found = tuple(mine if size == 0 else size for size, mine in zip(shape, sizes, strict=True))
    _check(sizes, found)
    return found


def _check(sizes: Any, found: Any) -> None:
    for axis, (mine, wanted) in enumerate(zip(sizes, found, strict=True)):
        if mine not in (1, wanted, None) and wanted is not None:
            raise ShapeError(f"axis {axis} cannot be broadcast", expected="length 1", found=f"{mine}, to be {wanted}")


@operator(shape=mapped(lambda p, data: _target(p.shape, data)))
def broadcast_to(data, *, shape: Shape = ()):
    """Data repeated along axes of length 1 to a shape, in which 0 keeps a size."""
    return data.expand(_target(shape, data.shape))


@broadcast_to.quickened
def _broadcast_quickly(p: Any, recorded: bool, data: Any) -> Any:
    copied, shape = torch.expand_copy, p.shape
    return (lambda x: copied(x, shape)) if len(shape) == data.dim() and min(shape, default=0) > 0 else None


def _widened(axis: Any, size: Any, sizes: Any) -> tuple[Any, ...]:
    if len(axis) != len(size):
        raise ShapeError("broadcast_axis needs a size for each axis it names", expected=len(axis), found=len(size))
    found = list(sizes)
    for each, wanted in zip(axis, size, strict=True):
        found[normalize_axes(each, len(found))[0]] = wanted
    _check(sizes, found)
    return tuple(found)


@operator(aliases=("broadcast_axes",), shape=mapped(lambda p, data: _widened(p.axis, p.size, data)))
def broadcast_axis(data, *, axis: Shape = (), size: Shape = ()):
    """Data repeated along some axes, each of length 1, to the sizes given."""
    return data.expand(_widened(axis, size, data.shape))


def _matched(lhs: Any, rhs: Any, lhs_axes: Any, rhs_axes: Any) -> tuple[Any, ...]:
    if lhs_axes is None and rhs_axes is None:
        if len(lhs) != len(rhs):
            raise ShapeError("broadcast_like needs arrays of one rank", expected=len(lhs), found=len(rhs))
        _check(lhs, rhs)
        return tuple(rhs)
    if lhs_axes is None or rhs_axes is None or len(lhs_axes) != len(rhs_axes) or not lhs_axes:
        raise ShapeError("broadcast_like needs as many axes of lhs as of rhs", found=f"{lhs_axes} and {rhs_axes}")
    found = list(lhs)
    for mine, other in zip(lhs_axes, rhs_axes, strict=True):
        found[normalize_axes(mine, len(lhs))[0]] = rhs[normalize_axes(other, len(rhs))[0]]
    _check(lhs, found)
    return tuple(found)


def _like(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if ins[0] is None or ins[1] is None:
        return ins, outs
    return ins, [unify(outs[0], _matched(ins[0], ins[1], p.lhs_axes, p.rhs_axes), "output of broadcast_like")]


@operator(shape=_like, dtype=first_dtype)
def broadcast_like(lhs, rhs, *, lhs_axes: Shape | None = None, rhs_axes: Shape | None = None):
    """Lhs repeated along axes of length 1 to the shape of rhs, or to its sizes along some axes."""
    return lhs.expand(_matched(lhs.shape, rhs.shape, lhs_axes, rhs_axes))
