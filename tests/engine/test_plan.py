"""Plans: what they refuse before anything runs, what they leave out, and how they say what failed."""

import gc
import weakref

import pytest
import torch

from evergraph.engine import make_plan
from evergraph.errors import GraphError, OperatorError, ShapeError
from evergraph.graph import Graph, Node
from tests.engine.graphs import chain


def test_names_every_unknown_operator_and_malformed_parameter_at_once():
    graph = chain(
        ("NoSuchThing", "a", "x"),
        ("NoSuchThing", "b", "a"),
        ("AnotherOne", "c", "b"),
        ("Activation", "act", "c", {"act_type": "swoosh"}),
        ("abs", "two", "act x"),
    )
    with pytest.raises(OperatorError) as caught:
        make_plan(graph)
    text = str(caught.value)
    assert "2 unknown operators (3 nodes)" in text
    assert "operator NoSuchThing is not known: 2 nodes" in text
    assert "operator AnotherOne is not known: 1 nodes" in text
    assert "'act' (Activation)" in text
    assert "swoosh" in text
    assert "'two' (abs)" in text


def test_reports_unknown_operators_inside_subgraphs():
    body = chain(("NoSuchThing", "inner", "x"))
    outer = Graph(
        (Node("null", "x"), Node("_foreach", "loop", {}, ((0, 0, 0),), subgraphs=(body,))), heads=((1, 0, 0),)
    )
    with pytest.raises(OperatorError, match="NoSuchThing is not known: 1 nodes"):
        make_plan(outer)


def test_nodes_that_no_head_needs_are_not_run_and_not_asked_for():
    graph = chain(("NoSuchThing", "dead", "unused"), ("abs", "y", "x"))
    plan = make_plan(graph)
    assert plan.arguments == ("x",)
    assert [s.name for s in plan.program.steps] == ["y"]


def test_an_output_that_a_node_does_not_have_is_named():
    graph = chain(("abs", "a", "x"), ("abs", "b", [("a", 3)]))
    with pytest.raises(GraphError, match="output that its node does not have"):
        make_plan(graph)


def test_a_failing_node_is_named_with_its_operator_and_input_shapes():
    plan = make_plan(chain(("elemwise_add", "sum", "x y")))
    with pytest.raises(ShapeError) as caught:
        plan([torch.ones(2, 3), torch.ones(4)])
    text = str(caught.value)
    assert "'sum' (elemwise_add)" in text
    assert "(2, 3) float32" in text
    assert "(4,) float32" in text


def test_values_are_freed_at_their_last_use():
    alive = []

    def watch(step, inputs, outputs):
        gc.collect()
        alive.append(sum(r() is not None for r in refs))
        refs.append(weakref.ref(outputs[0]))

    refs = []
    plan = make_plan(chain(*[("exp", f"n{i}", "x" if i == 0 else f"n{i - 1}") for i in range(6)]))
    plan.routine.observe([torch.zeros(3)], watch)
    assert alive == [0, 1, 1, 1, 1, 1]  # only the value that the next step read


def test_a_variable_can_be_an_output_and_an_output_can_stand_twice():
    plan = make_plan(chain(("abs", "y", "x"), heads=["y", "x", "y"]))
    assert plan.outputs == ("y_output", "x", "y_output")
    x = torch.tensor([-1.0])
    first, second, third = plan([x])
    assert second is x
    assert first is third


def test_a_chain_of_200000_nodes_runs_without_recursion():
    count = 200_000
    nodes = [Node("null", "x")] + [Node("abs", f"n{i}", {}, ((i, 0, 0),)) for i in range(count)]
    (found,) = make_plan(Graph(tuple(nodes), heads=((count, 0, 0),)))([torch.tensor([-2.0])])
    assert found == 2


def test_nodes_of_a_context_group_run_on_its_device_and_values_are_copied_once():
    nodes = (
        Node("null", "x"),
        Node("abs", "a", {"__ctx_group__": "near"}, ((0, 0, 0),)),
        Node("abs", "b", {"__ctx_group__": "far"}, ((1, 0, 0),)),
        Node("exp", "c", {"ctx_group": "far"}, ((1, 0, 0),)),
        Node("abs", "d", {"__ctx_group__": "near"}, ((2, 0, 0),)),
    )
    graph = Graph(nodes, heads=((4, 0, 0), (3, 0, 0)))
    plan = make_plan(graph, groups={"far": "meta", "near": "cpu"})
    assert [s.name for s in plan.program.steps] == ["a", "b.copy", "b", "c", "d.copy", "d"]
    assert plan.devices == ("cpu",)  # the variable goes where it is read
    (found,) = make_plan(graph.replace(heads=((3, 0, 0),)), groups={"far": "meta", "near": "cpu"})([torch.ones(2)])
    assert found.device.type == "meta"


def test_groups_on_one_device_need_no_copies():
    graph = Graph(
        (Node("null", "x"), Node("abs", "a", {"ctx_group": "one"}, ((0, 0, 0),)), Node("exp", "b", {}, ((1, 0, 0),))),
        heads=((2, 0, 0),),
    )
    assert len(make_plan(graph, groups={"one": "cpu"}).program.steps) == 2
