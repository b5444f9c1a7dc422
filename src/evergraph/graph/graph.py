"""Graph and Node: what a symbol file says, as values that never change."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from evergraph.errors import GraphError, collect, printable

__all__ = ["VARIABLE", "Entry", "Graph", "Node", "version_words"]

VARIABLE = "null"
"""The `op` of a node that stands for an input, a parameter or an auxiliary state."""

Entry: TypeAlias = tuple[int, int, int]
"""One output of one node: (node index, output number, version)."""

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Node:
    """One node of a graph.

    Args:
        op: operator name as the file spells it; `VARIABLE` for a variable.
        name: the node's name; may be empty, and may stand twice in a graph.
        attrs: operator parameters and user attributes, all texts.
        inputs: entries of earlier nodes, in the operator's order.
        control_deps: indices of nodes that must run before this one.
        subgraphs: bodies of control flow or fused regions.
        extra: further keys of the file, kept as they are.
    """

    op: str
    name: str
    attrs: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[Entry, ...] = ()
    control_deps: tuple[int, ...] = ()
    subgraphs: tuple["Graph", ...] = ()
    extra: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)

    @property
    def is_variable(self) -> bool:
        """Whether this node stands for an array that is given from outside."""
        return self.op == VARIABLE

    def replace(self, **changes: Any) -> "Node":
        """The same node with other values for some fields."""
        return dataclasses.replace(self, **changes)


@dataclass(frozen=True, eq=False)
class Graph:
    """A computation as data: nodes in topological order, and the entries that are its outputs.

    Args:
        nodes: every node after the nodes it reads.
        heads: the graph's outputs.
        attrs: the file's graph attributes, such as `{"mxnet_version": ["int", 10901]}`.
        row_ptr: the file's `node_row_ptr`: where each node's outputs begin when all are numbered through.
        extra: further top-level keys of the file, kept as they are.
        text: the very bytes the graph was read from; a changed graph has none, an unchanged one saves to them again.

    >>> x = Node("null", "x")
    >>> graph = Graph((x, Node("relu", "y", inputs=((0, 0, 0),))), heads=((1, 0, 0),))
    >>> [n.name for n in graph.variables()]
    ['x']
    """

    nodes: tuple[Node, ...]
    heads: tuple[Entry, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    row_ptr: tuple[int, ...] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    text: bytes | None = None

    def __len__(self) -> int:
        return len(self.nodes)

    def __repr__(self) -> str:
        return f"<Graph of {len(self.nodes)} nodes, {len(self.heads)} outputs, {version_words(self.version)}>"

    @property
    def version(self) -> int | None:
        """MXNet's version number of the file (10901 for 1.9.1), or None where the file carries none."""
        found = self.attrs.get("mxnet_version")
        value = found[1] if isinstance(found, (list, tuple)) and len(found) == 2 else found
        return value if isinstance(value, int) else None

    @property
    def numpy_shapes(self) -> bool:
        """Whether () is a scalar and 0 a true size, as under MXNet's NumPy shape semantics."""
        found = self.attrs.get("is_np_shape")
        return bool(found[1] if isinstance(found, (list, tuple)) and len(found) == 2 else found)

    def variables(self) -> Iterator[Node]:
        """The nodes that stand for arrays given from outside, in order."""
        return (n for n in self.nodes if n.is_variable)

    def operators(self) -> dict[str, int]:
        """How often each operator stands in the graph and its subgraphs, by the file's spelling."""
        counts: dict[str, int] = {}
        for graph in self.walk():
            for node in graph.nodes:
                if not node.is_variable:
                    counts[node.op] = counts.get(node.op, 0) + 1
        return counts

    def walk(self) -> Iterator["Graph"]:
        """This graph and every subgraph below it."""
        pending = [self]
        while pending:
            graph = pending.pop()
            yield graph
            pending += [s for n in graph.nodes for s in n.subgraphs]

    def replace(self, **changes: Any) -> "Graph":
        """The same graph with other values for some fields; the bytes it was read from no longer stand for it."""
        return dataclasses.replace(self, **({"text": None} | changes))

    def verify(self) -> "Graph":
        """Check the invariants: order, indices, heads; returns the graph itself.

        Raises:
            GraphError: listing every edge that breaks them.
        """
        collect(GraphError, "the graph is not well formed", [f for g in self.walk() for f in _findings(g)])
        return self


def _findings(graph: Graph) -> list[str]:
    found = []
    total = len(graph.nodes)
    for index, node in enumerate(graph.nodes):
        for source, output, _ in node.inputs:
            if not 0 <= source < total:
                found.append(f"{_label(graph, index)} reads node {source}, and there are nodes 0 to {total - 1}")
            elif source >= index:
                word = "itself" if source == index else f"the later {_label(graph, source)}"
                found.append(f"{_label(graph, index)} reads {word}: a cycle, or not in topological order")
            elif not 0 <= output < _outputs(graph, source):
                found.append(
                    f"{_label(graph, index)} reads output {output} of {_label(graph, source)},"
                    f" which has {_outputs(graph, source)}"
                )
        found += [
            f"{_label(graph, index)} waits for node {dep}, which is not before it"
            for dep in node.control_deps
            if not 0 <= dep < index
        ]
    for number, (source, output, _) in enumerate(graph.heads):
        if not 0 <= source < total:
            found.append(f"head {number} is node {source}, and there are nodes 0 to {total - 1}")
        elif not 0 <= output < _outputs(graph, source):
            found.append(
                f"head {number} is output {output} of {_label(graph, source)}, which has {_outputs(graph, source)}"
            )
    return found


def _outputs(graph: Graph, index: int) -> float:
    """How many outputs a node has: from the file's row pointers; any number where the file does not tell."""
    if graph.nodes[index].is_variable:
        return 1
    if graph.row_ptr is None or len(graph.row_ptr) != len(graph.nodes) + 1:
        return float("inf")
    return graph.row_ptr[index + 1] - graph.row_ptr[index]


def _label(graph: Graph, index: int) -> str:
    node = graph.nodes[index]
    return f"node {index} {printable(node.name)!r} ({printable(node.op)})"


def version_words(version: int | None) -> str:
    """MXNet's version number in words.

    >>> version_words(10901), version_words(905), version_words(None)
    ('MXNet 1.9.1', 'MXNet 0.9.5', 'MXNet 0.8 or older')
    """
    if version is None or version < 900:
        return "MXNet 0.8 or older"
    return f"MXNet {version // 10000}.{version // 100 % 100}.{version % 100}"
