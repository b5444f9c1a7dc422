"""Passes by name: what each needs and provides, and running them one after the other."""

import difflib
import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from evergraph.errors import GraphError, UsageError, printable
from evergraph.graph import Graph

__all__ = ["Context", "Edit", "Outcome", "Pass", "apply", "find", "graph_pass", "names"]


@dataclass(frozen=True, slots=True)
class Edit:
    """One thing that a pass changed.

    Args:
        step: the pass, or the step of it, that made the change.
        node: name of the node; empty for the graph as a whole.
        what: the change in words.
        before: what was there, where a single value changed.
        after: what is there now.
    """

    step: str
    node: str
    what: str
    before: str | None = None
    after: str | None = None

    def __str__(self) -> str:
        place = f"{printable(self.node)}: " if self.node else ""
        values = [printable(v) for v in (self.before, self.after) if v is not None]
        return f"{place}{printable(self.what)}" + (f" ({' -> '.join(values)})" if values else "")


class Context(dict[str, Any]):
    """What stands beside a graph: values given by the caller, and attributes that passes computed.

    Computed attributes belong to one graph: a pass that changes the graph drops them.
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        super().__init__(given)
        self.given = frozenset(given)

    def provide(self, **attributes: Any) -> None:
        """Set attributes that a pass computed."""
        self.update(attributes)

    def forget(self) -> None:
        """Drop everything that was computed."""
        for key in self.keys() - self.given:
            del self[key]


PassFunction: TypeAlias = Callable[[Graph, Context], tuple[Graph, list[Edit]]]


@dataclass(frozen=True, slots=True)
class Pass:
    """A step from graph to graph.

    Args:
        name: how it is found.
        function: (graph, context) -> (new graph, its edits).
        needs: attributes that must be in the context.
        provides: attributes that it adds to the context, for the graph that it returns.
    """

    name: str
    function: PassFunction
    needs: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()

    @property
    def doc(self) -> str:
        """The first line of the pass's documentation."""
        return (self.function.__doc__ or "").strip().split("\n")[0]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What passes made of a graph: the graph, every edit in order, and the attributes that hold for it."""

    graph: Graph
    edits: tuple[Edit, ...] = ()
    context: Mapping[str, Any] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Edit]:
        return iter(self.edits)


_passes: dict[str, Pass] = {}


def graph_pass(
    name: str, *, needs: Iterable[str] = (), provides: Iterable[str] = ()
) -> Callable[[PassFunction], PassFunction]:
    """Decorates a function (graph, context) -> (graph, edits) and makes it known by name.

    Args:
        name: how it is found; a later pass of the same name replaces an earlier one.
        needs: attributes of the context that it reads.
        provides: attributes that it adds to the context.

    >>> @graph_pass("_doctest_nothing")
    ... def nothing(graph, context):
    ...     "Changes nothing."
    ...     return graph, []
    >>> find("_doctest_nothing").doc
    'Changes nothing.'
    """

    def decorate(function: PassFunction) -> PassFunction:
        _passes[name] = Pass(name, function, tuple(needs), tuple(provides))
        return function

    return decorate


@functools.cache
def _load() -> None:
    package = importlib.import_module("evergraph.passes")
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)


def find(name: str) -> Pass:
    """The pass of this name.

    Raises:
        UsageError: there is none; the message lists all.
    """
    _load()
    if name not in _passes:
        near = difflib.get_close_matches(name, _passes, 1)
        raise UsageError(
            f"there is no pass {printable(name)!r}",
            expected=", ".join(sorted(_passes)),
            fix=f"did you mean {near[0]}?" if near else None,
        )
    return _passes[name]


def names() -> dict[str, Pass]:
    """Every known pass by name."""
    _load()
    return dict(sorted(_passes.items()))


def apply(graph: Graph, passes: Iterable[str] | str, **given: Any) -> Outcome:
    """Run passes by name, one after the other.

    Args:
        graph: where to begin; it stays as it is.
        passes: names in the order in which they run.
        given: attributes for the passes, such as `input_shapes={"data": (1, 3, 224, 224)}`.

    Raises:
        UsageError: an unknown pass.
        GraphError: a pass needs an attribute that is neither given nor provided by an earlier one; the message names
            the passes that provide it.

    >>> from evergraph.graph import Node
    >>> x = Node("null", "data")
    >>> graph = Graph((x, Node("_Plus", "y", inputs=((0, 0, 0), (0, 0, 0)))), heads=((1, 0, 0),))
    >>> apply(graph, ["signature"]).context["signature"].arguments
    ('data',)
    """
    context, edits = Context(given), []
    for each in [find(n) for n in ([passes] if isinstance(passes, str) else passes)]:
        _require(each, context)
        result, made = each.function(graph, context)
        if result is not graph:
            kept = {k: context[k] for k in each.provides if k in context}
            context.forget()
            context.provide(**kept)
        graph = result
        edits += made
    return Outcome(graph, tuple(edits), context)


def _require(each: Pass, context: Context) -> None:
    missing = [n for n in each.needs if n not in context]
    if not missing:
        return
    sources = {n: [p.name for p in _passes.values() if n in p.provides] for n in missing}
    raise GraphError(
        f"the pass {each.name} needs what is not there",
        details=[
            f"{n}: " + (f"provided by the pass {' or '.join(found)}" if found else "give it to apply() by this name")
            for n, found in sources.items()
        ],
        fix="run the passes that provide it before this one",
    )
