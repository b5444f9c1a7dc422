"""Shapes follow as MXNet 1.9.1 infers them: forward, backward, partially, and through subgraphs."""

import json
import subprocess
import sys

import pytest

from evergraph import ops
from evergraph.errors import ShapeError, UsageError
from evergraph.graph import Graph, Node, parse
from evergraph.passes import apply
from evergraph.passes.shapes import infer_shapes
from evergraph.passes.signature import signature
from evergraph.passes.upgrade import upgrade
from tests.corpus import CORPUS, entries, needs_corpus
from tests.goldens import MXNET, RELEASES, operator_cases
from tests.graph.compare import ident
from tests.passes.recorded import inference, one_operator_graph, read

CHECKPOINTS = [p for release in RELEASES for p in sorted((MXNET / release / "checkpoints").glob("*-meta.json"))]


def tuples(shapes):
    return [tuple(s) for s in shapes]


@pytest.mark.parametrize("path", CHECKPOINTS, ids=ident)
def test_gives_the_shapes_that_each_release_reported(path):
    meta = json.loads(path.read_text())
    graph = upgrade(read(path.with_name(path.name.replace("-meta", "-symbol")))).graph
    found = infer_shapes(graph, {n: s["shape"] if isinstance(s, dict) else s for n, s in meta["inputs"].items()})
    shapes, names = found.require().variables(), signature(graph)
    assert [shapes[n] for n in names.arguments] == tuples(meta["arg_shapes"])
    assert [shapes[n] for n in names.auxiliary] == tuples(meta["aux_shapes"])
    assert found.heads() == tuples(meta["output_shapes"])


def recorded_shape(shape, numpy):
    """A shape that infer_shape_partial returned, as rules have it."""
    unknown = -1 if numpy else 0
    return None if shape is None or (not shape and not numpy) else tuple(None if d == unknown else d for d in shape)


def agrees(found, recorded, fully):
    """Whether nothing contradicts MXNet, and, where that is asked, all that MXNet tells is told, too."""
    if recorded is None or found is None:
        return recorded is None or not fully
    if len(found) != len(recorded):
        return False
    return all(r is None or f == r or (f is None and not fully) for f, r in zip(found, recorded, strict=True))


# where 1.9.1 tells more than follows: for an unknown size along the axis of a join it takes 0, and box_encode gives
# its means the shape of its deviations; pick allows both forms of its index; dstack reshapes its inputs
DEVIATIONS = {"Concat", "_rnn_param_concat", "pick", "_contrib_box_encode", "_npi_dstack"}

# graphs of these come with their shapes: their rules may tell less of inputs that are not given
FORWARD_ONLY = ("_np", "_contrib_quantize", "_contrib_requantize", "_contrib_dequantize", "_contrib_calibrate")


@pytest.mark.parametrize("name", sorted({row["op"] for row in operator_cases().values()} - DEVIATIONS), ids=str)
def test_gives_the_shapes_of_1_9_1_for_each_operator(name):
    for key, row in operator_cases().items():
        if row["op"] != name or key not in inference() or ops.find(name) is None:
            continue
        graph, shapes, _ = one_operator_graph(key)
        names, numpy = signature(graph), graph.numpy_shapes
        arguments, heads, _ = inference()[key]["shapes"]["all"]
        for shape, theirs in zip(infer_shapes(graph, shapes).heads(), heads, strict=True):
            assert agrees(shape, recorded_shape(theirs, numpy), fully=True), (key, shape, theirs)
        for given, (arguments, heads, states) in inference()[key]["shapes"].items():
            kind, _, which = given.partition(":")
            if kind == "all":
                continue
            chosen = {n: s for n, s in shapes.items() if (n == which) == (kind == "only")}
            found = infer_shapes(graph, chosen)
            variables = found.variables()
            ours = [variables[n] for n in names.arguments] + found.heads() + [variables[n] for n in names.auxiliary]
            for shape, theirs in zip(ours, [*arguments, *heads, *states], strict=True):
                wanted = recorded_shape(theirs, numpy)
                assert agrees(shape, wanted, not name.startswith(FORWARD_ONLY)), (key, given, shape, wanted)


