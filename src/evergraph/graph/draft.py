"""A graph being changed: nodes in any order, put in order again when the change is done."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from evergraph.graph.graph import Entry, Graph, Node

__all__ = ["Draft", "depth_first"]


class Draft:
    """The nodes and heads of a graph, free to change; `freeze` makes a graph of what the heads still need.

    Nodes keep their positions while the draft lives: entries refer to them, new nodes go to the end.

    Args:
        graph: the graph to begin with; it stays as it is.

    >>> draft = Draft(Graph((Node("null", "x"), Node("relu", "y", inputs=((0, 0, 0),))), heads=((1, 0, 0),)))
    >>> draft.heads = [(draft.add(Node("tanh", "z", inputs=((0, 0, 0),))), 0, 0)]
    >>> [node.name for node in draft.freeze().nodes]
    ['x', 'z']
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[Node] = list(graph.nodes)
        self.heads: list[Entry] = list(graph.heads)
        counts = graph.output_counts
        self.counts: list[int | None] = [None] * len(self.nodes) if counts is None else list(counts)

    def add(self, node: Node, outputs: int | None = 1) -> int:
        """Append a node with so many outputs (None: not known); returns its position."""
        self.nodes.append(node)
        self.counts.append(outputs)
        return len(self.nodes) - 1

    def redirect(self, entries: dict[tuple[int, int], Entry]) -> None:
        """Let everything that reads an output (position, number) of the keys read the value's entry instead.

        Chains are followed: of a -> b and b -> c, readers of a read c.
        """

        def target(entry: Entry) -> Entry:
            while (found := entries.get(entry[:2])) is not None:
                entry = found
            return entry

        for i, node in enumerate(self.nodes):
            if any(e[:2] in entries for e in node.inputs):
                self.nodes[i] = node.replace(inputs=tuple(map(target, node.inputs)))
        self.heads = [target(e) for e in self.heads]

    def order(self) -> list[int]:
        """Positions of the nodes that the heads need, each after those that it needs itself."""
        return depth_first(self.nodes, self.heads)

    def freeze(self, order: Sequence[int] | None = None, **changes: Any) -> Graph:
        """The graph of all nodes that the heads need, in MXNet's order.

        Args:
            order: what `order()` gives, where it is known.
            changes: further fields of the new graph.
        """
        order = self.order() if order is None else order
        nodes, heads = self.nodes, self.heads
        if list(order) != list(range(len(nodes))):
            place = [0] * len(nodes)
            for new, old in enumerate(order):
                place[old] = new
            nodes = [_moved(nodes[old], place) for old in order]
            heads = [(place[n], output, version) for n, output, version in heads]
        counts = [self.counts[old] for old in order]
        rows = None if None in counts else tuple(accumulate([c or 0 for c in counts], initial=0))
        return self.graph.replace(nodes=tuple(nodes), heads=tuple(heads), row_ptr=rows, **changes)


def _moved(node: Node, place: list[int]) -> Node:
    if not node.inputs and not node.control_deps:
        return node
    inputs = tuple([(place[n], output, version) for n, output, version in node.inputs])
    deps = tuple([place[n] for n in node.control_deps])
    if inputs == node.inputs and deps == node.control_deps:
        return node
    return Node(node.op, node.name, node.attrs, inputs, deps, node.subgraphs, node.extra)


def depth_first(nodes: Sequence[Node], heads: Iterable[Entry]) -> list[int]:
    """Positions of the nodes that the heads need in MXNet's order: after their inputs, depth first.

    >>> x, y = Node("null", "x"), Node("null", "y")
    >>> depth_first([x, y, Node("add", "z", inputs=((1, 0, 0), (0, 0, 0)))], [(2, 0, 0)])
    [1, 0, 2]
    """
    order: list[int] = []
    seen = [False] * len(nodes)
    for head, *_ in heads:
        if seen[head]:
            continue
        seen[head] = True
        stack = [(head, _needs(nodes[head]))]
        while stack:
            at, pending = stack[-1]
            for source in pending:
                if not seen[source]:
                    seen[source] = True
                    node = nodes[source]
                    if node.inputs or node.control_deps:
                        stack.append((source, _needs(node)))
                        break
                    order.append(source)  # a variable, as most nodes are: nothing comes before it
            else:
                order.append(at)
                stack.pop()
    return order


def _needs(node: Node) -> Iterator[int]:
    return iter([entry[0] for entry in node.inputs] + list(node.control_deps))
