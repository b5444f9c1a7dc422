"""Predictors: recorded outputs on every engine, what they ask for, what they say."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import torch

from evergraph import ops
from evergraph.engine import predictor, use
from evergraph.engine.settings import EngineWarning, has_openvino
from evergraph.errors import MissingDependencyError, ShapeError, UsageError
from tests.engine.checkpoints import Recorded, ident, stems
from tests.engine.graphs import chain
from tests.goldens import MXNET, near

needs_openvino = pytest.mark.skipif(not has_openvino(), reason="OpenVINO is not installed")


def recorded(name, release="1.9.1"):
    return Recorded(MXNET / release / "checkpoints" / name)


def check(net, found, names, tolerance):
    for i, (out, want) in enumerate(zip(found, net.outputs(names), strict=True)):
        if want is not None:
            near(out, want, tolerance, tolerance, f"output {i}")


@pytest.mark.parametrize("stem", stems(), ids=ident)
def test_predicts_as_recorded_on_torch(stem):
    net = Recorded(stem)
    predict = predictor(net.graph, net.tensors, engine="torch")
    inputs = {n: net.inputs[n] for n in predict.inputs}
    for _ in range(2):
        check(net, predict(inputs), predict.outputs, 1e-5)


@needs_openvino
@pytest.mark.parametrize(
    "name", ["mlp", "lenet", "resnet", "inception", "convzoo", "heads", "lstm_unroll", "fused_rnn"]
)
def test_predicts_as_recorded_on_openvino(name):
    net = recorded(name)
    predict = predictor(net.graph, net.tensors, engine="openvino")
    check(net, predict({n: net.inputs[n] for n in predict.inputs}), predict.outputs, 1e-5)
    assert predict.notes == []


@needs_openvino
def test_what_openvino_cannot_take_runs_on_torch_and_the_reason_is_told_once():
    ops.operator("_test_foreign")(lambda data: data + 1)
    graph = chain(
        ("FullyConnected", "fc", "data weight", {"num_hidden": 2, "no_bias": True}),
        ("_test_foreign", "odd", "fc"),
        ("exp", "y", "odd"),
        heads=["y", "fc"],
    )
    predict = predictor(graph, {"weight": torch.eye(2)}, engine="openvino")
    with pytest.warns(EngineWarning, match="a part of the graph runs on torch .2 nodes: _test_foreign, exp") as told:
        y, fc = predict({"data": np.zeros((1, 2), "float32")})
    predict({"data": np.zeros((3, 2), "float32")})
    assert len(told) == len(predict.notes) == 1
    near(y, np.full((1, 2), np.e), 1e-6, 0, "y")
    assert fc.tolist() == [[0, 0]]
    alone = predictor(chain(("_test_foreign", "y", "data")), {}, engine="auto")
    with pytest.warns(EngineWarning, match="OpenVINO can take no part of this graph; it runs on torch"):
        assert alone({"data": np.zeros(1, "float32")})[0].tolist() == [1.0]


@needs_openvino
def test_a_computation_that_depends_on_values_is_noticed():
    # a tracer would make the branch that its example took the only one
    body = ops.operator("_test_branch")(lambda data: data * 2 if bool((data < 0).any()) else data)
    body.body.__module__ = "evergraph.ops.families.math.unary"
    predict = predictor(chain(("_test_branch", "y", "data")), {}, engine="openvino")
    with pytest.warns(EngineWarning, match="OpenVINO computes other values than PyTorch"):
        assert predict({"data": np.array([-1.0], "float32")})[0].tolist() == [-2.0]
    assert predict({"data": np.array([1.0], "float32")})[0].tolist() == [1.0]


INTERRUPTED = """
import gc, signal
import numpy as np
from evergraph.engine import predictor
from evergraph.graph import Graph, Node
heard = []
signal.signal(signal.SIGINT, lambda *_: heard.append("the key"))
graph = Graph([Node("null", "data"), Node("exp", "y", inputs=[(0, 0, 0)])], heads=[(1, 0, 0)])
held = [predictor(graph, {}, engine="openvino") for _ in range(2)]
print([float(each({"data": np.zeros(1, "float32")})[0][0]) for each in held])
while held:
    del held[0]
    gc.collect()