@needs_corpus
@pytest.mark.wide
@pytest.mark.parametrize("ident", sorted(i for i, row in entries().items() if row["infer"] == "ok"), ids=str)
def test_public_graphs_give_the_recorded_output_shapes(ident):
    row = entries()[ident]
    graph = upgrade(parse((CORPUS / row["file"]).read_bytes())).graph
    names = {v.name for v in graph.variables()}
    found = infer_shapes(graph, {n: s for n, s in row["input_shapes"].items() if n in names})
    assert found.require().heads() == tuples(row["output_shapes"])


def net(*nodes, heads=None):
    """A graph of (op, name, texts, names of inputs)."""
    places = {n[1]: i for i, n in enumerate(nodes)}
    built = tuple(Node(op, name, dict(texts), tuple((places[i], 0, 0) for i in ins)) for op, name, texts, ins in nodes)
    return Graph(built, tuple((places[h], 0, 0) for h in (heads or [nodes[-1][1]])))


def var(name, **texts):
    return ("null", name, {f"__{k}__": v for k, v in texts.items()}, ())


DENSE = net(
    var("data"), var("w"), var("b"),
    ("FullyConnected", "fc", {"num_hidden": "4"}, ("data", "w", "b")),
    ("Activation", "act", {"act_type": "relu"}, ("fc",)),
)  # fmt: skip


def test_unknown_sizes_stay_unknown():
    found = infer_shapes(DENSE, {"data": (None, 3)})
    assert found.variables() == {"data": (None, 3), "w": (4, 3), "b": (4,)}
    assert found.heads() == [(None, 4)]
    assert found.unknown() == ["data", "act_output"]


@pytest.mark.parametrize("unknown", [0, -1, None])
def test_zero_and_minus_one_are_unknown_sizes(unknown):
    assert infer_shapes(DENSE, {"data": (unknown, 3)}).heads() == [(None, 4)]


def test_nothing_given_is_no_error_until_it_is_required():
    found = infer_shapes(DENSE)
    assert found.heads() == [None]
    with pytest.raises(ShapeError) as caught:
        found.require()
    assert "data: ?" in str(caught.value)


def test_zero_is_a_size_under_numpy_semantics():
    graph = net(var("x"), ("_npi_absolute", "y", {}, ("x",))).replace(attrs={"is_np_shape": ["int", 1]})
    assert infer_shapes(graph, {"x": (0, 3)}).heads() == [(0, 3)]
    assert infer_shapes(graph, {"x": ()}).heads() == [()]
    assert infer_shapes(graph, {"x": (-1, 3)}).heads() == [(None, 3)]


def test_shapes_flow_backward():
    graph = net(var("x"), var("y", shape="(2, 3)"), ("relu", "r", {}, ("x",)), ("elemwise_add", "s", {}, ("r", "y")))
    assert infer_shapes(graph).variables()["x"] == (2, 3)


def test_zeros_of_an_unknown_batch_take_it_from_the_graph():
    # as unrolled recurrent cells write their first state
    graph = net(
        var("x"), var("w"), var("b"),
        ("_zeros", "begin", {"shape": "(0, 4)"}, ()),
        ("FullyConnected", "fc", {"num_hidden": "4"}, ("x", "w", "b")),
        ("elemwise_add", "s", {}, ("fc", "begin")),
    )  # fmt: skip
    found = infer_shapes(graph, {"x": (5, 3)})
    assert found.of(3) == (5, 4)
    found.require()


def test_a_long_way_back_costs_no_more_than_the_way():
    nodes = [var("x"), var("y", shape="(2, 3)")]
    nodes += [("relu", f"r{i}", {}, (f"r{i - 1}" if i else "x",)) for i in range(20_000)]
    graph = net(*nodes, ("elemwise_add", "s", {}, ("r19999", "y")))
    assert infer_shapes(graph).variables()["x"] == (2, 3)


