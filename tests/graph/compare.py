"""Graphs compared by what they say, and every recorded symbol file."""

from tests.goldens import MXNET

SYMBOLS = sorted(p for p in MXNET.rglob("*.json") if b'"nodes"' in p.read_bytes()[:400])
SAVED_BY_191 = [p for p in SYMBOLS if "upgraded-by-1.9.1" in p.name]


def says(graph):
    """Everything that a graph says, as plain values."""
    nodes = [
        (n.op, n.name, dict(n.attrs), n.inputs, n.control_deps, [says(s) for s in n.subgraphs], dict(n.extra))
        for n in graph.nodes
    ]
    return nodes, graph.heads, dict(graph.attrs), dict(graph.extra)


def ident(path):
    return str(path.relative_to(MXNET))
