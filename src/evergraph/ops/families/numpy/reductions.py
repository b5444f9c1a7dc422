"""Reductions over axes: None stands for all of them, () for none; nothing left gives a 0-d array."""

import functools
import math
from collections.abc import Callable
from typing import Any, Literal

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.dtypes import torch_dtype
from evergraph.ops.families.math.reduce import greatest, least, product
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator, register
from evergraph.ops.rules import Dims, DtypeRule, fixed_dtype, normalize_axes, unify
from evergraph.ops.schema import Operator
from evergraph.ops.types import Axes, Double

__all__ = ["AnyType", "accumulated_dtype", "axes_of", "kept", "number_of", "reduced", "spread"]

AnyType = Literal[None, "bool", "float16", "float32", "float64", "int32", "int64", "int8"]
"""The types that a sum, product or mean can be computed in."""


@functools.lru_cache(1024)  # small arrays are reduced in the time that this takes
def axes_of(axis: Any, rank: int) -> tuple[int, ...]:
    """The axes that a reduction removes, in order.

    Raises:
        ShapeError: an axis outside the rank, or named twice.

    >>> axes_of(None, 2), axes_of((), 2), axes_of((-1,), 3)
    ((0, 1), (), (2,))
    """
    axes = normalize_axes(axis, rank) if rank or axis is None else normalize_axes(axis, 0)
    if not (axis is None or isinstance(axis, int)) and len(axes) != len(axis):
        raise ShapeError("an axis is named twice", found=axis)
    return axes


def kept(sizes: Any, axes: tuple[int, ...], keepdims: bool) -> tuple[Any, ...]:
    """The shape that a reduction over axes leaves."""
    if keepdims:
        return tuple(1 if i in axes else d for i, d in enumerate(sizes))
    return tuple(d for i, d in enumerate(sizes) if i not in axes)


