"""The nodes that symbols share: what a program composes, before a graph is made of it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from evergraph.errors import GraphError, OperatorError, UsageError, printable
from evergraph.graph import Graph, Node
from evergraph.passes.binding import Meaning, meaning, with_row_pointers

__all__ = [
    "HIDDEN",
    "Entry",
    "SymbolNode",
    "adopt",
    "attribute_key",
    "compose",
    "graph_of",
    "ordered",
    "remember_whole",
    "replace_variables",
    "shown_attributes",
]

HIDDEN = ("ctx_group", "lr_mult", "wd_mult", "force_mirroring", "mirror_stage", "profiler_scope")
"""Attributes that stand with underscores around them in a graph, and are given and asked for without."""

_VERSION = 10901


class SymbolNode:
    """A node that may still change: attributes are set, variables are replaced.

    Args:
        op: operator name; "null" for a variable.
        name: the node's name.
        attrs: texts by key.
        inputs: outputs of other nodes.
        subgraphs: bodies of control flow.
    """

    __slots__ = ("attrs", "inputs", "name", "op", "rest", "subgraphs", "version", "versions", "whole")

    def __init__(
        self,
        op: str,
        name: str,
        attrs: Mapping[str, str] | None = None,
        inputs: "Sequence[Entry]" = (),
        subgraphs: tuple[Graph, ...] = (),
    ) -> None:
        self.op, self.name, self.attrs = op, name, dict(attrs or {})
        self.inputs, self.subgraphs = list(inputs), subgraphs
        # how often operators change a variable, and how often they had when each input was read
        self.version, self.versions = 0, [0] * len(self.inputs)
        self.rest: tuple[tuple[SymbolNode, ...], Mapping[str, Any]] = ((), {})
        # names of all variables of the network that it was taken from: a checkpoint has them, a part of it may not
        self.whole: frozenset[str] = frozenset()

    @property
    def is_variable(self) -> bool:
        """Whether it stands for an array given from outside."""
        return self.op == "null"

    def meaning(self) -> Meaning | None:
        """What the node stands for; None for a variable."""
        return None if self.is_variable else meaning(self.op, self.attrs, len(self.inputs))

    def visible(self) -> int:
        """How many outputs others may use."""
        found = self.meaning()
        return 1 if found is None or found.visible is None else found.visible


Entry: TypeAlias = tuple[SymbolNode, int]


def remember_whole(nodes: Sequence[SymbolNode]) -> None:
    """Let each node of a network know the names of all its variables."""
    names = frozenset(n.name for n in nodes if n.is_variable)
    # nodes share their sets: each is joined once, and stands here so that no other gets its id
    joined: dict[int, tuple[frozenset[str], frozenset[str]]] = {}
    for node in nodes:
        whole = node.whole
        if id(whole) not in joined:
            joined[id(whole)] = (whole, names if whole <= names else whole | names)
        node.whole = joined[id(whole)][1]


def attribute_key(key: str) -> str:
    """The key under which an attribute stands in a graph.

    >>> attribute_key("lr_mult"), attribute_key("num_hidden")
    ('__lr_mult__', 'num_hidden')
    """
    return f"__{key}__" if key in HIDDEN else key


def shown_attributes(attrs: Mapping[str, str]) -> dict[str, str]:
    """Attributes as programs ask for them: hidden ones by both names."""
    found = dict(sorted(attrs.items()))
    found.update({k: attrs[f"__{k}__"] for k in HIDDEN if f"__{k}__" in attrs})
    return found


def ordered(entries: Iterable[Entry]) -> list[SymbolNode]:
    """Every node that the entries need, in MXNet's order: after its inputs, depth first."""
    nodes: list[SymbolNode] = []
    seen: set[int] = set()
    for head, _ in entries:
        if id(head) in seen:
            continue
        seen.add(id(head))
        stack = [(head, iter(_needs(head)))]
        while stack:
            node, pending = stack[-1]
            for source in pending:
                if id(source) not in seen:
                    seen.add(id(source))
                    stack.append((source, iter(_needs(source))))
                    break
            else:
                nodes.append(node)
                stack.pop()
    return nodes


