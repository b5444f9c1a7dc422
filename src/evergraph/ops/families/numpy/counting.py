"""Values counted, told apart and ranked: bincount, unique, percentile."""

from typing import Any, Literal

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.families.numpy.linalg import can_look
from evergraph.ops.families.numpy.reductions import axes_of, kept
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify
from evergraph.ops.types import Axes, Double

__all__ = ["quantiles"]


def _bins_rule(_: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    return ins, [unify(outs[0], (None,), "counts")]


def _bins_dtype(p: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    return ins, [ins[1] if p.has_weights else ins[0]]


@operator(shape=_bins_rule, dtype=_bins_dtype, optional={"weights": lambda p: p.has_weights})
def _npi_bincount(data, weights=None, *, minlength: int = 0, has_weights: bool = False):
    """How often each whole number from 0 occurs, or the sum of its weights; at least `minlength` of them.

    Counts have the type of data, sums that of the weights. No gradient passes.
    """
    if data.dim() > 1 or data.is_floating_point() or (can_look(data) and data.numel() and int(data.min()) < 0):
        found = f"{data.dim()} axes of {str(data.dtype).removeprefix('torch.')}"
        raise OperatorError("bincount counts a vector of whole numbers from 0", found=found)
    kind = data.dtype if weights is None else weights.dtype
    held = None if weights is None else weights.detach().to(torch.float64)
    return torch.bincount(data, held, minlength).to(kind)


def _unique_outputs(p: Any) -> int:
    return 1 + p.return_index + p.return_inverse + p.return_counts


def _unique_rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if ins[0] is None:
        return ins, outs
    shape, at = ins[0], 0 if p.axis is None else axes_of(p.axis, len(ins[0]))[0]
    first = (None,) if p.axis is None else (*shape[:at], None, *shape[at + 1 :])
    found: list[Dims] = [first] + [(None,)] * (len(outs) - 1)
    if p.return_inverse:
        sizes = shape if p.axis is None else shape[at : at + 1]
        total: int | None = 1
        for d in sizes:
            total = None if d is None or total is None else total * d
        found[1 + p.return_index] = (total,)
    return ins, [unify(o, f, "an output of unique") for o, f in zip(outs, found, strict=True)]


def _unique_dtype(_: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    return ins, [ins[0]] + ["int64"] * (len(outs) - 1)


@operator(shape=_unique_rule, dtype=_unique_dtype, outputs=_unique_outputs)
def _npi_unique(
    data,
    *,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
):
    """The different values in ascending order (of the flattened array, or slices along `axis`); no gradient passes.

    On request, in int64: where each is first found, which one each value is, and how often each occurs.
    """
    held = data.detach().reshape(-1) if axis is None else data.detach()
    at = 0 if axis is None else axes_of(axis, data.dim())[0]
    values, inverse, counts = torch.unique(held, return_inverse=True, return_counts=True, dim=at)
    found = [values]
    if return_index:
        places = torch.arange(inverse.numel(), device=inverse.device)
        first = torch.full_like(counts, inverse.numel())
        found.append(first.scatter_reduce(0, inverse, places, "amin"))
    if return_inverse:
        found.append(inverse)
    if return_counts:
        found.append(counts)
    return found


def _between(ranked: Any, place: Any, interpolation: str) -> Any:
    """The values at fractional places along the last axis; `place` is a vector."""
    last = ranked.shape[-1] - 1
    below = place.floor().clamp(0, last)
    above = (below + 1).clamp(max=last)
    if interpolation == "lower":
        above = below
    elif interpolation == "higher":
        below = above = place.ceil()
    elif interpolation == "nearest":
        below = above = (place + 0.5).floor()
    elif interpolation == "midpoint":
        below, above = place.floor(), place.ceil()
    left, right = ranked[..., below.to(torch.int64)], ranked[..., above.to(torch.int64)]
    if interpolation == "midpoint":
        return (left + right) / 2
    return left if below is above else left + (right - left) * (place - below)


def quantiles(data: Any, q: Any, axis: Any, interpolation: str, keepdims: bool) -> Any:
    """The quantiles of data over axes, those of q (0 to 1) along a new first axis where q is a vector."""
    axes = axes_of(axis, data.dim())
    rest = [i for i in range(data.dim()) if i not in axes]
    merged = data.permute((*rest, *axes)).reshape([data.shape[i] for i in rest] + [-1 if data.numel() else 0])
    if merged.shape[-1] == 0:
        raise ShapeError("no values have no quantile", found=tuple(data.shape))
    ranked = torch.sort(merged, -1).values
    # NaN is sorted last, and makes every quantile NaN
    ranked = torch.where(ranked[..., -1:].isnan(), ranked[..., -1:], ranked)
    work = torch.promote_types(ranked.dtype, q.dtype)
    place = q.to(work).reshape(-1) * (ranked.shape[-1] - 1)
    found = _between(ranked.to(work), place, interpolation).to(data.dtype)
    return found.movedim(-1, 0).reshape((*q.shape, *kept(data.shape, axes, keepdims)))


Interpolation = Literal["higher", "linear", "lower", "midpoint", "nearest"]


def _quantile_rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    q = () if p.q_scalar is not None else ins[1]
    if ins[0] is None or q is None:
        return ins, outs
    return ins, [unify(outs[0], (*q, *kept(ins[0], axes_of(p.axis, len(ins[0])), p.keepdims)), "quantiles")]


def _quantile_dtype(_: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    return ins, [ins[0] if ins[0] in (None, "float32", "float64") else "float32"]


@operator(shape=_quantile_rule, dtype=_quantile_dtype, optional={"q": lambda p: p.q_scalar is None})
def _npi_percentile(
    a,
    q=None,
    *,
    axis: Axes | None = None,
    interpolation: Interpolation = "linear",
    keepdims: bool = False,
    q_scalar: Double | None = None,
):
    """The values below which q percent of the others lie, over axes; those of a vector q along a new first axis.

    In float64 for float64, else in float32. No gradient passes.
    """
    data = a.detach() if a.dtype in (torch.float32, torch.float64) else a.detach().to(torch.float32)
    if q is None:
        q = torch.scalar_tensor(q_scalar, dtype=torch.float64, device=a.device)  # type: ignore[arg-type]
    if q.dim() > 1 or (can_look(q) and bool(((q < 0) | (q > 100)).any())):
        raise OperatorError("percentiles are a number or a vector, each from 0 to 100", found=q_scalar)
    return quantiles(data, q.detach().to(torch.float64) / 100, axis, interpolation, keepdims)
