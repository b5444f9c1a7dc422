"""Which outputs need a gradient from outside before anything can be computed backward."""

from collections.abc import Collection

from evergraph.engine.losses import LOSSES
from evergraph.graph import Graph
from evergraph.passes.binding import meanings

__all__ = ["needs_head_gradients"]

_COMPARED = ("equal", "not_equal", "greater", "greater_equal", "lesser", "lesser_equal")
_LOGICAL = ("logical_and", "logical_or", "logical_xor")
_STOPS = frozenset(
    (
        *LOSSES,
        *("MakeLoss", "make_loss", "BlockGrad", "zeros_like", "ones_like", "shape_array", "size_array"),
        *("floor", "ceil", "rint", "round", "fix", "trunc", "logical_not", "one_hot", "argmax_channel"),
        *("argmax", "argmin", "argsort"),
        *(f"{how}_{name}" for how in ("broadcast", "") for name in (*_COMPARED, *_LOGICAL)),
        *(f"_{name}_scalar" for name in (*_COMPARED, *_LOGICAL)),
        # programs' own layers and loops say for themselves what they need
        *("Custom", "_Native", "_NDArray", "_foreach", "_while_loop", "_cond"),
    )
)
"""Operators whose gradient does not read that of their output: losses, and those that have none."""


def needs_head_gradients(graph: Graph, trained: Collection[str]) -> list[bool]:
    """For each output, whether the gradients of some arguments depend on its own.

    Args:
        graph: an upgraded graph.
        trained: names of arguments whose gradients are wanted.

    >>> from evergraph.graph import Node
    >>> x = Node("null", "x"); square = Node("square", "y", inputs=((0, 0, 0),))
    >>> loss = Node("MakeLoss", "z", inputs=((1, 0, 0),))
    >>> graph = Graph((x, square, loss), heads=((1, 0, 0), (2, 0, 0)))
    >>> needs_head_gradients(graph, {"x"}), needs_head_gradients(graph, ())
    ([True, False], [False, False])
    """
    reached: list[bool] = []
    for node, found in zip(graph.nodes, meanings(graph), strict=True):
        operator = None if found is None else found.operator
        if operator is None:
            reached.append(node.op == "null" and node.name in trained)
            continue
        params = (found.params if found is not None else None) or {}
        stops = operator.name in _STOPS or (operator.name == "topk" and params.get("ret_typ") in ("indices", "mask"))
        reached.append(not stops and any(reached[source] for source, _, _ in node.inputs))
    return [reached[source] for source, _, _ in graph.heads]
