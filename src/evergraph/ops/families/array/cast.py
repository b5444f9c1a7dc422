"""Types changed, and copies."""

from typing import Any

from evergraph.ops.dtypes import torch_dtype
from evergraph.ops.families.array.create import Filled, Number
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, dtype_from, elementwise, fixed_dtype, unify

__all__ = ["converted"]


def converted(data: Any, name: str) -> Any:
    """The values in another type; booleans are 0 and 1, and whatever is not 0 is true."""
    return data.to(torch_dtype(name))


@operator(aliases=("_npi_cast", "_npx_cast", "cast"), shape=elementwise, dtype=dtype_from("dtype"))
def Cast(data, *, dtype: Filled):
    """The values in another type; fractions are cut off, and the gradient comes back in the input's type.

    Through an integer type no gradient passes, where MXNet passes one cut to whole numbers.
    """
    return converted(data, dtype)


# the types that automatic mixed precision changes, from the narrowest; float64 is never one of them
_WIDTH = {"float16": 0, "bfloat16": 0, "float32": 1}


def _float_dtype(p: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    return ins, [p.dtype if ins[0] is None or ins[0] in _WIDTH else ins[0]]


@operator(shape=elementwise, dtype=_float_dtype)
def amp_cast(data, *, dtype: Number):
    """Values of float16, bfloat16 and float32 in another type; arrays of other types stay as they are."""
    changes = data.dtype in (torch.float16, torch.bfloat16, torch.float32)
    return converted(data, dtype) if changes else data.clone()


def _multicast(p: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    floats = [d for d in ins if d in _WIDTH]
    if not floats or None in ins:
        return ins, outs
    wanted = (min if p.cast_narrow else max)(floats, key=lambda d: _WIDTH[d])
    return ins, [wanted if d in _WIDTH else d for d in ins]


def _alike(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    shapes = [unify(i, o, "an array to cast") for i, o in zip(ins, outs, strict=True)]
    return list(shapes), list(shapes)


@operator(
    shape=_alike,
    dtype=_multicast,
    outputs=lambda p: p.num_outputs,
    count="num_outputs",
    names=lambda p, _: [f"data_{i}" for i in range(p.num_outputs)],
)
def amp_multicast(*data, num_outputs: int, cast_narrow: bool = False):
    """Arrays in the wider of float16 (bfloat16) and float32 if any has it, or in the narrower with `cast_narrow`.

    Arrays of other types stay as they are.
    """
    names = [str(d.dtype).removeprefix("torch.") for d in data]
    floats = [n for n in names if n in _WIDTH]
    if not floats:
        return [d.clone() for d in data]
    wanted = torch_dtype((min if cast_narrow else max)(floats, key=lambda n: _WIDTH[n]))
    return [d.to(wanted) if n in _WIDTH else d.clone() for d, n in zip(data, names, strict=True)]


@operator(aliases=("identity",), shape=elementwise)
def _copy(data):
    """A copy."""
    return data.clone()


@_copy.quickened
def _copy_quickly(p: Any, recorded: bool, data: Any) -> Any:
    return torch.clone


@operator(aliases=("_npi_copyto",), shape=elementwise, description={"data": "NDArray"})
def _copyto(data):
    """A copy, written to the array that the caller names as output, in its type and on its device."""
    return data.clone()


@operator(shape=elementwise, documented=())
def _CrossDeviceCopy(data):
    """A copy; where devices change, the executor moves the values."""
    return data.clone()


@operator(shape=elementwise)
def _identity_with_attr_like_rhs(lhs, rhs):
    """A copy of lhs, which has the shape and type of rhs."""
    return lhs.clone()


def _compared(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    shape = unify(ins[0], ins[1], "an array to compare")
    return [shape, shape], [()]


@operator(shape=_compared, dtype=fixed_dtype("uint8"))
def _contrib_allclose(
    a, b, *, rtol: float = 9.999999747378752e-06, atol: float = 9.99999993922529e-09, equal_nan: bool = True
):
    """1 where all values of a and b agree within tolerances, else 0: a 0-d uint8 array."""
    return torch.isclose(a, b, rtol, atol, equal_nan).all().to(torch.uint8)
