"""Graph and Node: what a symbol file says, as values that never change."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from operator import sub
from typing import Any, TypeAlias

from evergraph.errors import GraphError, collect, counted, printable

__all__ = ["NEWEST", "VARIABLE", "Entry", "Graph", "Node", "version_words"]

VARIABLE = "null"
"""The `op` of a node that stands for an input, a parameter or an auxiliary state."""

Entry: TypeAlias = tuple[int, int, int]
"""One output of one node: (node index, output number, version)."""

NEWEST = 20000
"""The newest version number that any release, betas included, writes."""

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True, init=False)
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
    attrs: Mapping[str, str]
    inputs: tuple[Entry, ...]
    control_deps: tuple[int, ...]
    subgraphs: tuple["Graph", ...]
    extra: Mapping[str, Any]

    def __init__(
        self,
        op: str,
        name: str,
        attrs: Mapping[str, str] = _NOTHING,
        inputs: tuple[Entry, ...] = (),
        control_deps: tuple[int, ...] = (),
        subgraphs: tuple["Graph", ...] = (),
        extra: Mapping[str, Any] = _NOTHING,
    ) -> None:
        # the slots' own setters: a frozen class's generated constructor takes twice as long, a third of reading a file
        _set_op(self, op)
        _set_name(self, name)
        _set_attrs(self, attrs)
        _set_inputs(self, inputs)
        _set_control_deps(self, control_deps)
        _set_subgraphs(self, subgraphs)
        _set_extra(self, extra)

    @property
    def is_variable(self) -> bool:
        """Whether this node stands for an array that is given from outside."""
        return self.op == VARIABLE

    def replace(self, **changes: Any) -> "Node":
        """The same node with other values for some fields."""
        if changes.keys() - _FIELDS:
            raise TypeError(f"a node has no {', '.join(sorted(changes.keys() - _FIELDS))}")
        get = changes.get
        return Node(
            get("op", self.op),
            get("name", self.name),
            get("attrs", self.attrs),
            get("inputs", self.inputs),
            get("control_deps", self.control_deps),
            get("subgraphs", self.subgraphs),
            get("extra", self.extra),
        )


_FIELDS = frozenset(f.name for f in dataclasses.fields(Node))
_set_op, _set_name, _set_attrs, _set_inputs, _set_control_deps, _set_subgraphs, _set_extra = (
    getattr(Node, f.name).__set__ for f in dataclasses.fields(Node)
)


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
        spelling: where the file kept a node's texts: "param" (0.8 and older, beside "attr"), "attr" (0.9 to 0.12) or
            "attrs" (1.0 on).

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
    spelling: str = "attrs"

    def __len__(self) -> int:
        return len(self.nodes)

    def __repr__(self) -> str:
        sizes = f"{counted(len(self.nodes), 'node')}, {counted(len(self.heads), 'output')}"
        return f"<Graph of {sizes}, {version_words(self.version)}>"

    @property
    def version(self) -> int | None:
        """MXNet's version number of the file (10901 for 1.9.1), or None where the file carries none."""
        value = _plain(self.attrs.get("mxnet_version"))
        return value if type(value) is int and value >= 0 else None

    @property
    def numpy_shapes(self) -> bool:
        """Whether () is a scalar and 0 a true size, as under MXNet's NumPy shape semantics."""
        return bool(_plain(self.attrs.get("is_np_shape")))

    @property
    def output_counts(self) -> tuple[int, ...] | None:
        """How many outputs each node has, by the file's row pointers; None where it has none that fit its nodes."""
        rows = self.row_ptr
        if rows is None or len(rows) != len(self.nodes) + 1 or rows[0] != 0:
            return None
        counts = tuple(map(sub, rows[1:], rows[:-1]))
        return counts if min(counts, default=1) > 0 else None

    def used_counts(self) -> list[int]:
        """How many outputs of each node are read: all that can be told of a node whose operator is not known."""
        counts = [1] * len(self.nodes)
        for entries in (*(n.inputs for n in self.nodes), self.heads):
            for source, output, _ in entries:
                counts[source] = max(counts[source], output + 1)
        return counts

    def remarks(self) -> list[str]:
        """What is odd about the graph and hinders nothing: said by reports, in words."""
        found = []
        stated = _plain(self.attrs.get("mxnet_version"))
        if stated is not None and self.version is None:
            found.append(f"the version {printable(stated)!r} is no number: taken for MXNet 0.8 or older")
        elif (self.version or 0) > NEWEST:
            found.append(
                f"written by {version_words(self.version)}, newer than any that is known: its meaning may differ"
            )
        if self.row_ptr is not None and self.output_counts is None:
            found.append(
                f"node_row_ptr ({len(self.row_ptr)} numbers) does not fit the {len(self.nodes)} nodes: not used"
            )
        if not self.heads:
            found.append("it has no heads: nothing of it is an output")
        return found

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

    def verify(self, name: str | None = None) -> "Graph":
        """Check the invariants: order, indices, heads; returns the graph itself.

        Args:
            name: what the graph is called in the error.

        Raises:
            GraphError: listing every edge that breaks them.
        """
        found = [(g, *f) for g in self.walk() for f in _findings(g)]
        # each line may need a search through the graph: only those that are shown are put in words
        lines = [_line(*f) for f in found[:_SHOWN]] + [""] * (len(found) - _SHOWN)
        fix = "MXNet writes no such graph: take the file from where it was made, or mend what edited it"
        collect(GraphError, "the graph is not well formed", lines, limit=_SHOWN, where=name, fix=fix)
        return self


