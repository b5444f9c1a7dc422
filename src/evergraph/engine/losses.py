"""Loss layers in inference: they need no labels, and are the prediction that they hold."""

from collections.abc import Mapping
from typing import Any

from evergraph.graph import Graph
from evergraph.passes.binding import meanings

__all__ = ["LOSSES", "predicting"]


def _softmax(p: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    if p["multi_output"]:
        return "softmax", {"axis": "1"}
    # over all values of a sample, however many axes it has
    return ("softmax", {"axis": "-1"}) if p["preserve_shape"] else ("SoftmaxActivation", {"mode": "instance"})


LOSSES: dict[str, Any] = {
    "SoftmaxOutput": _softmax,
    "LinearRegressionOutput": lambda _: ("_copy", {}),
    "MAERegressionOutput": lambda _: ("_copy", {}),
    "SVMOutput": lambda _: ("_copy", {}),
    "LogisticRegressionOutput": lambda _: ("sigmoid", {}),
}
"""For each loss layer: (parameters) -> operator and attributes of its prediction, which reads its data alone."""


def predicting(graph: Graph) -> Graph:
    """The graph with its loss layers as predictions: same outputs, and labels that nothing reads any more.

    Args:
        graph: an upgraded graph; it is returned itself where it has no loss layers.

    >>> from evergraph.graph import Node
    >>> data, label = Node("null", "data"), Node("null", "label")
    >>> graph = Graph((data, label, Node("SVMOutput", "svm", inputs=((0, 0, 0), (1, 0, 0)))), heads=((2, 0, 0),))
    >>> predicting(graph).nodes[2].op
    '_copy'
    """
    nodes, changed = list(graph.nodes), False
    for index, found in enumerate(meanings(graph)):
        if found is None or found.operator is None or found.params is None or found.operator.name not in LOSSES:
            continue
        op, attrs = LOSSES[found.operator.name](found.params)
        kept = {k: v for k, v in nodes[index].attrs.items() if k.startswith("__")}
        nodes[index] = nodes[index].replace(op=op, attrs=attrs | kept, inputs=nodes[index].inputs[:1])
        changed = True
    return graph.replace(nodes=tuple(nodes)) if changed else graph
