"""What each node of a graph means: its operator, its parsed parameters, its inputs and outputs."""

import functools
import weakref
from collections.abc import Mapping
from dataclasses import dataclass

from evergraph.errors import OperatorError
from evergraph.graph import VARIABLE, Graph
from evergraph.ops import Operator, Params, registry

__all__ = ["Meaning", "count_outputs", "meaning", "meanings", "number_outputs"]


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an operator node's text stands for.

    Args:
        operator: the operator; None where it is not known.
        params: its parsed parameters; None where the operator is not known, or cannot take them.
        inputs: names of the inputs that it must have; None where they are not known.
        outputs: names of all outputs; None where they are not known.
        visible: how many of them others may use.
        error: why the operator cannot take the parameters.
    """

    operator: Operator | None
    params: Params | None = None
    inputs: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None
    visible: int | None = None
    error: OperatorError | None = None


UNKNOWN = Meaning(None)


@functools.lru_cache(maxsize=1 << 14)
def _interpret(operator: Operator, texts: frozenset[tuple[str, str]], count: int | None) -> Meaning:
    try:
        params = operator.parse(dict(sorted(texts)))
        inputs = tuple(operator.input_names(params, count))
        return Meaning(operator, params, inputs, operator.output_names(params), operator.visible_outputs(params))
    except OperatorError as error:
        return Meaning(operator, error=error)


def meaning(op: str, attrs: Mapping[str, str], count: int = 0) -> Meaning:
    """What a node with this operator, these texts and so many inputs stands for; equal ones are worked out once.

    Its parameters are shared: do not change them.

    >>> meaning("_no_such_operator", {}).operator is None
    True
    """
    operator = registry.find(op)
    if operator is None:
        return UNKNOWN
    return _interpret(operator, frozenset(attrs.items()), count if operator.variadic else None)


_known: "weakref.WeakKeyDictionary[Graph, tuple[list[Meaning | None], dict[str, Operator | None]]]"
_known = weakref.WeakKeyDictionary()


def meanings(graph: Graph) -> list[Meaning | None]:
    """What each node of a graph stands for, by its index; None for variables. Do not change the list.

    Worked out once for a graph, and again when one of its operators was registered or replaced since.
    """
    found, operators = _known.get(graph, (None, {}))
    if found is None or any(registry.find(op) is not known for op, known in operators.items()):
        found = [None if n.op == VARIABLE else meaning(n.op, n.attrs, len(n.inputs)) for n in graph.nodes]
        operators = {n.op: m.operator for n, m in zip(graph.nodes, found, strict=True) if m is not None}
        _known[graph] = found, operators
    return found


def count_outputs(found: Meaning | None) -> int | None:
    """How many outputs a node has, hidden ones included; None where its operator does not tell."""
    if found is None:
        return 1
    return None if found.outputs is None else len(found.outputs)


def number_outputs(graph: Graph) -> list[int]:
    """How many outputs each node has: as its operator says, else as the file does, else as many as are used."""
    found = [count_outputs(m) for m in meanings(graph)]
    if None not in found:
        return [c or 0 for c in found]
    stated = graph.output_counts or graph.used_counts()
    return [stated[i] if c is None else c for i, c in enumerate(found)]
