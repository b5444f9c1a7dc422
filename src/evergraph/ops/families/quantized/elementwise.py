"""Sums and products of eight-bit arrays, each with a range of its own."""

from typing import Any

from evergraph.errors import OperatorError
from evergraph.ops.families.quantized.ranges import Kinds, product_range, ranged
from evergraph.ops.families.quantized.scales import LEVELS, constant_range, kind_of, peak, per, scale_of, store
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import elementwise

__all__: list[str] = []

_RESULTS = ("output", "min_output", "max_output")
_LIMIT = 2**31
_PAIR = ranged(elementwise, "lhs", "rhs")


def _calibrated(p: Any) -> bool:
    return p["min_calib_range"] is not None and p["max_calib_range"] is not None


def _sum_kind(p: Any, ins: Kinds) -> str | None:
    if not _calibrated(p):
        return "int32"
    return None if None in ins[:2] else "uint8" if ins[0] == ins[1] == "uint8" else "int8"


def _sum_types(p: Any, ins: Kinds, outs: Kinds) -> tuple[Kinds, Kinds]:
    return [*ins[:2], *["float32"] * 4], [_sum_kind(p, ins), *["float32"] * (len(outs) - 1)]


def _scaled(data: Any, low: Any, high: Any, kind: str, reach: Any) -> Any:
    # one division, of products: int32 shows a rounding more or less
    into = torch.where(reach == 0, 1.0, reach * LEVELS[kind_of(data)])
    return data * (LEVELS[kind] * peak(low, high) / into)


@operator(
    "_contrib_quantized_elemwise_add",
    aliases=("_npx_quantized_elemwise_add",),
    shape=_PAIR,
    dtype=_sum_types,
    outputs=_RESULTS,
    documented=("min_calib_range", "max_calib_range", "lhs", "rhs", "lhs_min", "lhs_max", "rhs_min", "rhs_max"),
)
def quantized_elemwise_add(
    lhs,
    rhs,
    lhs_min,
    lhs_max,
    rhs_min,
    rhs_max,
    *,
    min_calib_range: float | None = None,
    max_calib_range: float | None = None,
):
    """The sum of two eight-bit arrays, in the calibrated range as eight bits, or as int32 in the range of both."""
    p = locals()
    with torch.no_grad():
        kind = str(_sum_kind(p, [kind_of(lhs), kind_of(rhs)]))
        if _calibrated(p):
            low, high = constant_range(min_calib_range or 0.0, max_calib_range or 0.0, lhs)
        else:
            high = peak(lhs_min, lhs_max) + peak(rhs_min, rhs_max)
            low = -high
        reach = peak(low, high)
        pair = [_scaled(lhs, lhs_min, lhs_max, kind, reach), _scaled(rhs, rhs_min, rhs_max, kind, reach)]
        if kind == "int8" and lhs.dtype is not rhs.dtype:
            # the one that is not of the result's type becomes so before the sum
            pair = [store(x, kind) if d.dtype is torch.uint8 else x for x, d in zip(pair, (lhs, rhs), strict=True)]
        found = pair[0] + pair[1]
        if kind != "int32":
            return store(found, kind), low, high
        return found.double().round().clamp(-_LIMIT, _LIMIT - 1).to(torch.int32), low, high


def _product_kind(p: Any) -> str:
    return "float32" if p["enable_float_output"] else "int8" if _calibrated(p) else "int32"


def _product_types(p: Any, _: Kinds, outs: Kinds) -> tuple[Kinds, Kinds]:
    return ["int8", "int8", *["float32"] * 4], [_product_kind(p), *["float32"] * (len(outs) - 1)]


@operator(
    "_contrib_quantized_elemwise_mul",
    aliases=("_npx_quantized_elemwise_mul",),
    shape=_PAIR,
    dtype=_product_types,
    outputs=lambda p: 1 if p.enable_float_output else _RESULTS,
)
def quantized_elemwise_mul(
    lhs,
    rhs,
    lhs_min,
    lhs_max,
    rhs_min,
    rhs_max,
    *,
    min_calib_range: float | None = None,
    max_calib_range: float | None = None,
    enable_float_output: bool = False,
):
    """The product of two int8 arrays: real numbers, int8 in the calibrated range (cut, not rounded), or int32."""
    p = locals()
    if lhs.dtype is not torch.int8 or rhs.dtype is not torch.int8:
        raise OperatorError(
            "a quantized product takes int8", expected="int8 and int8", found=f"{kind_of(lhs)} and {kind_of(rhs)}"
        )
    with torch.no_grad():
        found = lhs.to(torch.int32) * rhs.to(torch.int32)
        unit = scale_of("int8", lhs_min, lhs_max) * scale_of("int8", rhs_min, rhs_max)
        if enable_float_output:
            return found * per(1.0, unit)
        if not _calibrated(p):
            return found, *product_range((lhs_min, lhs_max), (rhs_min, rhs_max))
        low, high = constant_range(min_calib_range or 0.0, max_calib_range or 0.0, lhs)
        # beyond eight bits MXNet wraps around here
        return (found * (scale_of("int8", low, high) / unit)).to(torch.int32).to(torch.int8), low, high
