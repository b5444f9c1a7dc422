"""Running sums, differences and polynomials along an axis."""

import math
from typing import Any, Literal

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.dtypes import torch_dtype
from evergraph.ops.families.numpy.creation import number_for
from evergraph.ops.families.numpy.shape import ordered_axis
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, mapped, unify
from evergraph.ops.types import Double

__all__ = ["Summed", "summed_dtype"]

Summed = Literal[None, "float16", "float32", "float64", "int32", "int64", "int8"]


def summed_dtype(p: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    """The type that `dtype` names, or the input's; int64 for booleans."""
    return ins, [p.dtype or ("int64" if ins[0] == "bool" else ins[0] or outs[0])]


def _running(p: Any, sizes: Any) -> Dims:
    if p.axis is not None:
        ordered_axis(p.axis, len(sizes))
        return sizes
    return (None,) if None in sizes else (math.prod(sizes),)


@operator(aliases=("cumsum", "_npi_cumsum"), shape=mapped(_running), dtype=summed_dtype)
def _np_cumsum(a, *, axis: int | None = None, dtype: Summed = None):
    """The running sum along an axis, or through the flattened array, in the input's type or in `dtype`.

    MXNet 2.0 calls it _npi_cumsum.
    """
    kind = torch_dtype(dtype) if dtype else torch.int64 if a.dtype == torch.bool else a.dtype
    if axis is None:
        a, axis = a.reshape(-1), 0
    return torch.cumsum(_summable(a, kind), ordered_axis(axis, a.dim()), dtype=kind)


@operator(shape=mapped(_running), dtype=summed_dtype)
def _npi_cumprod(a, *, axis: int | None = None, dtype: Summed = None):
    """The running product along an axis, or through the flattened array, in the input's type or in `dtype`.

    MXNet 1.9.1 lacks it.
    """
    kind = torch_dtype(dtype) if dtype else torch.int64 if a.dtype == torch.bool else a.dtype
    if axis is None:
        a, axis = a.reshape(-1), 0
    return torch.cumprod(_summable(a, kind), ordered_axis(axis, a.dim()), dtype=kind)


def _summable(a: Any, kind: Any) -> Any:
    # torch adds up in the wanted type; a gradient cannot pass an integer one
    return a if kind.is_floating_point or not a.is_floating_point() else a.detach()


def _differenced(p: Any, sizes: Any) -> Dims:
    if p.n < 0 or not sizes:
        raise ShapeError("diff takes an array of one axis or more, and n of 0 or more", found=f"{sizes}, n {p.n}")
    at = ordered_axis(p.axis, len(sizes))
    return tuple(None if d is None else max(d - p.n, 0) if i == at else d for i, d in enumerate(sizes))


@operator(shape=mapped(_differenced))
def _npi_diff(a, *, n: int = 1, axis: int = -1):
    """The differences between neighbours along an axis, taken `n` times."""
    if n < 0 or a.dim() == 0:
        raise ShapeError("diff takes an array of one axis or more, and n of 0 or more", found=f"{a.dim()} axes, n {n}")
    return torch.diff(a, n, axis) if n else a.clone()


def _ends(p: Any, ins: list[Dims]) -> tuple[Any, Any]:
    """Lengths of what is set before and behind the differences; None where unknown."""
    given = iter(ins[1:])
    arrays = [next(given) if p[key] else () for key in ("to_begin_arr_given", "to_end_arr_given")]
    scalars = (p.to_begin_scalar, p.to_end_scalar)
    asked = (p.to_begin_arr_given, p.to_end_arr_given)
    return tuple(  # type: ignore[return-value]
        (None if s is None or None in s else math.prod(s)) if a else int(v is not None)  # type: ignore[arg-type]
        for s, v, a in zip(arrays, scalars, asked, strict=True)
    )


def _ediff1d_rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if ins[0] is None or None in ins[0]:
        return ins, [unify(outs[0], (None,), "differences")]
    before, behind = _ends(p, ins)
    middle = max(math.prod(d for d in ins[0] if d is not None) - 1, 0)
    total = None if before is None or behind is None else before + middle + behind
    return ins, [unify(outs[0], (total,), "differences")]


@operator(
    shape=_ediff1d_rule,
    optional={"input2": lambda p: p.to_begin_arr_given, "input3": lambda p: p.to_end_arr_given},
)
def _npi_ediff1d(
    input1,
    input2=None,
    input3=None,
    *,
    to_begin_arr_given: bool = False,
    to_end_arr_given: bool = False,
    to_begin_scalar: Double | None = None,
    to_end_scalar: Double | None = None,
):
    """The differences between neighbours of the flattened array, with values set before and behind them."""
    flat = input1.reshape(-1)
    parts = [flat[1:] - flat[:-1]]
    for given, scalar, place in ((input2, to_begin_scalar, 0), (input3, to_end_scalar, 2)):
        if given is not None:
            parts.insert(place, given.reshape(-1))
        elif scalar is not None:
            parts.insert(place, flat.new_full((1,), number_for(scalar, flat.dtype)))
    return torch.cat(parts)


def _polynomial_rule(_: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    shape = unify(ins[1], outs[0], "values of a polynomial")
    return [ins[0], shape], [shape]


@operator(shape=_polynomial_rule)
def _npi_polyval(p, x):
    """The polynomial with coefficients p, the highest power first, at each value of x."""
    if p.dim() != 1:
        raise ShapeError("coefficients of a polynomial are a vector", found=tuple(p.shape))
    if p.dtype != x.dtype:
        raise OperatorError("coefficients and values of a polynomial differ in type", found=f"{p.dtype} and {x.dtype}")
    powers = torch.arange(p.shape[0] - 1, -1, -1, device=x.device, dtype=x.dtype)
    return (p * x.unsqueeze(-1) ** powers).sum(-1, dtype=x.dtype)
