"""What tutorials of MXNet's time show, step after step, in the programs' own words: save and load, Module, predict."""

import pickle
from collections import namedtuple

import numpy as np
import pytest

import evergraph.mxnet as mx
from tests.goldens import MXNET

Batch = namedtuple("Batch", ["data"])


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def letters():
    """Letters of 26 kinds from 16 numbers: 16,000 to learn from and 4,000 to be asked, as the tutorial has them."""
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(26, 16)) * 2
    labels = rng.integers(0, 26, 20_000)
    data = (centers[labels] + rng.normal(size=(20_000, 16))).astype("float32")
    train = mx.io.NDArrayIter(data[:16_000], labels[:16_000], 100, shuffle=True)
    return train, mx.io.NDArrayIter(data[16_000:], labels[16_000:], 100)


def network():
    net = mx.sym.Variable("data")
    net = mx.sym.FullyConnected(net, name="fc1", num_hidden=64)
    net = mx.sym.Activation(net, name="relu1", act_type="relu")
    net = mx.sym.FullyConnected(net, name="fc2", num_hidden=26)
    return mx.sym.SoftmaxOutput(net, name="softmax")


def test_symbols_are_saved_and_loaded_under_each_spelling(here):
    a = mx.sym.Variable("a", shape=[2])
    b = mx.sym.Variable("b", shape=[3])
    c = a + b
    c.save("symbol-c.json")
    for loaded in (mx.sym.load("symbol-c.json"), mx.sym.loads("symbol-c.json"), mx.sym.loads(c.tojson())):
        assert loaded.tojson() == c.tojson()


def test_arrays_are_pickled_and_saved(here):
    a, b = mx.nd.ones((2, 3)), mx.nd.ones((5, 6))
    with open("tmp.pickle", "wb") as file:
        pickle.dump(pickle.dumps(a), file)
    with open("tmp.pickle", "rb") as file:
        again = pickle.loads(pickle.load(file))  # noqa: TID251 the program saved them itself
        assert again.asnumpy().tolist() == np.ones((2, 3)).tolist()
    mx.nd.save("temp.ndarray", [a, b])
    assert [x.shape for x in mx.nd.load("temp.ndarray")] == [(2, 3), (5, 6)]
    mx.nd.save("temp.ndarray", {"a": a, "b": b})
    assert {n: x.shape for n, x in mx.nd.load("temp.ndarray").items()} == {"a": (2, 3), "b": (5, 6)}


def test_a_module_is_trained_step_by_step():
    train, _ = letters()
    module = mx.mod.Module(symbol=network(), context=mx.cpu(), data_names=["data"], label_names=["softmax_label"])
    module.bind(data_shapes=train.provide_data, label_shapes=train.provide_label)
    module.init_params(initializer=mx.init.Uniform(scale=0.1))
    module.init_optimizer(optimizer="sgd", optimizer_params=(("learning_rate", 0.1),))
    metric = mx.metric.create("acc")
    seen = []
    for _ in range(5):
        train.reset()
        metric.reset()
        for batch in train:
            module.forward(batch, is_train=True)
            module.update_metric(metric, batch.label)
            module.backward()
            module.update()
        seen.append(metric.get()[1])
    assert metric.get()[0] == "accuracy"
    assert seen[0] < seen[-1] > 0.9


def test_a_module_is_fitted_asked_saved_and_taken_up_again(here):
    train, validation = letters()
    net, prefix = network(), "mx_mlp"
    module = mx.mod.Module(symbol=net, context=mx.cpu(), data_names=["data"], label_names=["softmax_label"])
    module.fit(
        train,
        eval_data=validation,
        optimizer="sgd",
        optimizer_params={"learning_rate": 0.1},
        eval_metric="acc",
        num_epoch=8,
    )
    assert module.predict(validation).shape == (4000, 26)
    score = dict(module.score(validation, ["mse", "acc"]))
    assert score["accuracy"] > 0.9
    assert score["mse"] > 0

    module = mx.mod.Module(symbol=net)
    module.fit(train, num_epoch=5, epoch_end_callback=mx.callback.do_checkpoint(prefix))
    symbol, arguments, auxiliary = mx.model.load_checkpoint(prefix, 3)
    assert symbol.tojson() == net.tojson()
    module.set_params(arguments, auxiliary)
    assert all((module.get_params()[0][n].asnumpy() == a.asnumpy()).all() for n, a in arguments.items())

    module = mx.mod.Module(symbol=symbol)
    module.fit(train, num_epoch=8, arg_params=arguments, aux_params=auxiliary, begin_epoch=3)
    assert dict(module.score(validation, "acc"))["accuracy"] > 0.5


def test_parameters_are_saved_without_fit(here):
    train, _ = letters()
    module = mx.mod.Module(symbol=network())
    module.bind(data_shapes=train.provide_data, label_shapes=train.provide_label)
    module.init_params()
    arguments, auxiliary = module.get_params()
    module.set_params(arguments, auxiliary)
    mx.callback.do_checkpoint("by_hand")(0, module.symbol, arguments, auxiliary)
    assert set(mx.model.load_checkpoint("by_hand", 1)[1]) == set(arguments)


@pytest.mark.filterwarnings("ignore:Data provided by label_shapes")  # MXNet says so too
def test_an_old_checkpoint_is_saved_in_todays_form_and_predicts_the_same(here):
    folder = MXNET / "0.9.5" / "checkpoints"
    recorded = np.load(folder / "lenet-io.npz")
    data = recorded["in:data"] if "in:data" in recorded.files else recorded["data"]
    outputs = []
    symbol, arguments, auxiliary = mx.model.load_checkpoint(str(folder / "lenet"), 1)
    mx.model.save_checkpoint("lenet-upgraded", 1, symbol, arguments, auxiliary)
    for prefix in (str(folder / "lenet"), "lenet-upgraded"):
        symbol, arguments, auxiliary = mx.model.load_checkpoint(prefix, 1)
        module = mx.mod.Module(symbol=symbol, context=mx.cpu(0))
        module.bind(for_training=False, data_shapes=[("data", data.shape)])
        module.set_params(arguments, auxiliary)
        module.forward(Batch([mx.nd.array(data)]))
        outputs.append(np.squeeze(module.get_outputs()[0].asnumpy()))
    assert outputs[0].tobytes() == outputs[1].tobytes()
    wanted = recorded[next(n for n in recorded.files if n.startswith("out"))]
    np.testing.assert_allclose(outputs[0], np.squeeze(wanted), rtol=1e-5, atol=1e-6)
