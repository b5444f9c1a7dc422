"""Arrays made from nothing, or in the likeness of another: 0 is a size, () a number.

`ctx` only says where MXNet would make the array; here it is made on torch's default device, which the caller sets.
"""

import math
from collections.abc import Callable
from typing import Any, Literal

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops import registry
from evergraph.ops.dtypes import torch_dtype
from evergraph.ops.families.array.create import Filled, Number
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator, register
from evergraph.ops.rules import Dims, dtype_from, elementwise, fixed_dtype, forward
from evergraph.ops.schema import Operator
from evergraph.ops.types import Double, Long, Shape

__all__ = ["number_for"]


def number_for(value: float, dtype: Any) -> Any:
    """A number as a type holds it: cut to an integer, wrapped around in one byte, or true where it is not 0."""
    if dtype == torch.bool:
        return value != 0
    if dtype.is_floating_point:
        return value
    whole = int(value)
    if dtype == torch.uint8:
        return whole % 256
    return (whole + 128) % 256 - 128 if dtype == torch.int8 else whole


def _asked(p: Any) -> Dims:
    if p.shape is None or any(d < 0 for d in p.shape):
        raise ShapeError("an array of unknown shape cannot be made", expected="every size", found=p.shape)
    return tuple(p.shape)


@operator(shape=forward(_asked), dtype=dtype_from("dtype"))
def _npi_zeros(*, shape: Shape = (), ctx: str = "", dtype: Filled = "float32"):
    """An array of zeros."""
    return torch.zeros(shape, dtype=torch_dtype(dtype))


@operator(shape=forward(_asked), dtype=dtype_from("dtype"))
def _npi_ones(*, shape: Shape = (), ctx: str = "", dtype: Filled = "float32"):
    """An array of ones."""
    return torch.ones(shape, dtype=torch_dtype(dtype))


def _square(p: Any) -> Dims:
    if len(p.shape) != 2:
        raise ShapeError("an identity has two axes", found=p.shape)
    return tuple(p.shape)


@operator(shape=forward(_square), dtype=dtype_from("dtype"))
def _npi_identity(*, shape: Shape = (), ctx: str = "", dtype: Filled = "float32"):
    """Zeros with ones on the diagonal."""
    if len(shape) != 2:
        raise ShapeError("an identity has two axes", found=shape)
    return torch.eye(shape[0], shape[1], dtype=torch_dtype(dtype))


@operator(
    shape=forward(lambda p: (p.N, p.N if p.M is None else p.M)),
    dtype=dtype_from("dtype"),
    description={"M": ", optional, default=None", "k": "long, optional, default=0"},
)
def _npi_eye(*, N: Long, M: int | None = None, k: Long = 0, ctx: str = "", dtype: Number = "float32"):
    """Zeros of shape (N, M) with ones on the `k`-th diagonal; without `M`, of shape (N, N)."""
    rows, columns = torch.arange(N).unsqueeze(1), torch.arange(N if M is None else M)
    return (columns - rows == k).to(torch_dtype(dtype))


@operator(
    shape=forward(lambda p: (p.N, p.N if p.M is None else p.M)),
    dtype=dtype_from("dtype"),
)
def _npi_tri(*, N: Long, M: int | None = None, k: int = 0, ctx: str = "", dtype: Number = "float32"):
    """Ones of shape (N, M) up to the `k`-th diagonal and zeros above it; without `M`, of shape (N, N).

    MXNet 1.9.1 lacks it.
    """
    rows, columns = torch.arange(N).unsqueeze(1), torch.arange(N if M is None else M)
    return (columns - rows <= k).to(torch_dtype(dtype))


@operator(shape=forward(lambda _: [(None,), (None,)]), dtype=fixed_dtype("int64"), outputs=2)
def _npi_tril_indices(*, n: int, k: int = 0, m: int | None = None):
    """The rows and the columns (int64) of the places up to the `k`-th diagonal of an (n, m) matrix.

    MXNet 1.9.1 lacks it.
    """
    found = torch.tril_indices(n, n if m is None else m, k)
    return found[0], found[1]


_plain_range = registry.get("_arange").body


def _ranged(p: Any) -> Dims:
    start, stop = (p.start, p.stop) if p.stop is not None else (0.0, p.start)
    if p.step == 0:
        raise OperatorError("a range needs a step that is not 0", found=p.step)
    return (max(math.ceil((stop - start) / p.step), 0),)


@operator(shape=forward(_ranged), dtype=dtype_from("dtype"))
def _npi_arange(
    *,
    start: Double,
    stop: Double | None = None,
    step: Double = 1.0,
    repeat: int = 1,
    infer_range: bool = False,
    ctx: str = "",
    dtype: Number = "float32",
):
    """Values from start to before stop by step, none where stop comes first; without stop, from 0 to before start."""
    if step == 0 or repeat != 1:
        raise OperatorError("a range needs a step that is not 0, and no repeat", found=f"step {step}, repeat {repeat}")
    first, last = (start, stop) if stop is not None else (0.0, start)
    if (last - first) * step <= 0:
        return torch.empty(0, dtype=torch_dtype(dtype))
    return _plain_range(start=first, stop=last, step=step, dtype=dtype)