def _needs(node: SymbolNode) -> list[SymbolNode]:
    return [*(source for source, _ in node.inputs), *node.rest[0]]


def graph_of(entries: Sequence[Entry], numpy_shapes: bool = False) -> tuple[Graph, list[SymbolNode]]:
    """The graph of these outputs, as MXNet 1.9.1 would save it, and the node behind each of its nodes.

    Args:
        entries: the outputs.
        numpy_shapes: whether shapes have NumPy's meaning.
    """
    nodes = ordered(entries)
    place = {id(n): i for i, n in enumerate(nodes)}
    made = tuple(
        Node(
            n.op,
            n.name,
            dict(sorted(n.attrs.items())),
            tuple((place[id(s)], output, v) for (s, output), v in zip(n.inputs, n.versions, strict=True)),
            tuple(place[id(s)] for s in n.rest[0]),
            n.subgraphs,
            n.rest[1],
        )
        for n in nodes
    )
    attrs: dict[str, Any] = {"mxnet_version": ["int", _VERSION]}
    if numpy_shapes:
        attrs = {"is_np_shape": ["int", 1], **attrs}
    heads = tuple((place[id(n)], output, n.version) for n, output in entries)
    return with_row_pointers(Graph(made, heads, attrs)), nodes


def adopt(graph: Graph) -> tuple[list[Entry], list[SymbolNode]]:
    """A node for each of a graph's nodes; returns the entries of its heads, and the nodes in the graph's order."""
    made = [SymbolNode(n.op, n.name, n.attrs, (), n.subgraphs) for n in graph.nodes]
    for node, old in zip(made, graph.nodes, strict=True):
        node.inputs = [(made[source], output) for source, output, _ in old.inputs]
        node.versions = [version for *_, version in old.inputs]
        for source, _, version in old.inputs:
            made[source].version = max(made[source].version, version)
        if old.control_deps or old.extra:
            node.rest = (tuple(made[d] for d in old.control_deps), old.extra)
    return [(made[source], output) for source, output, _ in graph.heads], made


def compose(
    op: str,
    name: str,
    texts: Mapping[str, str],
    positional: Sequence[Entry] = (),
    named: Mapping[str, Entry] | None = None,
    subgraphs: tuple[Graph, ...] = (),
) -> SymbolNode:
    """A new node; inputs that are not given become variables named after it.

    Args:
        op: operator name.
        name: the node's name.
        texts: its parameters and attributes.
        positional: inputs in order.
        named: inputs by name.
        subgraphs: bodies of control flow.

    Raises:
        OperatorError: parameters that the operator does not take, or inputs that it does not have; all are listed.
    """
    given = dict(named or {})
    attrs = _attributes(op, name, texts)
    found = meaning(op, attrs, len(positional) + len(given))
    if found.error is not None:
        error = found.error
        raise OperatorError(
            error.what, where=f"node {printable(name)!r}", expected=error.expected, details=error.details, fix=error.fix
        )
    if found.operator is None or found.inputs is None:
        raise OperatorError(f"operator {printable(op)} is not known", where=f"node {printable(name)!r}")
    node = SymbolNode(found.operator.name, name, attrs, (), subgraphs)
    node.inputs = _arranged(node, found.inputs, list(positional), given)
    changed = set(found.operator.changed_names(found.params)) if found.params is not None else set()
    for each, (source, _) in zip(found.inputs, node.inputs, strict=True):
        source.version += source.is_variable and each in changed
    node.versions = [source.version if source.is_variable else 0 for source, _ in node.inputs]
    _tell_initial_values(node, found.inputs)
    return node


