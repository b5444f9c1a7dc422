"""A graph whose layers compute with eight bits: which layers, and what stands between them and the rest."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from evergraph.graph import Draft, Entry, Graph, Node
from evergraph.ops import find

__all__ = ["calibrated", "layer_name", "observed_name", "quantized"]

# worth quantizing for their own sake
_MUST = {"Convolution": "_contrib_quantized_conv", "FullyConnected": "_contrib_quantized_fully_connected"}
# worth it between layers that are quantized
_SUPPORT = {
    "Activation": "_contrib_quantized_act",
    "BatchNorm": "_contrib_quantized_batch_norm",
    "Concat": "_contrib_quantized_concat",
    "Embedding": "_contrib_quantized_embedding",
    "Flatten": "_contrib_quantized_flatten",
    "Pooling": "_contrib_quantized_pooling",
    "elemwise_add": "_contrib_quantized_elemwise_add",
    "elemwise_mul": "_contrib_quantized_elemwise_mul",
}
# whose results have 32 bits
_REQUANTIZED = frozenset(("Convolution", "FullyConnected", "elemwise_add", "elemwise_mul"))
# inputs that stay as they are
_PLAIN_INPUTS = {"BatchNorm": range(1, 5), "Embedding": range(1)}
# operators that name their outputs; results of others are called by their number
_NAMES = """
    Activation BatchNorm BatchNorm_v1 BilinearSampler Concat Convolution Convolution_v1 Correlation Crop Custom
    Deconvolution Dropout FullyConnected GridGenerator GroupNorm IdentityAttachKLSparseReg InstanceNorm
    L2Normalization LRN LayerNorm LeakyReLU LinearRegressionOutput LogisticRegressionOutput MAERegressionOutput
    MakeLoss Pad Pooling Pooling_v1 RNN ROIPooling SVMOutput SequenceLast SequenceMask SequenceReverse SliceChannel
    SoftmaxActivation SoftmaxOutput SpatialTransformer SwapAxis UpSampling elemwise_add make_loss softmax softmin
    im2col col2im
"""
_NAMING = frozenset(_NAMES.split())


@dataclass
class _State:
    """What is known while a graph is rebuilt."""

    draft: Draft
    kind: str
    offline: Collection[str]
    # source node -> its place in the draft; for quantized nodes that of the eight-bit result
    place: dict[int, int] = field(default_factory=dict)
    quantizers: dict[tuple[int, int], tuple[Entry, Entry, Entry]] = field(default_factory=dict)
    dequantizers: dict[int, Entry] = field(default_factory=dict)
    layers: list[str] = field(default_factory=list)


def layer_name(node: Node, output: int) -> str:
    """What a node's output is called in the names of what quantizes it.

    >>> layer_name(Node("null", "data"), 0), layer_name(Node("softmax", "s"), 0), layer_name(Node("exp", "e"), 0)
    ('data', 's_output', 'e_0')
    """
    if node.is_variable:
        return node.name
    op = find(node.op)
    if op is None or op.name not in _NAMING:
        return f"{node.name}_{output}"
    return f"{node.name}_{op.output_names(op.parse(node.attrs))[output]}"


def observed_name(node: Node, output: int) -> str:
    """What a monitor calls a node's output, and calibration its layer."""
    op = None if node.is_variable else find(node.op)
    return node.name if op is None else f"{node.name}_{op.output_names(op.parse(node.attrs))[output]}"


def _operator(node: Node) -> str:
    """The canonical name of a node's operator where it has an eight-bit form with these parameters, else ""."""
    op = None if node.is_variable else find(node.op)
    if op is None or op.name not in {**_MUST, **_SUPPORT}:
        return ""
    p = op.parse(node.attrs)
    fits = {
        "Activation": lambda: p.act_type == "relu",
        "Pooling": lambda: p.pool_type in ("max", "avg"),
        "BatchNorm": lambda: not p.output_mean_var,
    }
    return op.name if fits.get(op.name, lambda: True)() else ""


def _chosen(graph: Graph, names: Collection[str], operators: Collection[str], mode: str) -> dict[int, str]:
    """The nodes to quantize, with their operators.

    All that can be ("full"), or those that are worth it by themselves and what lies on the ways between them ("smart").
    """
    found = {}
    for i, node in enumerate(graph.nodes):
        op = _operator(node)
        if op and node.name not in names and node.op not in operators and op not in operators:
            found[i] = op
    if mode == "full":
        return found
    after, before = set(), set()
    for i, op in found.items():
        if op in _MUST or any(source in after for source, *_ in graph.nodes[i].inputs):
            after.add(i)
    for i in reversed(found):
        if found[i] in _MUST or i in before:
            before.add(i)
            before.update(source for source, *_ in graph.nodes[i].inputs if found.get(source) in _SUPPORT)
    return {i: op for i, op in found.items() if op in _MUST or (i in after and i in before)}


