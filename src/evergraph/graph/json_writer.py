"""Symbol JSON as MXNet 1.9.1 writes it, byte for byte."""

import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from json.encoder import encode_basestring
from typing import Any

from evergraph.graph.graph import VARIABLE, Entry, Graph, Node

__all__ = ["to_json"]

_ESCAPED = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}
# lone surrogates outside U+DC80 to U+DCFF stand for no byte of a file: they came from an escape, and go back to it
_SPECIAL = re.compile('[\\\\"\n\r\t\ud800-\udc7f\udd00-\udfff]')
_ONE_LINE = 10
_FEW_ENTRIES = tuple("[" + ", ".join(["[%d, %d, %d]"] * n) + "]" for n in range(_ONE_LINE + 1))


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
        members.append(("attrs", _object([f"{_text(k)}: {_any(v)}" for k, v in graph.attrs.items()], indent + 2)))
    for key, text in members + [(k, _any(v)) for k, v in graph.extra.items()]:
        yield f", \n{inner}{_text(key)}: {text}"
    yield "\n" + " " * indent + "}"


def _node(node: Node, indent: int) -> str:
    text = _members(node, indent, encode_basestring)
    # json's own quoting is what MXNet does as long as nothing is escaped, and takes a fifth of the time
    return text if "\\" not in text and text.isascii() else _members(node, indent, _text)


def _members(node: Node, indent: int, quote: Callable[[str], str]) -> str:
    start, separator, end = _frame(indent)
    found = f'{start}"op": {quote(node.op)}{separator}"name": {quote(node.name)}'
    if attrs := node.attrs:
        # a C++ map sorts by bytes; code points sort the same way but for what stands for undecodable bytes
        keys = sorted(attrs) if quote is encode_basestring else sorted(attrs, key=_bytes)
        texts = [f"{quote(k)}: {quote(attrs[k])}" for k in keys]
        found += f'{separator}"attrs": {_object(texts, indent + 2)}'
    found += f'{separator}"inputs": {_entries(node.inputs, indent + 2)}'
    if node.control_deps:
        found += f'{separator}"control_deps": {_array(map(str, node.control_deps), indent + 2)}'
    if node.subgraphs:
        found += f'{separator}"subgraphs": {_subgraphs(node.subgraphs, indent + 2)}'
    for key, value in node.extra.items():
        found += f"{separator}{_text(key)}: {_any(value)}"
    return found + end


@functools.cache
def _frame(indent: int) -> tuple[str, str, str]:
    """What stands before, between and after the members of an object on several lines."""
    inner = " " * (indent + 2)
    return " " * indent + "{\n" + inner, ", \n" + inner, "\n" + " " * indent + "}"


def _subgraphs(graphs: Sequence[Graph], indent: int) -> str:
    inner = " " * (indent + 2)
    # one list whatever its length stands on several lines: its items are no plain numbers
    return "[\n" + ", \n".join(inner + "".join(_graph(g, indent + 2)) for g in graphs) + "\n" + " " * indent + "]"


def _entries(entries: Sequence[Entry], indent: int) -> str:
    if len(entries) <= _ONE_LINE:
        return _FEW_ENTRIES[len(entries)] % sum(entries, ())
    return _array([f"[{node}, {output}, {version}]" for node, output, version in entries], indent)


def _array(items: Iterable[str], indent: int) -> str:
    """A list on one line, or on a line for each item where it is long."""
    items = list(items)
    if len(items) <= _ONE_LINE:
        return "[" + ", ".join(items) + "]"
    inner = " " * (indent + 2)
    return "[\n" + inner + f", \n{inner}".join(items) + "\n" + " " * indent + "]"


def _object(members: Sequence[str], indent: int) -> str:
    """An object on one line where it has one member."""
    if len(members) == 1:
        return f"{{{members[0]}}}"
    start, separator, end = _frame(indent)
    return start.lstrip(" ") + separator.join(members) + end


def _row_pointers(graph: Graph) -> Iterable[int]:
    """Where each node's outputs begin when all are numbered through."""
    counts = graph.output_counts
    return accumulate(counts if counts is not None else graph.used_counts(), initial=0)


def _text(text: str) -> str:
    return '"' + _SPECIAL.sub(lambda m: _ESCAPED.get(m.group()) or f"\\u{ord(m.group()):04x}", text) + '"'


def _bytes(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape" if _SPECIAL.search(key) is None else "surrogatepass")


def _any(value: Any) -> str:
    """A value of a key that is no part of the format."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(k)}: {_any(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_any, value)) + "]"
    return json.dumps(value)
