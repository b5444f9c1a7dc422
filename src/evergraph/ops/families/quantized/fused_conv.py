"""Convolution fused with batch normalisation, activations and a sum, in int8 or in floating point."""

from dataclasses import dataclass
from typing import Any

from evergraph.ops.families.nn.windows import first, last, spread
from evergraph.ops.families.quantized.fused import Activate, Layer, Memo, channel_scales, layer_of
from evergraph.ops.families.quantized.integers import Weights, convolve, prepare
from evergraph.ops.families.quantized.ranges import Kinds, product_range
from evergraph.ops.families.quantized.scales import LEVELS, constant_range, kind_of, most_of, per, scale_of, store
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.schema import Subgraphs

__all__: list[str] = []


@dataclass(frozen=True, slots=True)
class _Prepared:
    """Integer weights and bias, and by what their sums are to be multiplied."""

    weights: Weights
    bias: Any  # in levels of the sums, like what follows
    data_scale: Any
    weight_scale: Any  # (1,), or for each channel, shaped for the sums
    reach: Any  # the weights' largest magnitude


def _folded(layer: Layer, values: list[Any]) -> tuple[Any, Any]:
    """Weight and bias with the normalisation in them."""
    weight = values[layer.inputs[1]]
    bias = values[layer.inputs[2]] if len(layer.inputs) > 2 else None
    if layer.norm is None:
        return weight, bias
    gamma, beta, mean, var = (values[i] for i in layer.norm_inputs)
    slope = torch.sqrt(var.double() + layer.norm.eps)
    slope = (1.0 / slope if layer.norm.fix_gamma else gamma / slope).to(weight.dtype)
    moved = -mean if bias is None else bias - mean
    return weight * slope.reshape(-1, *[1] * (weight.ndim - 1)), beta + slope * moved


def _prepare(layer: Layer, values: list[Any], low: Any, high: Any, by_channel: bool) -> _Prepared:
    data = values[layer.inputs[0]]
    data_scale = scale_of(kind_of(data), low, high)
    weight, bias = _folded(layer, values)
    if by_channel:
        scale = channel_scales(weight, bias, data_scale)
    else:
        scale = per(LEVELS["int8"], weight.abs().max().reshape(1))
    levels = (weight * scale.reshape(-1, *[1] * (weight.ndim - 1))).round_().clamp_(-128, 127)
    scale = scale.reshape(-1, *[1] * (weight.ndim - 2))
    return _Prepared(
        weights=prepare(first(levels, layer.p.layout), most_of(data), layer.p.num_group),
        bias=None if bias is None else (bias.reshape(-1, *scale.shape[1:]) * scale * data_scale).round(),
        data_scale=data_scale,
        weight_scale=scale,
        reach=weight.abs().max().reshape(1),
    )


_memo = Memo()


def _prepared(graph: Any, layer: Layer, values: list[Any], ranges: list[Any], by_channel: bool) -> _Prepared:
    low, high = ranges[:2]
    if torch.compiler.is_compiling():  # pyright: ignore[reportPrivateImportUsage]
        return _prepare(layer, values, low, high, by_channel)
    arrays = [values[i] for i in (*layer.inputs[1:], *layer.norm_inputs)]
    rest = (float(low), float(high), values[layer.inputs[0]].dtype, by_channel)
    return _memo.get(graph, arrays, rest, lambda: _prepare(layer, values, low, high, by_channel))


def _output_kind(layer: Layer) -> str:
    last = layer.after if layer.addend is not None else layer.before
    return "uint8" if last is not None and last.positive else "int8"


def _activated(x: Any, act: Activate | None, unit: Any, saturates: bool) -> Any:
    """An activation of numbers that are `unit` times what they stand for, before they become uint8 or not."""
    if act is None or (act.cuts and saturates):
        return x
    return act.apply(x) if act.scalable else act.apply(x / unit) * unit


def _sums(layer: Layer, made: _Prepared, data: Any, dtype: Any) -> Any:
    """Products plus bias (n, c, *space), in a floating-point type."""
    p, rank = layer.p, len(layer.p.kernel)
    steps, pads, dilates = spread(p.stride, rank, 1), spread(p.pad, rank, 0), spread(p.dilate, rank, 1)
    found = convolve(first(data, p.layout), made.weights, steps, pads, dilates, p.num_group).to(dtype)
    return found if made.bias is None else found.add_(made.bias)


