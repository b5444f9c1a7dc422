"""Keeps what some outputs need, and drops the rest."""

import difflib
from collections.abc import Sequence

from evergraph.errors import GraphError, collect, printable
from evergraph.graph import Entry, Graph, Node
from evergraph.graph.draft import Draft
from evergraph.passes.registry import Context, Edit, graph_pass
from evergraph.passes.signature import internals

__all__ = ["dropped", "find_outputs", "prune"]


def prune(graph: Graph, outputs: Sequence[str] | None = None) -> tuple[Graph, list[Edit]]:
    """The part of a graph that some of its outputs need, inner ones included.

    Args:
        graph: it stays as it is.
        outputs: the new graph's heads: names of outputs (`fc1_output`), or of nodes for all outputs that they show;
            None for the heads that the graph has.

    Returns:
        The graph, and an edit for each node that is gone.

    Raises:
        GraphError: names that no output has.

    >>> x, y = Node("null", "x"), Node("relu", "y", inputs=((0, 0, 0),))
    >>> graph = Graph((x, y, Node("tanh", "z", inputs=((1, 0, 0),))), ((2, 0, 0),))
    >>> prune(graph, ["y_output"])[0].nodes[-1].name
    'y'
    """
    draft = Draft(graph)
    if outputs is not None:
        draft.heads = find_outputs(graph, outputs)
    edits = dropped(draft, "prune")
    if not edits and tuple(draft.heads) == graph.heads:
        return graph, []
    return draft.freeze(), edits


def find_outputs(graph: Graph, names: Sequence[str]) -> list[Entry]:
    """The entries that names of outputs, or of nodes, stand for; of several with one name the last.

    Raises:
        GraphError: names that no output has, with those that are near.
    """
    listed = internals(graph)
    by_output = dict(listed)
    by_node: dict[str, list[Entry]] = {}
    for _, entry in listed:
        by_node.setdefault(graph.nodes[entry[0]].name, []).append(entry)
    missing = [n for n in names if n not in by_output and n not in by_node]
    near = {n: ", ".join(map(printable, difflib.get_close_matches(n, by_output, 3))) for n in missing}
    lines = [f"{printable(n)}" + (f": did you mean {near[n]}?" if near[n] else "") for n in missing]
    collect(GraphError, "the graph has no such outputs", lines)
    return [e for n in names for e in ([by_output[n]] if n in by_output else _last(by_node[n]))]


def _last(entries: list[Entry]) -> list[Entry]:
    return [e for e in entries if e[0] == entries[-1][0]]


def dropped(draft: Draft, step: str) -> list[Edit]:
    """An edit for each node that the draft's heads no longer need."""
    needed = set(draft.order())
    gone: list[Node] = [n for i, n in enumerate(draft.nodes) if i not in needed]
    return [Edit(step, n.name, f"dropped ({n.op}): no head needs it") for n in gone]


@graph_pass("prune")
def prune_pass(graph: Graph, context: Context) -> tuple[Graph, list[Edit]]:
    """Keep only what the heads need, or, where `outputs` is given, what the outputs of these names need."""
    return prune(graph, context.get("outputs"))
