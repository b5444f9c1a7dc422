"""What each node of a graph means: its operator, its parsed parameters, its inputs and outputs."""

import functools
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from evergraph.errors import OperatorError, printable
from evergraph.graph import VARIABLE, Graph
from evergraph.ops import Operator, Params, registry

__all__ = ["Meaning", "count_outputs", "meaning", "meanings", "number_outputs", "with_row_pointers"]


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

_MOST = 1 << 16
"""More inputs or outputs than any node has; a file that asks for a billion of them gets an error, not the memory."""

_COUNTS = ("num_args", "num_outputs", "num_weights", "num_tensors", "num_arrays", "sections")

# what a definition meets in parameters that its author did not expect
_FAILURES = (ValueError, TypeError, IndexError, KeyError, ArithmeticError, AttributeError)


def _read(operator: Operator, texts: frozenset[tuple[str, str]], count: int | None) -> Meaning:
    params = operator.parse(dict(sorted(texts)))
    for name in _COUNTS:
        if isinstance(number := params.get(name), int) and number > max(_MOST, count or 0):
            raise OperatorError(f"parameter {name}: expected at most {_MOST}, found {number}")
    try:
        inputs, outputs = tuple(operator.input_names(params, count)), operator.output_names(params)
        visible = operator.visible_outputs(params)
    except _FAILURES as error:
        if isinstance(error, OperatorError):
            raise
        raise OperatorError(f"parameters do not fit together ({type(error).__name__}: {printable(error)})") from error
    if not outputs:
        raise OperatorError(f"operator {operator.name} has no outputs with these parameters")
    return Meaning(operator, params, inputs, outputs, visible)


_read_once = functools.lru_cache(maxsize=1 << 14)(_read)


def meaning(op: str, attrs: Mapping[str, str], count: int = 0) -> Meaning:
    """What a node with this operator, these texts and so many inputs stands for; equal ones are worked out once.

    Its parameters are shared: do not change them.

    >>> meaning("_no_such_operator", {}).operator is None
    True
    """
    operator = registry.find(op)
    if operator is None:
        return UNKNOWN
    # what an open-ended operator means is registered elsewhere, and may change
    read = _read if operator.open_ended else _read_once
    try:
        return read(operator, frozenset(attrs.items()), count if operator.variadic else None)
    except OperatorError as error:
        return Meaning(operator, error=error)


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
        if not any(m.error for m in found if m) and not any(o.open_ended for o in operators.values() if o):
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


def with_row_pointers(graph: Graph) -> Graph:
    """The graph with the `node_row_ptr` that MXNet 1.9.1 gives it, subgraphs included.

    >>> from evergraph.graph import Node
    >>> x, pool = Node("null", "x"), Node("SliceChannel", "s", {"num_outputs": "2"}, ((0, 0, 0),))
    >>> with_row_pointers(Graph((x, pool), ((1, 0, 0),))).row_ptr
    (0, 1, 3)
    """
    nodes = tuple(
        n.replace(subgraphs=tuple(map(with_row_pointers, n.subgraphs))) if n.subgraphs else n for n in graph.nodes
    )
    return graph.replace(nodes=nodes, row_ptr=tuple(accumulate(number_outputs(graph), initial=0)))
