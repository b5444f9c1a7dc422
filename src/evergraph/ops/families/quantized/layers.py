"""Layers on eight-bit integers: int32 sums where they multiply, eight bits again where they do not."""

import math
from typing import Any, Literal

from evergraph.errors import OperatorError
from evergraph.ops.families.nn.convolution import Convolution, convolved_weights
from evergraph.ops.families.nn.linear import Embedding, FullyConnected
from evergraph.ops.families.nn.pooling import Pooling
from evergraph.ops.families.nn.windows import first, last, spread
from evergraph.ops.families.quantized.integers import connect, convolve, prepare
from evergraph.ops.families.quantized.ranges import data_kind, product_range, ranged, typed
from evergraph.ops.families.quantized.scales import constant_range, kind_of, most_of, peak, per, scale_of, store
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, concat, elementwise, known, mapped, unify
from evergraph.ops.schema import Aux
from evergraph.ops.types import Double, NonNegative, NonNegativeLong, Shape

__all__: list[str] = []

_RESULTS = ("output", "min_output", "max_output")
_WITH_BIAS = {name: (lambda p: not p.no_bias) for name in ("bias", "min_bias", "max_bias")}
_LAYOUT = Literal[None, "NCDHW", "NCHW", "NCW", "NDHWC", "NHWC"]


@operator(
    "_contrib_quantized_conv",
    aliases=("_npx_quantized_conv",),
    shape=ranged(Convolution.shape, "data", "weight", "bias"),
    dtype=typed("int32", None, "int8", bias="int8"),
    outputs=_RESULTS,
    optional=_WITH_BIAS,
)
def quantized_conv(
    data,
    weight,
    bias,
    min_data,
    max_data,
    min_weight,
    max_weight,
    min_bias,
    max_bias,
    *,
    kernel: Shape,
    stride: Shape = (),
    dilate: Shape = (),
    pad: Shape = (),
    num_filter: NonNegative,
    num_group: NonNegative = 1,
    workspace: NonNegativeLong = 1024,
    no_bias: bool = False,
    cudnn_tune: Literal[None, "fastest", "limited_workspace", "off"] = None,
    cudnn_off: bool = False,
    layout: _LAYOUT = None,
):
    """Convolution of int8 or uint8 data with int8 weights: int32 sums and their range.

    The bias of int8 data is brought to their scale, as on MXNet's GPUs; that of uint8 data counts as it is, as on CPUs.
    """
    rank = len(kernel)
    with torch.no_grad():
        weights = prepare(first(weight, layout), most_of(data), num_group)
        steps, pads, dilates = spread(stride, rank, 1), spread(pad, rank, 0), spread(dilate, rank, 1)
        found = convolve(first(data, layout), weights, steps, pads, dilates, num_group).to(torch.int32)
        if bias is not None:
            if kind_of(data) == "int8":
                bias = _scaled(bias, "int8", (min_data, max_data), (min_weight, max_weight), (min_bias, max_bias))
            found += bias.to(torch.int32).reshape(-1, *[1] * rank)
        return last(found, layout), *product_range((min_data, max_data), (min_weight, max_weight))


quantized_conv.parameter_shapes(convolved_weights)


def _scaled(bias: Any, kind: str, data: Any, weight: Any, own: Any) -> Any:
    """An int8 bias in the unit of the products of data and weights."""
    unit = scale_of(kind, *data) * scale_of("int8", *weight)
    return (bias * (unit / scale_of("int8", *own))).to(torch.int32)


@operator(
    "_contrib_quantized_fully_connected",
    aliases=("_npx_quantized_fully_connected",),
    shape=ranged(FullyConnected.shape, "data", "weight", "bias"),
    dtype=typed("int32", None, "int8", bias="int8"),
    outputs=_RESULTS,
    optional=_WITH_BIAS,
)
def quantized_fully_connected(
    data,
    weight,
    bias,
    min_data,
    max_data,
    min_weight,
    max_weight,
    min_bias,
    max_bias,
    *,
    num_hidden: int,
    no_bias: bool = False,
    flatten: bool = True,
):
    """Int8 or uint8 data times int8 weights, plus an int8 bias brought to their scale: int32 sums and their range."""
    kind = kind_of(data)
    with torch.no_grad():
        data = data.reshape(len(data), -1) if flatten else data
        found = connect(data, prepare(weight, most_of(data))).to(torch.int32)
        if bias is not None:
            found += _scaled(bias, kind, (min_data, max_data), (min_weight, max_weight), (min_bias, max_bias))
        return found, *product_range(
            (min_data, max_data), (min_weight, max_weight), 255.0 if kind == "uint8" else 127.0
        )


