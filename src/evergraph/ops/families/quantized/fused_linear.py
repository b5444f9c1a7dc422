"""Fully connected layers fused with an element-wise function, in int8 or in floating point."""

from dataclasses import dataclass
from typing import Any

from evergraph.errors import OperatorError
from evergraph.ops.families.quantized.fused import Layer, Memo, channel_scales, layer_of
from evergraph.ops.families.quantized.integers import Weights, connect, prepare
from evergraph.ops.families.quantized.ranges import Kinds, product_range
from evergraph.ops.families.quantized.scales import constant_range, kind_of, most_of, peak, scale_of, store
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.schema import Params, Subgraphs

__all__: list[str] = []

_INT32 = 2147483647.0


@dataclass(frozen=True, slots=True)
class _Prepared:
    """Integer weights and bias, and what one level of their data and of themselves is."""

    weights: Weights
    bias: Any  # in levels of the sums, float64
    data_scale: Any
    weight_scale: Any  # (1,) or (channels,)


def _from_real(layer: Layer, values: list[Any], ranges: list[Any]) -> _Prepared:
    """Of real weights: a scale for each row."""
    data, weight = values[layer.inputs[0]], values[layer.inputs[1]]
    bias = values[layer.inputs[2]] if len(layer.inputs) > 2 else None
    data_scale = scale_of(kind_of(data), *ranges[:2])
    scale = channel_scales(weight, bias, data_scale)
    levels = (weight * scale[:, None]).round_().clamp_(-128, 127)
    bias = None if bias is None else (bias * scale * data_scale).round().double()
    return _Prepared(prepare(levels, most_of(data)), bias, data_scale, scale)


def _from_levels(layer: Layer, values: list[Any], ranges: list[Any]) -> _Prepared:
    """Of int8 weights, whose range is given."""
    data, weight = values[layer.inputs[0]], values[layer.inputs[1]]
    data_scale, scale = scale_of(kind_of(data), *ranges[:2]), scale_of("int8", *ranges[2:4])
    if len(layer.inputs) < 3:
        return _Prepared(prepare(weight, most_of(data)), None, data_scale, scale)
    bias = values[layer.inputs[2]]
    if bias.dtype is torch.int32:
        return _Prepared(prepare(weight, most_of(data)), bias.double(), data_scale, scale)
    own = scale_of("int8", *ranges[4:6])
    # a bias that would leave int32 makes the weights smaller
    factor = data_scale * scale / own
    most = _INT32 / 2 / peak(*ranges[4:6]) / own
    shrink = torch.where(factor > most, most / factor, torch.ones_like(factor))
    weight = torch.where(shrink < 1, (weight * shrink).round(), weight.float())
    bias = (bias * torch.minimum(factor, most)).round().double()
    return _Prepared(prepare(weight, most_of(data)), bias, data_scale, scale * shrink)


_memo = Memo()


def _prepared(graph: Any, layer: Layer, values: list[Any], ranges: list[Any]) -> _Prepared:
    make = _from_real if values[layer.inputs[1]].is_floating_point() else _from_levels
    if torch.compiler.is_compiling():  # pyright: ignore[reportPrivateImportUsage]
        return make(layer, values, ranges)
    arrays = [values[i] for i in layer.inputs[1:]]
    rest = (*(float(r) for r in ranges), values[layer.inputs[0]].dtype)
    return _memo.get(graph, arrays, rest, lambda: make(layer, values, ranges))


def _calibrated(p: Any) -> bool:
    return p["min_calib_range"] is not None and p["max_calib_range"] is not None


def _output_kind(layer: Layer, p: Any) -> str:
    if p["enable_float_output"]:
        return "float32"
    if not _calibrated(p):
        return "int32"
    return "uint8" if p["shifted_output"] or (layer.before is not None and layer.before.positive) else "int8"


def _sums(layer: Layer, made: _Prepared, data: Any) -> Any:
    """Products plus bias: integers (n, num_hidden), or (..., num_hidden) without flatten, in float64."""
    data = data.reshape(len(data), -1) if layer.p.flatten else data
    found = connect(data, made.weights).double()
    return found if made.bias is None else found.add_(made.bias)


