"""`mx.viz`: a table of a symbol's layers, and a drawing of its graph."""

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from evergraph.errors import UsageError, printable
from evergraph.graph import Graph
from evergraph.mxnet.symbol import Symbol

__all__ = ["plot_network", "print_summary"]


class _KindError(UsageError, TypeError):
    """Something that is no symbol."""


class _OpenError(UsageError, ValueError):
    """Shapes or types that remain unknown."""


def _graph(symbol: Any) -> Graph:
    if not isinstance(symbol, Symbol):
        raise _KindError("symbol must be Symbol", found=type(symbol).__name__)
    return symbol.graph


def _known(symbol: Symbol, given: Mapping[str, Any] | None, what: str) -> dict[str, Any]:
    """Shapes or types of all outputs of all nodes, by name; nothing where none are given."""
    if given is None:
        return {}
    internals = symbol.get_internals()
    infer = internals.infer_shape if what == "shape" else internals.infer_type
    found = infer(**given)[1]
    if found is None:
        raise _OpenError(f"Input {what} is incomplete", found=printable(dict(given)))
    return dict(zip(internals.list_outputs(), found, strict=True))


def _numbers(text: str) -> list[str]:
    return re.findall(r"\d+", text)


def print_summary(
    symbol: Symbol,
    shape: Mapping[str, Any] | None = None,
    line_length: int = 120,
    positions: Sequence[float] = (0.44, 0.64, 0.74, 1.0),
) -> None:
    """Print a table of the layers, with output shapes and numbers of parameters.

    Args:
        symbol: the network.
        shape: shapes of the inputs by name; without them output shapes stay empty.
        line_length: width of the table.
        positions: where each column ends, as parts of the width or as places.

    Raises:
        TypeError: no symbol.
        ValueError: shapes remain unknown.

    >>> from evergraph.mxnet import sym
    >>> net = sym.FullyConnected(sym.Variable("data"), num_hidden=4, name="fc")
    >>> positions = (20, 30, 35, 40)
    >>> print_summary(net, {"data": (1, 3)}, 40, positions)  # doctest: +NORMALIZE_WHITESPACE
    ________________________________________
    Layer (type)        Output ShaParamPrevi
    ========================================
    data(null)          3         0
    ________________________________________
    fc(FullyConnected)  4         16   data
    ========================================
    Total params: 16
    ________________________________________
    """
    table = _Table(_graph(symbol), _known(symbol, shape, "shape"), shape is not None)
    ends = [int(line_length * p) for p in positions] if positions[-1] <= 1 else [int(p) for p in positions]
    print("_" * line_length)
    _print_row(["Layer (type)", "Output Shape", "Param #", "Previous Layer"], ends)
    print("=" * line_length)
    total, last = 0, len(table.graph.nodes) - 1
    for index, node in enumerate(table.graph.nodes):
        if node.op == "null" and index > 0:
            continue
        before, width = table.before(index)
        count = table.parameters(index, width)
        shown = "x".join(map(str, table.output(index)))
        _print_row([f"{node.name}({node.op})", shown, count, before[0] if before else ""], ends)
        for name in before[1:]:
            _print_row(["", "", "", name], ends)
        print(("=" if index == last else "_") * line_length)
        total += count
    print(f"Total params: {total}")
    print("_" * line_length)


def _print_row(fields: Sequence[Any], ends: Sequence[int]) -> None:
    line = ""
    for field, end in zip(fields, ends, strict=True):
        line = f"{line}{field}"[:end].ljust(end)
    print(line)


class _Table:
    """What the summary tells of each node, counted as 1.9.1 counts."""

    def __init__(self, graph: Graph, shapes: Mapping[str, Any], shaped: bool) -> None:
        self.graph, self._shapes, self._shaped = graph, shapes, shaped
        self._heads = set(graph.heads[0])  # all three numbers of the first head, as 1.9.1 has it

    def _key(self, index: int) -> str:
        node = self.graph.nodes[index]
        return node.name if node.op == "null" else f"{node.name}_output"

    def output(self, index: int) -> Sequence[int]:
        """The output's shape without the first axis."""
        node = self.graph.nodes[index]
        return self._shapes.get(self._key(index), ())[1:] if node.op != "null" or index in self._heads else ()

    def before(self, index: int) -> tuple[list[str], int]:
        """The layers that it reads, and how many channels they have together."""
        names, width = [], 0
        for source, _, _ in self.graph.nodes[index].inputs:
            node = self.graph.nodes[source]
            if node.op == "null" and source not in self._heads:
                continue
            names.append(node.name)
            shape = self._shapes.get(self._key(source), ())[1:]
            width += int(shape[0]) if shape else 0
        return names, width

    def parameters(self, index: int, width: int) -> int:
        """How many parameters the layer has."""
        node = self.graph.nodes[index]
        bias = node.attrs.get("no_bias") != "True"
        if node.op == "Convolution":
            filters = int(node.attrs["num_filter"])
            found = width * filters // int(node.attrs.get("num_group", "1"))
            for size in _numbers(node.attrs["kernel"]):
                found *= int(size)
            return found + (filters if bias else 0)
        if node.op == "FullyConnected":
            return (width + bias) * int(node.attrs["num_hidden"])
        if node.op == "BatchNorm" and self._shaped:
            return int(self._shapes[self._key(index)][1]) * 2
        if node.op == "Embedding":
            return int(node.attrs["input_dim"]) * int(node.attrs["output_dim"])
        return 0