@quantized_fully_connected.parameter_shapes
def _connected_weights(p: Any, data: Any) -> dict[str, Any]:
    inside = data[1:] if p.flatten else data[-1:]
    return {"weight": (p.num_hidden, math.prod(inside) if known(inside) else None), "bias": (p.num_hidden,)}


@operator(
    "_contrib_quantized_pooling",
    aliases=("_npx_quantized_pooling",),
    shape=ranged(Pooling.shape, "data"),
    dtype=typed(data_kind, None),
    outputs=_RESULTS,
)
def quantized_pooling(
    data,
    min_data,
    max_data,
    *,
    kernel: Shape = (),
    pool_type: Literal["avg", "lp", "max", "sum"] = "max",
    global_pool: bool = False,
    cudnn_off: bool = False,
    pooling_convention: Literal["full", "same", "valid"] = "valid",
    stride: Shape = (),
    pad: Shape = (),
    p_value: int | None = None,
    count_include_pad: bool | None = None,
    layout: Literal[None, "NCDHW", "NCHW", "NCW", "NDHWC", "NHWC", "NWC"] = None,
):
    """The maximum or average of each window, in the type and range of the data; averages are rounded."""
    options = {k: v for k, v in locals().items() if k in Pooling.parameters}
    if pool_type not in ("max", "avg"):
        raise OperatorError("quantized pooling cannot sum", expected="pool_type max or avg", found=pool_type)
    with torch.no_grad():
        found = Pooling.body(data.float(), **options)
        return store(found, kind_of(data)), min_data.clone(), max_data.clone()


@operator(
    "_contrib_quantized_act",
    shape=ranged(elementwise, "data"),
    dtype=typed("int8", None),
    outputs=_RESULTS,
)
def quantized_act(data, min_data, max_data, *, act_type: Literal["relu", "sigmoid", "softrelu", "softsign", "tanh"]):
    """The larger of int8 data and 0, in their range; relu is the only activation that eight bits have."""
    if act_type != "relu":
        raise OperatorError("quantized activation has one function", expected="act_type relu", found=act_type)
    kind_of(data)
    with torch.no_grad():
        # uint8 data come out with the bits of int8, as MXNet's type rule has it
        found = data.clamp(min=0) if data.dtype is torch.int8 else data.view(torch.int8).clone()
        return found, min_data.clone(), max_data.clone()


def _flattened(_: Any, shape: Any) -> Dims:
    return (shape[0], math.prod(shape[1:]) if known(shape[1:]) else None)


@operator(
    "_contrib_quantized_flatten",
    shape=ranged(mapped(_flattened), "data"),
    dtype=typed(data_kind, None),
    outputs=_RESULTS,
)
def quantized_flatten(data, min_data, max_data):
    """Data (n, ...) as (n, all the rest), with their range."""
    with torch.no_grad():
        return data.reshape(len(data), -1).clone(), min_data.clone(), max_data.clone()


@operator(
    "_contrib_quantized_embedding",
    shape=ranged(Embedding.shape, "data", "weight"),
    dtype=typed(lambda _, ins: ins[1] or "int8", "float32", "int8"),
    outputs=_RESULTS,
)
def quantized_embedding(
    data,
    weight,
    min_weight,
    max_weight,
    *,
    input_dim: int,
    output_dim: int,
    dtype: Literal["bfloat16", "float16", "float32", "float64", "int32", "int64", "int8", "uint8"] = "float32",
    sparse_grad: bool = False,
):
    """The rows of an eight-bit weight (input_dim, output_dim) that data numbers, with the range of the weight."""
    kind_of(weight)
    with torch.no_grad():
        rows = data.long().clamp(0, len(weight) - 1)
        return weight[rows], min_weight.clone(), max_weight.clone()


