"""Self-attention's two products over interleaved projections, in int8 or in floating point."""

import math
from typing import Any

from evergraph.ops.families.nn.attention import interleaved_matmul_selfatt_qk, interleaved_matmul_selfatt_valatt
from evergraph.ops.families.quantized.ranges import Kinds, product_range, ranged
from evergraph.ops.families.quantized.scales import constant_range, kind_of, most_of, scale_of, store
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.schema import Params

__all__: list[str] = []

_EXACT = 2**24  # single precision adds integers below this without error
_SETTINGS = ("heads", "quantized", "enable_float_output", "min_calib_range", "max_calib_range")
_RANGES = ("min_qkv", "max_qkv", "min_attention", "max_attention")
_WITH_RANGES = dict.fromkeys(_RANGES, lambda p: p.quantized)


def _outputs(p: Params) -> int | tuple[str, ...]:
    return ("output", "min_output", "max_output") if p.quantized and not p.enable_float_output else 1


def _calibrated(p: Any) -> bool:
    return p["min_calib_range"] is not None and p["max_calib_range"] is not None


def _types(*eight: str) -> Any:
    """The type rule for eight-bit inputs of these types where the operator is quantized."""

    def rule(p: Any, ins: Kinds, outs: Kinds) -> tuple[Kinds, Kinds]:
        if not p.quantized:
            kind = ins[0] or outs[0]
            return [i or kind for i in ins], [kind]
        kind = "float32" if p.enable_float_output else "int8" if _calibrated(p) else "int32"
        wanted = [*eight, *["float32"] * (len(ins) - len(eight))]
        return [i or w for i, w in zip(ins, wanted, strict=True)], [kind, *["float32"] * (len(outs) - 1)]

    return rule


def _whole(x: Any, terms: int, most: int) -> Any:
    """Eight-bit integers in a type that adds so many products with another of such arrays exactly."""
    return x.to(torch.float32 if terms * most * 128 < _EXACT else torch.float64)


def _finished(found: Any, p: Any, left: tuple[Any, Any, str], right: tuple[Any, Any, str]) -> Any:
    """Sums of products as real numbers, int8 in the calibrated range, or int32, the latter two with a range.

    Args:
        found: the sums.
        p: the operator's parameters.
        left: range and type of one factor.
        right: range and type of the other, int8.
    """
    unit = scale_of(left[2], *left[:2]) * scale_of(right[2], *right[:2])
    if p["enable_float_output"]:
        return (found / unit).float()
    if _calibrated(p):
        low, high = constant_range(p["min_calib_range"], p["max_calib_range"], found)
        return store(found.float() * (scale_of("int8", low, high) / unit), "int8"), low, high
    levels = 255.0 if left[2] == "uint8" else 127.0
    return found.round().to(torch.int32), *product_range(left[:2], right[:2], levels)


@operator(
    "_sg_mkldnn_selfatt_qk",
    aliases=("_sg_onednn_selfatt_qk",),
    shape=ranged(interleaved_matmul_selfatt_qk.shape, "queries_keys_values"),
    dtype=_types("int8"),
    outputs=_outputs,
    optional=_WITH_RANGES,
    documented=("queries_keys_values", *_SETTINGS),
)
def sg_mkldnn_selfatt_qk(
    queries_keys_values,
    min_qkv,
    max_qkv,
    *,
    heads: int,
    quantized: bool = False,
    enable_float_output: bool = False,
    min_calib_range: float | None = None,
    max_calib_range: float | None = None,
):
    """Products of queries and keys over the root of their size: _contrib_interleaved_matmul_selfatt_qk.

    Quantized, projections are int8 with a range, and the products real numbers, int8 in the calibrated range, or int32.
    """
    p = locals()
    if not quantized:
        return interleaved_matmul_selfatt_qk.body(queries_keys_values, heads=heads)
    width = queries_keys_values.shape[2] // (3 * heads)
    factor = (min_qkv, max_qkv, kind_of(queries_keys_values))
    with torch.no_grad():
        whole = _whole(queries_keys_values, width, most_of(queries_keys_values))
        time, batch, _ = whole.shape
        split = whole.reshape(time, batch * heads, 3, width)
        found = torch.bmm(split[:, :, 0].transpose(0, 1), split[:, :, 1].permute(1, 2, 0)) / math.sqrt(width)
        return _finished(found, p, factor, factor)


@operator(
    "_sg_mkldnn_selfatt_valatt",
    aliases=("_sg_onednn_selfatt_valatt",),
    shape=ranged(interleaved_matmul_selfatt_valatt.shape, "queries_keys_values", "attention"),
    dtype=_types("int8", "uint8"),
    outputs=_outputs,
    optional=_WITH_RANGES,
    documented=("queries_keys_values", "attention", *_SETTINGS),
)
def sg_mkldnn_selfatt_valatt(
    queries_keys_values,
    attention,
    min_qkv,
    max_qkv,
    min_attention,
    max_attention,
    *,
    heads: int,
    quantized: bool = False,
    enable_float_output: bool = False,
    min_calib_range: float | None = None,
    max_calib_range: float | None = None,
):
    """Values weighted by attention: _contrib_interleaved_matmul_selfatt_valatt.

    Quantized, projections are int8 and attention uint8, each with a range, and the sums real numbers, int8 in the
    calibrated range, or int32.
    """
    p = locals()
    if not quantized:
        return interleaved_matmul_selfatt_valatt.body(queries_keys_values, attention, heads=heads)
    left = (min_attention, max_attention, kind_of(attention))
    right = (min_qkv, max_qkv, kind_of(queries_keys_values))
    with torch.no_grad():
        weights = _whole(attention, attention.shape[2], most_of(attention))
        values = queries_keys_values.to(weights.dtype)
        found = interleaved_matmul_selfatt_valatt.body(values, weights, heads=heads)
        return _finished(found, p, left, right)