def test_a_given_shape_is_right_where_the_variable_says_another():
    graph = net(var("x", shape="(2, 3)"), ("relu", "y", {}, ("x",)))
    assert infer_shapes(graph).heads() == [(2, 3)]
    assert infer_shapes(graph, {"x": (4, 3)}).heads() == [(4, 3)]
    assert infer_shapes(graph, {"x": (0, 3)}).heads() == [(2, 3)]


def test_shapes_of_an_array_that_is_read_twice_agree():
    graph = net(var("x"), ("elemwise_add", "y", {}, ("x", "x")))
    assert infer_shapes(graph, {"x": (2,)}).heads() == [(2,)]


def test_rejects_every_contradiction_with_node_operator_expected_and_found():
    graph = net(
        var("data"), var("w"), var("b"), var("q"),
        ("FullyConnected", "fc", {"num_hidden": "4"}, ("data", "w", "b")),
        ("elemwise_add", "s", {}, ("data", "q")),
        heads=["fc", "s"],
    )  # fmt: skip
    with pytest.raises(ShapeError) as caught:
        infer_shapes(graph, {"data": (2, 3), "w": (5, 3), "q": (9,)})
    first, second = caught.value.details
    assert first.startswith("node 'fc' (FullyConnected): ")
    assert "expected (4, 3)" in first
    assert "found (5, 3)" in first
    assert "inputs: data (2, 3), weight (5, 3), bias ?" in first
    assert second.startswith("node 's' (elemwise_add): ")


def test_rejects_names_that_no_variable_has():
    with pytest.raises(UsageError, match="does not have") as caught:
        infer_shapes(DENSE, {"daat": (2, 3)})
    assert "daat" in str(caught.value)
    assert "data" in str(caught.value)


def test_rejects_a_malformed_shape_text():
    with pytest.raises(ShapeError, match="__shape__"):
        infer_shapes(net(var("x", shape="(2, three)"), ("relu", "y", {}, ("x",))))


@pytest.mark.parametrize("shape", [(3,), (1, 2, 3, 4, 5, 6)])
def test_rejects_numbers_of_axes_that_an_operator_cannot_take(shape):
    graph = net(
        var("x"), var("w"), var("b"), ("Convolution", "c", {"kernel": "(3, 3)", "num_filter": "2"}, ("x", "w", "b"))
    )
    with pytest.raises(ShapeError, match="node 'c' \\(Convolution\\)"):
        infer_shapes(graph, {"x": shape})


def test_rejects_wrong_inputs_and_parameters():
    graph = net(var("x"), ("FullyConnected", "a", {"num_hidden": "4"}, ("x",)), ("relu", "r", {}, ("a",)))
    with pytest.raises(ShapeError, match="takes 3 inputs \\(data, weight, bias\\), has 1"):
        infer_shapes(graph, {"x": (2, 3)})
    graph = net(var("x"), ("Activation", "a", {"act_type": "zigzag"}, ("x",)))
    with pytest.raises(ShapeError, match="parameter act_type"):
        infer_shapes(graph, {"x": (2, 3)})


def test_rejects_an_output_that_its_operator_does_not_have():
    graph = net(var("x"), ("relu", "y", {}, ("x",)))
    with pytest.raises(ShapeError, match="node 'y' \\(relu\\): output 9 is read, and it has 1"):
        infer_shapes(graph.replace(heads=((1, 9, 0),)))


def test_the_pooling_convention_is_hinted_at_where_it_matters():
    pool = ("Pooling", "p", {"kernel": "(2, 2)", "stride": "(2, 2)", "pool_type": "max"}, ("x",))
    graph = net(var("x"), var("y"), pool, ("elemwise_add", "s", {}, ("p", "y")))
    shapes = {"x": (1, 1, 7, 7), "y": (1, 1, 4, 4)}
    with pytest.raises(ShapeError, match="pooling_convention='full'"):
        infer_shapes(graph, shapes)
    asked = upgrade(graph, pooling_convention="full").graph
    assert infer_shapes(asked, shapes).heads() == [(1, 1, 4, 4)]
    with pytest.raises(ShapeError) as caught:
        infer_shapes(graph, {"x": (1, 1, 8, 8), "y": (1, 1, 3, 3)})
    assert "full" not in str(caught.value)