signal.raise_signal(signal.SIGINT)
print(heard)
"""


@needs_openvino
def test_the_interrupt_key_is_heard_after_networks_on_openvino_have_ended():
    # faulthandler gives the thread the stack for signals that OpenVINO's cores exchange
    call = [sys.executable, "-X", "faulthandler", "-c", INTERRUPTED]
    done = subprocess.run(call, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "[1.0, 1.0]\n['the key']\n")


@needs_openvino
def test_bfloat16_is_less_exact_and_comes_only_by_name():
    net = recorded("resnet")
    exact, rough = (predictor(net.graph, net.tensors, engine="torch", precision=p) for p in ("float32", "bfloat16"))
    inputs = {n: net.inputs[n] for n in exact.inputs}
    (a,), (b,) = exact(inputs), rough(inputs)
    assert b.dtype == np.float32
    assert 0 < np.abs(a - b).max() < 0.05


def test_labels_of_loss_layers_need_not_be_given_and_may_be():
    net = recorded("heads")
    predict = predictor(net.graph, net.tensors, engine="torch")
    assert predict.inputs == ("data",)
    without = predict([net.inputs["data"]])
    for a, b in zip(without, predict(net.inputs), strict=True):
        assert np.array_equal(a, b)


def test_missing_and_unknown_inputs_and_parameters_are_all_named():
    graph = chain(("BatchNorm", "bn", "data gamma beta mean var"), ("elemwise_add", "y", "bn other"))
    with pytest.raises(UsageError) as caught:
        predictor(graph, {"arg:gamma": np.ones(2), "stranger": np.ones(1), "aux:mean": np.ones(2)})
    assert "missing: auxiliary state var" in str(caught.value)
    assert "not in the graph: stranger" in str(caught.value)
    ones = dict.fromkeys(["gamma", "beta", "mean", "var"], np.ones(2, "float32"))
    predict = predictor(graph, ones | {"stranger": np.ones(1)}, engine="torch")
    assert (predict.inputs, predict.unused) == (("data", "other"), ("stranger",))
    with pytest.raises(UsageError) as caught:
        predict({"dota": np.ones((1, 2))})
    for text in ("missing: data", "missing: other", "not in the graph: dota"):
        assert text in str(caught.value)
    with pytest.raises(UsageError, match="another number of inputs"):
        predict([np.ones((1, 2))])


def test_shapes_that_do_not_fit_are_named_by_their_nodes():
    graph = chain(("FullyConnected", "fc", "data weight", {"num_hidden": 2, "no_bias": True}))
    predict = predictor(graph, {"weight": np.ones((2, 3), "float32")}, engine="torch")
    with pytest.raises(ShapeError, match="fc"):
        predict({"data": np.ones((1, 5), "float32")})


def test_values_take_the_type_that_the_parameters_call_for():
    graph = chain(("FullyConnected", "fc", "data weight", {"num_hidden": 1, "no_bias": True}))
    for kind, wanted in (("float32", np.float32), ("float64", np.float64)):
        predict = predictor(graph, {"weight": np.ones((1, 2), kind)}, engine="torch")
        for given in (np.array([[1, 2]], "uint8"), np.array([[1.0, 2.0]]), [[1.0, 2.0]]):
            (found,) = predict([given])
            assert (found.dtype, found.tolist()) == (wanted, [[3.0]])
    plain = predictor(chain(("abs", "y", "data")), {}, engine="torch")
    assert plain([np.array([-1.5])])[0].dtype == np.float32
    assert plain([np.array([-2])])[0].dtype == np.int64


def test_other_shapes_are_prepared_anew_and_give_the_same():
    net = recorded("lenet")
    predict = predictor(net.graph, net.tensors, engine="torch")
    data = net.inputs["data"]
    (whole,) = predict([data])
    parts = [predict([data[i : i + 1]])[0] for i in range(len(data))]
    near(np.concatenate(parts), whole, 1e-5, 1e-6, "one by one")


def test_a_name_that_stands_for_several_inputs_gives_them_one_value():
    from evergraph.graph import Graph, Node

    x = Node("null", "x")
    graph = Graph((x, x, Node("elemwise_mul", "y", {}, ((0, 0, 0), (1, 0, 0)))), heads=((2, 0, 0),))
    predict = predictor(graph, {}, engine="torch")
    assert predict.inputs == ("x",)
    assert predict([np.array([3.0], "float32")])[0].tolist() == [9.0]


def test_predicts_from_several_threads_at_once():
    net = recorded("resnet")
    predict = predictor(net.graph, net.tensors)
    inputs = {n: net.inputs[n] for n in predict.inputs}
    found = []
    threads = [threading.Thread(target=lambda: found.extend(predict(inputs) for _ in range(5))) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(found) == 20
    for each in found:
        check(net, each, predict.outputs, 1e-5)


def test_the_engine_is_chosen_for_a_block_and_holds_again_after_it():
    from evergraph.engine.settings import choice

    with use("torch", precision="bfloat16") as inner:
        assert choice() is inner
        assert (inner.engine, inner.precision) == ("torch", "bfloat16")
        with use("auto"):
            assert (choice().engine, choice().precision) == ("auto", "bfloat16")
        assert choice() is inner
    assert (choice().engine, choice().precision) == ("auto", "float32")
    with pytest.raises(UsageError, match="no engine 'tensorrt'"):
        use("tensorrt")
    with pytest.raises(UsageError, match="no precision 'int3'"):
        use(precision="int3")


def test_openvino_that_is_not_installed_is_an_error_where_asked_for_and_torch_where_not(monkeypatch):
    for place in ("evergraph.engine.settings", "evergraph.engine.compiling"):
        monkeypatch.setattr(f"{place}.has_openvino", lambda: False)
    graph = chain(("abs", "y", "data"))
    with pytest.raises(MissingDependencyError, match="OpenVINO is not installed"):
        predictor(graph, {}, engine="openvino")
    assert predictor(graph, {})([np.array([-1.0], "float32")])[0].tolist() == [1.0]


def test_a_device_that_is_not_there_is_a_clear_error():
    graph = chain(("abs", "y", "data"))
    with pytest.raises(UsageError, match="there is no device cuda:63 here"):
        predictor(graph, {}, device="cuda:63", engine="torch")
    with pytest.raises(UsageError, match="names no device"):
        predictor(graph, {}, device="toaster")
    with pytest.raises(UsageError, match="OpenVINO predicts on the CPU"):
        predictor(graph, {}, device="cuda:0", engine="openvino")


def test_importing_the_engine_imports_no_torch():
    code = "import sys, evergraph.engine; assert 'torch' not in sys.modules; evergraph.engine.use('auto')"
    subprocess.run([sys.executable, "-c", code + "; assert 'torch' not in sys.modules"], check=True)
