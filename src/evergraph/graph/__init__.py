"""MXNet's Symbol as immutable data: nodes, attributes, inputs, heads, subgraphs; read from and written to JSON."""

from evergraph.graph.draft import Draft, depth_first
from evergraph.graph.graph import NEWEST, VARIABLE, Entry, Graph, Node, version_words
from evergraph.graph.json_reader import parse
from evergraph.graph.json_writer import to_json

__all__ = [
    "NEWEST",
    "VARIABLE",
    "Draft",
    "Entry",
    "Graph",
    "Node",
    "depth_first",
    "parse",
    "to_json",
    "version_words",
]