_COLORS = ("#8dd3c7", "#fb8072", "#ffffb3", "#bebada", "#80b1d3", "#fdb462", "#b3de69", "#fccde5")

_BOX = {"shape": "box", "fixedsize": "true", "width": "1.3", "height": "0.8034", "style": "filled"}

_WEIGHTS = (
    "_weight",
    "_bias",
    "_beta",
    "_gamma",
    "_moving_var",
    "_moving_mean",
    "_running_var",
    "_running_mean",
)


def plot_network(
    symbol: Symbol,
    title: str = "plot",
    save_format: str = "pdf",
    shape: Mapping[str, Any] | None = None,
    dtype: Mapping[str, Any] | None = None,
    node_attrs: Mapping[str, str] | None = None,
    hide_weights: bool = True,
) -> Any:
    """A drawing of the graph, as the package graphviz makes it.

    Args:
        symbol: the network.
        title: its title, and the file's name.
        save_format: format of the file.
        shape: shapes of the inputs by name, to write shapes at the edges.
        dtype: types of the inputs by name, to write types at the edges.
        node_attrs: attributes of all boxes.
        hide_weights: whether parameters are left out.

    Raises:
        ImportError: graphviz is not installed.
        TypeError: no symbol.
        ValueError: shapes or types remain unknown.
    """
    try:
        from graphviz import Digraph  # type: ignore[import-not-found]
    except ImportError as error:
        raise ImportError("Draw network requires graphviz library: pip install graphviz") from error
    graph = _graph(symbol)
    labels = _Labels(graph, _known(symbol, shape, "shape"), _known(symbol, dtype, "type"))
    names = [n.name for n in graph.nodes]
    twice = dict.fromkeys(n for n in names if names.count(n) > 1) if len(set(names)) < len(names) else {}
    if twice:
        warnings.warn(
            "There are multiple variables with the same name in your graph, this may result in cyclic graph."
            f" Repeated names: {','.join(twice)}",
            RuntimeWarning,
            stacklevel=2,
        )
    dot, hidden = Digraph(name=title, format=save_format), set()
    for node in graph.nodes:
        if node.op == "null" and node.name.endswith(_WEIGHTS):
            hidden |= {node.name} if hide_weights else set()
            continue
        label, color = _drawn(node)
        dot.node(name=node.name, label=label, **{**_BOX, **(node_attrs or {}), **color})
    for node in graph.nodes:
        inputs = node.inputs[:1] if node.op == "_contrib_BilinearResize2D" else node.inputs
        for source, _, _ in inputs:
            head = graph.nodes[source]
            if head.name not in hidden:
                attrs = {"dir": "back", "arrowtail": "open", "label": labels.edge(source)}
                dot.edge(tail_name=node.name, head_name=head.name, **attrs)
    return dot


def _drawn(node: Any) -> tuple[str, dict[str, str]]:
    """A node's label, and its colour and form."""
    attrs = node.attrs
    if node.op == "null":
        return node.name, {"shape": "oval", "fillcolor": _COLORS[0]}
    label, color = node.name, _COLORS[7]
    stride = "x".join(_numbers(attrs["stride"])) if "stride" in attrs else "1"
    if node.op == "Convolution":
        label, color = f"Convolution\n{'x'.join(_numbers(attrs['kernel']))}/{stride}, {attrs['num_filter']}", _COLORS[1]
    elif node.op == "FullyConnected":
        label, color = f"FullyConnected\n{attrs['num_hidden']}", _COLORS[1]
    elif node.op == "BatchNorm":
        color = _COLORS[3]
    elif node.op == "Activation":
        label, color = f"Activation\n{attrs['act_type']}", _COLORS[2]
    elif node.op == "LeakyReLU":
        label, color = f"LeakyReLU\n{attrs.get('act_type', 'Leaky')}", _COLORS[2]
    elif node.op == "Pooling":
        kernel = "x".join(_numbers(attrs["kernel"])) if "kernel" in attrs else "[]"
        label, color = f"Pooling\n{attrs['pool_type']}, {kernel}/{stride}", _COLORS[4]
    elif node.op in ("Concat", "Flatten", "Reshape"):
        color = _COLORS[5]
    elif node.op == "Softmax":
        color = _COLORS[6]
    elif node.op == "Custom":
        label = attrs["op_type"]
    return label, {"fillcolor": color}


class _Labels:
    """What stands at the edges."""

    def __init__(self, graph: Graph, shapes: Mapping[str, Any], types: Mapping[str, Any]) -> None:
        self._graph, self._shapes, self._types = graph, shapes, types

    def edge(self, source: int) -> str:
        """The label of the edges to a node."""
        node = self._graph.nodes[source]
        key = node.name
        if node.op != "null":
            key += "_output"
            if "num_outputs" in node.attrs:
                key += str(int(node.attrs["num_outputs"]) - 1)
        label = "x".join(map(str, self._shapes[key][1:])) if self._shapes else ""
        return label + (f"({self._types[key].__name__})" if self._types else "")
