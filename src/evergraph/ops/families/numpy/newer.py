"""Operators of MXNet 2.0 that 1.9.1 has in no form: products of vectors, interpolation, filling, indexing by arrays."""

import math
from typing import Any

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.families.numpy.creation import number_for
from evergraph.ops.families.numpy.linalg import can_look
from evergraph.ops.families.numpy.promotion import aligned, promoted_dtype
from evergraph.ops.families.numpy.shape import ordered_axis
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, broadcast_shapes, elementwise, fixed_dtype, forward
from evergraph.ops.schema import Params
from evergraph.ops.types import Axes, Double, Doubles

__all__ = []


def _crossed(p: Any, a: Any, b: Any) -> Dims:
    first, second = ordered_axis(p.axisa, len(a)), ordered_axis(p.axisb, len(b))
    sizes = a[first], b[second]
    if not {*sizes} <= {2, 3}:
        raise ShapeError("a cross product is of vectors of 2 or 3 numbers", found=sizes)
    rest = broadcast_shapes([(*a[:first], *a[first + 1 :]), (*b[:second], *b[second + 1 :])]) or ()
    if sizes == (2, 2):
        return rest
    at = ordered_axis(p.axisc, len(rest) + 1)
    return (*rest[:at], 3, *rest[at:])


@operator(shape=forward(_crossed), dtype=promoted_dtype)
def _npi_cross(a, b, *, axisa: int = -1, axisb: int = -1, axisc: int = -1):
    """The cross product of vectors of 2 or 3 numbers along axes; of two vectors of 2, its third number alone.

    MXNet 1.9.1 lacks it.
    """
    a, b = aligned(a, b)
    a, b = a.movedim(axisa, -1), b.movedim(axisb, -1)
    if not {a.shape[-1], b.shape[-1]} <= {2, 3}:
        raise ShapeError("a cross product is of vectors of 2 or 3 numbers", found=(a.shape[-1], b.shape[-1]))
    if a.shape[-1] == b.shape[-1] == 2:
        return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    a, b = (torch.nn.functional.pad(v, (0, 3 - v.shape[-1])) for v in (a, b))
    return torch.linalg.cross(*torch.broadcast_tensors(a, b)).movedim(-1, axisc)


def _kron_shape(_: Any, a: Any, b: Any) -> Dims:
    rank = max(len(a), len(b))
    pairs = zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b, strict=True)
    return tuple(x * y for x, y in pairs)


@operator(shape=forward(_kron_shape), dtype=promoted_dtype)
def _npi_kron(a, b):
    """The Kronecker product: b as a block for every value of a, times it.

    MXNet 1.9.1 lacks it.
    """
    return torch.kron(*aligned(a, b))


def _interpolated(p: Any, xp: Any, fp: Any, x: Any = ()) -> Dims:
    if len(xp) != 1 or xp != fp or xp == (0,):
        raise ShapeError("interpolation needs two vectors of one length", found=f"{xp} and {fp}")
    return () if p.x_is_scalar else x


@operator(shape=forward(_interpolated), dtype=fixed_dtype("float64"), optional={"x": lambda p: not p.x_is_scalar})
def _npi_interp(
    xp,
    fp,
    x=None,
    *,
    left: Double | None = None,
    right: Double | None = None,
    period: Double | None = None,
    x_scalar: Double = 0.0,
    x_is_scalar: bool = False,
):
    """The straight lines through the points (xp, fp) at x, or at `x_scalar`, in float64; xp ascends.

    `left` and `right` are the values before and behind the points (else the outermost), `period` that of xp.
    MXNet 1.9.1 lacks it.
    """
    if x is None:
        x = torch.scalar_tensor(x_scalar, dtype=torch.float64, device=xp.device)
    x, xp, fp = x.to(torch.float64), xp.to(torch.float64), fp.to(torch.float64)
    if period is not None:
        if period == 0:
            raise OperatorError("interpolation needs a period that is not 0", found=period)
        size = abs(period)
        xp, order = torch.sort(torch.remainder(xp, size))
        x, fp = torch.remainder(x, size), fp[order]
        xp = torch.cat([xp[-1:] - size, xp, xp[:1] + size])
        fp = torch.cat([fp[-1:], fp, fp[:1]])
    last = xp.shape[0] - 1
    above = torch.searchsorted(xp.detach(), x.detach().contiguous(), right=True).clamp(1, max(last, 1)).clamp(max=last)
    below = (above - 1).clamp(min=0)
    width = xp[above] - xp[below]
    share = torch.where(width == 0, 0, (x - xp[below]) / torch.where(width == 0, 1, width))
    found = fp[below] + (fp[above] - fp[below]) * share
    if period is None:
        found = torch.where(x < xp[0], fp[0] if left is None else left, found)
        found = torch.where(x >= xp[-1], fp[-1], found)
        found = torch.where(x > xp[-1], fp[-1] if right is None else right, found)
    return found