def _finished(layer: Layer, x: Any, values: list[Any], ranges: list[Any], unit: Any, saturates: bool) -> Any:
    """Activations and sum of numbers that are `unit` times what they stand for."""
    x = _activated(x, layer.before, unit, saturates and layer.addend is None)
    if layer.addend is not None:
        other = first(values[layer.addend], layer.p.layout)
        x = x + other * (unit / scale_of(kind_of(other), *ranges[2:4]))
        x = _activated(x, layer.after, unit, saturates)
    return last(x, layer.p.layout)


def _calibrated(layer: Layer, made: _Prepared, values: list[Any], ranges: list[Any], low: Any, high: Any) -> Any:
    """The result in the levels of a known range, as int8 or uint8."""
    kind = _output_kind(layer)
    unit = scale_of(kind, low, high)
    x = _sums(layer, made, values[layer.inputs[0]], torch.float32).mul_(unit / made.data_scale / made.weight_scale)
    return store(_finished(layer, x, values, ranges, unit, True), kind)


def _uncalibrated(layer: Layer, made: _Prepared, values: list[Any], ranges: list[Any]) -> Any:
    """The result in the levels of the sums, as int32."""
    x = _sums(layer, made, values[layer.inputs[0]], torch.float64)
    x = _finished(layer, x, values, ranges, made.data_scale * made.weight_scale, False)
    return x.round().clamp(-(2**31), 2**31 - 1).to(torch.int32)


def _types(p: Any, ins: Kinds, outs: Kinds) -> tuple[Kinds, Kinds]:
    graphs = p.get("subgraphs")
    if not p.quantized or not graphs:
        kind = ins[0] or outs[0]
        return ([i or kind for i in ins], [kind]) if not p.quantized else (ins, [None, "float32", "float32"])
    layer = layer_of(graphs[0])
    eight = {layer.inputs[0], layer.addend}
    kind = "int32" if p.min_calib_range is None or p.max_calib_range is None else _output_kind(layer)
    return [k or (None if i in eight else "float32") for i, k in enumerate(ins)], [kind, "float32", "float32"]


def _names(p: Any, count: int | None) -> list[str] | None:
    if count is None:
        return None
    rest = [
        *(["gamma", "beta", "mean", "var"] if p.with_bn else []),
        *(["sum"] if p.with_sum and not p.dedup_sum else []),
    ]
    if p.quantized:
        rest += ["min_data", "max_data", *(["min_sum", "max_sum"] if p.with_sum else [])]
    found = ["data", "weight", *(["bias"] if count > 2 + len(rest) else []), *rest]
    return found if len(found) == count else None


@operator(
    "_sg_mkldnn_conv",
    aliases=("_sg_onednn_conv",),
    dtype=_types,
    outputs=lambda p: ("output", "output_min", "output_max") if p.quantized else 1,
    names=_names,
    documented=(),
)
def sg_mkldnn_conv(
    *data,
    with_bn: bool = False,
    with_act: bool = False,
    with_sum: bool = False,
    with_postsum_act: bool = False,
    with_relu: bool = False,
    with_postsum_relu: bool = False,
    dedup_sum: bool = False,
    quantized: bool = False,
    min_calib_range: float | None = None,
    max_calib_range: float | None = None,
    subgraphs: Subgraphs,
    **rest: str,
):
    """A convolution with what follows it: batch normalisation, an activation, a sum, an activation.

    What that is, the subgraph says. Quantized, it takes int8 or uint8 data and the ranges of data and addend after the
    subgraph's inputs, makes int8 weights from the real ones, and gives eight bits in the calibrated range, or int32
    sums, and the range of either.
    """
    (graph,) = subgraphs
    if not quantized:
        return graph(*data)
    layer = layer_of(graph.graph)
    values, ranges = list(data[: layer.count]), list(data[layer.count :])
    by_channel = min_calib_range is not None and max_calib_range is not None
    with torch.no_grad():
        made = _prepared(graph.graph, layer, values, ranges, by_channel)
        if min_calib_range is not None and max_calib_range is not None:
            low, high = constant_range(min_calib_range, max_calib_range, values[0])
            return _calibrated(layer, made, values, ranges, low, high), low, high
        levels = 255.0 if kind_of(values[layer.inputs[0]]) == "uint8" else 127.0
        reach = product_range((ranges[0], ranges[1]), (made.reach, made.reach), levels)
        return _uncalibrated(layer, made, values, ranges), *reach
