"""Operators bound to nodes: what each node stands for, with everything that keeps a graph from running said at once."""

from collections import Counter
from dataclasses import dataclass

from evergraph.errors import EvergraphError, OperatorError, collect, printable
from evergraph.graph import Graph, Node
from evergraph.ops import Operator, Params
from evergraph.passes.binding import Meaning, meanings

__all__ = ["Bound", "bind", "live_nodes"]


@dataclass(frozen=True, slots=True)
class Bound:
    """A node's operator with its parsed parameters."""

    op: Operator
    params: Params


def live_nodes(graph: Graph) -> list[bool]:
    """For each node, whether a head of the graph needs it.

    >>> x, y = Node("null", "x"), Node("null", "unused")
    >>> live_nodes(Graph((x, y), heads=((0, 0, 0),)))
    [True, False]
    """
    live = [False] * len(graph.nodes)
    for source, _, _ in graph.heads:
        live[source] = True
    for index in range(len(graph.nodes) - 1, -1, -1):
        if live[index]:
            for source, _, _ in graph.nodes[index].inputs:
                live[source] = True
            for source in graph.nodes[index].control_deps:
                live[source] = True
    return live


def bind(graph: Graph) -> dict[int, list[Bound | None]]:
    """The operators of every live node of a graph and of its subgraphs, by the id() of each graph.

    Raises:
        OperatorError: listing every unknown operator with its count, and every malformed parameter.
    """
    found: dict[int, list[Bound | None]] = {}
    missing: Counter[str] = Counter()
    malformed: list[str] = []
    pending = [graph]
    while pending:
        part = pending.pop()
        live, each = live_nodes(part), meanings(part)
        bound: list[Bound | None] = [None] * len(part.nodes)
        for index, node in enumerate(part.nodes):
            known = each[index]
            if known is None or not live[index]:
                continue
            if known.operator is None:
                missing[node.op] += 1
            else:
                reason = _complete(node, known, bound, index)
                if reason is not None:
                    words = (
                        "; ".join(reason.details) or f"{reason.what} (expected {reason.expected}, found {reason.found})"
                    )
                    malformed.append(f"node {index} {printable(node.name)!r} ({known.operator.name}): {words}")
            pending += node.subgraphs
        found[id(part)] = bound
    _report(missing, malformed)
    return found


def _complete(node: Node, known: Meaning, bound: list[Bound | None], index: int) -> EvergraphError | None:
    """Bind one node; returns what is wrong with its inputs, if anything."""
    op, params = known.operator, known.params
    if op is None or params is None:
        return known.error
    if op.count and op.count not in params:
        params = Params(params)
        params[op.count] = len(node.inputs)
    try:
        op.arrange(params, node.inputs)
    except EvergraphError as error:
        return error
    bound[index] = Bound(op, params)
    return None


def _report(missing: Counter[str], malformed: list[str]) -> None:
    heads = []
    if missing:
        heads.append(f"{len(missing)} unknown operators ({missing.total()} nodes)")
    if malformed:
        heads.append(f"{len(malformed)} nodes with parameters or inputs that do not fit")
    collect(
        OperatorError,
        "the graph cannot be run: " + " and ".join(heads),
        [f"operator {printable(name)} is not known: {count} nodes" for name, count in missing.most_common()]
        + malformed,
        fix="register a computation for each unknown operator with evergraph.ops.operator" if missing else None,
    )
