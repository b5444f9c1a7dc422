"""Symbol JSON of every release, read into a Graph: `docs/formats/symbol-json.md` describes the layouts."""

from collections.abc import Mapping
from typing import Any

from evergraph.errors import DamagedError, FormatError, collect, printable
from evergraph.graph.collector import held_collector
from evergraph.graph.graph import VARIABLE, Entry, Graph, Node
from evergraph.graph.strict_json import load_json

__all__ = ["parse"]

_NODE_KEYS = frozenset(("op", "name", "inputs", "attrs", "attr", "param", "control_deps", "subgraphs"))
_GRAPH_KEYS = frozenset(("nodes", "heads", "arg_nodes", "node_row_ptr", "attrs"))
_SPELLINGS = ("param", "attr", "attrs")

# deeper than any control flow that was ever written, and shallow enough for Python's stack
_DEEPEST_SUBGRAPH = 50
_MOST_FINDINGS = 1000
_LARGEST_INDEX = 2**32 - 1
_ONLY_TEXT = frozenset((str,))
_NOTHING: Mapping[str, Any] = {}
_NO_TEXTS: Any = {"": None}


def parse(data: bytes, name: str = "symbol JSON") -> Graph:
    """The graph of a symbol file, whichever release wrote it; nothing that the file says is lost.

    Args:
        data: the file's content.
        name: what the file is called in errors.

    Returns:
        A graph that is well formed, and that saves to the same bytes as long as it is not changed.

    Raises:
        DamagedError: the JSON is broken (with line and column), or parts of the graph are missing or of a wrong kind.
        FormatError: the content is no symbol JSON.
        GraphError: nodes read nodes or outputs that are not there, or in a circle.

    >>> graph = parse(b'{"nodes": [{"op": "null", "name": "x", "inputs": []}], "arg_nodes": [0], "heads": [[0, 0]]}')
    >>> graph.heads
    ((0, 0, 0),)
    """
    with held_collector():
        return _parse(data, name)


def _parse(data: bytes, name: str) -> Graph:
    value = load_json(data, name)
    if not isinstance(value, dict) or "nodes" not in value:
        keys = ", ".join(map(printable, list(value)[:8])) if isinstance(value, dict) else type(value).__name__
        raise FormatError(
            "this JSON holds no graph", where=name, expected="an object with nodes and heads", found=keys or "no keys"
        )
    reader = _Reader()
    try:
        graph = reader.graph(value)
    except _EnoughError:
        graph = Graph((), ())
    collect(DamagedError, "the graph's parts are not what they must be", reader.findings, where=name)
    return graph.replace(text=bytes(data)).verify(name)


class _EnoughError(Exception):
    """So much is wrong that the rest of the file adds nothing."""


