"""The steps of the upgrade, in the order in which MXNet 1.9.1 takes them when it loads a graph."""

from collections.abc import Sequence

from evergraph.errors import printable
from evergraph.graph import VARIABLE, Graph, Node, to_json, version_words
from evergraph.graph.draft import Draft
from evergraph.ops.registry import find
from evergraph.passes.binding import with_row_pointers
from evergraph.passes.upgrade import CURRENT, Work, step

__all__ = ["HIDDEN_KEYS", "INITIALIZERS"]

HIDDEN_KEYS = ("ctx_group", "lr_mult", "wd_mult", "force_mirroring", "mirror_stage")
"""Texts that steer training and placement; from 0.9 on they stand between double underscores."""

_KEEP_TEXTS = frozenset(
    (
        *("BatchNorm_v1", "BilinearSampler", "Convolution_v1", "Correlation", "Crop", "GridGenerator"),
        *("IdentityAttachKLSparseReg", "InstanceNorm", "L2Normalization", "LinearRegressionOutput"),
        *("LogisticRegressionOutput", "MAERegressionOutput", "MakeLoss", "Pad", "Pooling_v1", "ROIPooling"),
        *("SVMOutput", "SequenceLast", "SequenceMask", "SequenceReverse", "SliceChannel", "SpatialTransformer"),
        *("SwapAxis", "_contrib_DeformableConvolution", "_contrib_DeformablePSROIPooling"),
        *("_contrib_ModulatedDeformableConvolution", "_contrib_MultiBoxDetection", "_contrib_MultiBoxPrior"),
        *("_contrib_MultiBoxTarget", "_contrib_MultiProposal", "_contrib_PSROIPooling", "_contrib_Proposal"),
        *("_contrib_SyncBatchNorm", "_contrib_count_sketch", "_contrib_fft", "_contrib_ifft"),
    )
)
"""Operators of MXNet's first interface, and those that take any text: a text for an input that they lack stays."""

_SCALAR_SAMPLERS = {
    f"_sample_{name}": f"_random_{name}"
    for name in (
        *("uniform", "normal", "gamma", "exponential", "poisson"),
        *("negative_binomial", "generalized_negative_binomial"),
    )
}

_MOVING = {3: '["zero", {}]', 4: '["one", {}]'}
INITIALIZERS: dict[str, dict[int, str]] = {
    "BatchNorm": _MOVING,
    "BatchNorm_v1": _MOVING,
    "_contrib_BatchNormWithReLU": _MOVING,
    "_contrib_SyncBatchNorm": _MOVING,
    "IdentityAttachKLSparseReg": {1: '["zero", {}]'},
    "LeakyReLU": {1: '["Constant", {"value": 0.25}]'},
    "UpSampling": {1: '["bilinear", {}]'},
}
"""The initializer that an operator gives to a variable that it reads as this input, where the variable has none."""


@step("spelling", until=10000)
def _spelling(work: Work) -> None:
    """Each node's texts stand under attrs."""
    nodes = work.draft.nodes
    spelled = work.draft.graph.spelling
    if spelled != "attrs":
        kept = {"param": "param and attr", "attr": "attr"}[spelled]
        work.tell("", f"the texts of {sum(bool(n.attrs) for n in nodes)} nodes", kept, "attrs")
    for i, node in enumerate(nodes):
        hidden = node.extra.get("param")
        if hidden is not None:
            for key, value in hidden.items():
                work.tell(node.name, f"{key}: the user's text hides the operator's", value, node.attrs[key])
            nodes[i] = node.replace(extra={k: v for k, v in node.extra.items() if k != "param"})


@step("operator names")
def _operator_names(work: Work) -> None:
    """Operators have the names under which MXNet 1.9.1 registers them."""
    for i, node in enumerate(work.draft.nodes):
        if node.op == VARIABLE:
            continue
        operator = find(_scalar_sampler(work, node))
        if operator is None:
            work.remarks[f"operator {printable(node.op)} is not known: its nodes stay as they are"] = None
        elif operator.name != node.op:
            work.tell(node.name, "operator renamed", node.op, operator.name)
            work.draft.nodes[i] = node.replace(op=operator.name)


