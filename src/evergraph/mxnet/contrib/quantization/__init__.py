"""`mx.contrib.quantization`: networks whose layers compute with eight bits.

>>> import evergraph.mxnet as mx
>>> net = mx.sym.FullyConnected(mx.sym.var("data"), num_hidden=2, name="fc")
>>> weights = {"fc_weight": mx.nd.ones((2, 3)), "fc_bias": mx.nd.zeros((2,))}
>>> small, values, _ = quantize_model(net, weights, {}, calib_mode="none")
>>> values["fc_weight_quantize"].dtype
<class 'numpy.int8'>
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from evergraph.errors import UsageError
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.context import Context, cpu
from evergraph.mxnet.contrib.quantization.batches import as_iterator
from evergraph.mxnet.contrib.quantization.collectors import (
    HistogramCollector,
    MinMaxCollector,
    combine_histogram,
    optimal_ranges,
)
from evergraph.mxnet.contrib.quantization.graphs import calibrated, quantized
from evergraph.mxnet.symbol.nodes import adopt
from evergraph.mxnet.symbol.symbol import Symbol

__all__ = [
    "calib_graph",
    "combine_histogram",
    "quantize_graph",
    "quantize_model",
    "quantize_model_mkldnn",
    "quantize_net",
    "quantize_net_v2",
]

_KINDS = ("int8", "uint8", "auto")
_MODES = ("full", "smart")
_CALIBRATIONS = ("none", "naive", "entropy")


def _symbol(graph: Any) -> Symbol:
    return Symbol(adopt(graph)[0])


def _check(kind: str, mode: str, calibration: str | None = None) -> None:
    if kind not in _KINDS:
        raise UsageError(
            "unknown quantized_dtype, expected `int8`, `uint8` or `auto`", expected=", ".join(_KINDS), found=kind
        )
    if mode not in _MODES:
        raise UsageError("unknown quantize_mode", expected="full or smart", found=mode)
    if calibration is not None and calibration not in _CALIBRATIONS:
        raise UsageError("unknown calibration mode", expected=", ".join(_CALIBRATIONS), found=calibration)


def _quantized_values(symbol: Symbol, values: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a quantized graph: eight-bit values with their ranges, and what stays as it is."""
    found = {}
    wanted = set(symbol.list_arguments())
    for name, value in values.items():
        if name in wanted:
            found[name] = value
        if f"{name}_quantize" in wanted:
            made = nd.contrib.quantize(value, value.min(), value.max(), out_type="int8")
            found |= dict(zip((f"{name}_quantize{part}" for part in ("", "_min", "_max")), made, strict=True))
    return {n: found[n] for n in symbol.list_arguments() if n in found}


def _listed(value: Any, what: str) -> Sequence[str]:
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise UsageError(f"{what} is a list of names", found=repr(value))
    return value


def quantize_graph(
    sym: Symbol,
    arg_params: Mapping[str, Any],
    aux_params: Mapping[str, Any],
    ctx: Context = cpu(),  # noqa: B008 - contexts do not change
    excluded_sym_names: Any = None,
    excluded_op_names: Any = None,
    calib_mode: str = "entropy",
    quantized_dtype: str = "int8",
    quantize_mode: str = "full",
    quantize_granularity: str = "tensor-wise",  # noqa: ARG001 - only MXNet's fused layers have channel-wise ranges
    LayerOutputCollector: Any = None,
    logger: Any = None,
) -> tuple[Symbol, dict[str, Any], Mapping[str, Any], Any]:
    """A graph with eight-bit layers, its arguments, and a collector to calibrate it by; see `calib_graph`.

    Args:
        sym: the network.
        arg_params: its arguments.
        aux_params: its auxiliary states.
        ctx: device.
        excluded_sym_names: nodes that stay as they are.
        excluded_op_names: operators that stay as they are.
        calib_mode: "none", "naive" or "entropy".
        quantized_dtype: "int8", "uint8" or "auto".
        quantize_mode: "full", or "smart" for only what lies between convolutions and fully connected layers.
        quantize_granularity: taken, and not used.
        LayerOutputCollector: a collector of its own instead.
        logger: told what is done.

    Raises:
        UsageError: an unknown type or mode.
    """
    _check(quantized_dtype, quantize_mode, calib_mode)
    graph, layers = quantized(
        sym.graph,
        set(arg_params),
        _listed(excluded_sym_names, "excluded_sym_names"),
        _listed(excluded_op_names, "excluded_op_names"),
        quantized_dtype,
        quantize_mode,
    )
    found = _symbol(graph)
    if logger is not None:
        logger.info("Quantizing graph on context %s", ctx)
    collector = LayerOutputCollector
    if calib_mode != "none" and collector is None:
        collector = MinMaxCollector(layers) if calib_mode == "naive" else HistogramCollector(layers)
    return found, _quantized_values(found, arg_params), aux_params, collector


