"""Any graph survives being written and read, and any bytes give a graph or one clear error."""

from hypothesis import given, settings
from hypothesis import strategies as st

from evergraph.errors import EvergraphError
from evergraph.graph import Graph, Node, parse, to_json
from evergraph.graph.draft import Draft
from tests.goldens import MXNET
from tests.graph.compare import says

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | NAMES, lambda v: st.lists(v, max_size=2), max_leaves=4
)
EXTRA = st.dictionaries(st.sampled_from(["zz", "colour"]), VALUES, max_size=2)


@st.composite
def graphs(draw, depth=1):
    nodes = [Node("null", draw(NAMES), draw(st.dictionaries(NAMES, NAMES, max_size=3)))]
    for index in range(1, draw(st.integers(1, 14))):
        entry = st.tuples(st.integers(0, index - 1), st.integers(0, 2), st.integers(0, 3))
        reads = [(n, 0 if nodes[n].is_variable else o, v) for n, o, v in draw(st.lists(entry, max_size=13))]
        op = draw(st.sampled_from(["null", "relu", "Nowhere"])) if not reads else "relu"
        texts = draw(st.dictionaries(NAMES, NAMES, max_size=3))
        deps = tuple(draw(st.lists(st.integers(0, index - 1), max_size=2))) if op != "null" else ()
        below = draw(st.lists(graphs(depth - 1), max_size=1)) if depth and op == "Nowhere" else []
        nodes.append(Node(op, draw(NAMES), texts, tuple(reads), deps, tuple(below), draw(EXTRA)))
    heads = draw(st.lists(st.tuples(st.integers(0, len(nodes) - 1), st.just(0), st.integers(0, 2)), max_size=12))
    attrs = draw(
        st.sampled_from([{}, {"mxnet_version": ["int", 10901]}, {"is_np_shape": ["int", 1], "x": ["str", "é"]}])
    )
    return Graph(tuple(nodes), tuple(heads), attrs, extra=draw(st.dictionaries(st.just("author"), VALUES)))


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_what_is_written_is_read_again(graph):
    graph.verify()
    text = to_json(graph)
    again = parse(text)
    assert says(again) == says(graph)
    assert to_json(again.replace()) == text


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_a_draft_keeps_what_the_heads_need_in_order(graph):
    frozen = Draft(graph).freeze().verify()
    assert [n.name for n in frozen.nodes] == [graph.nodes[i].name for i in Draft(graph).order()]
    assert says(Draft(frozen).freeze()) == says(frozen)
    assert len(frozen.heads) == len(graph.heads)


LENET = (MXNET / "1.9.1" / "checkpoints" / "lenet-symbol.json").read_bytes()


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(LENET) - 1), st.integers(0, len(LENET) - 1), st.binary(max_size=8))
def test_any_change_gives_a_graph_or_one_error(start, length, replacement):
    data = LENET[:start] + replacement + LENET[start + length % 40 :]
    try:
        graph = parse(data, "x.json")
    except EvergraphError:
        return
    graph.verify()
    assert to_json(graph) == data
    parse(to_json(graph.replace()))
