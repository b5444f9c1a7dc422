"""The upgrade gives what MXNet 1.9.1 saves after loading an old graph, byte for byte, and tells each change."""

import json

import pytest

from evergraph import ops
from evergraph.errors import GraphError, OperatorError, UsageError
from evergraph.graph import Graph, Node, parse, to_json
from evergraph.passes import apply
from evergraph.passes.binding import with_row_pointers
from evergraph.passes.check import check
from evergraph.passes.upgrade import CURRENT, STEPS, upgrade
from tests.corpus import CORPUS, entries, needs_corpus
from tests.goldens import MXNET, RELEASES
from tests.graph.compare import ident, says
from tests.graph.test_json import plain
from tests.passes.recorded import UPGRADED, original, random_upgrades, read

CHECKPOINTS = [p for release in RELEASES for p in sorted((MXNET / release / "checkpoints").glob("*-symbol.json"))]


@pytest.mark.parametrize("path", UPGRADED, ids=ident)
def test_gives_the_bytes_of_1_9_1(path):
    found = upgrade(read(original(path)))
    assert to_json(found.graph.verify().replace()) == path.read_bytes()


def test_every_release_and_form_is_among_the_recorded_files():
    assert {p.parent.parent.name for p in UPGRADED} >= set(RELEASES)
    assert {p.parent.name for p in UPGRADED} >= {"checkpoints", "gluon", "control", "synthetic-000800", "mxnet-repo"}


@pytest.mark.parametrize("path", UPGRADED, ids=ident)
def test_an_up_to_date_graph_is_whole_and_left_alone(path):
    graph = read(path)
    assert check(graph) == []
    assert upgrade(graph).edits == ()
    assert upgrade(graph).graph is graph
    bare = [n.replace(subgraphs=tuple(s.replace(row_ptr=None) for s in n.subgraphs)) for n in graph.nodes]
    numbered = with_row_pointers(graph.replace(row_ptr=None, nodes=tuple(bare)))
    assert to_json(numbered) == path.read_bytes()


