"""Values put in order: sort, argsort, topk. Equal values keep their order, as MXNet's short rows do."""

import math
from typing import Any, Literal

import numpy as np

from evergraph.errors import ShapeError
from evergraph.ops.dtypes import torch_dtype
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, dtype_from, elementwise, known, normalize_axes, same_dtype, unify

__all__: list[str] = []

# up to so many values, sorting all takes less time than keys that tell equal ones apart, and NumPy less than torch
_FEW, _FEWEST = 2048, 256

Index = Literal["float16", "float32", "float64", "int32", "int64", "uint8"]


def _flat_size(shape: Any) -> int | None:
    return math.prod(shape) if known(shape) else None


def _ordered(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    shape = ins[0]
    if p.axis is None:
        found = None if shape is None else (_flat_size(shape),)
        return ins, [unify(o, found, "an ordered output") for o in outs]
    if shape is not None:
        normalize_axes(p.axis, len(shape))
    return elementwise(p, ins, outs)


def _sorted_dtypes(p: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    ins, found = same_dtype(p, ins, outs[:1])
    return ins, [*found, "int32"]


def _along(data: Any, axis: int | None) -> tuple[Any, int]:
    if axis is None:
        return data.reshape(-1), 0
    if data.dim() == 0:
        raise ShapeError("a 0-d array has no axis to order", fix="give axis None")
    return data, normalize_axes(axis, data.dim())[0]


@operator(aliases=("_npi_sort",), shape=_ordered, outputs=2, visible=1, dtype=_sorted_dtypes)
def sort(data, *, axis: int | None = -1, is_ascend: bool = True):
    """Values in ascending or descending order along an axis, or of the flattened array."""
    values, at = _along(data, axis)
    return torch.sort(values, dim=at, descending=not is_ascend, stable=True).values


@sort.quickened
def _sort_quickly(p: Any, recorded: bool, data: Any) -> Any:
    if p.axis is None or not data.dim():
        return None
    order, at, descending = torch.sort, p.axis, not p.is_ascend
    return lambda x: order(x, stable=True, dim=at, descending=descending)[0]


@operator(aliases=("_npi_argsort",), shape=_ordered, dtype=dtype_from("dtype"))
def argsort(data, *, axis: int | None = -1, is_ascend: bool = True, dtype: Index = "float32"):
    """Positions that put values in order along an axis, or of the flattened array."""
    values, at = _along(data.detach(), axis)
    return torch.sort(values, dim=at, descending=not is_ascend, stable=True).indices.to(torch_dtype(dtype))


@argsort.quickened
def _argsort_quickly(p: Any, recorded: bool, data: Any) -> Any:
    if p.axis is None or not data.dim() or recorded:
        return None
    order, at, descending, kind = torch.sort, p.axis, not p.is_ascend, torch_dtype(p.dtype)
    return lambda x: order(x, stable=True, dim=at, descending=descending)[1].type(kind)


def _count(k: int, size: int) -> int:
    if k > size:
        raise ShapeError("topk asks for more than the axis has", expected=f"{size} at most", found=k)
    return k if k > 0 else size


def _topk_shapes(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    shape = ins[0]
    if p.ret_typ == "mask":
        return elementwise(p, ins, outs)
    if shape is None:
        return ins, outs
    if p.axis is None:
        size = _flat_size(shape)
        found: Dims = (p.k if size is None and p.k > 0 else None if size is None else _count(p.k, size),)
    else:
        at = normalize_axes(p.axis, len(shape))[0]
        size = shape[at]
        count = (p.k if p.k > 0 else None) if size is None else _count(p.k, size)
        found = (*shape[:at], count, *shape[at + 1 :])
    return ins, [unify(o, found, "an output of topk") for o in outs]


def _topk_dtypes(p: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    return ins, [p.dtype] if p.ret_typ == "indices" else [ins[0]] if p.ret_typ == "mask" else [ins[0], p.dtype]


def _keys(data: Any, at: int, ascending: bool) -> Any:
    """Whole numbers that are in the order of the values, and of equal values in that of their positions."""
    if data.is_floating_point():
        # a float's bits are in its order, but for the sign; adding 0 makes -0 equal to 0
        bits = (data.to(torch.float32) + 0.0).view(torch.int32)
        order = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).to(torch.int64)
    else:
        order = data.to(torch.int64)
    size = data.shape[at]
    places = torch.arange(size - 1, -1, -1, device=data.device).reshape([-1] + [1] * (data.dim() - at - 1))
    return ((~order if ascending else order) << 32) | places


def _leading(data: Any, at: int, count: int, ascending: bool) -> tuple[Any, Any]:
    """The first values in order and their positions; of equal values, the first."""
    if count == 1 and data.numel():
        found = (torch.min if ascending else torch.max)(data, at, keepdim=True)
    elif 4 * count <= data.shape[at] and data.element_size() <= 4:
        # torch's own choice among equal values is arbitrary; on unique keys it is ours, and 3 to 8 times as fast as
        # sorting the whole rows
        places = torch.topk(_keys(data.detach(), at, ascending), count, at).indices
        return data.gather(at, places), places
    else:
        found = torch.sort(data, dim=at, descending=not ascending, stable=True)
    return found.values.narrow(at, 0, count), found.indices.narrow(at, 0, count)


@operator(
    aliases=("_npx_topk",),
    shape=_topk_shapes,
    dtype=_topk_dtypes,
    outputs=lambda p: 2 if p.ret_typ in ("value", "both") else 1,
    visible=lambda p: 2 if p.ret_typ == "both" else 1,
)
def topk(
    data,
    *,
    axis: int | None = -1,
    k: int = 1,
    ret_typ: Literal["both", "indices", "mask", "value"] = "indices",
    is_ascend: bool = False,
    dtype: Index = "float32",
):
    """The k greatest (or least) values along an axis or of the flattened array, all of them for k below 1.

    `ret_typ` asks for their positions, the values, both, or a mask in the shape and type of data. Positions have the
    type `dtype`.
    """
    values, at = _along(data, axis)
    count = _count(k, values.shape[at])
    if ret_typ in ("indices", "mask"):
        values = values.detach()
    found, places = _leading(values, at, count, is_ascend)
    if ret_typ == "mask":
        return torch.zeros_like(values).scatter_(at, places, 1).reshape(data.shape)
    if ret_typ == "indices":
        return places.to(torch_dtype(dtype))
    return found, places.to(torch_dtype(dtype))


@topk.quickened
def _lead_quickly(p: Any, recorded: bool, data: Any) -> Any:
    if p.axis is None or not data.dim() or p.ret_typ != "indices" or p.k < 1 or recorded:
        return None
    at, k, ascending, kind = normalize_axes(p.axis, data.dim())[0], p.k, p.is_ascend, torch_dtype(p.dtype)
    if k == 1:
        find = torch.argmin if ascending else torch.argmax
        return lambda x: find(x, at, True).type(kind)
    order, cut, number = torch.argsort, (slice(None),) * at + (slice(k),), np.dtype(p.dtype)
    real, share, dot = data.dtype in (torch.float32, torch.float64), torch.from_numpy, np.vdot

    def places(x: Any) -> Any:
        count, size = x.numel(), x.size(at)
        if count <= _FEWEST and real and size >= k and x.is_cpu:
            values = x.numpy() if ascending else -x.numpy()
            squares = dot(values, values)
            if squares == squares:  # no NaN, which NumPy puts elsewhere
                return share(values.argsort(at, "stable")[cut].astype(number, "C"))
        if count > _FEW and 4 * k <= size:
            return _leading(x, at, k, ascending)[1].type(kind)
        found = order(x, stable=True, dim=at, descending=not ascending)
        sizes = list(found.shape)
        sizes[at] = k
        # the array is new: cut in place it takes half the time of a narrow view of it, and too large a k is refused
        return found.as_strided_(sizes, found.stride()).type(kind)

    return places