def calib_graph(
    qsym: Symbol,
    arg_params: Mapping[str, Any],
    aux_params: Mapping[str, Any],
    collector: Any,
    calib_mode: str = "entropy",
    quantized_dtype: str = "int8",
    logger: Any = logging,
) -> tuple[Symbol, dict[str, Any], Mapping[str, Any]]:
    """A quantized graph that knows the ranges that a collector found.

    Raises:
        UsageError: an unknown mode, or nothing to calibrate by.
    """
    if calib_mode not in ("naive", "entropy"):
        raise UsageError("unknown calibration mode", expected="naive or entropy", found=calib_mode)
    if collector is None:
        raise UsageError("calibration needs a collector", fix="take the one that quantize_graph returns")
    if calib_mode == "entropy":
        ranges = optimal_ranges(collector.hist_dict, quantized_dtype)
    else:
        ranges = getattr(collector, "ranges", None) or collector.min_max_dict
    if logger is not None:
        logger.info("Calibrating %d layers by mode %s", len(ranges), calib_mode)
    found = _symbol(calibrated(qsym.graph, ranges))
    return found, _quantized_values(found, arg_params) | dict(arg_params), aux_params


def _collect(sym: Symbol, values: Any, states: Any, data: Any, names: Any, collector: Any, ctx: Any, most: Any) -> int:
    """Run the network over a data iterator; returns the number of samples."""
    count, executor, data_names = 0, None, [d[0] for d in data.provide_data]
    labels = set(sym.list_arguments()) - set(values) - set(data_names)
    data.reset()
    for batch in data:
        given = dict(zip(data_names, batch.data, strict=True))
        if executor is None:
            shapes = {n: a.shape for n, a in given.items()}
            if labels:
                shapes |= dict(
                    zip([n for n in names or () if n in labels], [b.shape for b in batch.label], strict=False)
                )
            executor = sym.simple_bind(ctx, grad_req="null", **shapes)
            executor.copy_params_from(values, states, allow_extra_params=True)
            executor.set_monitor_callback(collector.collect, monitor_all=True)
        executor.forward(is_train=False, **given)
        count += data.batch_size
        if most is not None and count >= most:
            break
    return count


def quantize_model(
    sym: Symbol,
    arg_params: Mapping[str, Any],
    aux_params: Mapping[str, Any],
    data_names: Sequence[str] = ("data",),  # noqa: ARG001 - the iterator names its data
    label_names: Sequence[str] | None = ("softmax_label",),
    ctx: Context = cpu(),  # noqa: B008 - contexts do not change
    excluded_sym_names: Any = None,
    excluded_op_names: Any = None,
    calib_mode: str = "entropy",
    calib_data: Any = None,
    num_calib_examples: int | None = None,
    quantized_dtype: str = "int8",
    quantize_mode: str = "smart",
    quantize_granularity: str = "tensor-wise",
    logger: Any = None,
) -> tuple[Symbol, dict[str, Any], Mapping[str, Any]]:
    """A network with eight-bit layers, its arguments and auxiliary states.

    Args:
        sym: the network.
        arg_params: its arguments.
        aux_params: its auxiliary states.
        data_names: names of its inputs.
        label_names: names of its labels.
        ctx: device on which it is calibrated.
        excluded_sym_names: nodes that stay as they are.
        excluded_op_names: operators that stay as they are.
        calib_mode: "none" to find ranges at every run, "naive" for the least and greatest values that calibration
            meets, "entropy" for the ranges that lose least.
        calib_data: iterator of the data to calibrate by.
        num_calib_examples: how many samples to calibrate by; all of them where it is not given.
        quantized_dtype: "int8", "uint8" or "auto".
        quantize_mode: "full" or "smart"; see `quantize_graph`.
        quantize_granularity: see `quantize_graph`.
        logger: told what is done.

    Raises:
        UsageError: an unknown type or mode, or no data to calibrate by.
    """
    _check(quantized_dtype, quantize_mode, calib_mode)
    found, values, states, collector = quantize_graph(
        sym,
        arg_params,
        aux_params,
        ctx,
        excluded_sym_names,
        excluded_op_names,
        calib_mode,
        quantized_dtype,
        quantize_mode,
        quantize_granularity,
        None,
        logger,
    )
    if calib_mode == "none":
        return found, values, states
    if calib_data is None:
        raise UsageError(f"calib_data must be provided when calib_mode={calib_mode}")
    count = _collect(sym, arg_params, aux_params, calib_data, label_names, collector, ctx, num_calib_examples)
    if logger is not None:
        logger.info("Collected statistics from %d samples", count)
    return calib_graph(found, values, states, collector, calib_mode, quantized_dtype, logger)


