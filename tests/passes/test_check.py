"""Everything that an engine could not run is found at once, with counts."""

import json

import pytest

from evergraph.errors import OperatorError
from evergraph.graph import Graph, Node, parse
from evergraph.passes import apply
from evergraph.passes.check import check, require_known
from evergraph.passes.upgrade import upgrade
from tests.goldens import MXNET
from tests.passes.recorded import read
from tests.passes.test_shapes import net, var

BROKEN = net(
    var("x"),
    ("Nowhere", "a", {}, ("x",)),
    ("Nowhere", "b", {"eval": "__import__('os')"}, ("a",)),
    ("FullyConnected", "fc", {"num_hidden": "four", "colour": "red"}, ("b",)),
    ("Activation", "act", {}, ("fc",)),
    ("elemwise_add", "add", {}, ("act",)),
)


def test_everything_is_found_at_once_and_counted():
    found = {(p.operator, p.kind): p for p in check(BROKEN)}
    assert found["Nowhere", "operator"].nodes == ("a", "b")
    lines = [str(p) for p in check(BROKEN)]
    assert lines[0] == "Nowhere: the operator is not known (2 nodes: a, b)"
    assert any("FullyConnected: parameter num_hidden" in line for line in lines)
    assert any("FullyConnected: parameter colour: unknown" in line for line in lines)
    assert any("Activation: parameter act_type: required" in line for line in lines)
    assert "elemwise_add: takes 2 inputs: lhs, rhs, has 1 (1 node: add)" in lines


def test_one_error_lists_all():
    with pytest.raises(OperatorError) as caught:
        require_known(BROKEN, "net-symbol.json")
    assert len(caught.value.details) == len(check(BROKEN))
    assert "net-symbol.json" in str(caught.value)
    assert "evergraph.ops.operator" in str(caught.value)


def test_a_good_graph_passes():
    require_known(read(MXNET / "1.9.1" / "checkpoints" / "lenet-symbol.json"))


def test_rejects_an_output_beyond_those_of_its_operator():
    graph = Graph(
        (Node("null", "x"), Node("relu", "y", inputs=((0, 0, 0),)), Node("tanh", "z", inputs=((1, 9, 0),))),
        ((2, 1, 0),),
    )
    assert [str(p) for p in check(graph)] == [
        "relu: output 9 is read, and it has 1: output (1 node: y)",
        "tanh: output 1 is read, and it has 1: output (1 node: z)",
    ]


def test_subgraphs_are_checked():
    data = (MXNET / "1.9.1" / "control" / "foreach.json").read_bytes().replace(b'"_mul_scalar"', b'"Nowhere"')
    assert ("Nowhere", ("_mulscalar0",)) in [(p.operator, p.nodes) for p in check(parse(data))]


def test_custom_operators_of_users_are_named():
    graph = net(var("x"), ("Custom", "mine", {"op_type": "my_loss"}, ("x",)))
    assert [p.nodes for p in check(graph)] == [("mine",)]


def test_names_are_escaped():
    graph = Graph((Node("null", "x"), Node("\x1b[31mred", "y\n", inputs=((0, 0, 0),))), ((1, 0, 0),))
    assert str(check(graph)[0]) == "\\x1b[31mred: the operator is not known (1 node: y\\n)"


def test_many_nodes_are_one_line():
    graph = json.loads((MXNET / "0.9.5" / "checkpoints" / "resnet-symbol.json").read_bytes())
    for node in graph["nodes"]:
        node["op"] = node["op"].replace("Convolution", "Nowhere")
    (problem,) = check(upgrade(parse(json.dumps(graph).encode())).graph)
    count = sum(n["op"] == "Nowhere" for n in graph["nodes"])
    assert f"({count} nodes: conv0, " in str(problem)


def test_is_a_pass():
    assert apply(BROKEN, "check").context["problems"] == check(BROKEN)


@pytest.mark.parametrize(
    ("op", "texts"),
    [
        ("SliceChannel", {"num_outputs": "1000000000"}),
        ("Concat", {"num_args": "1000000000"}),
        ("_split_v2", {"sections": "1000000000", "indices": "()"}),
        ("amp_multicast", {"num_outputs": "1000000000"}),
        ("multi_sgd_update", {"num_weights": "1000000000", "lrs": "()", "wds": "()"}),
    ],
)
def test_rejects_numbers_of_inputs_and_outputs_that_no_node_has(op, texts):
    (problem,) = check(net(var("x"), (op, "y", texts, ("x",))))
    assert problem.kind == "parameters"
    assert "1000000000" in problem.what


@pytest.mark.parametrize("number", ["0", "-3"])
def test_rejects_operators_without_outputs(number):
    (problem,) = check(net(var("x"), ("SliceChannel", "y", {"num_outputs": number}, ("x",))))
    assert problem.kind == "parameters"
