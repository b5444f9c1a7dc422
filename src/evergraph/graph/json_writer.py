"""Symbol JSON as MXNet 1.9.1 writes it, byte for byte."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from evergraph.graph.graph import VARIABLE, Entry, Graph, Node

__all__ = ["to_json"]

_ESCAPED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
# lone surrogates outside U+DC80 to U+DCFF stand for no byte of a file: they came from an escape, and go back to it
_SPECIAL = re.compile('[\\\\"\n\r\t\ud800-\udc7f\udd00-\udfff]')
_ONE_LINE = 10


def to_json(graph: Graph) -> bytes:
    """A symbol file's content: the bytes it was read from, or, for a changed graph, those that MXNet 1.9.1 writes.

    Args:
        graph: any graph; `graph.replace()` is the same graph without the bytes it was read from.

    >>> print(to_json(Graph((Node("null", "x"),), heads=((0, 0, 0),))).decode())
    {
      "nodes": [
        {
          "op": "null",
          "name": "x",
          "inputs": []
        }
      ],
      "arg_nodes": [0],
      "node_row_ptr": [0, 1],
      "heads": [[0, 0, 0]]
    }
    """
    if graph.text is not None:
        return graph.text
    return "".join(_graph(graph, 0)).encode("utf-8", "surrogateescape")


def _graph(graph: Graph, indent: int) -> Iterator[str]:
    inner = " " * (indent + 2)
    yield "{\n" + inner + '"nodes": ['
    separator = "\n"
    for node in graph.nodes:
        yield separator
        yield _node(node, indent + 4)
        separator = ", \n"
    yield "\n" + inner + "]" if graph.nodes else "]"
    arguments = [str(i) for i, n in enumerate(graph.nodes) if n.op == VARIABLE]
    members = [
        ("arg_nodes", _array(arguments, indent + 2)),
        ("node_row_ptr", _array(map(str, _row_pointers(graph)), indent + 2)),
        ("heads", _entries(graph.heads, indent + 2)),
    ]
    if graph.attrs:
        members.append(("attrs", _object([(k, _any(v)) for k, v in graph.attrs.items()], indent + 2)))
    for key, text in members + [(k, _any(v)) for k, v in graph.extra.items()]:
        yield f", \n{inner}{_text(key)}: {text}"
    yield "\n" + " " * indent + "}"


def _node(node: Node, indent: int) -> str:
    inner = " " * (indent + 2)
    members = [f'"op": {_text(node.op)}', f'"name": {_text(node.name)}']
    if node.attrs:
        texts = [(k, _text(node.attrs[k])) for k in sorted(node.attrs, key=_byte_order)]
        members.append(f'"attrs": {_object(texts, indent + 2)}')
    members.append(f'"inputs": {_entries(node.inputs, indent + 2)}')
    if node.control_deps:
        members.append(f'"control_deps": {_array(map(str, node.control_deps), indent + 2)}')
    if node.subgraphs:
        members.append(f'"subgraphs": {_subgraphs(node.subgraphs, indent + 2)}')
    members += [f"{_text(k)}: {_any(v)}" for k, v in node.extra.items()]
    return " " * indent + "{\n" + inner + f", \n{inner}".join(members) + "\n" + " " * indent + "}"


def _subgraphs(graphs: Sequence[Graph], indent: int) -> str:
    inner = " " * (indent + 2)
    # one list whatever its length stands on several lines: its items are no plain numbers
    return "[\n" + ", \n".join(inner + "".join(_graph(g, indent + 2)) for g in graphs) + "\n" + " " * indent + "]"


def _entries(entries: Sequence[Entry], indent: int) -> str:
    return _array([f"[{node}, {output}, {version}]" for node, output, version in entries], indent)


def _array(items: Iterable[str], indent: int) -> str:
    """A list on one line, or on a line for each item where it is long."""
    items = list(items)
    if len(items) <= _ONE_LINE:
        return "[" + ", ".join(items) + "]"
    inner = " " * (indent + 2)
    return "[\n" + inner + f", \n{inner}".join(items) + "\n" + " " * indent + "]"


def _object(members: Sequence[tuple[str, str]], indent: int) -> str:
    """An object on one line where it has one member."""
    if len(members) == 1:
        return f"{{{_text(members[0][0])}: {members[0][1]}}}"
    inner = " " * (indent + 2)
    lines = f", \n{inner}".join([f"{_text(k)}: {v}" for k, v in members])
    return "{\n" + inner + lines + "\n" + " " * indent + "}"


def _row_pointers(graph: Graph) -> Iterable[int]:
    """Where each node's outputs begin when all are numbered through."""
    counts = graph.output_counts
    return accumulate(counts if counts is not None else graph.used_counts(), initial=0)


def _text(text: str) -> str:
    if _SPECIAL.search(text) is None:
        return f'"{text}"'
    return '"' + _SPECIAL.sub(lambda m: _ESCAPED.get(m.group()) or f"\\u{ord(m.group()):04x}", text) + '"'


def _byte_order(key: str) -> bytes:
    """Sorts keys by their bytes, as a C++ map does."""
    return key.encode("utf-8", "surrogatepass")


def _any(value: Any) -> str:
    """A value of a key that is no part of the format."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(k)}: {_any(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_any, value)) + "]"
    return json.dumps(value)