def reduced(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    """All outputs have the first input's shape without the axes that `axis` names."""
    if ins[0] is not None:
        found = kept(ins[0], axes_of(p.axis, len(ins[0])), p.get("keepdims", False))
        outs = [unify(o, found, "a reduced output") for o in outs]
    return ins, outs


def number_of(data: Any, axes: tuple[int, ...]) -> int:
    """How many values a reduction over axes takes together."""
    return math.prod(data.shape[i] for i in axes)


def spread(value: Any, data: Any, axes: tuple[int, ...]) -> Any:
    """A reduced array as it broadcasts against the whole."""
    return value.reshape(kept(data.shape, axes, True))


def accumulated_dtype(integers: str | None = None, booleans: str | None = "int64") -> DtypeRule:
    """The type that the parameter `dtype` names; without it the input's, or the ones given for integers, booleans."""

    def rule(p: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
        found = p.dtype or ins[0]
        if p.dtype is None and found is not None and "float" not in found:
            found = (booleans if found == "bool" else integers) or found
        return ins, [found] * len(outs)

    return rule


def _types(a: Any, dtype: str | None) -> tuple[Any, Any]:
    """The type of a sum or product, and the type that it is added up in."""
    kind = torch_dtype(dtype) if dtype else torch.int64 if a.dtype == torch.bool else a.dtype
    if a.is_floating_point() and not kind.is_floating_point:
        return kind, a.dtype
    return kind, torch.int64 if kind == torch.bool else kind


@operator(aliases=("_npi_sum",), shape=reduced, dtype=accumulated_dtype())
def _np_sum(
    a, *, axis: Axes | None = None, dtype: AnyType = None, keepdims: bool = False, initial: Double | None = None
):
    """The sum over axes, in the input's type (int64 for booleans) or in `dtype`. MXNet 2.0 calls it _npi_sum."""
    axes = axes_of(axis, a.dim())
    if dtype is None and initial is None and axes and a.is_floating_point():
        return torch.sum(a, axes, keepdims)
    kind, wide = _types(a, dtype)
    total = torch.sum(a, axes, keepdim=keepdims, dtype=wide) if axes else a.to(wide, copy=True)
    if initial is not None:
        total = total + initial
    return total.to(kind)


@operator(
    aliases=("_np_product", "_npi_prod"),
    shape=reduced,
    dtype=accumulated_dtype(),
    documented=("axis", "dtype", "keepdims", "initial", "a"),
)
def _np_prod(
    a, *, axis: Axes | None = None, dtype: AnyType = None, keepdims: bool = False, initial: Double | None = None
):
    """The product over axes, in the input's type (int64 for booleans) or in `dtype`.

    The gradient is the product divided by the factor: NaN where a factor is 0. The product of nothing is 0, as in
    MXNet. MXNet 2.0 calls it _npi_prod.
    """
    kind, wide = _types(a, dtype)
    axes = axes_of(axis, a.dim())
    if not axes:
        total = a.to(wide, copy=True)
    else:
        # MXNet gives 0 for a product of nothing
        total = torch.sum(a, axes, dtype=wide) if 0 in a.shape else product(a.to(wide), axes)
    total = total.reshape(kept(a.shape, axes, keepdims))
    if initial is not None:
        total = total * initial
    return total.to(kind)


@operator(shape=reduced, dtype=accumulated_dtype("float32", "float32"))
def _npi_mean(
    a, *, axis: Axes | None = None, dtype: AnyType = None, keepdims: bool = False, initial: Double | None = None
):
    """The mean over axes, in the input's type, float32 for integers and booleans, or in `dtype`; 0 of nothing."""
    if initial is not None:
        raise OperatorError("a mean has no initial value", expected="initial None", found=initial)
    axes = axes_of(axis, a.dim())
    kind = torch_dtype(dtype) if dtype else a.dtype if a.is_floating_point() else torch.float32
    if 0 in a.shape:
        return torch.sum(a, axes, keepdim=keepdims, dtype=kind) if axes else a.to(kind, copy=True)
    if kind.is_floating_point:
        return torch.mean(a, axes, keepdim=keepdims, dtype=kind) if axes else a.to(kind, copy=True)
    mean = torch.sum(a, axes, dtype=torch.float64) / number_of(a, axes) if axes else a.to(torch.float64)
    return mean.reshape(kept(a.shape, axes, keepdims)).to(kind)


def _extreme(
    name: str,
    function: Callable[..., Any],
    plain: Callable[..., Any],
    limit: Callable[..., Any],
    doc: str,
    aliases: Any,
) -> Operator:
    def body(a: Any, *, axis: Axes | None = None, keepdims: bool = False, initial: Double | None = None) -> Any:
        axes = axes_of(axis, a.dim())
        if initial is None and axes and not a.requires_grad and a.numel():
            return plain(a, axes, keepdims)
        if number_of(a, axes) == 0:
            if initial is None:
                raise ShapeError(f"{name} of no values has no result", found=tuple(a.shape), fix="give `initial`")
            return torch.full(kept(a.shape, axes, keepdims), initial, dtype=a.dtype, device=a.device)
        found = function(a, axes) if axes else a.clone()
        if initial is not None:
            found = limit(found, torch.scalar_tensor(initial, dtype=a.dtype, device=a.device))
        return found.reshape(kept(a.shape, axes, keepdims))

    body.__doc__, body.__name__ = doc, name
    return register(Operator(name, body, aliases=aliases, shape=reduced))


_extreme(
    "_np_max",
    greatest,
    lambda a, axes, keepdims: torch.amax(a, axes, keepdims),
    lambda a, b: torch.maximum(a, b),
    "The greatest value over axes; every position that has it gets the gradient. MXNet 2.0 calls it _npi_max.",
    ("_np_amax", "_npi_max", "_npi_amax"),
)
_extreme(
    "_np_min",
    least,
    lambda a, axes, keepdims: torch.amin(a, axes, keepdims),
    lambda a, b: torch.minimum(a, b),
    "The least value over axes; every position that has it gets the gradient. MXNet 2.0 calls it _npi_min.",
    ("_np_amin", "_npi_min", "_npi_amin"),
)


@operator(aliases=("_npi_all",), shape=reduced, dtype=fixed_dtype("bool"))
def _np_all(data, *, axis: Axes | None = None, keepdims: bool = False):
    """True where every value over the axes is not 0. MXNet 2.0 calls it _npi_all."""
    axes = axes_of(axis, data.dim())
    found = torch.all(data != 0, axes) if axes else data != 0
    return found.reshape(kept(data.shape, axes, keepdims))


@operator(aliases=("_np_sometrue", "_npi_any"), shape=reduced, dtype=fixed_dtype("bool"))
def _np_any(data, *, axis: Axes | None = None, keepdims: bool = False):
    """True where some value over the axes is not 0. MXNet 2.0 calls it _npi_any."""
    axes = axes_of(axis, data.dim())
    found = torch.any(data != 0, axes) if axes else data != 0
    return found.reshape(kept(data.shape, axes, keepdims))


def _searched(name: str, search: Callable[..., Any], doc: str) -> Operator:
    def body(data: Any, *, axis: int | None = None, keepdims: bool = False) -> Any:
        axes = axes_of(axis, data.dim())
        if number_of(data, axes) == 0:
            raise ShapeError(f"{name} cannot search an axis of no elements", found=tuple(data.shape))
        found = search(data.detach(), axes[0] if axis is not None and axes else None)
        return found.reshape(kept(data.shape, axes, keepdims))

    body.__doc__, body.__name__ = doc, name
    return register(Operator(name, body, shape=reduced, dtype=fixed_dtype("int64")))


_searched(
    "_npi_argmax",
    lambda data, axis: torch.argmax(data, axis),
    "Position (int64) of the greatest value along an axis, or in the flattened array; the first of equals.",
)
_searched(
    "_npi_argmin",
    lambda data, axis: torch.argmin(data, axis),
    "Position (int64) of the least value along an axis, or in the flattened array; the first of equals.",
)

Statistic = Literal[None, "float16", "float32", "float64", "int32", "int64", "int8"]


def _variance(a: Any, axes: tuple[int, ...], kind: Any, ddof: int) -> tuple[Any, Any]:
    """The variance in floating numbers, and the mean.

    Raises:
        OperatorError: of booleans.
    """
    if a.dtype == torch.bool and a.numel():
        raise OperatorError("a variance is of numbers, and not of booleans", fix="cast them: x.astype('float32')")
    count = number_of(a, axes)
    work = kind if kind.is_floating_point else torch.float64
    if a.is_floating_point():
        work = torch.promote_types(work, a.dtype)
        data = a.to(work)
        mean = torch.mean(data, axes, keepdim=True) if axes else data
    else:
        # MXNet cuts the mean of integers before it takes differences
        data = a.to(work)
        mean = torch.trunc(torch.sum(data, axes, keepdim=True) / count) if axes else data
    square = torch.sum((data - mean) ** 2, axes, keepdim=True) if axes else (data - mean) ** 2
    return square / (count - ddof), mean


def _moment(name: str, output: str, root: bool, doc: str) -> Operator:
    def body(
        a: Any, *, axis: Axes | None = None, dtype: Statistic = None, ddof: int = 0, keepdims: bool = False
    ) -> Any:
        kind = torch_dtype(dtype) if dtype else a.dtype
        axes = axes_of(axis, a.dim())
        variance, mean = _variance(a.detach(), axes, kind, ddof)
        found = torch.sqrt(variance) if root else variance
        shape = kept(a.shape, axes, keepdims)
        return found.reshape(shape).to(kind), mean.reshape(shape).to(kind)

    body.__doc__, body.__name__ = doc, name
    rule = accumulated_dtype(None, None)
    return register(Operator(name, body, shape=reduced, dtype=rule, outputs=(output, "mean"), visible=1))


_moment("_npi_var", "var", False, "The variance over axes, divided by the count less `ddof`. No gradient passes.")
_moment(
    "_npi_std", "std", True, "The root of the variance over axes, divided by the count less `ddof`. No gradient passes."
)


def _averaged(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    """The mean has the reduced shape, and so has the sum of weights, unless these are none or a vector: then ()."""
    if ins[0] is None:
        return ins, outs
    axes = axes_of(p.axis, len(ins[0]))
    shape = kept(ins[0], axes, False)
    if not p.weighted:
        total: Dims = ()
    else:
        total = None if ins[1] is None else shape if len(ins[1]) == len(ins[0]) else ()
    return ins, [unify(outs[0], shape, "an average"), unify(outs[1], total, "a sum of weights")]


@operator(
    shape=_averaged,
    outputs=2,
    visible=lambda p: 2 if p.returned else 1,
    optional={"weights": lambda p: p.weighted},
)
def _npi_average(a, weights=None, *, axis: Axes | None = None, returned: bool = False, weighted: bool = True):
    """The weighted mean over axes, and the sum of the weights (an output if `returned`; it passes no gradient).

    The weights have the shape of a, or are a vector along the one axis.
    """
    axes = axes_of(axis, a.dim())
    if weights is None:
        total = _summed(a, axes)
        scale = torch.full((), number_of(a, axes), dtype=a.dtype, device=a.device)
    elif weights.shape == a.shape:
        total, scale = _summed(a * weights, axes), _summed(weights, axes)
    elif weights.dim() == 1 and len(axes) == 1 and weights.shape[0] == a.shape[axes[0]]:
        along = weights.reshape([-1 if i in axes else 1 for i in range(a.dim())])
        total, scale = _summed(a * along, axes), weights.sum(dtype=a.dtype)
    else:
        expected = f"{tuple(a.shape)}, or a vector along one axis"
        raise ShapeError("weights of an average do not fit", expected=expected, found=tuple(weights.shape))
    mean = torch.div(total, scale, rounding_mode=None if total.is_floating_point() else "trunc")
    return mean, scale.detach()


def _summed(data: Any, axes: tuple[int, ...]) -> Any:
    return torch.sum(data, axes, dtype=data.dtype) if axes else data
