"""Brings a graph of any release to what MXNet 1.9.1 makes of it, in numbered steps that tell what they change."""

from collections.abc import Callable
from dataclasses import dataclass, field

from evergraph.errors import OperatorError, UsageError, collect, printable
from evergraph.graph import Graph, Node, version_words
from evergraph.graph.collector import held_collector
from evergraph.graph.draft import Draft
from evergraph.passes.binding import Meaning, meaning
from evergraph.passes.registry import Context, Edit, graph_pass

__all__ = ["CURRENT", "STEPS", "Step", "Upgraded", "Work", "step", "upgrade"]

CURRENT = 10901
"""The version that a graph is upgraded to: MXNet 1.9.1."""


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What an upgrade made of a graph.

    Args:
        graph: the graph in today's form; the given one itself where nothing had to change.
        edits: every change in order, each with the name of its step.
        before: the version that the graph carried; None for MXNet 0.8 and older.
        remarks: what could not be upgraded because nobody knows what it means, and what is odd about the file.
    """

    graph: Graph
    edits: tuple[Edit, ...]
    before: int | None
    remarks: tuple[str, ...] = ()

    def steps(self) -> list[tuple["Step", int]]:
        """The steps that changed something, with the number of their changes."""
        counts = {s.name: 0 for s in STEPS}
        for edit in self.edits:
            counts[edit.step] += 1
        return [(s, counts[s.name]) for s in STEPS if counts[s.name]]

    def summary(self) -> list[str]:
        """One line for each step that changed something."""
        return [f"{s.number}. {s.doc}: {count} change{'s' * (count != 1)}" for s, count in self.steps()]


@dataclass(slots=True)
class Work:
    """A graph on its way through the steps."""

    draft: Draft
    version: int
    pooling_convention: str | None = None
    text: bytes | None = None
    edits: list[Edit] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    remarks: dict[str, None] = field(default_factory=dict)
    step: str = ""
    _order: list[int] = field(default_factory=list)

    @property
    def order(self) -> list[int]:
        """Positions of the nodes that the heads need, in MXNet's order; none of the steps but one changes it."""
        if not self._order:
            self._order = self.draft.order()
        return self._order

    def add(self, node: Node) -> int:
        """Append a variable; returns its position."""
        self._order = []
        return self.draft.add(node)

    def tell(self, node: str, what: str, before: str | None = None, after: str | None = None) -> None:
        """Report a change."""
        self.edits.append(Edit(self.step, node, what, before, after))

    def meaning(self, node: Node) -> Meaning | None:
        """What a node stands for; None for a variable."""
        return None if node.is_variable else meaning(node.op, node.attrs, len(node.inputs))

    def set_text(self, index: int, key: str, value: str) -> None:
        """Give a node a text, and report it."""
        node = self.draft.nodes[index]
        self.tell(node.name, f"{key} set", node.attrs.get(key), value)
        self.draft.nodes[index] = node.replace(attrs={**node.attrs, key: value})


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the upgrade.

    Args:
        number: its place in the order.
        name: how edits refer to it.
        until: it concerns graphs of versions before this one; None for all.
        function: changes the draft and reports each change.
    """

    number: int
    name: str
    until: int | None
    function: Callable[[Work], None]

    @property
    def doc(self) -> str:
        """What the step does, in one line."""
        return (self.function.__doc__ or "").strip().split("\n")[0].rstrip(".")


STEPS: list[Step] = []
"""Every step, in the order in which they run."""


def step(name: str, until: int | None = None) -> Callable[[Callable[[Work], None]], Callable[[Work], None]]:
    """Decorates a step; steps run in the order of their definition.

    Args:
        name: how edits refer to it.
        until: it concerns graphs of versions before this one; None for all.
    """

    def decorate(function: Callable[[Work], None]) -> Callable[[Work], None]:
        STEPS.append(Step(len(STEPS) + 1, name, until, function))
        return function

    return decorate


def upgrade(graph: Graph, *, pooling_convention: str | None = None, text: bool = False) -> Upgraded:
    """A graph as MXNet 1.9.1 has it after loading: what it saves is equal to the byte.

    Operators and attributes that nobody knows stay as they are, with a remark.

    Args:
        graph: a graph of any release; it stays as it is.
        pooling_convention: what Pooling layers without a `pooling_convention` get ("full" or "valid"). Networks of
            MXNet 0.8 and older may have been trained with "full", where 1.9.1 takes "valid"; never chosen silently.
        text: True for a file: of a graph in today's form, spaces and line ends count as well.

    Raises:
        OperatorError: texts that belong to an operator's input (`weight_lr_mult`) where it has no such input; all of
            them are listed.
        GraphError: an output is read that its operator does not have.

    >>> from evergraph.graph import parse
    >>> old = parse(b'''{"nodes": [{"op": "null", "name": "x", "inputs": [], "attr": {"lr_mult": "2"}},
    ...   {"op": "_Plus", "name": "y", "inputs": [[0, 0], [0, 0]]}], "arg_nodes": [0], "heads": [[1, 0]]}''')
    >>> new = upgrade(old)
    >>> new.graph.nodes[0].attrs, new.graph.nodes[1].op
    ({'__lr_mult__': '2'}, 'elemwise_add')
    """
    # the steps register themselves here when their module is first needed
    from evergraph.passes import upgrade_steps  # noqa: F401

    if pooling_convention not in (None, "full", "valid"):
        raise UsageError("no such pooling convention", expected="full or valid", found=printable(pooling_convention))
    work = Work(Draft(graph), graph.version or 0, pooling_convention, graph.text if text else None)
    with held_collector():
        for each in STEPS:
            if each.until is None or work.version < each.until:
                work.step = each.name
                each.function(work)
    what = f"the graph ({version_words(graph.version)}) has texts for inputs that its operators lack"
    collect(OperatorError, what, work.errors, fix="remove these texts from the symbol file, or correct their names")
    # the last step froze the draft; row pointers that follow from the operators may deny an output that is read
    result = work.draft.graph.verify() if work.edits else graph
    return Upgraded(result, tuple(work.edits), graph.version, (*graph.remarks(), *work.remarks))


@graph_pass("upgrade")
def upgrade_pass(graph: Graph, context: Context) -> tuple[Graph, list[Edit]]:
    """Bring a graph of any release to the form of MXNet 1.9.1."""
    found = upgrade(graph, pooling_convention=context.get("pooling_convention"))
    return found.graph, list(found.edits)
