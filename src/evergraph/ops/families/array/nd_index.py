"""Values looked up and written by positions along several axes at once, and positions as numbers."""

from typing import Any

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, first_dtype, fixed_dtype, forward, mapped, normalize_axes, unify
from evergraph.ops.types import Shape

__all__ = ["places"]


def places(indices: Any) -> tuple[Any, ...]:
    """The positions (m, ...) as m int64 arrays, one for each axis."""
    return indices.to(torch.int64).unbind(0)


def _gathered(p: Any, data: Any, indices: Any) -> Dims:
    if len(indices) < 2 or indices[0] > len(data):
        raise ShapeError("gather_nd needs positions (axes, ...)", expected=f"{len(data)} axes at most", found=indices)
    return (*indices[1:], *data[indices[0] :])


@operator(aliases=("_npi_gather_nd", "_npx_gather_nd"), shape=forward(_gathered), dtype=first_dtype)
def gather_nd(data, indices):
    """The elements of data at positions indices (m, ...), whose rows count along its first m axes."""
    if indices.dim() < 2 or indices.shape[0] > data.dim():
        raise ShapeError("gather_nd needs positions (axes, ...)", found=tuple(indices.shape))
    try:
        return data[places(indices)]
    except IndexError as error:
        raise OperatorError("gather_nd was given positions outside the array", found=error) from error


def _scattered(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    return ins, [unify(outs[0], tuple(p.shape), "output of scatter_nd")]


@operator(shape=_scattered, dtype=first_dtype)
def scatter_nd(data, indices, *, shape: Shape):
    """Zeros of a shape with data at positions indices (m, ...); of values for one place, the last stays."""
    return torch.zeros(shape, dtype=data.dtype, device=data.device).index_put(places(indices), data)


def _written(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    whole = unify(unify(ins[0], outs[0]), tuple(p.shape), "the array to write to")
    return [whole, *ins[1:]], [whole]


@operator(aliases=("_npi_scatter_set_nd",), shape=_written, dtype=first_dtype)
def _scatter_set_nd(lhs, rhs, indices, *, shape: Shape):
    """A copy of lhs with rhs at positions indices (m, ...)."""
    return lhs.index_put(places(indices), rhs)


def _sizes(shape: Any, what: str) -> tuple[int, ...]:
    if not shape:
        raise OperatorError(f"{what} needs the shape that positions count in", expected="shape", found=shape)
    return tuple(shape)


@operator(aliases=("ravel_multi_index",), shape=mapped(lambda _, data: (*data[1:],)))
def _ravel_multi_index(data, *, shape: Shape = None):  # type: ignore[assignment]
    """The numbers, in an array of `shape`, of the positions data (axes, ...); the first size may be -1."""
    sizes = _sizes(shape, "_ravel_multi_index")
    if len(sizes) != data.shape[0]:
        raise ShapeError("positions have another number of axes", expected=len(sizes), found=data.shape[0])
    rows = places(data)
    number = rows[0]
    for size, row in zip(sizes[1:], rows[1:], strict=True):
        number = number * size + row
    return number.to(data.dtype)


@operator(aliases=("unravel_index",), shape=mapped(lambda p, data: (len(p.shape or ()), *data)))
def _unravel_index(data, *, shape: Shape = None):  # type: ignore[assignment]
    """The positions (axes, ...), in an array of `shape`, of the numbers data; the first size may be -1."""
    number, rows = data.to(torch.int64), []
    for size in reversed(_sizes(shape, "_unravel_index")[1:]):
        rows.append(torch.fmod(number, size))
        number = torch.div(number, size, rounding_mode="trunc")
    return torch.stack([number, *reversed(rows)]).to(data.dtype)


def _index_axes(axes: Any, rank: int) -> list[int]:
    return list(range(rank)) if axes is None else [normalize_axes(a, rank)[0] for a in axes]


@operator(
    shape=mapped(lambda p, data: (*data, len(_index_axes(p.axes, len(data))))),
    dtype=fixed_dtype("int64"),
)
def _contrib_index_array(data, *, axes: Shape | None = None):
    """For each element its own position along `axes` (or all), in a new last axis, as int64."""
    ranges = [torch.arange(d, device=data.device) for d in data.shape]
    wanted = _index_axes(axes, data.dim())
    if not wanted:
        return torch.zeros((*data.shape, 0), dtype=torch.int64, device=data.device)
    spread = [ranges[a].reshape([-1 if i == a else 1 for i in range(data.dim())]).expand(data.shape) for a in wanted]
    return torch.stack(spread, -1)


def _copied(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    whole = unify(ins[0], outs[0], "the array to copy into")
    return [whole, *ins[1:]], [whole]


@operator(shape=_copied, dtype=first_dtype)
def _contrib_index_copy(old_tensor, index_vector, new_tensor):
    """A copy of old_tensor whose elements of the first axis at index_vector are those of new_tensor."""
    return old_tensor.index_copy(0, index_vector.to(torch.int64), new_tensor)


@operator(
    aliases=("_npi_boolean_mask",),
    shape=mapped(lambda _, data: (None, *data[1:])),
    dtype=first_dtype,
)
def _contrib_boolean_mask(data, index, *, axis: int = 0):
    """The elements of the first axis for which index (n,) is not 0. The shape depends on the values."""
    if axis != 0:
        raise OperatorError("boolean_mask selects along the first axis only", expected="axis 0", found=axis)
    if index.shape != data.shape[:1]:
        raise ShapeError("boolean_mask needs a value for each element", expected=data.shape[:1], found=index.shape)
    return data.index_select(0, torch.nonzero(index).reshape(-1))