def _plain(stated: Any) -> Any:
    """A graph attribute without the type's name that MXNet writes before it: 10901 for ["int", 10901]."""
    return stated[1] if isinstance(stated, (list, tuple)) and len(stated) == 2 else stated


_SHOWN = 50


def _findings(graph: Graph) -> Iterator[tuple[int | None, str, int, int]]:
    """Each broken edge: the node that has it (None for the graph itself), what kind it is, node and output it names."""
    counts, total = graph.output_counts, len(graph.nodes)
    for index, node in enumerate(graph.nodes):
        for source, output, _ in node.inputs:
            if not (0 <= source < index and output >= 0 and (counts is None or output < counts[source])):
                yield index, "reads", source, output
        for dep in node.control_deps:
            if not 0 <= dep < index:
                yield index, "waits for", dep, 0
        if node.op == VARIABLE and node.inputs:
            yield index, "is a variable, and reads", node.inputs[0][0], 0
    for number, (source, output, _) in enumerate(graph.heads):
        if not (0 <= source < total and output >= 0 and (counts is None or output < counts[source])):
            yield None, f"head {number} is", source, output


def _line(graph: Graph, index: int | None, verb: str, source: int, output: int) -> str:
    subject = verb if index is None else f"{_label(graph, index)} {verb}"
    return f"{subject} {_broken(graph, source, output, len(graph.nodes) if index is None else index)}"


def _broken(graph: Graph, source: int, output: int, reader: int) -> str:
    """What is wrong with reading this output of that node."""
    if not 0 <= source < len(graph.nodes):
        return f"node {source}, and there are nodes 0 to {len(graph.nodes) - 1}"
    if source == reader:
        return "itself"
    if source > reader:
        circle = reader in _needs(graph, source)
        return f"the later {_label(graph, source)}" + (", in a circle" if circle else ": nodes must stand in order")
    if (counts := graph.output_counts) and not 0 <= output < counts[source]:
        return f"output {output} of {_label(graph, source)}, which has {counts[source]}"
    return _label(graph, source) if output >= 0 else f"output {output} of {_label(graph, source)}"


def _needs(graph: Graph, index: int, most: int = 5000) -> set[int]:
    """Nodes that a node needs, itself included; the search ends with so many."""
    seen, pending = set(), [index]
    while pending and len(seen) < most:
        at = pending.pop()
        if at not in seen and 0 <= at < len(graph.nodes):
            seen.add(at)
            pending += [source for source, *_ in graph.nodes[at].inputs] + list(graph.nodes[at].control_deps)
    return seen


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
