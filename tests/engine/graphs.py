"""Small graphs for the engine's tests, written as one line per node."""

import numpy as np
import torch

from evergraph.graph import Graph, Node
from evergraph.passes.signature import signature


def chain(*lines, heads=None):
    """A graph from (op, name, inputs, attributes) lines; inputs are names, or (name, output) pairs.

    A name that is no earlier line becomes a variable. Heads are names too; the last line where they are not given.
    """
    nodes, places = [], {}

    def entry(item):
        name, output = item if isinstance(item, tuple) else (item, 0)
        if name not in places:
            places[name] = len(nodes)
            nodes.append(Node("null", name))
        return places[name], output, 0

    for op, name, inputs, *rest in lines:
        entries = tuple(entry(i) for i in inputs.split()) if isinstance(inputs, str) else tuple(map(entry, inputs))
        places[name] = len(nodes)
        nodes.append(Node(op, name, {k: str(v) for k, v in (rest[0] if rest else {}).items()}, entries))
    heads = heads or [lines[-1][1]]
    return Graph(tuple(nodes), heads=tuple(entry(h) for h in heads))


def seeded(graph, shapes, seed=0):
    """Values for every argument and state of a graph: normal, and between 0.5 and 1.5 for variances and scales."""
    random = np.random.default_rng(seed)
    names = signature(graph)
    found = {}
    for name in (*names.arguments, *names.auxiliary):
        values = random.normal(size=shapes[name]).astype("float32")
        if name.endswith(("var", "gamma")):
            values = (np.abs(values) % 1 + 0.5).astype("float32")
        found[name] = torch.from_numpy(values)
    return found
