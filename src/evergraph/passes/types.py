"""Element types of everything in a graph, from those that are known."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from evergraph.errors import ShapeError, UsageError, collect, printable
from evergraph.graph import Graph
from evergraph.ops.rules import broadcast, elementwise, same_dtype
from evergraph.ops.schema import Params
from evergraph.passes.binding import Meaning
from evergraph.passes.propagation import Known, node_label, spread
from evergraph.passes.registry import Context, Edit, graph_pass
from evergraph.passes.signature import output_names
from evergraph.passes.subgraphs import Through

__all__ = ["TYPE_CODES", "Types", "infer_types"]

TYPE_CODES = (
    "float32",
    "float64",
    "float16",
    "uint8",
    "int32",
    "int8",
    "int64",
    "bool",
    "int16",
    "uint16",
    "uint32",
    "uint64",
    "bfloat16",
)
"""Element types by the numbers that `__dtype__` and parameter files use."""


_Kinds: TypeAlias = list[str | None]


class Types(Known[str]):
    """The element type of each output of each node; None where it is unknown."""

    def unknown(self) -> list[str]:
        """Names of variables and heads whose type is unknown."""
        names = [name for name, kind in self.variables().items() if kind is None]
        heads = zip(output_names(self.graph, self.graph.heads), self.heads(), strict=True)
        return names + [name for name, kind in heads if kind is None and name not in names]


def infer_types(graph: Graph, types: Mapping[str, str] | None = None, *, default: str | None = None) -> Types:
    """All element types that follow from the given ones and from the variables' `__dtype__`.

    Args:
        graph: an upgraded graph.
        types: by variable's name.
        default: type of the variables for which nothing follows from the others.

    Raises:
        ShapeError: types contradict each other, at these nodes.
        UsageError: names that no variable has, or types that are none.

    >>> from evergraph.graph import Node
    >>> graph = Graph((Node("null", "x"), Node("relu", "y", inputs=((0, 0, 0),))), ((1, 0, 0),))
    >>> infer_types(graph, {"x": "float16"}).heads()
    ['float16']
    """
    given = {} if types is None else types
    names = {n.name for n in graph.variables()}
    unknown = [printable(n) for n in given if n not in names]
    collect(UsageError, "types are given for variables that the graph does not have", unknown)
    bad = [f"{printable(n)}: {printable(t)}" for n, t in given.items() if t not in TYPE_CODES]
    collect(UsageError, "there are no such element types", bad, expected=", ".join(TYPE_CODES))
    found = _infer(graph, {i: given[n.name] for i, n in enumerate(graph.nodes) if n.is_variable and n.name in given})
    left = [i for i, n in enumerate(graph.nodes) if n.is_variable and found.of(i) is None]
    if default is not None and left:
        stated = {i: t for i, n in enumerate(graph.nodes) if n.is_variable and (t := found.of(i)) is not None}
        found = _infer(graph, stated | dict.fromkeys(left, default))
    return found


def _infer(graph: Graph, seeds: Mapping[int, str]) -> Types:
    found = Types(graph)
    wrong = _seed(found, seeds) + found.misread()
    if not wrong:
        wrong = spread(found, _rule(graph), _combine, bool)
    lines = [f"{node_label(graph, i)}: {text}" for i, text in wrong]
    collect(ShapeError, "the element types do not fit together", lines)
    return found


def _combine(a: str | None, b: str | None) -> str | None:
    if a is not None and b is not None and a != b:
        raise ShapeError("element types differ", expected=a, found=b)
    return b if a is None else a


def _seed(found: Types, seeds: Mapping[int, str]) -> list[tuple[int, str]]:
    """Set what the caller and the variables themselves say; where they differ, the caller is right."""
    wrong = []
    for i, node in enumerate(found.graph.nodes):
        if not node.is_variable:
            continue
        kind, text = seeds.get(i), node.attrs.get("__dtype__")
        if kind is None and text is not None and text.strip() != "-1":
            kind = _from_text(text)
            if kind is None:
                wrong.append((i, f"__dtype__: expected a number from 0 to 12, found {printable(text)!r}"))
        found.values[found.offsets[i]] = kind
    return wrong


def _from_text(text: str) -> str | None:
    text = text.strip()
    if text in TYPE_CODES:
        return text
    return TYPE_CODES[int(text)] if text.isascii() and text.isdigit() and int(text) < len(TYPE_CODES) else None


_UNIFORM = frozenset(("FullyConnected", "Convolution", "Deconvolution", "dot", "batch_dot"))
"""Layers whose inputs have one type, in MXNet too."""


def _rule(graph: Graph) -> Any:

    def rule(index: int, meaning: Meaning, ins: _Kinds, outs: _Kinds) -> tuple[_Kinds, _Kinds]:
        if meaning.operator is None or meaning.params is None:
            return ins, outs
        node = graph.nodes[index]
        if node.op in _THROUGH:
            return _SUBGRAPHS.infer(node, meaning.params, ins, outs)
        uniform = meaning.operator.shape in (elementwise, broadcast) or meaning.operator.name in _UNIFORM
        if meaning.operator.dtype is same_dtype and uniform:
            # as MXNet: arithmetic never converts
            for kind in ins[1:]:
                _combine(ins[0], kind)
        params = meaning.params
        if node.subgraphs:
            params = Params(params, subgraphs=node.subgraphs)
        return meaning.operator.dtype(params, ins, outs)

    return rule


# what is computed in a fused, quantized region has other types than its subgraph shows: such an operator tells itself
_THROUGH = ("_foreach", "_while_loop", "_cond")
_SUBGRAPHS: Through[str] = Through(
    run=_infer,
    combine=_combine,
    step=lambda kind: kind,
    stack=lambda kind, _: kind,
    length=lambda _: None,
    number="float32",
)


@graph_pass("infer_types", provides=["types"])
def types_pass(graph: Graph, context: Context) -> tuple[Graph, list[Edit]]:
    """Infer the element type of every variable and output from `input_types`."""
    context.provide(types=infer_types(graph, context.get("input_types"), default=context.get("default_type")))
    return graph, []
