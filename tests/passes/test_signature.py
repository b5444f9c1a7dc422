"""Arguments, auxiliary states and outputs are named and ordered as MXNet lists them."""

import json

import pytest

from evergraph import ops
from evergraph.graph import Graph, Node, parse
from evergraph.passes.signature import internals, signature
from evergraph.passes.upgrade import upgrade
from tests.goldens import MXNET, RELEASES, operator_cases
from tests.graph.compare import ident
from tests.passes.recorded import inference, one_operator_graph, read

CHECKPOINTS = [p for release in RELEASES for p in sorted((MXNET / release / "checkpoints").glob("*-meta.json"))]


@pytest.mark.parametrize("path", CHECKPOINTS, ids=ident)
def test_lists_what_each_release_reported(path):
    meta = json.loads(path.read_text())
    graph = read(path.with_name(path.name.replace("-meta", "-symbol")))
    found = signature(graph)
    assert list(found.arguments) == meta["arg_names"]
    assert list(found.auxiliary) == meta["aux_names"]
    upgraded = upgrade(graph)
    later = signature(upgraded.graph)
    renamed = {e.before: e.after for e in upgraded.edits if e.step == "recurrent outputs"}
    assert later.inputs == found.inputs
    assert list(later.outputs) == [renamed.get(n, n) for n in meta["output_names"]]


@pytest.mark.parametrize("name", sorted({row["op"] for row in operator_cases().values()}), ids=str)
def test_lists_what_1_9_1_lists_for_each_operator(name):
    for key, row in operator_cases().items():
        if row["op"] == name and key in inference() and ops.find(name) is not None:
            graph, _, _ = one_operator_graph(key)
            found, want = signature(graph), inference()[key]
            assert list(found.arguments) == want["args"]
            assert list(found.auxiliary) == want["aux"]
            assert list(found.outputs) == want["outputs"]
            assert [n for n, _ in internals(graph)] == want["internals"]


def test_inputs_are_all_variables_in_order():
    graph = read(MXNET / "1.9.1" / "checkpoints" / "resnet-symbol.json")
    found = signature(graph)
    assert set(found.inputs) == set(found.arguments) | set(found.auxiliary)
    assert [graph.nodes[i].name for i in found.nodes] == list(found.inputs)
    assert {graph.nodes[i].name for i in found.states} == set(found.auxiliary)


def test_variables_that_no_head_needs_are_not_listed():
    graph = Graph((Node("null", "x"), Node("null", "y"), Node("relu", "z", inputs=((1, 0, 0),))), ((2, 0, 0),))
    assert signature(graph).arguments == ("y",)


def test_outputs_of_operators_that_are_not_known_are_numbered():
    graph = parse(
        b'{"nodes": [{"op": "null", "name": "x", "inputs": []}, {"op": "Nowhere", "name": "y", "inputs": [[0, 0]]},'
        b' {"op": "Nowhere", "name": "z", "inputs": [[0, 0]]}], "node_row_ptr": [0, 1, 3, 4],'
        b' "heads": [[1, 1], [2, 0]]}'
    )
    assert signature(graph).outputs == ("y_output1", "z_output")
    assert [n for n, _ in internals(graph)] == ["x", "y_output0", "y_output1", "z_output"]


def test_an_operator_registered_later_is_seen():
    graph = Graph((Node("null", "x"), Node("_later_known", "y", inputs=((0, 0, 0),))), ((1, 0, 0),))
    assert signature(graph).auxiliary == ()
    ops.operator("_later_known", outputs=("left", "right"))(lambda state: state)
    assert signature(graph).outputs == ("y_left",)