def _scalar_sampler(work: Work, node: Node) -> str:
    """The operator's name; up to 0.11 `_sample_uniform` and its like took numbers, where 1.9.1's take arrays."""
    if work.version < 1200 and not node.inputs and node.op in _SCALAR_SAMPLERS:
        return _SCALAR_SAMPLERS[node.op]
    return node.op


@step("hidden keys", until=CURRENT)
def _hidden_keys(work: Work) -> None:
    """Texts that steer training and placement move to __key__, and those of an input to its variable."""
    nodes = work.draft.nodes
    for_inputs: dict[int, list[str]] = {}
    for i, node in enumerate(nodes):
        for key in [k for k in node.attrs if k.endswith(HIDDEN_KEYS)]:
            if key in HIDDEN_KEYS:
                _hide(work, i, key)
            elif node.op != VARIABLE:
                for_inputs.setdefault(i, []).append(key)
    # the last one wins, in MXNet's order; a node that no head needs is not looked at
    for i in work.order if for_inputs else ():
        for key in for_inputs.get(i, ()):
            _hand_on(work, i, key, next(h for h in HIDDEN_KEYS if key.endswith(h)))


def _hide(work: Work, index: int, key: str) -> None:
    node = work.draft.nodes[index]
    texts = dict(node.attrs)
    value = texts.pop(key)
    work.tell(node.name, f"{key} is now __{key}__", texts.get(f"__{key}__"), value)
    work.draft.nodes[index] = node.replace(attrs=texts | {f"__{key}__": value})


def _hand_on(work: Work, index: int, key: str, hidden: str) -> None:
    """Move a text such as weight_lr_mult from an operator to its variable `weight`."""
    node = work.draft.nodes[index]
    texts = {k: v for k, v in node.attrs.items() if k != key}
    found = work.meaning(node.replace(attrs=texts))
    names = found.inputs if found is not None else None
    operator = found.operator if found is not None else None
    if names is None or operator is None or not (operator.parameters or operator.variadic):
        return  # an operator that is not known, or that has no parameters and lets every text pass
    target = _variable(work.draft.nodes, node, names, key[: -len(hidden) - 1])
    if target is None:
        words = f"node {printable(node.name)!r} ({printable(node.op)}): {printable(key)}"
        if operator.name in _KEEP_TEXTS:
            work.remarks[f"{words}: it has no such input, the text stays"] = None
        else:
            work.errors.append(f"{words}, and its inputs are {', '.join(names)}")
        return
    variable = work.draft.nodes[target]
    work.tell(node.name, f"{key} moved to variable {variable.name} as __{hidden}__")
    work.set_text(target, f"__{hidden}__", node.attrs[key])
    work.draft.nodes[index] = work.draft.nodes[index].replace(attrs=texts)


def _variable(nodes: list[Node], node: Node, names: Sequence[str], wanted: str) -> int | None:
    for name, (source, _, _) in zip(names, node.inputs, strict=False):
        if name == wanted and nodes[source].is_variable:
            return source
    return None


@step("missing inputs", until=900)
def _missing_inputs(work: Work) -> None:
    """Auxiliary states, which 0.8 and older left out, become variables."""
    nodes = work.draft.nodes
    for i, node in enumerate(tuple(nodes)):
        found = work.meaning(node)
        missing = (found.inputs or ())[len(node.inputs) :] if found is not None else ()
        if missing:
            added = [Node(VARIABLE, f"{node.name}_{n}" if node.name else n, node.attrs) for n in missing]
            entries = tuple((work.add(variable), 0, 0) for variable in added)
            nodes[i] = node.replace(inputs=node.inputs + entries)
            for name, variable in zip(missing, added, strict=True):
                work.tell(node.name, f"input {name} added as variable {variable.name}")


@step("initializers", until=904)
def _initializers(work: Work) -> None:
    """Variables that operators initialize in their own way say so in __init__."""
    nodes = work.draft.nodes
    for i in work.order:
        if nodes[i].op not in INITIALIZERS:
            continue
        inputs = nodes[i].inputs
        for number, text in INITIALIZERS[nodes[i].op].items():
            target = inputs[number][0] if number < len(inputs) else i
            if nodes[target].op == VARIABLE and "__init__" not in nodes[target].attrs:
                work.set_text(target, "__init__", text)


