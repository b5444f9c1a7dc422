"""Everything in a graph that an engine could not run, found at once and counted."""

from collections.abc import Iterator
from dataclasses import dataclass

from evergraph.errors import OperatorError, collect, printable
from evergraph.graph import Graph, Node
from evergraph.passes.binding import Meaning, meanings
from evergraph.passes.registry import Context, Edit, graph_pass

__all__ = ["Problem", "check", "require_known"]

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Problem:
    """One kind of trouble with one operator.

    Args:
        kind: "operator", "parameters", "inputs" or "outputs".
        operator: the operator's name in the graph.
        what: the trouble in words.
        nodes: names of the nodes that have it, in the graph's order.
    """

    kind: str
    operator: str
    what: str
    nodes: tuple[str, ...]

    def __str__(self) -> str:
        names = ", ".join(map(printable, self.nodes[:_SHOWN])) + (", ..." if len(self.nodes) > _SHOWN else "")
        number = "1 node" if len(self.nodes) == 1 else f"{len(self.nodes)} nodes"
        return f"{printable(self.operator)}: {self.what} ({number}: {names})"


def check(graph: Graph) -> list[Problem]:
    """Every operator that is not known, every parameter that it cannot take, every wrong number of inputs, and every
    output that does not exist; in the graph and its subgraphs, most frequent first.

    >>> [str(p) for p in check(Graph((Node("null", "x"), Node("Nowhere", "y", inputs=((0, 0, 0),))), ((1, 0, 0),)))]
    ['Nowhere: the operator is not known (1 node: y)']
    """
    found: dict[tuple[str, str, str], list[str]] = {}
    for each in graph.walk():
        for key, node in _problems(each):
            found.setdefault(key, []).append(node)
    problems = [Problem(*key, tuple(nodes)) for key, nodes in found.items()]
    return sorted(problems, key=lambda p: -len(p.nodes))


def require_known(graph: Graph, name: str | None = None) -> None:
    """Return if `check` finds nothing.

    Args:
        graph: the graph.
        name: what it is called in the error.

    Raises:
        OperatorError: listing all problems with counts.
    """
    problems = check(graph)
    unknown = any(p.kind == "operator" for p in problems)
    collect(
        OperatorError,
        "the graph cannot be run",
        map(str, problems),
        where=name,
        fix="register a computation for each operator that is not known: evergraph.ops.operator" if unknown else None,
    )


def _problems(graph: Graph) -> Iterator[tuple[tuple[str, str, str], str]]:
    found = meanings(graph)
    for node, meaning in zip(graph.nodes, found, strict=True):
        if meaning is not None:
            for kind, what in _node_problems(node, meaning):
                yield (kind, node.op, what), node.name
        for source, output, _ in node.inputs:
            if what := _beyond(found[source], output):
                yield ("outputs", graph.nodes[source].op, what), graph.nodes[source].name
    for source, output, _ in graph.heads:
        if what := _beyond(found[source], output):
            yield ("outputs", graph.nodes[source].op, what), graph.nodes[source].name


def _node_problems(node: Node, meaning: Meaning) -> Iterator[tuple[str, str]]:
    if meaning.operator is None:
        yield "operator", "the operator is not known"
    elif meaning.error is not None:
        for line in meaning.error.details or (meaning.error.what,):
            yield "parameters", line
    elif meaning.inputs is not None and len(meaning.inputs) != len(node.inputs):
        names = f": {', '.join(meaning.inputs)}" if len(meaning.inputs) < 10 else ""
        yield "inputs", f"takes {len(meaning.inputs)} inputs{names}, has {len(node.inputs)}"


def _beyond(meaning: Meaning | None, output: int) -> str | None:
    """What is wrong with reading this output of such a node, if anything is."""
    if meaning is not None and meaning.outputs is not None and output >= len(meaning.outputs):
        return f"output {output} is read, and it has {len(meaning.outputs)}: {', '.join(meaning.outputs)}"
    return None


@graph_pass("check", provides=["problems"])
def check_pass(graph: Graph, context: Context) -> tuple[Graph, list[Edit]]:
    """List what an engine could not run, with counts."""
    context.provide(problems=check(graph))
    return graph, []
