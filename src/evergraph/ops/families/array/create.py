"""Arrays made from nothing, or in the likeness of another.

`ctx` only says where MXNet would make the array; here it is made on torch's default device, which the caller sets.
A size of 0 in `shape` is unknown outside NumPy semantics: the shape rule fills it from what the array meets, and
`Operator.complete` hands the body what was found.
"""

import math
from typing import Any, Literal

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.dtypes import torch_dtype
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, dtype_from, elementwise, known, mapped, normalize_axes, unify
from evergraph.ops.schema import Params
from evergraph.ops.types import Double, Long, Shape

__all__ = ["Filled", "Number", "created", "range_length"]

Number = Literal["bfloat16", "float16", "float32", "float64", "int32", "int64", "int8", "uint8"]
Filled = Literal["bfloat16", "bool", "float16", "float32", "float64", "int32", "int64", "int8", "uint8"]


def created(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    """The shape that the parameter gives, with its unknown sizes (0 and -1) from the output."""
    if p.shape is None or (p.shape == () and outs[0] is not None):
        return ins, outs
    asked = tuple(None if d in (0, -1) else d for d in p.shape)
    return ins, [unify(outs[0], asked, "a made array")]


def _with_shape(p: Params, outs: list[Dims]) -> Params:
    return Params(p, shape=outs[0]) if known(outs[0]) else p


def _made(function: Any, shape: Any, *values: Any, dtype: str) -> Any:
    if shape is None or any(d < 0 for d in shape):
        raise ShapeError("an array of unknown shape cannot be made", expected="every size", found=shape)
    return function(shape, *values, dtype=torch_dtype(dtype))


@operator(shape=created, dtype=dtype_from("dtype"))
def _zeros(*, shape: Shape = (), ctx: str = "", dtype: Filled = "float32"):
    """An array of zeros."""
    return _made(torch.zeros, shape, dtype=dtype)


@operator(shape=created, dtype=dtype_from("dtype"))
def _ones(*, shape: Shape = (), ctx: str = "", dtype: Filled = "float32"):
    """An array of ones."""
    return _made(torch.ones, shape, dtype=dtype)


@operator(aliases=("_npi_full",), shape=created, dtype=dtype_from("dtype"))
def _full(*, shape: Shape = None, ctx: str = "", dtype: Filled = "float32", value: Double):  # type: ignore[assignment]
    """An array of one value."""
    return _made(torch.full, shape, int(value) if "int" in dtype else value, dtype=dtype)


# the numbers by which MXNet stores types
_CODES = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool")


def _coded(p: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    return ins, [_CODES[p.dtype] if 0 <= p.dtype < len(_CODES) else outs[0]]


@operator(shape=created, dtype=_coded)
def _zeros_without_dtype(*, shape: Shape = None, ctx: str = "", dtype: int = -1):  # type: ignore[assignment]
    """An array of zeros whose type is a type's number, or follows from its consumers (-1; float32 for want of one)."""
    return _made(torch.zeros, shape, dtype=_CODES[dtype] if 0 <= dtype < len(_CODES) else "float32")


for _each in (_zeros, _ones, _full, _zeros_without_dtype):
    _each.completes(_with_shape)


def _eye_shape(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    return ins, [unify(outs[0], (p.N, p.M if p.M > 0 else p.N), "output of _eye")]


@operator(shape=_eye_shape, dtype=dtype_from("dtype"))
def _eye(
    *,
    N: Long,
    M: Long = 0,
    k: Long = 0,
    ctx: str = "",
    dtype: Literal["float16", "float32", "float64", "int32", "int64", "int8", "uint8"] = "float32",
):
    """Zeros of shape (N, M) with ones on the k-th diagonal; M of 0 means N."""
    columns = M if M > 0 else N
    rows, places = torch.arange(N).unsqueeze(1), torch.arange(columns)
    return (places - rows == k).to(torch_dtype(dtype))


def range_length(start: float, stop: float, step: float, repeat: int) -> int:
    """How many values a range has.

    Raises:
        OperatorError: the range is empty or endless.

    >>> range_length(0, 1, 0.25, 2)
    8
    """
    if step == 0 or (stop - start) * step <= 0:
        raise OperatorError(
            "a range of no values", expected="a step that leads from start to stop", found=(start, stop, step)
        )
    return math.ceil((stop - start) / step) * repeat


def _range_bounds(p: Any) -> tuple[float, float]:
    return (p.start, p.stop) if p.stop is not None else (0.0, p.start)


def _ranged(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if p.infer_range and p.stop is None:
        return ins, outs
    start, stop = _range_bounds(p)
    return ins, [unify(outs[0], (range_length(start, stop, p.step, p.repeat),), "output of _arange")]


def _whole(start: float, step: float, length: int) -> bool:
    """Whether every value is a whole number that float32 holds exactly."""
    return start % 1 == 0 and step % 1 == 0 and abs(start) + abs(step) * length < 1 << 24


def _sequence(start: float, step: float, length: int, repeat: int, dtype: Any, device: Any = None) -> Any:
    """`length` values from start by step, each given `repeat` times."""
    if repeat == 1 and dtype in (torch.float32, torch.float64) and _whole(start, step, length):
        return torch.arange(start, start + step * length, step, dtype=dtype, device=device)
    places = torch.arange(length, device=device)
    if repeat != 1:
        places = torch.div(places, repeat, rounding_mode="floor")
    if not dtype.is_floating_point or dtype == torch.float16:
        # start and step are cut to integers before, which MXNet does for float16 too
        return (int(start) + places * int(step)).to(dtype)
    return (start + places.to(torch.float64) * step).to(dtype)


@operator(shape=_ranged, dtype=dtype_from("dtype"))
def _arange(
    *,
    start: Double,
    stop: Double | None = None,
    step: Double = 1.0,
    repeat: int = 1,
    infer_range: bool = False,
    ctx: str = "",
    dtype: Number = "float32",
):
    """Values from start to before stop by step, each given `repeat` times; without stop, from 0 to before start.

    With `infer_range` and no stop, as many values from start as the place where they are used calls for.
    """
    if stop is None:
        if infer_range:
            raise ShapeError("a range whose length follows from its use has no length here", fix="give stop")
        start, stop = 0.0, start
    return _sequence(start, step, range_length(start, stop, step, repeat), repeat, torch_dtype(dtype))


@_arange.quickened
def _range_quickly(p: Any, run: Any) -> Any:
    if p.stop is None and p.infer_range:
        return None
    start, stop = _range_bounds(p)
    length, kind = range_length(start, stop, p.step, p.repeat), torch_dtype(p.dtype)
    if p.repeat != 1 or kind is not torch.float32 or not _whole(start, p.step, length):
        return None
    make, step, end = torch.arange, p.step, start + p.step * length
    return lambda: make(start, end, step, dtype=kind)


@_arange.completes
def _stopped(p: Params, outs: list[Dims]) -> Params:
    if not (p.infer_range and p.stop is None and known(outs[0])):
        return p
    steps = math.ceil(outs[0][0] / p.repeat)  # type: ignore[index]
    return Params(p, stop=p.start + p.step * steps)


def _spaced(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    return ins, [unify(outs[0], (p.num,), "output of _linspace")]


@operator(
    aliases=("_npi_linspace",),
    shape=_spaced,
    dtype=dtype_from("dtype"),
    # MXNet's registry lists the parameters of _arange here, and takes these
    documented=("start", "stop", "step", "repeat", "infer_range", "ctx", "dtype"),
    description={
        "stop": "double or None, optional, default=None",
        "step": "double, optional, default=1",
        "repeat": "int, optional, default='1'",
        "infer_range": "boolean, optional, default=0",
    },
)
def _linspace(
    *, start: Double, stop: Double, num: int, endpoint: bool = True, ctx: str = "", dtype: Number = "float32"
):
    """`num` evenly spaced values from start to stop, which is the last unless `endpoint` is false."""
    if num < 0:
        raise OperatorError("a negative number of values", expected="num of 0 or more", found=num)
    step = (stop - start) / max(num - 1 if endpoint else num, 1)
    return (start + torch.arange(num, dtype=torch.float64) * step).to(torch_dtype(dtype))


def _one_axis(p: Any, data: Any) -> Dims:
    return tuple(data) if p.axis is None else (data[normalize_axes(p.axis, len(data))[0]],)


@operator(aliases=("_npx_arange_like",), shape=mapped(_one_axis))
def _contrib_arange_like(
    data, *, start: Double = 0.0, step: Double = 1.0, repeat: int = 1, ctx: str = "", axis: int | None = None
):
    """Values from start by step, in the shape and type of data, or as long as one of its axes."""
    if axis is None:
        return _sequence(start, step, data.numel(), repeat, data.dtype, data.device).reshape(data.shape)
    length = data.shape[normalize_axes(axis, data.dim())[0]]
    return _sequence(start, step, length, repeat, data.dtype, data.device)


@operator(shape=elementwise)
def ones_like(data):
    """Ones in the shape and type of data."""
    return torch.ones_like(data)


@ones_like.quickened
def _ones_quickly(p: Any, recorded: bool, data: Any) -> Any:
    return torch.ones_like


@operator(aliases=("_sparse_zeros_like",), shape=elementwise)
def zeros_like(data):
    """Zeros in the shape and type of data."""
    return torch.zeros_like(data)


@zeros_like.quickened
def _zeros_quickly(p: Any, recorded: bool, data: Any) -> Any:
    return torch.zeros_like


@operator(documented=("src",), description={"src": "real_t"})
def _set_value(*, src: float):
    """One number, to be written over a whole array that the caller names as output."""
    return torch.scalar_tensor(src)