@step("axes", until=905)
def _axes(work: Work) -> None:
    """Where argmax and argmin go over everything they leave their axis out, where 0.9.4 and older wrote -1."""
    for i, node in enumerate(work.draft.nodes):
        if node.op in ("argmax", "argmin") and node.attrs.get("axis") == "-1":
            work.tell(node.name, "axis removed: it stood for all axes", "-1")
            work.draft.nodes[i] = node.replace(attrs={k: v for k, v in node.attrs.items() if k != "axis"})


@step("pooling convention")
def _pooling_convention(work: Work) -> None:
    """Pooling layers that state no convention get the one asked for."""
    if work.pooling_convention is not None:
        for i, node in enumerate(work.draft.nodes):
            if node.op == "Pooling" and "pooling_convention" not in node.attrs:
                work.set_text(i, "pooling_convention", work.pooling_convention)


@step("recurrent outputs", until=10600)
def _recurrent_outputs(work: Work) -> None:
    """What RNN returns is named NODE_output, NODE_state_output and NODE_statecell_output from 1.6 on."""
    numbered = work.version >= 10500  # 1.5 alone
    before = ("output0", "output1", "output2") if numbered else ("output", "state", "state_cell")
    for index, output, _ in work.draft.heads:
        node = work.draft.nodes[index]
        found = work.meaning(node)
        names = found.outputs if found is not None and node.op == "RNN" else None
        if names and len(names) > 1 and output < len(names) and before[output] != names[output]:
            old, new = (f"{node.name}_{n}" for n in (before[output], names[output]))
            work.tell(node.name, "the name of the output follows 1.6", old, new)


@step("order")
def _order(work: Work) -> None:
    """Nodes that no head needs are dropped, and the rest stand in MXNet's order."""
    needed = work.order
    for i in sorted(set(range(len(work.draft.nodes))) - set(needed)):
        node = work.draft.nodes[i]
        work.tell(node.name, f"dropped ({node.op}): no head needs it")
    old = [i for i in needed if i < len(work.draft.graph)]
    if moved := sum(a != b for a, b in zip(old, sorted(old), strict=True)):
        work.tell("", f"{moved} nodes moved")


@step("outputs")
def _outputs(work: Work) -> None:
    """node_row_ptr counts the outputs that each operator has in 1.9.1."""
    draft = work.draft
    for i, node in enumerate(draft.nodes):
        if node.subgraphs:
            draft.nodes[i] = node.replace(subgraphs=tuple(_body(work, node.name, g) for g in node.subgraphs))
    before = [draft.counts[i] for i in work.order]
    graph = with_row_pointers(draft.freeze(work.order, spelling="attrs"))
    for node, old, new in zip(graph.nodes, before, graph.output_counts or (), strict=True):
        if old not in (None, new):
            work.tell(node.name, f"number of outputs of {node.op}", str(old), str(new))
    if draft.graph.row_ptr is None:
        work.tell("", "the numbers of outputs written as node_row_ptr")
    work.draft = Draft(graph)


def _body(work: Work, name: str, graph: Graph) -> Graph:
    """A subgraph with today's operator names, order and row pointers; MXNet upgrades nothing else in it."""
    inner = Work(Draft(graph), work.version, remarks=work.remarks)
    for function in (_operator_names, _order, _outputs):
        function(inner)
    if not inner.edits:
        return graph
    work.edits += [type(e)(work.step, name, f"in its subgraph, {e}") for e in inner.edits]
    return inner.draft.graph


@step("version")
def _version(work: Work) -> None:
    """The graph carries the version of MXNet 1.9.1."""
    graph = work.draft.graph
    if graph.attrs.get("mxnet_version") != ["int", CURRENT]:
        work.tell("", "version", version_words(graph.version), version_words(CURRENT))
        attrs = {**graph.attrs, "mxnet_version": ["int", CURRENT]}
        work.draft.graph = graph.replace(attrs={k: attrs[k] for k in sorted(attrs)})


@step("text")
def _text(work: Work) -> None:
    """A file that differs in nothing else is laid out as MXNet 1.9.1 does."""
    if not work.edits and work.text is not None and to_json(work.draft.graph) != work.text:
        work.tell("", "spaces, line ends or the order of keys", f"{len(work.text)} bytes", "MXNet 1.9.1's text")
