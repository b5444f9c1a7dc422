"""What a graph takes and gives: arguments, auxiliary states and outputs, named and ordered as MXNet lists them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from evergraph.graph import Entry, Graph
from evergraph.graph.draft import depth_first
from evergraph.passes.binding import Meaning, meanings
from evergraph.passes.registry import Context, Edit, graph_pass

__all__ = ["Signature", "auxiliary_nodes", "internals", "output_name", "output_names", "signature"]


@dataclass(frozen=True, slots=True)
class Signature:
    """Names of what a graph takes and gives; a name may stand twice.

    Args:
        inputs: all variables.
        auxiliary: variables that operators change, such as BatchNorm's moving averages.
        arguments: the others: inputs and parameters.
        outputs: the heads.
        nodes: the index of each of `inputs`.
        states: indices of the auxiliary states' nodes.
    """

    inputs: tuple[str, ...]
    arguments: tuple[str, ...]
    auxiliary: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[int, ...]
    states: frozenset[int]


def signature(graph: Graph) -> Signature:
    """The arguments, auxiliary states and outputs of a graph.

    An operator that is not known has no auxiliary states, and outputs named by number.

    >>> from evergraph.graph import Node
    >>> graph = Graph((Node("null", "x"), Node("relu", "y", inputs=((0, 0, 0),))), heads=((1, 0, 0),))
    >>> signature(graph).outputs
    ('y_output',)
    """
    nodes = tuple(i for i in depth_first(graph.nodes, graph.heads) if graph.nodes[i].is_variable)
    states = frozenset(auxiliary_nodes(graph) & set(nodes))
    return Signature(
        inputs=tuple(graph.nodes[i].name for i in nodes),
        arguments=tuple(graph.nodes[i].name for i in nodes if i not in states),
        auxiliary=tuple(graph.nodes[i].name for i in nodes if i in states),
        outputs=tuple(output_names(graph, graph.heads)),
        nodes=nodes,
        states=states,
    )


def auxiliary_nodes(graph: Graph) -> set[int]:
    """Indices of the variables that an operator changes while it runs."""
    found: set[int] = set()
    for node, each in zip(graph.nodes, meanings(graph), strict=True):
        if each is None or each.operator is None or each.params is None:
            continue
        changed = set(each.operator.changed_names(each.params))
        if changed:
            entries = zip(each.inputs or (), node.inputs, strict=False)
            found.update(e[0] for name, e in entries if name in changed and graph.nodes[e[0]].is_variable)
    return found


def output_names(graph: Graph, entries: Sequence[Entry]) -> Iterator[str]:
    """The names of entries: the variable's own, or the node's and its operator's output name."""
    found = meanings(graph)
    counts = graph.output_counts or graph.used_counts()
    for index, output, _ in entries:
        yield output_name(graph.nodes[index].name, found[index], output, counts[index])


def output_name(node: str, found: Meaning | None, output: int, count: int) -> str:
    """The name of one output.

    Args:
        node: the node's name.
        found: what the node stands for; None for a variable.
        output: the output's number.
        count: how many outputs the node has, for operators that are not known.
    """
    if found is None:
        return node
    if found.outputs is not None and output < len(found.outputs):
        name = found.outputs[output]
    else:
        name = f"output{output}" if count > 1 else "output"
    return f"{node}_{name}" if node else name


def internals(graph: Graph) -> list[tuple[str, Entry]]:
    """Every output that can be a head, with its name, as MXNet's `get_internals` lists them."""
    found = meanings(graph)
    counts = graph.output_counts or graph.used_counts()
    entries = []
    for index in depth_first(graph.nodes, graph.heads):
        each = found[index]
        visible = each.visible if each is not None and each.visible is not None else counts[index]
        entries += [(index, output, 0) for output in range(1 if each is None else visible)]
    return list(zip(output_names(graph, entries), entries, strict=True))


@graph_pass("signature", provides=["signature"])
def signature_pass(graph: Graph, context: Context) -> tuple[Graph, list[Edit]]:
    """Name the arguments, auxiliary states and outputs of a graph."""
    context.provide(signature=signature(graph))
    return graph, []
