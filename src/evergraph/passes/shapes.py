"""Shapes of everything in a graph, from those that are known: forward, backward, partial, without tensors."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from evergraph.errors import ShapeError, UsageError, collect, printable
from evergraph.graph import Graph
from evergraph.ops.rules import Dims, known, unify
from evergraph.ops.types import Shape, parameter_type
from evergraph.passes import meta
from evergraph.passes.binding import Meaning, meanings
from evergraph.passes.propagation import Known, node_label, spread
from evergraph.passes.registry import Context, Edit, graph_pass
from evergraph.passes.signature import output_names
from evergraph.passes.subgraphs import Through

__all__ = ["Shapes", "infer_shapes", "show_shape", "to_dims"]

_SHAPE = parameter_type(Shape)


class Shapes(Known[Dims]):
    """The shape of each output of each node: None where it is unknown, with None for unknown sizes."""

    def unknown(self) -> list[str]:
        """Names of variables and heads whose shape is not wholly known."""
        names = [name for name, shape in self.variables().items() if not known(shape)]
        heads = zip(output_names(self.graph, self.graph.heads), self.heads(), strict=True)
        return names + [name for name, shape in heads if not known(shape) and name not in names]

    def require(self) -> "Shapes":
        """The shapes themselves, where all variables and heads are known.

        Raises:
            ShapeError: naming those that are not, and the operators whose shapes nobody can tell.
        """
        missing = self.unknown()
        opaque: dict[str, int] = {}
        for node, found in zip(self.graph.nodes, meanings(self.graph), strict=True):
            if missing and found is not None and found.params is None:
                opaque[node.op] = opaque.get(node.op, 0) + 1
        shown = [f"{printable(n)}: {show_shape(self.variables().get(n))}" for n in missing]
        shown += [f"operator {printable(op)} ({count} nodes) is not known" for op, count in opaque.items()]
        collect(ShapeError, "shapes remain unknown", shown, fix="give the shapes of more inputs")
        return self


def infer_shapes(graph: Graph, shapes: Mapping[str, Sequence[int | None] | None] | None = None) -> Shapes:
    """All shapes that follow from the given ones and from the variables' `__shape__`.

    What does not follow stays unknown: `Shapes.require()` insists on all.

    Args:
        graph: an upgraded graph.
        shapes: by variable's name. A size of None or -1 is unknown; so are 0 and the shape (), unless the graph has
            NumPy shape semantics.

    Raises:
        ShapeError: shapes contradict each other, at these nodes.
        UsageError: names that no variable has.

    >>> from evergraph.graph import Node
    >>> x, w, b = (Node("null", n) for n in ("x", "w", "b"))
    >>> layer = Node("FullyConnected", "fc", {"num_hidden": "4"}, ((0, 0, 0), (1, 0, 0), (2, 0, 0)))
    >>> infer_shapes(Graph((x, w, b, layer), ((3, 0, 0),)), {"x": (2, 3)}).variables()
    {'x': (2, 3), 'w': (4, 3), 'b': (4,)}
    """
    given = {} if shapes is None else shapes
    names = {n.name for n in graph.variables()}
    unknown = [printable(n) for n in given if n not in names]
    what = "shapes are given for variables that the graph does not have"
    collect(UsageError, what, unknown, expected=_listed(names))
    numpy = graph.numpy_shapes
    seeds = {i: to_dims(given[n.name], numpy) for i, n in enumerate(graph.nodes) if n.is_variable and n.name in given}
    return _infer(graph, seeds, numpy)


def _infer(graph: Graph, seeds: Mapping[int, Dims], numpy: bool) -> Shapes:
    found = Shapes(graph)
    wrong = _seed(found, seeds, numpy) + found.misread() + _arities(graph)
    if not wrong:
        rule = _rule(graph, numpy)
        wrong = [(i, _describe(found, i, text)) for i, text in spread(found, rule, unify, known)]
    lines = [f"{node_label(graph, i)}: {text}" for i, text in wrong]
    collect(ShapeError, "the shapes do not fit together", lines, fix=_pooling_hint(found) if lines else None)
    return found


def to_dims(shape: Sequence[int | None] | None, numpy_shapes: bool = False) -> Dims:
    """A shape as rules have it: None for what is unknown.

    >>> to_dims((0, 3)), to_dims((0, 3), numpy_shapes=True), to_dims(())
    ((None, 3), (0, 3), None)
    """
    if shape is None or (not numpy_shapes and not len(shape)):
        return None
    unknown = (None, -1) if numpy_shapes else (None, -1, 0)
    return tuple(None if d in unknown else int(d) for d in shape)  # type: ignore[arg-type]


def show_shape(shape: Dims) -> str:
    """A shape in words.

    >>> show_shape((None, 3)), show_shape(None)
    ('(?, 3)', '?')
    """
    return "?" if shape is None else "(" + ", ".join("?" if d is None else str(d) for d in shape) + ")"


def _seed(found: Shapes, seeds: Mapping[int, Dims], numpy: bool) -> list[tuple[int, str]]:
    """Set what the caller and the variables themselves say; where they differ, the caller is right."""
    wrong = []
    for i, node in enumerate(found.graph.nodes):
        if not node.is_variable:
            continue
        shape, text = seeds.get(i), node.attrs.get("__shape__")
        if text is not None and not known(shape):
            try:
                stated = _stated(text, numpy)
            except ValueError as error:
                wrong.append((i, f"__shape__: expected {error}, found {printable(text)!r}"))
                continue
            if shape is None or (stated is not None and len(stated) == len(shape)):
                shape = (
                    stated
                    if shape is None
                    else tuple(s if d is None else d for d, s in zip(shape, stated or (), strict=True))
                )
        found.values[found.offsets[i]] = shape
    return wrong


@functools.lru_cache(maxsize=1024)
def _stated(text: str, numpy: bool) -> Dims:
    """The shape that a text stands for. Raises ValueError where it stands for none."""
    return to_dims(_SHAPE.parse(text), numpy)


def _listed(names: set[str], limit: int = 12) -> str:
    shown = sorted(names)[:limit]
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return f"names among {', '.join(map(printable, shown))}{rest}"


def _arities(graph: Graph) -> list[tuple[int, str]]:
    """Nodes that a rule cannot be asked about: other inputs, or parameters, than their operator takes."""
    wrong = []
    for i, found in enumerate(meanings(graph)):
        if found is None:
            continue
        if found.error is not None:
            wrong.append((i, "; ".join(found.error.details) or found.error.what))
        elif found.inputs is not None and len(found.inputs) != len(graph.nodes[i].inputs):
            names = ", ".join(found.inputs)
            wrong.append((i, f"takes {len(found.inputs)} inputs ({names}), has {len(graph.nodes[i].inputs)}"))
    return wrong


def _rule(graph: Graph, numpy: bool) -> Any:
    types = meta.LazyTypes(graph)
    through = _through(numpy)

    def rule(index: int, meaning: Meaning, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
        operator, params = meaning.operator, meaning.params
        if operator is None or params is None:
            return ins, outs
        node = graph.nodes[index]
        if node.subgraphs:
            return through.infer(node, params, ins, outs)
        if numpy and not ins and isinstance(params.get("shape"), (tuple, list)):
            # what is made from nothing may have sizes of 0, which rules take for unknown
            outs = [unify(o, to_dims(params["shape"], numpy), "a made array") for o in outs]
        ins, outs = operator.infer_shapes(params, ins, outs)
        if operator.shape is None and all(map(known, ins)):
            outs = [unify(o, s, "an output") for o, s in zip(outs, meta.run(meaning, ins, types(index)), strict=True)]
        return ins, outs

    return rule


def _through(numpy: bool) -> Through[Any]:
    """How shapes pass through subgraphs: a loop walks over the first axis."""
    return Through(
        run=lambda graph, seeds: _infer(graph, seeds, numpy),
        combine=unify,
        step=lambda shape: shape[1:] or (1,),  # under NumPy semantics too
        stack=lambda shape, length: (length, *shape),
        length=lambda shape: shape[0],
        number=(1,),
    )


def _describe(found: Shapes, index: int, text: str) -> str:
    """A finding with the shapes that the node reads."""
    meaning = meanings(found.graph)[index]
    names = (meaning.inputs if meaning is not None else None) or ()
    each = [f"{n} {show_shape(s)}" for n, s in zip(names, found.inputs_of(index), strict=False)]
    return f"{text}; inputs: {', '.join(each)}" if each else text


def _pooling_hint(found: Shapes) -> str | None:
    """What to try where pooling layers leave open how they round, and it matters."""
    silent = different = 0
    for node, meaning in zip(found.graph.nodes, meanings(found.graph), strict=True):
        if node.op == "Pooling" and "pooling_convention" not in node.attrs and meaning and meaning.params:
            silent += 1
            different += bool(node.inputs) and _rounds(meaning.params, found.of(*node.inputs[0][:2]))
    if not different:
        return None
    return (
        f"{silent} Pooling layers state no convention, and {different} of them would give other sizes under 'full'"
        " (rounding up) than under 'valid', which MXNet 1.9.1 takes: for a model of 0.8 or older, try the upgrade with"
        " pooling_convention='full'"
    )


def _rounds(params: Any, data: Dims) -> bool:
    """Whether windows do not fill the data exactly."""
    if params.global_pool or data is None or len(data) != len(params.kernel) + 2:
        return False
    rank = len(params.kernel)
    strides, pads = params.stride or (1,) * rank, params.pad or (0,) * rank
    each = zip(data[2:], params.kernel, strides, pads, strict=False)
    return any(d is not None and s and (d + 2 * p - k) % s != 0 for d, k, s, p in each)


@graph_pass("infer_shapes", provides=["shapes"])
def shapes_pass(graph: Graph, context: Context) -> tuple[Graph, list[Edit]]:
    """Infer the shape of every variable and output from `input_shapes`."""
    context.provide(shapes=infer_shapes(graph, context.get("input_shapes")))
    return graph, []