def test_what_comes_after_an_operator_that_is_not_known_stays_unknown():
    graph = net(var("x"), ("Nowhere", "n", {}, ("x",)), ("relu", "y", {}, ("n",)))
    found = infer_shapes(graph, {"x": (2, 3)})
    assert found.heads() == [None]
    with pytest.raises(ShapeError, match="operator Nowhere \\(1 nodes\\) is not known"):
        found.require()


def test_an_operator_without_a_rule_is_asked_with_tensors_that_hold_nothing():
    @ops.operator("_ruleless")
    def ruleless(data, other, *, times: int = 1):
        return (data @ other).repeat(1, times)

    graph = net(var("x"), var("y"), ("_ruleless", "z", {"times": "3"}, ("x", "y")))
    assert infer_shapes(graph, {"x": (100_000, 3), "y": (3, 100_000)}).heads() == [(100_000, 300_000)]
    assert infer_shapes(graph, {"x": (2, 3)}).heads() == [None]
    with pytest.raises(ShapeError, match="_ruleless"):
        infer_shapes(graph, {"x": (2, 3), "y": (4, 4)})


def test_shapes_that_depend_on_values_stay_unknown():
    @ops.operator("_value_dependent")
    def value_dependent(data):
        return data[data > 0]

    assert infer_shapes(net(var("x"), ("_value_dependent", "y", {}, ("x",))), {"x": (4,)}).heads() == [None]


def control(name):
    return read(MXNET / "1.9.1" / "control" / f"{name}.json")


@pytest.mark.skipif(ops.find("_foreach") is None, reason="control flow is not defined")
@pytest.mark.parametrize("name", ["foreach", "while_loop", "cond"])
def test_gives_the_recorded_shapes_of_control_flow(name):
    import numpy as np

    arrays = dict(np.load(MXNET / "1.9.1" / "control" / f"{name}-io.npz"))
    graph = control(name)
    found = infer_shapes(graph, {k[3:]: v.shape for k, v in arrays.items() if k.startswith("in:")})
    outs = [arrays[f"out:{i}"].shape for i in range(len(graph.heads))]
    assert found.require().heads() == outs


@pytest.mark.skipif(ops.find("_foreach") is None, reason="control flow is not defined")
def test_shapes_flow_out_of_a_loops_body():
    # recorded: foreach of FullyConnected(x, w, num_hidden=4) + state with only the data's shape given
    body = net(
        var("x"), var("w"), var("s"),
        ("FullyConnected", "fc", {"num_hidden": "4", "no_bias": "True"}, ("x", "w")),
        ("elemwise_add", "a", {}, ("fc", "s")),
        heads=["a", "s"],
    )  # fmt: skip
    loop = Node(
        "_foreach",
        "loop",
        {"num_args": "4", "num_outputs": "2", "num_out_data": "1", "in_data_locs": "[0]", "in_state_locs": "[2]"}
        | {"remain_locs": "[1]"},
        ((0, 0, 0), (1, 0, 0), (2, 0, 0)),
        subgraphs=(body,),
    )
    graph = Graph((Node("null", "d"), Node("null", "s"), Node("null", "w"), loop), ((3, 0, 0), (3, 1, 0)))
    found = infer_shapes(graph, {"d": (4, 2, 3)})
    assert found.variables() == {"d": (4, 2, 3), "s": (2, 4), "w": (4, 3)}
    assert found.heads() == [(4, 2, 4), (2, 4)]


def test_is_a_pass():
    found = apply(DENSE, ["infer_shapes"], input_shapes={"data": (2, 3)}).context["shapes"]
    assert found.heads() == [(2, 4)]


def test_needs_no_torch_for_operators_with_rules():
    code = (
        "import sys; from tests.passes.test_shapes import DENSE; from evergraph.passes.shapes import infer_shapes;"
        "sys.exit(infer_shapes(DENSE, {'data': (2, 3)}).heads() != [(2, 4)] or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