def _joined_names(p: Any, count: int | None) -> list[str]:
    number = p.num_args if p.get("num_args") is not None else (count or 0) // 3
    ranges = [f"arg{i}_{end}" for i in range(number) for end in ("min", "max")]
    return [*(f"arg{i}" for i in range(number)), *ranges]


def _joined_shapes(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    count = len(ins) // 3
    data, found = concat(p, ins[:count], outs[:1])
    return [*data, *[(1,)] * (2 * count)], [*found, (1,), (1,)]


def _joined_types(_: Any, ins: Any, outs: Any) -> Any:
    count = len(ins) // 3
    kinds = set(ins[:count])
    found = "int8" if "int8" in kinds else "uint8" if kinds == {"uint8"} else None
    return [*ins[:count], *["float32"] * (2 * count)], [found, "float32", "float32"]


@operator(
    "_contrib_quantized_concat",
    shape=_joined_shapes,
    dtype=_joined_types,
    outputs=_RESULTS,
    names=_joined_names,
)
def quantized_concat(*data, num_args: int, dim: int = 1):
    """Eight-bit arrays joined along dim, brought to the range that holds all of theirs.

    The result is uint8 where all of them are, int8 otherwise. Inputs are the arrays, then a minimum and a maximum for
    each.
    """
    arrays, ranges = data[: len(data) // 3], data[len(data) // 3 :]
    with torch.no_grad():
        lows, highs = torch.cat(ranges[::2]), torch.cat(ranges[1::2])
        low, high = lows.min().reshape(1), highs.max().reshape(1)
        kind = "int8" if any(kind_of(a) == "int8" for a in arrays) else "uint8"
        scale, parts = scale_of(kind, low, high), []
        for each, own_low, own_high in zip(arrays, lows.split(1), highs.split(1), strict=True):
            parts.append(store(each * (scale / scale_of(kind_of(each), own_low, own_high)), kind))
        return torch.cat(parts, dim), low, high


def _normalized(_: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    shape = unify(ins[0], outs[0], "output of a quantized batch normalisation")
    if shape is None:
        return ins, outs
    return [shape, *[unify(s, (shape[1],), "a parameter of batch normalisation") for s in ins[1:]]], [shape]


@operator(
    "_contrib_quantized_batch_norm",
    shape=ranged(_normalized, "data", "gamma", "beta", "moving_mean", "moving_var"),
    dtype=typed("int8", None, "float32"),
    outputs=_RESULTS,
)
def quantized_batch_norm(
    data,
    gamma,
    beta,
    moving_mean: Aux,
    moving_var: Aux,
    min_data,
    max_data,
    *,
    eps: Double = 0.0010000000474974513,
    momentum: float = 0.9,
    fix_gamma: bool = True,
    use_global_stats: bool = False,
    output_mean_var: bool = False,
    axis: int = 1,
    cudnn_off: bool = False,
    min_calib_range: float | None = None,
    max_calib_range: float | None = None,
):
    """Normalisation of int8 or uint8 data (n, c, ...) by the moving statistics, as int8 in the calibrated range.

    Gamma counts, whatever fix_gamma says.
    """
    if min_calib_range is None or max_calib_range is None:
        raise OperatorError(
            "quantized batch normalisation needs a calibrated range", expected="min_calib_range and max_calib_range"
        )
    with torch.no_grad():
        low, high = constant_range(min_calib_range, max_calib_range, data)
        levels = data.float() if kind_of(data) == "int8" else store(data * (127.5 / 255.5), "int8").float()
        scale = gamma / torch.sqrt(moving_var + eps)
        reach, out_reach = peak(min_data, max_data), peak(low, high)
        # the data go through a normalisation whose variance is 1, and it adds eps again
        slope = (scale * reach * per(1.0, out_reach) / math.sqrt(1.0 + eps)).reshape(-1, *[1] * (data.ndim - 2))
        shift = ((beta - moving_mean * scale) * per(127.5, out_reach)).reshape(slope.shape)
        return store(levels * slope + shift, "int8"), low, high
