"""Turns a training graph into the one for prediction: loss layers become what they predict, labels and losses go."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from evergraph.errors import GraphError, printable
from evergraph.graph import Entry, Graph, Node
from evergraph.graph.draft import Draft
from evergraph.passes.binding import Meaning, meanings
from evergraph.passes.prune import dropped
from evergraph.passes.registry import Context, Edit, graph_pass

__all__ = ["strip_training"]

_LABELS = {
    "SoftmaxOutput": 1,
    "LinearRegressionOutput": 1,
    "MAERegressionOutput": 1,
    "LogisticRegressionOutput": 1,
    "SVMOutput": 1,
    "CTCLoss": 1,
    "WarpCTC": 1,
    "softmax_cross_entropy": 1,
    "_contrib_MultiBoxTarget": 1,
}
"""Operators that read a label, and as which input."""

_LOSSES = ("MakeLoss", "make_loss", "CTCLoss", "softmax_cross_entropy")
"""Operators whose output is a loss."""

_PREDICT = {
    "LinearRegressionOutput": "_copy",
    "MAERegressionOutput": "_copy",
    "SVMOutput": "_copy",
    "IdentityAttachKLSparseReg": "_copy",
    "MakeLoss": "_copy",
    "make_loss": "_copy",
    "BlockGrad": "_copy",
    "LogisticRegressionOutput": "sigmoid",
}
"""What computes the prediction of a layer that is there for its gradient."""


def strip_training(graph: Graph, *, shapes: Any = None) -> tuple[Graph, list[Edit]]:
    """The graph for prediction.

    Loss layers become what they predict under the same name (SoftmaxOutput a softmax, LogisticRegressionOutput a
    sigmoid, the other regression layers their input), so that outputs keep their names; Dropout and BlockGrad inside
    the graph go; heads that are losses, or that need a label, go with all that only they need.

    Args:
        graph: an upgraded graph; it stays as it is.
        shapes: `Shapes` of the graph, where they are known: SoftmaxOutput's meaning depends on the number of axes.

    Raises:
        GraphError: every head is a loss or needs a label.

    >>> x, label = Node("null", "data"), Node("null", "softmax_label")
    >>> graph = Graph((x, label, Node("SoftmaxOutput", "softmax", inputs=((0, 0, 0), (1, 0, 0)))), ((2, 0, 0),))
    >>> [n.name for n in strip_training(graph)[0].nodes]
    ['data', 'softmax']
    """
    work = _Strip(graph, shapes)
    work.drop_heads()
    work.remove_inner()
    work.replace_layers()
    if not work.edits:
        return graph, []
    removed = {e.node for e in work.edits if "removed" in e.what}
    work.edits += [e for e in dropped(work.draft, "strip_training") if e.node not in removed]
    return work.draft.freeze(), work.edits


class _Strip:
    def __init__(self, graph: Graph, shapes: Any) -> None:
        self.graph, self.shapes = graph, shapes
        self.draft = Draft(graph)
        self.found = meanings(graph)
        self.edits: list[Edit] = []

    def name(self, index: int) -> str:
        """The canonical name of a node's operator."""
        meaning = self.found[index]
        return meaning.operator.name if meaning is not None and meaning.operator else self.graph.nodes[index].op

    def tell(self, index: int, what: str, before: str | None = None, after: str | None = None) -> None:
        self.edits.append(Edit("strip_training", self.graph.nodes[index].name, what, before, after))

    def reach(self, starts: Iterable[int], inputs: Callable[[int, Node], Iterable[Entry]]) -> set[int]:
        """Every node that the starts need through these inputs."""
        seen: set[int] = set()
        pending = list(starts)
        while pending:
            index = pending.pop()
            if index not in seen:
                seen.add(index)
                pending += [source for source, *_ in inputs(index, self.graph.nodes[index])]
        return seen

    def without_label(self, index: int, node: Node) -> Iterable[Entry]:
        """A node's inputs but its label; a target, which is made of the label, counts as one."""
        place = _LABELS.get(self.name(index))
        if place is None or self.name(index) == "_contrib_MultiBoxTarget":
            return node.inputs
        return node.inputs[:place] + node.inputs[place + 1 :]

    def only_label(self, index: int, node: Node) -> Iterable[Entry]:
        """A node's label where it has one, else all of its inputs."""
        place = _LABELS.get(self.name(index))
        return node.inputs if place is None else node.inputs[place : place + 1]

    def labels(self) -> set[int]:
        """The variables that are labels."""
        nodes = self.graph.nodes
        readers = [(i, _LABELS[self.name(i)]) for i in range(len(nodes)) if self.name(i) in _LABELS]
        starts = [nodes[i].inputs[place][0] for i, place in readers if place < len(nodes[i].inputs)]
        candidates = {i for i in self.reach(starts, self.only_label) if nodes[i].is_variable}
        needed = self.reach((h[0] for h in self.graph.heads), self.without_label)
        # an autoencoder's label is its data
        return {i for i in candidates if i not in needed or "label" in nodes[i].name}

    def is_loss(self, index: int) -> bool:
        """Whether a head's value is a loss. MakeLoss with grad_scale 0 only shows its input to the user."""
        meaning = self.found[index]
        if self.name(index) == "MakeLoss" and meaning is not None and meaning.params is not None:
            return meaning.params.grad_scale != 0
        return self.name(index) in _LOSSES

    def needing(self, variables: set[int]) -> list[bool]:
        """Whether each node needs one of these variables for what it predicts."""
        found: list[bool] = []
        for index, node in enumerate(self.graph.nodes):
            found.append(index in variables or any(found[e[0]] for e in self.without_label(index, node)))
        return found

    def drop_heads(self) -> None:
        labelled = self.needing(self.labels())
        kept = []
        for head in self.draft.heads:
            if labelled[head[0]]:
                self.tell(head[0], "head dropped: it needs a label")
            elif self.is_loss(head[0]) and len(self.draft.heads) > 1:
                self.tell(head[0], "head dropped: it is a loss")
            else:
                kept.append(head)
        if not kept:
            raise GraphError(
                "every head of the graph is a loss or needs a label",
                found=", ".join(printable(e.node) for e in self.edits[:20]),
                fix="name the outputs to keep: evergraph.passes.prune.prune(graph, outputs)",
            )
        self.draft.heads = kept

    def replace_layers(self) -> None:
        for index in self.draft.order():
            node, name = self.draft.nodes[index], self.name(index)
            if not node.inputs:
                continue  # it predicts nothing: `check` says so
            if name == "SoftmaxOutput":
                op, attrs = self.softmax(index)
            elif name in _PREDICT:
                op, attrs = _PREDICT[name], {}
            else:
                continue
            kept = {k: v for k, v in node.attrs.items() if k.startswith("__")}
            self.tell(index, "computes the prediction only", node.op, op)
            self.draft.nodes[index] = node.replace(op=op, attrs={**attrs, **kept}, inputs=node.inputs[:1])

    def softmax(self, index: int) -> tuple[str, Mapping[str, str]]:
        """What a SoftmaxOutput predicts."""
        meaning = self.found[index]
        params: Mapping[str, Any] = meaning.params if meaning is not None and meaning.params is not None else {}
        if params.get("multi_output"):
            return "softmax", {"axis": "1"}
        if params.get("preserve_shape") or self.two_axes(self.graph.nodes[index].inputs[0]):
            return "softmax", {"axis": "-1"}
        # over all values of a sample, however many axes they have
        return "SoftmaxActivation", {"mode": "instance"}

    def two_axes(self, entry: Entry) -> bool:
        if self.shapes is not None and (shape := self.shapes.of(*entry[:2])) is not None:
            return len(shape) == 2
        meaning: Meaning | None = self.found[entry[0]]
        if self.name(entry[0]) == "FullyConnected" and meaning is not None and meaning.params is not None:
            return bool(meaning.params.flatten)
        return self.name(entry[0]) == "Flatten"

    def remove_inner(self) -> None:
        """Let readers of a layer that only matters in training read its input."""
        heads = {h[0] for h in self.draft.heads}
        around: dict[tuple[int, int], Entry] = {}
        for index in self.draft.order():
            node, meaning = self.draft.nodes[index], self.found[index]
            inner = self.name(index) == "Dropout" and meaning is not None and meaning.params is not None
            inner = inner and meaning.params.mode != "always"  # type: ignore[union-attr]
            if node.inputs and index not in heads and (inner or self.name(index) == "BlockGrad"):
                around[index, 0] = node.inputs[0]
        for index, _ in around:
            self.tell(index, "removed: it only matters in training", self.graph.nodes[index].op)
        self.draft.redirect(around)


@graph_pass("strip_training")
def strip_training_pass(graph: Graph, context: Context) -> tuple[Graph, list[Edit]]:
    """Turn a training graph into the one for prediction."""
    return strip_training(graph, shapes=context.get("shapes"))