def _result(layer: Layer, made: _Prepared, data: Any, kind: str, low: Any, high: Any) -> Any:
    x, unit = _sums(layer, made, data), made.data_scale * made.weight_scale
    act = layer.before
    if kind == "int32":
        x = x if act is None else act.apply(x) if act.scalable else act.apply(x / unit) * unit
        return x.round().clamp(-(2**31), 2**31 - 1).to(torch.int32)
    x = x.float()
    if act is None and kind != "float32":
        return store(x.mul_(scale_of(kind, low, high) / made.data_scale / made.weight_scale), kind)
    x = x.mul_(torch.ones_like(made.data_scale) / made.data_scale / made.weight_scale)
    x = x if act is None else act.apply(x)
    return x if kind == "float32" else store(x * scale_of(kind, low, high), kind)


def _types(p: Any, ins: Kinds, outs: Kinds) -> tuple[Kinds, Kinds]:
    graphs = p.get("subgraphs")
    if not p.quantized:
        kind = ins[0] or outs[0]
        return [i or kind for i in ins], [kind]
    if not graphs:
        return ins, [None, *["float32"] * (len(outs) - 1)]
    layer = layer_of(graphs[0])
    inner = "float32" if p.channel_wise_quantize else "int8"
    kinds = dict.fromkeys(layer.inputs[1:], inner) | {layer.inputs[0]: None}
    given = [k or kinds.get(i, "float32") for i, k in enumerate(ins)]
    return given, [_output_kind(layer, p), *["float32"] * (len(outs) - 1)]


def _names(p: Any, count: int | None) -> list[str] | None:
    if count is None:
        return None
    ranges = ["min_data", "max_data", "min_weight", "max_weight", "min_bias", "max_bias"]
    each = 0 if not p.quantized else 2 if p.channel_wise_quantize else 2 * count // 3
    found = ["data", "weight", "bias"][: count - each] + ranges[:each]
    return found if len(found) == count else None


def _outputs(p: Params) -> int | tuple[str, ...]:
    return ("output", "output_min", "output_max") if p.quantized and not p.enable_float_output else 1


@operator(
    "_sg_mkldnn_fully_connected",
    aliases=("_sg_onednn_fully_connected",),
    dtype=_types,
    outputs=_outputs,
    names=_names,
    documented=(),
)
def sg_mkldnn_fully_connected(
    *data,
    quantized: bool = False,
    enable_float_output: bool = False,
    with_eltwise: bool = False,
    with_relu: bool = False,
    min_calib_range: float | None = None,
    max_calib_range: float | None = None,
    channel_wise_quantize: bool | None = None,
    shifted_output: bool | None = None,
    subgraphs: Subgraphs,
    **rest: str,
):
    """A fully connected layer, and an element-wise function of its result that the subgraph may have.

    Quantized, it takes int8 or uint8 data, int8 weights and bias and their ranges (or real weights, which get a scale
    for each row, and the range of the data only), and gives real numbers, eight bits in the calibrated range, or int32
    sums, the latter two with their range.
    """
    p = locals()
    (graph,) = subgraphs
    if not quantized:
        return graph(*data)
    layer = layer_of(graph.graph)
    if layer.norm is not None or layer.addend is not None:
        raise OperatorError("a quantized fully connected layer has another subgraph", expected="one product")
    values, ranges = list(data[: layer.count]), list(data[layer.count :])
    kind, source = _output_kind(layer, p), values[layer.inputs[0]]
    with torch.no_grad():
        made = _prepared(graph.graph, layer, values, ranges)
        if _calibrated(p):
            low, high = constant_range(min_calib_range or 0.0, max_calib_range or 0.0, source)
            if shifted_output:  # the bias is: what was -reach is 0
                reach = peak(low, high)
                low, high = low + reach, 2 * reach
        else:
            levels = 255.0 if kind_of(source) == "uint8" else 127.0
            low, high = product_range(ranges[:2], ranges[2:4] or ranges[:2], levels)
        found = _result(layer, made, source, kind, low, high)
        return found if kind == "float32" else (found, low, high)
