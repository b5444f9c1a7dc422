"""SVRGModule trains to the weights of MXNet 1.9.1; metrics reach TensorBoard."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet.contrib.svrg_optimization import SVRGModule, svrg_optimizer

RUNS = json.loads((Path(__file__).parents[1] / "data/mxnet/recorded/svrg.json").read_text())


def network():
    out = mx.sym.FullyConnected(mx.sym.Variable("data"), name="fc", num_hidden=1)
    return mx.sym.LinearRegressionOutput(out, mx.sym.Variable("lro_label"), name="lro")


def data():
    draw = np.random.RandomState(0)
    x = draw.randn(22, 3).astype("f")
    y = (x @ np.array([1.0, -2, 0.5]) + 0.3 + 0.05 * draw.randn(22)).astype("f")
    return mx.io.NDArrayIter(x, y, batch_size=8, label_name="lro_label")


def module(freq=2, contexts=1):
    devices = [mx.cpu(i) for i in range(contexts)]
    return SVRGModule(network(), label_names=["lro_label"], update_freq=freq, context=devices)


# on two devices MXNet computes its first gradient with zeros for weights; here they train as one device does
@pytest.mark.parametrize(("name", "contexts"), [*((name, 1) for name in RUNS), ("sgd", 2)])
def test_trains_to_the_weights_of_1_9_1(name, contexts):
    run, found = RUNS[name], []
    first = {"fc_weight": mx.nd.array([[0.1, 0.2, -0.3]]), "fc_bias": mx.nd.array([0.05])}

    def keep(epoch, symbol, arg_params, aux_params):
        found.append(np.concatenate([arg_params[k].asnumpy().ravel() for k in ("fc_weight", "fc_bias")]))

    metric = mx.metric.create("mse")
    module(run["freq"], contexts).fit(
        data(),
        eval_metric=metric,
        optimizer=run["optimizer"],
        optimizer_params=run["params"],
        num_epoch=5,
        arg_params=first,
        aux_params={},
        epoch_end_callback=keep,
    )
    np.testing.assert_allclose(found, run["values"], rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(metric.get()[1], run["mse"], rtol=1e-5)


@pytest.mark.parametrize(("freq", "error"), [(None, TypeError), (1.5, TypeError), (0, ValueError), (-1, ValueError)])
def test_rejects_frequencies_that_are_no_positive_int(freq, error):
    with pytest.raises(error, match="update_freq"):
        module(freq)


class Cut(Exception):
    pass


def trained(folder, cut=0, freq=2, contexts=1):
    """The weights after four epochs, or after a cut and three."""
    count = [0]

    def after(_):
        count[0] += 1
        if count[0] == cut:
            raise Cut

    one = module(freq, contexts)
    checkpoint = None if folder is None else mx.callback.TrainingCheckpoint(str(folder), batches=1)
    options = {"optimizer": "adam", "initializer": mx.init.Xavier(), "batch_end_callback": after}
    one.fit(data(), eval_metric="mse", num_epoch=4, checkpoint=checkpoint, **options)
    return {name: value.asnumpy() for name, value in one.get_params()[0].items()}


# in the middle of an epoch that began with new gradients over all data, and of one that did not
@pytest.mark.parametrize("cut", [2, 5, 8])
@pytest.mark.parametrize("contexts", [1, 2])
def test_goes_on_from_training_states_with_the_same_bits(tmp_path, cut, contexts):
    mx.random.seed(1)
    wanted = trained(None, contexts=contexts)
    mx.random.seed(1)
    with pytest.raises(Cut):
        trained(tmp_path, cut, contexts=contexts)
    mx.random.seed(2)
    found = trained(tmp_path, contexts=contexts)
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_rejects_the_state_of_another_frequency_and_of_a_plain_module(tmp_path):
    trained(tmp_path / "mine")
    with pytest.raises(mx.MXNetError, match="update_freq: 2 in the state, 3 here"):
        trained(tmp_path / "mine", freq=3)
    plain = mx.mod.Module(network(), label_names=["lro_label"])
    plain.fit(data(), eval_metric="mse", num_epoch=1, checkpoint=str(tmp_path / "plain"))
    with pytest.raises(mx.MXNetError) as told:
        module().fit(data(), eval_metric="mse", num_epoch=2, checkpoint=str(tmp_path / "plain"))
    assert "kept array full:fc_weight: 1x3 float32 here, and not in the state" in str(told.value)


def test_scores_and_takes_other_shapes():
    one = module()
    rows = data()
    one.fit(rows, num_epoch=1, eval_metric="mse")
    rows.reset()
    assert one.score(rows, "mse")[0][1] > 0
    one.forward(mx.io.DataBatch([mx.nd.ones((3, 3))], [mx.nd.ones((3,))]), is_train=True)
    one.backward()
    one.update()
    assert one.get_outputs()[0].shape == (3, 1)


def test_the_optimizer_assigns_full_gradients_and_steps_the_others():
    names = {0: "fc_weight", 1: "fc_weight_full"}
    made = mx.optimizer.create("_SVRGOptimizer", default_optimizer="sgd", learning_rate=0.5, param_idx2name=names)
    assert isinstance(made, svrg_optimizer._SVRGOptimizer)
    weights, grad = [mx.nd.ones((2,)) for _ in names], mx.nd.array([2.0, 4.0])
    for index, weight in enumerate(weights):
        made.update(index, weight, grad, made.create_state(index, weight))
    assert [w.asnumpy().tolist() for w in weights] == [[0, -1], [2, 4]]
    with pytest.raises(KeyError, match="no parameter"):
        made.update(5, weights[0], grad, None)


def test_metrics_reach_tensorboard(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    metric = mx.metric.create("mse")
    metric.update([mx.nd.array([1.0])], [mx.nd.array([3.0])])
    callback = mx.contrib.tensorboard.LogMetricsCallback(str(tmp_path), prefix="train")
    callback(mx.model.BatchEndParam(epoch=7, nbatch=1, eval_metric=metric, locals=None))
    callback(mx.model.BatchEndParam(epoch=8, nbatch=1, eval_metric=None, locals=None))
    events = reader.EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("train-mse")] == [(7, 4.0)]


def test_says_how_to_get_tensorboard(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard.writer", None)
    with pytest.raises(mx.MXNetError, match="pip install tensorboard"):
        mx.contrib.tensorboard.LogMetricsCallback(str(tmp_path))