def quantized(
    graph: Graph,
    offline: Collection[str],
    names: Collection[str] = (),
    operators: Collection[str] = (),
    kind: str = "int8",
    mode: str = "smart",
) -> tuple[Graph, list[str]]:
    """The graph with eight-bit layers, and the names of the outputs whose range calibration should find.

    Args:
        graph: what is computed.
        offline: variables whose eight-bit values are made beforehand.
        names: nodes that stay as they are.
        operators: operators that stay as they are.
        kind: "int8", "uint8" or "auto".
        mode: "full" or "smart".
    """
    chosen = _chosen(graph, names, operators, mode)
    state = _State(Draft(graph), kind, offline)
    state.draft.nodes, state.draft.counts = [], []
    for i, node in enumerate(graph.nodes):
        if i in chosen:
            state.place[i] = _quantize_node(graph, i, chosen, state)
        else:
            inputs = tuple(_float_entry(graph, e, chosen, state) for e in node.inputs)
            deps = tuple(state.place[d] for d in node.control_deps)
            state.place[i] = state.draft.add(node.replace(inputs=inputs, control_deps=deps), None)
    state.draft.heads = [_float_entry(graph, e, chosen, state) for e in graph.heads]
    return state.draft.freeze(), state.layers


def _float_entry(graph: Graph, entry: Entry, chosen: Mapping[int, str], state: _State) -> Entry:
    source, output, version = entry
    place = state.place[source]
    if source not in chosen:
        return place, output, version
    if source not in state.dequantizers:
        inputs = tuple((place, i, 0) for i in range(3))
        node = Node("_contrib_dequantize", f"{graph.nodes[source].name}_dequantize", {}, inputs)
        state.dequantizers[source] = (state.draft.add(node), 0, 0)
    return state.dequantizers[source]


def _quantized_entry(graph: Graph, entry: Entry, chosen: Mapping[int, str], state: _State) -> tuple[Entry, ...]:
    """The eight-bit values of an output, their least and their greatest."""
    source, output, _ = entry
    if source in chosen:
        place = state.place[source]
        return (place, 0, 0), (place, 1, 0), (place, 2, 0)
    key = (source, output)
    if key not in state.quantizers:
        node = graph.nodes[source]
        name = f"{layer_name(node, output)}_quantize"
        if node.is_variable and node.name in state.offline:
            variables = [Node("null", name + part) for part in ("", "_min", "_max")]
            first, low, high = ((state.draft.add(v), 0, 0) for v in variables)
            state.quantizers[key] = first, low, high
        else:
            state.layers.append(observed_name(node, output))
            made = Node("_contrib_quantize_v2", name, {"out_type": state.kind}, ((state.place[source], output, 0),))
            place = state.draft.add(made, 3)
            state.quantizers[key] = (place, 0, 0), (place, 1, 0), (place, 2, 0)
    return state.quantizers[key]


def _quantize_node(graph: Graph, i: int, chosen: Mapping[int, str], state: _State) -> int:
    node, op = graph.nodes[i], chosen[i]
    values, ranges = [], []
    for number, entry in enumerate(node.inputs):
        if number in _PLAIN_INPUTS.get(op, ()):
            source, output, version = _float_entry(graph, entry, chosen, state)
            values.append((source, output, version))
            continue
        value, low, high = _quantized_entry(graph, entry, chosen, state)
        values.append(value)
        ranges += [low, high]
    inputs = tuple(values + ranges)
    place = state.draft.add(Node({**_MUST, **_SUPPORT}[op], f"quantized_{node.name}", node.attrs, inputs), 3)
    if op in _REQUANTIZED:
        state.layers.append(observed_name(node, 0))
        again = tuple((place, n, 0) for n in range(3))
        made = Node("_contrib_requantize", f"requantize_{node.name}", {"out_type": state.kind}, again)
        place = state.draft.add(made, 3)
    elif op == "BatchNorm":
        state.layers.append(observed_name(node, 0))
    return place


_CALIBRATED = ("_contrib_quantize_v2", "_contrib_requantize", "_contrib_quantized_batch_norm")


def calibrated(graph: Graph, ranges: Mapping[str, tuple[float, float]]) -> Graph:
    """The graph whose layers know the ranges of their values, least and greatest by the layers' names."""
    nodes = list(graph.nodes)
    for i, node in enumerate(nodes):
        if node.op not in _CALIBRATED:
            continue
        source, output, _ = node.inputs[0]
        if node.op == "_contrib_quantize_v2":
            name = observed_name(nodes[source], output)
        else:
            name = f"{node.name.removeprefix('requantize_').removeprefix('quantized_')}_output"
        if name in ranges:
            low, high = ranges[name]
            limits = {"min_calib_range": f"{low:.6f}", "max_calib_range": f"{high:.6f}"}
            nodes[i] = node.replace(attrs={**node.attrs, **limits})
    return graph.replace(nodes=tuple(nodes), text=None)
