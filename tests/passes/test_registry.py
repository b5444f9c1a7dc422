"""Passes are found by name, say what they need and provide, and tell what they changed."""

import pytest

from evergraph import passes
from evergraph.errors import GraphError, UsageError
from evergraph.graph import Graph, Node
from evergraph.passes import Edit, apply, find, graph_pass, names

GRAPH = Graph((Node("null", "x"), Node("relu", "y", inputs=((0, 0, 0),))), ((1, 0, 0),))


@graph_pass("_count", provides=["_counted"])
def count(graph, context):
    """Count the nodes."""
    context.provide(_counted=len(graph))
    return graph, []


@graph_pass("_double", needs=["_counted"], provides=["_twice"])
def double(graph, context):
    """Double the count."""
    context.provide(_twice=2 * context["_counted"])
    return graph, []


@graph_pass("_rename")
def rename(graph, context):
    """Give every node another name."""
    nodes = tuple(n.replace(name=f"{n.name}_") for n in graph.nodes)
    return graph.replace(nodes=nodes), [Edit("_rename", n.name, "renamed", n.name, f"{n.name}_") for n in graph.nodes]


def test_every_pass_is_found_and_documented():
    assert names().keys() >= {"upgrade", "infer_shapes", "infer_types", "signature", "check", "prune", "strip_training"}
    assert all(p.doc for p in names().values())


def test_passes_run_in_order_and_share_what_they_provide():
    outcome = apply(GRAPH, ["_count", "_double"])
    assert outcome.context["_twice"] == 4
    assert outcome.graph is GRAPH


def test_rejects_a_missing_need_by_naming_the_pass_that_provides_it():
    with pytest.raises(GraphError) as caught:
        apply(GRAPH, ["_double"])
    assert "_counted: provided by the pass _count" in str(caught.value)


def test_a_need_may_be_given():
    assert apply(GRAPH, "_double", _counted=7).context["_twice"] == 14


def test_rejects_a_need_that_no_pass_provides():
    @graph_pass("_strange", needs=["_nobodys"])
    def strange(graph, context):
        """Need what nobody has."""
        return graph, []

    with pytest.raises(GraphError, match="give it to apply"):
        apply(GRAPH, "_strange")


def test_what_was_computed_does_not_outlive_its_graph():
    with pytest.raises(GraphError, match="_counted"):
        apply(GRAPH, ["_count", "_rename", "_double"])
    outcome = apply(GRAPH, ["_count", "_rename"], given=1)
    assert dict(outcome.context) == {"given": 1}


def test_edits_of_all_passes_stand_in_order():
    outcome = apply(GRAPH, ["_rename", "_rename"])
    assert [e.after for e in outcome] == ["x_", "y_", "x__", "y__"]
    assert str(outcome.edits[0]) == "x: renamed (x -> x_)"
    assert GRAPH.nodes[0].name == "x"


def test_rejects_an_unknown_pass_with_the_nearest_name():
    with pytest.raises(UsageError, match="did you mean infer_shapes"):
        find("infer_shape")


def test_edits_are_values():
    assert Edit("a", "b", "c") == Edit("a", "b", "c")
    with pytest.raises(AttributeError):
        Edit("a", "b", "c").node = "d"


def test_edits_are_escaped():
    assert str(Edit("a", "b\x1b", "c", "\n", "d")) == "b\\x1b: c (\\n -> d)"


def test_public_names_are_there():
    assert all(hasattr(passes, n) for n in passes.__all__)
