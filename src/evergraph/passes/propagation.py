"""Facts about every output of a graph, spread from node to node, forward and backward, until nothing more follows."""

from collections import deque
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Generic, TypeAlias, TypeVar

from evergraph.errors import EvergraphError, printable
from evergraph.graph import Graph
from evergraph.passes.binding import Meaning, meanings, number_outputs

__all__ = ["Finding", "Known", "Rule", "node_label", "spread"]

T = TypeVar("T")

Finding: TypeAlias = tuple[int, str]
"""Index of a node, and what is wrong there."""

Rule: TypeAlias = Callable[
    [int, Meaning, list[T | None], list[T | None]], tuple[Sequence[T | None], Sequence[T | None]]
]
"""(node index, its meaning, facts of its inputs, of its outputs) -> the same with whatever follows from the others."""

# a rule that meets sizes which its author did not expect fails in one of these ways: a finding of the graph's
_RULE_FAILURES = (ValueError, TypeError, IndexError, KeyError, ArithmeticError, AttributeError, RuntimeError)


class Known(Generic[T]):
    """One fact, or None, for each output of each node.

    Args:
        graph: the graph that the facts are about.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.offsets: list[int] = list(accumulate(number_outputs(graph), initial=0))
        self.values: list[T | None] = [None] * self.offsets[-1]

    def of(self, node: int, output: int = 0) -> T | None:
        """What is known of one output."""
        return self.values[self.offsets[node] + output]

    def misread(self) -> list[Finding]:
        """The nodes of which an output is read that they do not have."""
        starts = self.offsets
        entries = [e for n in self.graph.nodes for e in n.inputs] + list(self.graph.heads)
        wrong = {(source, output) for source, output, _ in entries if starts[source] + output >= starts[source + 1]}
        return [(n, f"output {output} is read, and it has {starts[n + 1] - starts[n]}") for n, output in sorted(wrong)]

    def inputs_of(self, node: int) -> list[T | None]:
        """What is known of a node's inputs."""
        return [self.of(source, output) for source, output, _ in self.graph.nodes[node].inputs]

    def outputs_of(self, node: int) -> list[T | None]:
        """What is known of a node's outputs."""
        return self.values[self.offsets[node] : self.offsets[node + 1]]

    def variables(self) -> dict[str, T | None]:
        """What is known of each variable, by name."""
        return {n.name: self.of(i) for i, n in enumerate(self.graph.nodes) if n.is_variable}

    def heads(self) -> list[T | None]:
        """What is known of the graph's outputs."""
        return [self.of(node, output) for node, output, _ in self.graph.heads]


def spread(
    known: Known[T], rule: Rule[T], combine: Callable[[T | None, T | None], T | None], whole: Callable[[T | None], bool]
) -> list[Finding]:
    """Work out all that follows, in time proportional to the graph's edges and the facts that appear.

    Args:
        known: what is known; completed in place.
        rule: what follows at one node.
        combine: two descriptions of one fact as one; raises where they contradict each other.
        whole: whether nothing remains to be known of a fact.

    Returns:
        What contradicts itself, for each node where something does.
    """
    return _Spread(known, rule, combine, whole).run()


class _Spread(Generic[T]):
    def __init__(
        self, known: Known[T], rule: Rule[T], combine: Callable[[T | None, T | None], T | None], whole: Callable
    ) -> None:
        self.known, self.rule, self.combine, self.whole = known, rule, combine, whole
        nodes, offsets = known.graph.nodes, known.offsets
        self.meanings = meanings(known.graph)
        self.inputs = [[offsets[source] + output for source, output, _ in n.inputs] for n in nodes]
        self.readers: list[list[int]] = [[] for _ in known.values]
        self.writer = [0] * len(known.values)
        for i, ids in enumerate(self.inputs):
            for each in ids:
                self.readers[each].append(i)
            self.writer[offsets[i] : offsets[i + 1]] = [i] * (offsets[i + 1] - offsets[i])
        self.findings: dict[int, str] = {}
        self.waiting: deque[int] = deque()
        self.queued = [False] * len(nodes)

    def run(self) -> list[Finding]:
        # the first round goes from the inputs to the heads: for most graphs the only one
        for i, meaning in enumerate(self.meanings):
            if meaning is not None and meaning.params is not None:
                self.visit(i, meaning, after=i)
        while self.waiting:
            i = self.waiting.popleft()
            self.queued[i] = False
            meaning = self.meanings[i]
            if i not in self.findings and meaning is not None and meaning.params is not None:
                self.visit(i, meaning, after=len(self.inputs))
        return sorted(self.findings.items())

    def visit(self, index: int, meaning: Meaning, after: int) -> None:
        values = self.known.values
        start, end = self.known.offsets[index], self.known.offsets[index + 1]
        ids = self.inputs[index]
        before = [values[i] for i in ids], values[start:end]
        try:
            found = self.rule(index, meaning, list(before[0]), list(before[1]))
            changed = self.note([*ids, *range(start, end)], [*before[0], *before[1]], [*found[0], *found[1]])
        except EvergraphError as error:
            self.findings[index] = _words(error)
            return
        except _RULE_FAILURES as error:
            self.findings[index] = f"it cannot take these inputs ({type(error).__name__}: {printable(error)})"
            return
        if changed:
            self.wake(index, changed, after)
            # outputs that nobody sees may stay unknown
            if not all(map(self.whole, values[start : start + (meaning.visible or 0)])):
                self.enqueue(index)

    def note(self, ids: list[int], before: list[T | None], found: list[T | None]) -> list[int]:
        values, changed = self.known.values, []
        for i, old, new in zip(ids, before, found, strict=True):
            if new is not old and new != old:
                # values[i], not old: an array that a node reads twice
                merged = self.combine(values[i], new)
                if merged != values[i]:
                    values[i] = merged
                    changed.append(i)
        return changed

    def wake(self, index: int, changed: list[int], after: int) -> None:
        """Queue the nodes that read or wrote what changed; those after this one come anyway in the first round."""
        for i in changed:
            for other in (*self.readers[i], self.writer[i]):
                if other != index and other <= after:
                    self.enqueue(other)

    def enqueue(self, index: int) -> None:
        if not self.queued[index] and self.meanings[index] is not None:
            self.queued[index] = True
            self.waiting.append(index)


def _words(error: EvergraphError) -> str:
    parts = [str(error.what), *error.details]
    parts += [f"expected {error.expected}"] if error.expected is not None else []
    parts += [f"found {error.found}"] if error.found is not None else []
    return ", ".join(parts)


def node_label(graph: Graph, index: int) -> str:
    """A node in words.

    >>> from evergraph.graph import Node
    >>> node_label(Graph((Node("relu", "y"),), ()), 0)
    "node 'y' (relu)"
    """
    node = graph.nodes[index]
    return f"node {printable(node.name)!r} ({printable(node.op)})"