@pytest.mark.parametrize("path", UPGRADED[:: len(UPGRADED) // 10], ids=ident)
def test_a_file_laid_out_otherwise_gets_the_bytes_of_1_9_1(path):
    graph = parse(json.dumps(json.loads(path.read_text()), ensure_ascii=False).encode())
    assert upgrade(graph).edits == ()
    found = upgrade(graph, text=True)
    assert to_json(found.graph) == path.read_bytes()
    assert [(step.name, count) for step, count in found.steps()] == [("text", 1)]
    assert upgrade(found.graph, text=True).edits == ()


def test_a_graph_without_row_pointers_gets_them():
    path = MXNET / "1.9.1" / "checkpoints" / "lenet-symbol.json"
    bare = {k: v for k, v in json.loads(path.read_text()).items() if k != "node_row_ptr"}
    assert to_json(upgrade(parse(json.dumps(bare).encode())).graph) == path.read_bytes()


def test_random_old_graphs_become_what_1_9_1_makes_of_them():
    for row in random_upgrades():
        graph = parse(json.dumps(row["graph"]).encode()).verify()
        if "error" in row:
            with pytest.raises(OperatorError) as caught:
                upgrade(graph)
            assert row["error"].split("'")[1] in str(caught.value)
        else:
            found = upgrade(graph).graph.verify()
            assert to_json(found.replace()).decode() == row["saved"]


@needs_corpus
@pytest.mark.wide
@pytest.mark.parametrize("ident", sorted(i for i, row in entries().items() if row["upgraded"]), ids=str)
def test_public_graphs_give_the_bytes_of_1_9_1(ident):
    row = entries()[ident]
    found = upgrade(parse((CORPUS / row["file"]).read_bytes())).graph.verify()
    assert to_json(found.replace()) == (CORPUS / row["upgraded"]).read_bytes()


@needs_corpus
@pytest.mark.wide
@pytest.mark.parametrize("ident", sorted(i for i, row in entries().items() if row["load"] != "ok"), ids=str)
def test_public_graphs_that_1_9_1_refuses_are_upgraded_as_far_as_known(ident):
    graph = parse((CORPUS / entries()[ident]["file"]).read_bytes())
    found = upgrade(graph)
    found.graph.verify()
    assert found.graph.version == CURRENT
    before, after = graph.operators(), found.graph.operators()
    assert {op for op in before if ops.find(op) is None} <= set(after)
    assert all(ops.find(op) is None or ops.get(op).name == op for op in after)
    again = parse(to_json(found.graph.replace())).verify()
    assert says(again) == says(found.graph)


def test_rejects_texts_for_inputs_that_an_operator_lacks():
    path = MXNET / "synthetic-000800" / "nosuch-symbol.json"
    recorded = json.loads((path.parent / "report.json").read_text())["nosuch"]["error"]
    with pytest.raises(OperatorError) as caught:
        upgrade(read(path))
    assert "nosuch_lr_mult" in recorded
    assert "node 'c' (Convolution): nosuch_lr_mult, and its inputs are data, weight, bias" in str(caught.value)


@pytest.mark.parametrize(
    ("op", "inputs", "texts"),
    [("_contrib_fft", 1, {}), ("_contrib_ifft", 1, {}), ("_contrib_count_sketch", 3, {"out_dim": "3"})],
)
def test_texts_for_inputs_that_these_operators_lack_stay_as_in_1_9_1(op, inputs, texts):
    names = tuple(Node("null", f"x{i}") for i in range(inputs))
    node = Node(op, "y", {"zzz_lr_mult": "3", **texts}, tuple((i, 0, 0) for i in range(inputs)))
    found = upgrade(Graph((*names, node), ((inputs, 0, 0),)))
    assert found.graph.nodes[-1].attrs["zzz_lr_mult"] == "3"
    assert any("it has no such input, the text stays" in r for r in found.remarks)


def test_steps_are_numbered_and_tell_what_they_changed():
    found = upgrade(read(MXNET / "synthetic-000800" / "resnet-symbol.json"))
    assert [s.number for s in STEPS] == list(range(1, len(STEPS) + 1))
    counts = {step.name: count for step, count in found.steps()}
    before, after = read(MXNET / "synthetic-000800" / "resnet-symbol.json"), found.graph
    assert counts["missing inputs"] == len(after) - len(before)
    assert counts["initializers"] == counts["missing inputs"]
    assert counts["version"] == 1
    assert len(found.summary()) == len(found.steps())
    assert found.before is None
    moving = next(e for e in found.edits if e.step == "missing inputs")
    assert str(moving) == "bn_data: input moving_mean added as variable bn_data_moving_mean"


def test_edits_tell_before_and_after():
    found = upgrade(read(MXNET / "synthetic-000800" / "attrs_hidden-symbol.json"))
    told = {str(e) for e in found.edits}
    assert "data: lr_mult is now __lr_mult__ (0.2)" in told
    assert "fc1: weight_lr_mult moved to variable fc1_weight as __lr_mult__" in told
    assert "data: __lr_mult__ set (0.2 -> 9)" in told


@pytest.mark.parametrize("release", RELEASES)
def test_names_of_recurrent_states_are_told_when_they_change(release):
    path = MXNET / release / "checkpoints" / "fused_rnn-meta.json"
    names = json.loads(path.read_text())["output_names"]
    told = [e for e in upgrade(read(path.with_name("fused_rnn-symbol.json"))).edits if e.step == "recurrent outputs"]
    today = ["lstm_rnn_output", "lstm_rnn_state_output", "lstm_rnn_statecell_output"]
    assert [(e.before, e.after) for e in told] == [(b, a) for b, a in zip(names, today, strict=True) if b != a]


def test_operators_and_texts_that_nobody_knows_stay():
    data = plain(', "attr": {"colour": "red", "lr_mult": "2"}').replace(b'"relu"', b'"Nowhere"')
    found = upgrade(parse(data))
    assert found.graph.nodes[0].attrs == {"colour": "red", "__lr_mult__": "2"}
    assert found.graph.nodes[1].op == "Nowhere"
    assert found.remarks == ("operator Nowhere is not known: its nodes stay as they are",)


def test_an_unknown_operators_outputs_are_those_of_the_file():
    head = b'"heads": [[1, 0]]'
    data = plain(top=', "node_row_ptr": [0, 1, 4]').replace(b'"relu"', b'"Nowhere"')
    assert upgrade(parse(data)).graph.row_ptr == (0, 1, 4)
    used = plain().replace(b'"relu"', b'"Nowhere"').replace(head, b'"heads": [[1, 2]]')
    assert upgrade(parse(used)).graph.row_ptr == (0, 1, 4)


def test_rejects_an_output_that_its_operator_does_not_have():
    with pytest.raises(GraphError, match="output 9 of node 1 'y' \\(relu\\), which has 1"):
        upgrade(parse(plain().replace(b'"heads": [[1, 0]]', b'"heads": [[1, 9]]')))


def test_numpy_semantics_survive():
    found = upgrade(read(MXNET / "1.7.0" / "gluon" / "npnet-symbol.json"))
    assert found.graph.numpy_shapes
    assert list(found.graph.attrs) == ["is_np_shape", "mxnet_version"]


def test_newer_graphs_are_remarked_and_upgraded():
    found = upgrade(parse(plain(top=', "attrs": {"mxnet_version": ["int", 99999]}')))
    assert found.graph.version == CURRENT
    assert "newer than any" in found.remarks[0]


def test_nodes_that_no_head_needs_are_dropped_and_told():
    graph = Graph((Node("null", "x"), Node("null", "y"), Node("relu", "z", inputs=((0, 0, 0),))), ((2, 0, 0),))
    found = upgrade(graph)
    assert [n.name for n in found.graph.nodes] == ["x", "z"]
    assert "y: dropped (null): no head needs it" in map(str, found.edits)


def test_a_given_graph_stays_as_it_is():
    graph = read(MXNET / "synthetic-000800" / "resnet-symbol.json")
    before = says(graph)
    upgrade(graph)
    assert says(graph) == before


def test_pooling_is_only_changed_on_request():
    graph = read(MXNET / "synthetic-000800" / "lenet-symbol.json")
    pools = [n for n in graph.nodes if n.op == "Pooling"]
    assert pools
    assert not any("pooling_convention" in n.attrs for n in upgrade(graph).graph.nodes)
    asked = upgrade(graph, pooling_convention="full")
    assert [n.attrs["pooling_convention"] for n in asked.graph.nodes if n.op == "Pooling"] == ["full"] * len(pools)
    assert sum(e.step == "pooling convention" for e in asked.edits) == len(pools)
    assert upgrade(asked.graph, pooling_convention="valid").graph is asked.graph


def test_rejects_a_pooling_convention_that_is_none():
    with pytest.raises(UsageError, match="pooling convention"):
        upgrade(read(CHECKPOINTS[0]), pooling_convention="fully")


def test_is_a_pass():
    graph = read(MXNET / "synthetic-000800" / "lenet-symbol.json")
    outcome = apply(graph, ["upgrade", "signature"], pooling_convention="full")
    assert outcome.edits == upgrade(graph, pooling_convention="full").edits
    assert outcome.context["signature"].outputs == ("softmax_output",)


@pytest.mark.parametrize("name", ["uniform", "normal", "gamma", "exponential", "poisson"])
def test_samplers_of_numbers_take_the_name_that_takes_numbers(name):
    # 1.9.1 refuses such a file of 0.9.3: "Cannot find argument 'low'"; the renamed node is what 0.9.5's own gives
    node = Node(f"_sample_{name}", "s", {"shape": "(2, 3)"})
    found = upgrade(Graph((node,), heads=((0, 0, 0),), attrs={"mxnet_version": ["int", 903]})).graph
    assert [n.op for n in found.nodes] == [f"_random_{name}"]


def test_samplers_of_arrays_keep_their_name():
    nodes = (Node("null", "low"), Node("null", "high"), Node("_sample_uniform", "s", inputs=((0, 0, 0), (1, 0, 0))))
    found = upgrade(Graph(nodes, heads=((2, 0, 0),), attrs={"mxnet_version": ["int", 1100]})).graph
    assert [n.op for n in found.nodes] == ["null", "null", "_sample_uniform"]