class _Reader:
    """Builds nodes and collects what is wrong with them, so that all of it is said at once."""

    def __init__(self) -> None:
        self.findings: list[str] = []
        self.path: list[str] = []
        self.at: tuple[int, str, str] | None = None

    def complain(self, place: str, expected: str, found: Any) -> None:
        where = " of ".join([place, *self.here(), *reversed(self.path)])
        self.findings.append(f"{where}: expected {expected}, found {_kind(found)}")
        if len(self.findings) >= _MOST_FINDINGS:
            raise _EnoughError

    def here(self) -> list[str]:
        """The node that is being read, if one is."""
        if self.at is None:
            return []
        index, name, op = self.at
        return [f"node {index} {printable(name)!r} ({printable(op)})"]

    def graph(self, raw: dict[str, Any]) -> Graph:
        nodes = raw.get("nodes")
        if not isinstance(nodes, list):
            self.complain("nodes", "a list", nodes)
            nodes = []
        found = tuple([_usual_node(n) or self.node(i, n) for i, n in enumerate(nodes)])
        self.at = None
        self.argument_nodes(raw.get("arg_nodes"), found)
        attrs = raw.get("attrs", {})
        if not isinstance(attrs, dict):
            self.complain("attrs", "an object", attrs)
            attrs = {}
        return Graph(
            found,
            heads=self.entries(raw.get("heads"), "heads"),
            attrs=attrs,
            row_ptr=self.indices(raw["node_row_ptr"], "node_row_ptr") if "node_row_ptr" in raw else None,
            extra={k: v for k, v in raw.items() if k not in _GRAPH_KEYS},
            spelling=next((s for s in _SPELLINGS if any(type(n) is dict and s in n for n in nodes)), "attrs"),
        )

    def node(self, index: int, raw: Any) -> Node:
        if type(raw) is not dict:
            self.at = None
            self.complain(f"node {index}", "an object", raw)
            return Node(VARIABLE, "")
        op, name = raw.get("op"), raw.get("name")
        if type(op) is not str or type(name) is not str:
            self.at = index, str(name), str(op)
            for key in ("op", "name"):
                if type(raw.get(key)) is not str:
                    self.complain(key, "a text", raw.get(key))
            op, name = str(op), str(name)
        self.at = index, name, op
        inputs = self.entries(raw.get("inputs"), "inputs")
        attrs, rest = self.further(raw)
        return Node(op, name, attrs, inputs, **rest)

    def further(self, raw: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
        """The texts of a node, and its rarer fields."""
        attrs, overridden = self.attributes(raw)
        extra = {k: v for k, v in raw.items() if k not in _NODE_KEYS}
        if extra.get("backward_source_id") == -1:
            del extra["backward_source_id"]  # what 0.8 and older write on every node: there is no such source
        rest: dict[str, Any] = {"extra": extra}
        if overridden:
            rest["extra"]["param"] = overridden
        if "control_deps" in raw:
            rest["control_deps"] = self.indices(raw["control_deps"], "control_deps")
        if "subgraphs" in raw:
            rest["subgraphs"] = self.subgraphs(raw["subgraphs"])
        return attrs, rest

    def attributes(self, raw: dict[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
        """A node's texts under whichever key they stand, and the operator parameters that user attributes hide."""
        found: dict[str, str] = {}
        for key in ("attr", "attrs", "param"):
            texts = raw.get(key, _NOTHING)
            if not isinstance(texts, dict):
                self.complain(key, "an object of texts", texts)
                continue
            for k, v in texts.items():
                if type(v) is not str:
                    self.complain(f"{key} {printable(k)!r}", "a text", v)
                elif key == "attrs" and found.get(k, v) != v:
                    self.complain(f"attrs {printable(k)!r}", f"what attr says, {printable(found[k])!r}", v)
            found = texts | found
        # where both name a key MXNet takes the user's, and forgets the operator's
        param = raw.get("param", _NOTHING)
        return found, {k: v for k, v in param.items() if found[k] != v} if isinstance(param, dict) else {}

    def entries(self, raw: Any, place: str) -> tuple[Entry, ...]:
        if type(raw) is not list:
            self.complain(place, "a list", raw)
            return ()
        usual = _usual_entries(raw)
        if usual is not None:
            return usual
        for entry in raw:
            if _usual_entries([entry]) is None:
                self.complain(f"an entry of {place}", "[node, output] or [node, output, version] in integers", entry)
        return ()

    def indices(self, raw: Any, place: str) -> tuple[int, ...]:
        if type(raw) is not list:
            self.complain(place, "a list of integers", raw)
            return ()
        for i, number in enumerate(raw):
            if type(number) is not int or abs(number) > _LARGEST_INDEX:
                self.complain(f"{place}[{i}]", "a small integer", number)
        return tuple(raw)

    def argument_nodes(self, raw: Any, nodes: tuple[Node, ...]) -> None:
        """The list follows from the nodes; where it stands, it must not contradict them."""
        if raw is None:
            return
        for number in self.indices(raw, "arg_nodes"):
            if type(number) is int and not 0 <= number < len(nodes):
                self.complain("arg_nodes", f"nodes 0 to {len(nodes) - 1}", number)
            elif type(number) is int and nodes[number].op != VARIABLE:
                self.complain("arg_nodes", "variables", f"node {number} ({nodes[number].op})")

    def subgraphs(self, raw: Any) -> tuple[Graph, ...]:
        if type(raw) is not list:
            self.complain("subgraphs", "a list of graphs", raw)
            return ()
        if len(self.path) >= _DEEPEST_SUBGRAPH:
            self.complain("subgraphs", f"at most {_DEEPEST_SUBGRAPH} levels of them", "more")
            return ()
        found, node = [], self.at
        for number, body in enumerate(raw):
            self.path.append(" of ".join([f"subgraph {number}", *self.here()]))
            self.at = None
            if isinstance(body, dict):
                found.append(self.graph(body))
            else:
                self.complain("the whole", "a graph", body)
            self.path.pop()
            self.at = node
        return tuple(found)


def _usual_node(raw: Any) -> Node | None:
    """A node as MXNet writes most of them, read at one glance; None where it takes a closer look."""
    if type(raw) is not dict or "op" not in raw or "name" not in raw or "inputs" not in raw:
        return None
    op, name = raw["op"], raw["name"]
    if "param" in raw:
        attrs, user = raw["param"], raw.get("attr", _NOTHING)
        usual = 4 + ("attr" in raw) + ("backward_source_id" in raw)
        if len(raw) != usual or raw.get("backward_source_id", -1) != -1 or not _texts(user):
            return None
        if user:
            attrs = attrs | user if _texts(attrs) and attrs.keys().isdisjoint(user) else _NO_TEXTS
    else:
        attrs = raw.get("attrs", _NOTHING) if "attr" not in raw else raw["attr"]
        if len(raw) != 3 + (attrs is not _NOTHING):
            return None
    entries = _usual_entries(raw["inputs"])
    if entries is None or not (type(op) is type(name) is str and _texts(attrs)):
        return None
    return Node(op, name, attrs, entries)


def _usual_entries(raw: Any) -> tuple[Entry, ...] | None:
    if type(raw) is not list:
        return None
    found = []
    for entry in raw:
        if type(entry) is not list or not 2 <= len(entry) <= 3:
            return None
        node, output, version = entry if len(entry) == 3 else (*entry, 0)
        if not type(node) is type(output) is type(version) is int or node + output + version > _LARGEST_INDEX:
            return None
        found.append((node, output, version))
    return tuple(found)


def _texts(attrs: Any) -> bool:
    """Whether these attributes are as they should be: the frequent case, told in one glance."""
    return type(attrs) is dict and _ONLY_TEXT.issuperset(map(type, attrs.values()))


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", type(None): "nothing", bool: "true or false"}
    if isinstance(value, str):
        return f"the text {printable(value, 40)!r}"
    if type(value) in names:
        return f"{names[type(value)]} of {len(value)}" if isinstance(value, list) else names[type(value)]
    return f"the number {printable(value, 40)}"