@operator(shape=elementwise)
def _npi_fill_diagonal(a, *, val: Doubles, wrap: bool = False):
    """The array with the numbers `val`, repeated, on its main diagonal; `wrap` begins again below a tall matrix.

    MXNet 1.9.1 lacks it.
    """
    if a.dim() < 2 or (a.dim() > 2 and len({*a.shape}) != 1):
        raise ShapeError("a diagonal is filled in a matrix, or an array of equal sizes", found=tuple(a.shape))
    columns = a.shape[-1]
    step = columns + 1 if a.dim() == 2 else sum(columns**i for i in range(a.dim()))
    stop = min(columns * columns, a.numel()) if a.dim() == 2 and not wrap else a.numel()
    places = torch.arange(0, stop, step, device=a.device)
    values = torch.tensor([number_for(v, a.dtype) for v in val], dtype=a.dtype, device=a.device)
    values = values.repeat(-(-len(places) // len(val)))[: len(places)]
    return a.reshape(-1).index_copy(0, places, values).reshape(a.shape)


def _repeat_shape(p: Any, data: Any) -> Dims:
    axis = None if p.axis is None else ordered_axis(p.axis, len(data))
    size = math.prod(data) if axis is None else data[axis]
    counts = p.repeats or ()
    if len(counts) not in (1, size):
        raise ShapeError("repeats are one number, or one for each place", expected=size, found=counts)
    total = size * counts[0] if len(counts) == 1 else sum(counts)
    return (total,) if axis is None else (*data[:axis], total, *data[axis + 1 :])


@operator(shape=forward(_repeat_shape))
def _npi_repeats(data, *, repeats: Axes | None = None, axis: int | None = None):
    """Each value repeated next to itself, along an axis or in the flattened array, as often as `repeats` says for it.

    MXNet 1.9.1 lacks it.
    """
    shape = _repeat_shape(Params(repeats=repeats, axis=axis), tuple(data.shape))
    if axis is None:
        data, axis = data.reshape(-1), 0
    counts = torch.tensor(repeats, device=data.device)
    size = None if shape is None else shape[axis]
    return torch.repeat_interleave(data, counts, axis, output_size=size)


def _first_type(_: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    """The output has the type of the first input."""
    return ins, [ins[0]] * len(outs)


def _indexed(_: Any, data: Any, indices: Any) -> Dims:
    # booleans choose as many as are true, which shapes do not tell
    return None


def _positions(indices: Any) -> Any:
    if indices.is_floating_point():
        raise OperatorError("arrays are indexed by integers or booleans", found=str(indices.dtype))
    return indices if indices.dtype == torch.bool else indices.to(torch.int64)


@operator(shape=forward(_indexed), dtype=_first_type)
def _npi_advanced_indexing(data, indices):
    """The entries along the first axis that integers name, or that a boolean vector chooses.

    MXNet 1.9.1 lacks it.
    """
    places = _positions(indices)
    if places.dtype == torch.bool and places.shape != data.shape[:1]:
        raise ShapeError("a mask has another length than the first axis", expected=data.shape[0], found=places.shape[0])
    if places.dtype != torch.bool and can_look(places) and places.numel():
        least, most, size = int(places.min()), int(places.max()), data.shape[0]
        if least < -size or most >= size:
            raise ShapeError(
                "an index is outside the first axis", expected=f"-{size} to {size - 1}", found=(least, most)
            )
    return data[places]


def _gathered(_: Any, data: Any, indices: Any) -> Dims:
    if not indices or indices[0] > len(data):
        raise ShapeError("indices have a row for each axis they name", found=f"{indices} into {data}")
    return (*indices[1:], *data[indices[0] :])


@operator(shape=forward(_gathered), dtype=_first_type)
def _npi_advanced_indexing_multiple(data, indices):
    """The entries at places whose coordinates are the rows of indices, one row for each of the first axes.

    MXNet 1.9.1 lacks it.
    """
    return data[tuple(_positions(indices).unbind(0))]


def _coordinates(a: Any, ind: Any) -> tuple[Any, ...]:
    rows = _positions(ind.reshape(1, -1) if ind.dim() < 2 else ind)
    if rows.dim() != 2 or rows.shape[0] > a.dim():
        found = f"{tuple(ind.shape)} into {tuple(a.shape)}"
        raise ShapeError("indices have a row for each axis they name", found=found)
    return tuple(rows.unbind(0))


def _modified(_: Any, a: Any, ind: Any, val: Any) -> Dims:
    return a


@operator(shape=forward(_modified), dtype=_first_type)
def _npx_index_add(a, ind, val):
    """The array with values added at places: the columns of ind, with a row for each of the first axes.

    val is broadcast to what lies there; a place that is named twice gets both. MXNet 1.9.1 lacks it.
    """
    return a.index_put(_coordinates(a, ind), val.to(a.dtype), accumulate=True)


@operator(shape=forward(_modified), dtype=_first_type)
def _npx_index_update(a, ind, val):
    """The array with values put at places: the columns of ind, with a row for each of the first axes.

    val is broadcast to what lies there. MXNet 1.9.1 lacks it.
    """
    return a.index_put(_coordinates(a, ind), val.to(a.dtype))
