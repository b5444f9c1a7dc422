"""Element types follow as MXNet 1.9.1 infers them."""

import pytest

from evergraph import ops
from evergraph.errors import ShapeError, UsageError
from evergraph.passes import apply
from evergraph.passes.signature import signature
from evergraph.passes.types import infer_types
from evergraph.passes.upgrade import upgrade
from tests.corpus import CORPUS, entries, needs_corpus
from tests.goldens import operator_cases
from tests.passes.recorded import inference, one_operator_graph
from tests.passes.test_shapes import DENSE, FORWARD_ONLY, net, var

# 1.9.1 guesses the type of another array, or of an index, that may have any: here it stays unknown
DEVIATIONS = {"amp_multicast", "batch_take"}


@pytest.mark.parametrize("name", sorted({row["op"] for row in operator_cases().values()}), ids=str)
def test_gives_the_types_of_1_9_1_for_each_operator(name):
    fully = name not in DEVIATIONS and not name.startswith(FORWARD_ONLY)
    for key, row in operator_cases().items():
        if row["op"] != name or key not in inference() or ops.find(name) is None:
            continue
        graph, _, types = one_operator_graph(key)
        names = signature(graph)
        for given, (arguments, heads, states) in inference()[key]["types"].items():
            which = given.partition(":")[2]
            found = infer_types(graph, {which: types[which]} if which else types)
            kinds = found.variables()
            ours = [kinds[n] for n in names.arguments] + found.heads() + [kinds[n] for n in names.auxiliary]
            for kind, wanted in zip(ours, [*arguments, *heads, *states], strict=True):
                assert kind == wanted or wanted is None or (which and not fully and kind is None), (key, given)


def test_types_flow_both_ways():
    assert infer_types(DENSE, {"data": "float16"}).variables() == dict.fromkeys(("data", "w", "b"), "float16")


@pytest.mark.parametrize(
    ("text", "kind"), [("0", "float32"), ("2", "float16"), ("12", "bfloat16"), ("float64", "float64")]
)
def test_variables_say_their_types(text, kind):
    assert infer_types(net(var("x", dtype=text), ("relu", "y", {}, ("x",)))).heads() == [kind]


def test_minus_one_is_no_type():
    assert infer_types(net(var("x", dtype="-1"), ("relu", "y", {}, ("x",)))).heads() == [None]


def test_a_default_serves_where_nothing_follows():
    assert infer_types(DENSE).unknown() == ["data", "w", "b", "act_output"]
    assert infer_types(DENSE, default="float32").unknown() == []
    graph = net(var("x"), ("Cast", "y", {"dtype": "int32"}, ("x",)))
    found = infer_types(graph, default="float16")
    assert found.variables()["x"] == "float16"
    assert found.heads() == ["int32"]


def test_rejects_types_that_differ():
    graph = net(var("x"), var("y"), ("elemwise_add", "s", {}, ("x", "y")))
    with pytest.raises(ShapeError, match="node 's' \\(elemwise_add\\)") as caught:
        infer_types(graph, {"x": "float32", "y": "float16"})
    assert "float16" in str(caught.value)


def test_rejects_names_and_types_that_are_none():
    with pytest.raises(UsageError, match="does not have"):
        infer_types(DENSE, {"daat": "float32"})
    with pytest.raises(UsageError, match="no such element types"):
        infer_types(DENSE, {"data": "float17"})
    with pytest.raises(ShapeError, match="__dtype__"):
        infer_types(net(var("x", dtype="99"), ("relu", "y", {}, ("x",))))


def test_is_a_pass():
    found = apply(DENSE, ["infer_types"], input_types={"data": "float16"}).context["types"]
    assert found.heads() == ["float16"]


@needs_corpus
@pytest.mark.wide
@pytest.mark.parametrize("ident", sorted(i for i, row in entries().items() if row["infer"] == "ok"), ids=str)
def test_public_graphs_have_types_throughout(ident):
    from evergraph.graph import parse

    graph = upgrade(parse((CORPUS / entries()[ident]["file"]).read_bytes())).graph
    given = {n: r["dtype"] for n, r in entries()[ident]["inputs_used"].items()}
    names = {v.name for v in graph.variables()}
    found = infer_types(graph, {n: t for n, t in given.items() if n in names}, default="float32")
    assert found.unknown() == []