@operator(shape=forward(lambda p: (p.num,)), dtype=dtype_from("dtype"))
def _npi_logspace(
    *,
    start: Double,
    stop: Double,
    num: int,
    endpoint: bool = True,
    base: Double = 10.0,
    ctx: str = "",
    dtype: Number = "float32",
):
    """`num` values evenly spaced on a logarithmic scale: base to the powers start to stop (`endpoint`: included)."""
    if num < 0:
        raise OperatorError("a negative number of values", expected="num of 0 or more", found=num)
    step = (stop - start) / max(num - 1 if endpoint else num, 1)
    return torch.pow(base, start + torch.arange(num, dtype=torch.float64) * step).to(torch_dtype(dtype))


@operator(shape=forward(lambda p: (len(p.dimensions), *p.dimensions)), dtype=dtype_from("dtype"))
def _npi_indices(*, dimensions: Shape, dtype: Number = "int32", ctx: str = ""):
    """For each axis of a grid, the position of every point along it."""
    kind = torch_dtype(dtype)
    if not dimensions:
        return torch.empty(0, dtype=kind)
    return torch.stack(torch.meshgrid(*[torch.arange(d, dtype=kind) for d in dimensions], indexing="ij"))


@operator(
    aliases=("_np_full_like",),
    shape=elementwise,
    dtype=dtype_from("dtype"),
)
def _npi_full_like(
    a,
    *,
    fill_value: Double,
    ctx: str = "",
    dtype: Literal[None, "bfloat16", "bool", "float16", "float32", "float64", "int32", "int64", "int8", "uint8"] = None,
):
    """An array of one value in the shape of another, in its type or in `dtype`."""
    kind = torch_dtype(dtype) if dtype else a.dtype
    return torch.full_like(a, number_for(fill_value, kind), dtype=kind, requires_grad=False)


@operator(aliases=("_npi_zeros_like",), shape=elementwise)
def _np_zeros_like(a):
    """Zeros in the shape and type of an array. MXNet 1.9.1 lacks it: 1.6 has it, and 2.0 as _npi_zeros_like."""
    return torch.zeros_like(a)


@operator(aliases=("_npi_ones_like",), shape=elementwise)
def _np_ones_like(a):
    """Ones in the shape and type of an array. MXNet 1.9.1 lacks it: 1.6 has it, and 2.0 as _npi_ones_like."""
    return torch.ones_like(a)


def _places(_: Any, data: Any) -> tuple[int, int]:
    if len(data) < 2 or len({*data}) != 1:
        raise ShapeError("diag_indices_from takes an array of two or more equal sizes", found=data)
    return (len(data), data[0])


@operator(shape=forward(_places), dtype=fixed_dtype("int64"))
def _npi_diag_indices_from(data):
    """The positions (int64) of the main diagonal of an array, one row for each axis."""
    rank, size = _places(None, tuple(data.shape))
    return torch.arange(size, device=data.device).expand(rank, size).clone()


# MXNet's windows take pi as float32 has it, which shows where a value of 1 is cut to an integer
_PI = 3.1415927410125732


def _window(name: str, function: Callable[[Any, Any], Any], doc: str) -> Operator:
    """Register a window, which is a function of the cosines of angles and of their doubles."""

    def body(*, M: int | None = None, ctx: str = "", dtype: Number = "float32") -> Any:
        if M is None:
            raise OperatorError(f"{name} needs its length M")
        if M == 1:
            return torch.ones(1, dtype=torch_dtype(dtype))
        # MXNet takes angles in float32, and computes with their cosines in the type of the window
        angle = torch.arange(max(M, 0), dtype=torch.float32) * (2 * _PI) / max(M - 1, 1)
        kind, angle = torch_dtype(dtype), angle.to(torch.float64)
        work = torch.float32 if kind == torch.float32 else torch.float64
        return function(torch.cos(angle).to(work), torch.cos(2 * angle).to(work)).to(kind)

    body.__doc__, body.__name__ = doc, name
    return register(
        Operator(
            name,
            body,
            shape=forward(lambda p: None if p.M is None else (max(p.M, 0),)),
            dtype=dtype_from("dtype"),
            description={"M": ", optional, default=None"},
        )
    )


_window("_npi_hanning", lambda cosine, _: 0.5 - 0.5 * cosine, "The Hann window of M points.")
_window("_npi_hamming", lambda cosine, _: 0.54 - 0.46 * cosine, "The Hamming window of M points.")
_window(
    "_npi_blackman",
    lambda cosine, double: 0.42 - 0.5 * cosine + 0.08 * double,
    "The Blackman window of M points.",
)
