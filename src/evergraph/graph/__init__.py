"""MXNet's Symbol as immutable data: nodes, attributes, inputs, heads, subgraphs."""

from evergraph.graph.graph import VARIABLE, Entry, Graph, Node, version_words

__all__ = ["VARIABLE", "Entry", "Graph", "Node", "version_words"]
