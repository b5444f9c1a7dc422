"""What an MXNet graph says of its variables: which layer each belongs to, and as what."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass

from evergraph.crossing.parts import Part
from evergraph.graph import Graph, Node

__all__ = ["Fused", "Place", "fused_layout", "places"]

_INPUTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "Convolution": ("conv", ("weight", "bias")),
    "Deconvolution": ("conv", ("weight", "bias")),
    "FullyConnected": ("linear", ("weight", "bias")),
    "Embedding": ("embedding", ("weight",)),
    "BatchNorm": ("batch_norm", ("scale", "shift", "mean", "variance")),
    "LayerNorm": ("norm", ("scale", "shift")),
    "GroupNorm": ("norm", ("scale", "shift")),
    "InstanceNorm": ("norm", ("scale", "shift")),
    "LeakyReLU": ("prelu", ("slope",)),
    "RNN": ("rnn", ("fused",)),
}
"""Kind of layer that an operator is, and what its inputs behind the data are."""

_SAME = {"Convolution_v1": "Convolution", "BatchNorm_v1": "BatchNorm", "CuDNNBatchNorm": "BatchNorm"}
_SAME |= {"_contrib_SyncBatchNorm": "BatchNorm", "_contrib_SparseEmbedding": "Embedding"}
_ENDING = re.compile(r"[._]?(weight|bias|gamma|beta|alpha|(moving|running)_(mean|var)|parameters)$")
_GATES = {"lstm": 4, "gru": 3, "rnn_relu": 1, "rnn_tanh": 1}
_FALSE = ("false", "0")


@dataclass(frozen=True, slots=True)
class Fused:
    """The recurrent layers whose weights one vector holds."""

    gates: int
    hidden: int
    layers: int
    directions: int


@dataclass(frozen=True, slots=True)
class Place:
    """What a variable is in its graph.

    Attributes:
        name: the variable.
        part: its layer and role.
        role: "arg:" or "aux:".
        fixed: whether it is a scale that counts as 1 (`fix_gamma`).
        last: whether the channels of a convolution stand last (`layout="NHWC"`).
        fused: for the vector of recurrent layers, what it holds.
    """

    name: str
    part: Part
    role: str = "arg:"
    fixed: bool = False
    last: bool = False
    fused: Fused | None = None


def places(graph: Graph) -> dict[str, Place]:
    """The place of each variable that is a parameter of a known operator; of several users the first says it.

    >>> layer = Node("FullyConnected", "fc", {}, ((0, 0, 0), (1, 0, 0)))
    >>> graph = Graph((Node("null", "data"), Node("null", "fc_weight"), layer), heads=((2, 0, 0),))
    >>> places(graph)["fc_weight"].part.kind
    'linear'
    """
    found: dict[str, Place] = {}
    for node in graph.nodes:
        op = _SAME.get(node.op, node.op)
        if op not in _INPUTS or (op == "LeakyReLU" and node.attrs.get("act_type") != "prelu"):
            continue
        kind, roles = _INPUTS[op]
        for role, entry in zip(roles, node.inputs[1:], strict=False):
            variable = graph.nodes[entry[0]]
            if variable.is_variable and variable.name not in found:
                place = _place(variable.name, node, kind, role)
                if place is not None:
                    found[variable.name] = place
    return found


def _place(name: str, node: Node, kind: str, role: str) -> Place | None:
    ending = _ENDING.search(name)
    owner = name[: ending.start()] if ending and ending.start() else node.name
    attrs, why = node.attrs, f"an input of {node.op}"
    if kind == "conv" and len(_sizes(attrs.get("kernel", ""))) == 1:
        kind = "conv1d"
    if kind == "rnn":
        fused = _fused(attrs)
        return Place(name, Part(owner, kind, role, why=why), fused=fused) if fused is not None else None
    fixed = role == "scale" and kind == "batch_norm" and attrs.get("fix_gamma", "True").lower() not in _FALSE
    last = role == "weight" and attrs.get("layout", "").endswith("C") and kind.startswith("conv")
    where = "aux:" if role in ("mean", "variance") else "arg:"
    return Place(name, Part(owner, kind, role, why=why), where, fixed, last)


def _sizes(text: str) -> tuple[int, ...]:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        # upgrade and verify tell of broken attributes; here they say nothing
        return ()
    return value if isinstance(value, tuple) else (value,)


def _fused(attrs: Mapping[str, str]) -> Fused | None:
    """The layers of a fused operator; None where its weights are arranged in another way (a projection)."""
    mode, hidden, layers = attrs.get("mode", ""), attrs.get("state_size", ""), attrs.get("num_layers", "")
    plain = attrs.get("projection_size", "None") in ("None", "")
    if mode not in _GATES or not hidden.isdecimal() or not layers.isdecimal() or not plain:
        return None
    both = attrs.get("bidirectional", "False").lower() not in _FALSE
    return Fused(_GATES[mode], int(hidden), int(layers), 2 if both else 1)


def fused_layout(fused: Fused, size: int) -> list[tuple[Part, tuple[int, ...]]] | None:
    """What stands in a vector of this size, in order: all weights, then all biases.

    Returns:
        None where no width of the input gives this size.

    >>> [(p.role, shape) for p, shape in fused_layout(Fused(4, 2, 1, 1), 4 * 2 * (3 + 2 + 2))]
    [('ih_weight', (8, 3)), ('hh_weight', (8, 2)), ('ih_bias', (8,)), ('hh_bias', (8,))]
    """
    rows, inner = fused.gates * fused.hidden, fused.hidden * fused.directions
    ends = [(layer, way) for layer in range(fused.layers) for way in range(fused.directions)]
    if not rows or not ends or len(ends) * rows > size:
        return None
    others = sum(rows * (fused.hidden + 2 + (inner if layer else 0)) for layer, _ in ends)
    width, rest = divmod(size - others, rows * fused.directions)
    if rest or width < 1:
        return None
    found = []
    for layer, way in ends:
        for role, columns in (("ih_weight", inner if layer else width), ("hh_weight", fused.hidden)):
            found.append((Part("", "rnn", role, layer, bool(way)), (rows, columns)))
    for layer, way in ends:
        found += [(Part("", "rnn", role, layer, bool(way)), (rows,)) for role in ("ih_bias", "hh_bias")]
    return found