def quantize_model_mkldnn(sym: Symbol, arg_params: Any, aux_params: Any, *args: Any, **kwargs: Any) -> Any:
    """`quantize_model`: no layers are fused before they are quantized.

    Raises:
        UsageError: as `quantize_model`.
    """
    return quantize_model(sym, arg_params, aux_params, *args, **kwargs)


def quantize_net_v2(
    network: Any,
    quantized_dtype: str = "auto",
    quantize_mode: str = "full",
    quantize_granularity: str = "tensor-wise",
    exclude_layers: Any = None,
    exclude_layers_match: Any = None,
    exclude_operators: Any = None,
    calib_data: Any = None,
    data_shapes: Any = None,
    calib_mode: str = "none",
    num_calib_examples: int | None = None,
    ctx: Context = cpu(),  # noqa: B008 - contexts do not change
    LayerOutputCollector: Any = None,  # noqa: ARG001 - collectors follow from the mode
    logger: Any = None,
) -> Any:
    """A hybrid gluon network with eight-bit layers, as a `SymbolBlock`.

    Args:
        network: the network, initialized.
        quantized_dtype: as in `quantize_model`; "auto" is int8.
        quantize_mode: as in `quantize_model`.
        quantize_granularity: as in `quantize_model`.
        exclude_layers: nodes that stay as they are.
        exclude_layers_match: parts of names of nodes that stay as they are.
        exclude_operators: operators that stay as they are.
        calib_data: what to calibrate by: an iterator of `mx.io`, or a gluon data loader, with labels or without.
        data_shapes: shape of the input, where there is no data to calibrate by.
        calib_mode: as in `quantize_model`.
        num_calib_examples: as in `quantize_model`.
        ctx: device.
        LayerOutputCollector: taken, and not used.
        logger: told what is done.

    Raises:
        UsageError: neither data nor shapes.
    """
    from evergraph.mxnet import gluon
    from evergraph.mxnet import symbol as symbols

    if calib_data is None and data_shapes is None:
        raise UsageError("data_shapes required for an empty calib_data", fix="give data_shapes=[(n, c, h, w)]")
    given: Any = None if calib_data is None else as_iterator(calib_data, network)
    shapes = [d[1] for d in given.provide_data] if data_shapes is None else list(data_shapes)
    network(*[nd.zeros(getattr(s, "shape", s), ctx) for s in shapes])
    names = ["data"] if len(shapes) == 1 else [f"data{i}" for i in range(len(shapes))]
    inputs = [symbols.var(n) for n in names]
    symbol = network(*inputs)
    states = set(symbol.list_auxiliary_states())
    params = {n: p._reduce() for n, p in network.collect_params().items()}
    excluded = list(_listed(exclude_layers, "exclude_layers"))
    parts = _listed(exclude_layers_match, "exclude_layers_match")
    excluded += [n.name for n in symbol.graph.nodes if any(part in n.name for part in parts)]
    found, values, aux = quantize_model(
        symbol,
        {n: v for n, v in params.items() if n not in states},
        {n: v for n, v in params.items() if n in states},
        names,
        None,
        ctx,
        excluded,
        # without a calibrated range it stays as it is; MXNet has folded it into a convolution by now
        exclude_operators if calib_mode != "none" else [*_listed(exclude_operators, "exclude_operators"), "BatchNorm"],
        calib_mode,
        given,
        num_calib_examples,
        # layers that are not fused take half the range of unsigned data, in MXNet too
        "int8" if quantized_dtype == "auto" else quantized_dtype,
        quantize_mode,
        quantize_granularity,
        logger,
    )
    made = gluon.SymbolBlock(found, inputs)
    for name, value in {**values, **aux}.items():
        if name in made.collect_params():
            made.collect_params()[name]._load_init(value, ctx, cast_dtype=True, dtype_source="saved")
    return made


def quantize_net(
    network: Any,
    quantized_dtype: str = "auto",
    quantize_mode: str = "full",
    exclude_layers: Any = None,
    exclude_layers_match: Any = None,
    exclude_operators: Any = None,
    calib_data: Any = None,
    data_shapes: Any = None,
    calib_mode: str = "none",
    num_calib_examples: int | None = None,
    ctx: Context = cpu(),  # noqa: B008 - contexts do not change
    logger: Any = None,
) -> Any:
    """`quantize_net_v2` without granularity and collector."""
    return quantize_net_v2(
        network,
        quantized_dtype,
        quantize_mode,
        "tensor-wise",
        exclude_layers,
        exclude_layers_match,
        exclude_operators,
        calib_data,
        data_shapes,
        calib_mode,
        num_calib_examples,
        ctx,
        None,
        logger,
    )
