"""Pruning keeps what outputs need; stripping leaves what predicts."""

import pytest

from evergraph.errors import GraphError
from evergraph.graph import parse
from evergraph.passes import apply
from evergraph.passes.check import check
from evergraph.passes.prune import prune
from evergraph.passes.shapes import infer_shapes
from evergraph.passes.signature import signature
from evergraph.passes.strip_training import strip_training
from evergraph.passes.upgrade import upgrade
from tests.corpus import CORPUS, entries, needs_corpus
from tests.goldens import MXNET
from tests.passes.recorded import read
from tests.passes.test_shapes import net, var


def checkpoint(name):
    return read(MXNET / "1.9.1" / "checkpoints" / f"{name}-symbol.json")


def test_pruning_keeps_what_a_named_output_needs():
    graph, edits = prune(checkpoint("lenet"), ["conv1_output"])
    graph.verify()
    assert [n.name for n in graph.nodes] == ["data", "conv1_weight", "conv1_bias", "conv1"]
    assert signature(graph).outputs == ("conv1_output",)
    assert len(edits) == len(checkpoint("lenet")) - 4
    assert graph.row_ptr == (0, 1, 2, 3, 4)


def test_pruning_takes_a_nodes_name_for_all_its_outputs():
    graph, _ = prune(checkpoint("lenet"), ["bn1", "data"])
    assert signature(graph.verify()).outputs == ("bn1_output", "data")


def test_pruning_what_is_needed_changes_nothing():
    graph = checkpoint("lenet")
    assert prune(graph) == (graph, [])
    assert prune(graph, ["softmax_output"])[0] is graph


def test_pruning_rejects_outputs_that_are_not_there():
    with pytest.raises(GraphError, match="did you mean conv1_output") as caught:
        prune(checkpoint("lenet"), ["conv1_ouput", "elsewhere"])
    assert "elsewhere" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "op"),
    [("lenet", "softmax"), ("resnet", "softmax"), ("inception", "softmax"), ("spatial", "softmax")],
)
def test_a_softmax_layer_becomes_a_softmax_of_the_same_name(name, op):
    before = checkpoint(name)
    graph, edits = strip_training(before)
    graph.verify()
    assert check(graph) == []
    assert signature(graph).outputs == signature(before).outputs
    assert not any("label" in n for n in signature(graph).inputs)
    (loss,) = [n.name for n in before.nodes if n.op == "SoftmaxOutput"]
    assert [n.op for n in graph.nodes if n.name == loss] == [op]
    assert any(e.node == loss and e.after == op for e in edits)


def test_regression_layers_become_their_prediction():
    graph, _ = strip_training(checkpoint("heads"))
    graph.verify()
    ops = {n.name: n.op for n in graph.nodes}
    assert {k: ops[k] for k in ("lin", "log", "mae", "svm")} == {
        "lin": "_copy", "log": "sigmoid", "mae": "_copy", "svm": "_copy",
    }  # fmt: skip
    assert signature(graph).outputs == signature(checkpoint("heads")).outputs


def test_losses_go_where_other_heads_stay():
    before = checkpoint("multi_group")
    graph, edits = strip_training(before)
    assert set(signature(before).outputs) - set(signature(graph.verify()).outputs) == {"ml_output"}
    assert "ml: head dropped: it is a loss" in map(str, edits)


def test_dropout_inside_goes_and_mode_always_stays():
    nodes = [var("x"), ("Dropout", "d", {"p": "0.5"}, ("x",)), ("relu", "y", {}, ("d",))]
    assert [n.name for n in strip_training(net(*nodes))[0].nodes] == ["x", "y"]
    nodes[1] = ("Dropout", "d", {"p": "0.5", "mode": "always"}, ("x",))
    assert strip_training(net(*nodes))[1] == []


def test_a_softmax_over_all_values_of_a_sample_stays_one():
    graph = net(var("x"), var("l"), ("relu", "r", {}, ("x",)), ("SoftmaxOutput", "s", {}, ("r", "l")))
    assert [n.op for n in strip_training(graph)[0].nodes][-1] == "SoftmaxActivation"
    shapes = infer_shapes(graph, {"x": (2, 3)})
    assert [n.op for n in strip_training(graph, shapes=shapes)[0].nodes][-1] == "softmax"


def test_an_autoencoders_data_is_no_label():
    graph = net(var("data"), ("tanh", "t", {}, ("data",)), ("LinearRegressionOutput", "out", {}, ("t", "data")))
    assert signature(strip_training(graph)[0].verify()).arguments == ("data",)


def test_a_detectors_targets_go_with_its_label():
    graph = net(
        var("anchors"), var("label"), var("preds"), var("locs"),
        ("_contrib_MultiBoxTarget", "target", {}, ("anchors", "label", "preds")),
        ("SoftmaxOutput", "cls_prob", {"multi_output": "True"}, ("preds", "target")),
        ("elemwise_sub", "diff", {}, ("locs", "target")),
        ("MakeLoss", "loc_loss", {}, ("diff",)),
        ("_contrib_MultiBoxDetection", "det", {}, ("cls_prob", "locs", "anchors")),
        ("MakeLoss", "det_out", {"grad_scale": "0"}, ("det",)),
        heads=["cls_prob", "loc_loss", "det_out"],
    )  # fmt: skip
    stripped, _ = strip_training(graph)
    assert signature(stripped.verify()).outputs == ("cls_prob_output", "det_out_output")
    assert "label" not in signature(stripped).inputs


def test_rejects_a_graph_that_is_all_loss():
    graph = net(
        var("x"),
        var("label"),
        ("elemwise_sub", "d", {}, ("x", "label")),
        ("softmax_cross_entropy", "loss", {}, ("d", "label")),
    )
    with pytest.raises(GraphError, match="every head"):
        strip_training(graph)


def test_a_graph_without_training_layers_is_left_alone():
    graph = net(var("x"), ("relu", "y", {}, ("x",)))
    assert strip_training(graph) == (graph, [])


def test_are_passes():
    outcome = apply(checkpoint("lenet"), ["strip_training", "prune"], outputs=["softmax_output"])
    assert signature(outcome.graph.verify()).outputs == ("softmax_output",)


@needs_corpus
@pytest.mark.wide
@pytest.mark.parametrize("ident", sorted(i for i, row in entries().items() if row["infer"] == "ok"), ids=str)
def test_public_graphs_predict_without_their_labels(ident):
    graph = upgrade(parse((CORPUS / entries()[ident]["file"]).read_bytes())).graph
    shapes = {n: s for n, s in entries()[ident]["input_shapes"].items() if n in {v.name for v in graph.variables()}}
    stripped, _ = strip_training(graph, shapes=infer_shapes(graph, shapes))
    stripped.verify()
    names = {v.name for v in stripped.variables()}
    assert set(signature(stripped).outputs) <= set(signature(graph).outputs)
    found = infer_shapes(stripped, {n: s for n, s in shapes.items() if n in names})
    before = dict(zip(signature(graph).outputs, infer_shapes(graph, shapes).heads(), strict=True))
    assert dict(zip(signature(stripped).outputs, found.heads(), strict=True)).items() <= before.items()