# what MXNet notes on the variables of these operators when they are composed
_MEAN, _VAR = {"moving_mean": '["zero", {}]'}, {"moving_var": '["one", {}]'}
_INITIAL: Mapping[str, Mapping[str, str]] = dict.fromkeys(
    ("BatchNorm", "BatchNorm_v1", "_contrib_SyncBatchNorm", "_contrib_BatchNormWithReLU"), _MEAN | _VAR
) | {
    "LeakyReLU": {"gamma": '["Constant", {"value": 0.25}]'},
    "IdentityAttachKLSparseReg": {"moving_avg": '["zero", {}]'},
}


def _tell_initial_values(node: SymbolNode, names: Sequence[str]) -> None:
    wanted = _INITIAL.get(node.op, {})
    for name, (source, _) in zip(names, node.inputs, strict=False):
        if name in wanted and source.is_variable:
            source.attrs.setdefault("__init__", wanted[name])


def _attributes(op: str, name: str, texts: Mapping[str, str]) -> dict[str, str]:
    wrong = [k for k in texts if k.endswith(tuple(f"_{h}" for h in HIDDEN)) and k not in HIDDEN]
    wrong = [k for k in wrong if not k.startswith("__")]
    if wrong:
        raise OperatorError(
            "attributes of an input are set on the input itself",
            where=f"node {printable(name)!r} ({printable(op)})",
            found=", ".join(map(printable, wrong)),
            fix="make the variable: w = mx.sym.Variable('w', lr_mult=5), and give it as the input",
        )
    return {attribute_key(k): v for k, v in texts.items()}


def _arranged(node: SymbolNode, names: Sequence[str], positional: list[Entry], named: dict[str, Entry]) -> list[Entry]:
    if len(positional) > len(names) or named.keys() - set(names):
        extra = ", ".join(map(printable, named.keys() - set(names)))
        raise OperatorError(
            f"operator {node.op} has no such inputs",
            where=f"node {printable(node.name)!r}",
            expected=f"{len(names)}: {', '.join(names)}",
            found=extra or f"{len(positional)} inputs",
        )
    entries = []
    for index, each in enumerate(names):
        if index < len(positional):
            entries.append(positional[index])
        elif each in named:
            entries.append(named[each])
        else:
            # as MXNet: what is made for a layer carries the layer's own attributes
            entries.append((SymbolNode("null", f"{node.name}_{each}" if node.name else each, node.attrs), 0))
    return entries


def replace_variables(
    entries: Sequence[Entry], positional: Sequence[Entry], named: Mapping[str, Entry], name: str | None
) -> list[Entry]:
    """A copy of what the entries need with variables replaced: by name, or the first ones in order.

    Raises:
        UsageError: names that no variable has, or more values than variables.
    """
    nodes = ordered(entries)
    variables = [n for n in nodes if n.is_variable]
    wanted: dict[int, Entry] = {}
    if len(positional) > len(variables):
        raise UsageError("more inputs than variables", expected=len(variables), found=len(positional))
    wanted.update({id(v): e for v, e in zip(variables, positional, strict=False)})
    unknown = named.keys() - {v.name for v in variables}
    if unknown:
        raise GraphError(
            "the symbol has no such variables",
            expected=", ".join(v.name for v in variables),
            found=", ".join(map(printable, sorted(unknown))),
        )
    wanted.update({id(v): named[v.name] for v in variables if v.name in named})
    copies: dict[int, SymbolNode] = {}
    for node in nodes:
        copy = SymbolNode(node.op, node.name, node.attrs, (), node.subgraphs)
        copy.version, copy.versions = node.version, list(node.versions)
        copy.inputs = [wanted.get(id(s)) or (copies[id(s)], output) for s, output in node.inputs]
        copy.rest = (tuple(copies[id(d)] for d in node.rest[0]), node.rest[1])
        copies[id(node)] = copy
    found = [wanted.get(id(n)) or (copies[id(n)], output) for n, output in entries]
    if name and len({id(n) for n, _ in found}) == 1:
        found[0][0].name = name
    return found
