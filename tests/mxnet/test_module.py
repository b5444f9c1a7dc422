"""Module: devices, checkpoints, buckets, rows of modules, other data, and what goes wrong."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

import evergraph.mxnet as mx

RECORDED = json.loads((Path(__file__).parents[1] / "data/mxnet/recorded/module.json").read_text())
X, Y = np.array(RECORDED["X"], "f4"), np.array(RECORDED["Y"], "f4")
OPTIMIZER = {"learning_rate": 0.1, "momentum": 0.9, "wd": 0.01}


def network():
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=5, name="fc1")
    net = mx.sym.BatchNorm(net, name="bn", fix_gamma=False)
    net = mx.sym.FullyConnected(mx.sym.Activation(net, act_type="tanh"), num_hidden=2, name="fc2")
    return mx.sym.SoftmaxOutput(net, name="softmax")


def start():
    args = {
        "fc1_weight": np.array(RECORDED["W"], "f4"),
        "fc1_bias": np.zeros(5),
        "bn_gamma": np.ones(5),
        "bn_beta": np.zeros(5),
        "fc2_weight": np.array(RECORDED["W2"], "f4"),
        "fc2_bias": np.zeros(2),
    }
    auxs = {"bn_moving_mean": np.zeros(5), "bn_moving_var": np.ones(5)}
    return tuple({k: mx.nd.array(v) for k, v in each.items()} for each in (args, auxs))


def data(size=6):
    return mx.io.NDArrayIter(X, Y, batch_size=size)


def fitted(epochs=2, **settings):
    options = {k: settings.pop(k) for k in ("kvstore", "begin_epoch") if k in settings}
    module = mx.mod.Module(network(), **settings)
    args, auxs = start()
    module.fit(
        data(),
        num_epoch=epochs,
        optimizer="sgd",
        optimizer_params=OPTIMIZER,
        arg_params=args,
        aux_params=auxs,
        **options,
    )
    return module


def parameters(module):
    return {k: v.asnumpy() for part in module.get_params() for k, v in part.items()}


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("two", {"context": [mx.cpu(0), mx.cpu(1)], "kvstore": "device"}),
        ("uneven", {"context": [mx.cpu(0), mx.cpu(1)], "work_load_list": [1, 2]}),
        ("fixed", {"fixed_param_names": ["fc1_weight"]}),
    ],
)
def test_devices_and_fixed_parameters_train_as_in_1_9_1(name, settings):
    module, wanted = fitted(**settings), RECORDED["rows"][name]
    for key, value in parameters(module).items():
        expected = {**wanted["args"], **wanted["auxs"]}[key]
        # a bias before a BatchNorm has no gradient but rounding's
        if key != "fc1_bias":
            np.testing.assert_allclose(value, expected, rtol=2e-4, atol=2e-5, err_msg=key)
    found = dict(module.score(data(), ["acc", "ce"]))
    np.testing.assert_allclose(list(found.values()), [v for _, v in wanted["score"]], rtol=1e-3)
    np.testing.assert_allclose(module.predict(data()).asnumpy(), wanted["predict"], rtol=1e-3, atol=1e-4)


@pytest.mark.filterwarnings("ignore:Parameters already initialized")
def test_goes_on_from_a_checkpoint_to_the_bit(tmp_path):
    prefix = str(tmp_path / "net")
    whole = parameters(fitted(epochs=4))
    fitted(epochs=2).save_checkpoint(prefix, 2, save_optimizer_states=True)
    module = mx.mod.Module.load(prefix, 2, load_optimizer_states=True)
    module.fit(data(), begin_epoch=2, num_epoch=4, optimizer="sgd", optimizer_params=OPTIMIZER)
    for key, value in parameters(module).items():
        assert value.tobytes() == whole[key].tobytes(), key


@pytest.mark.filterwarnings("ignore:.*label_shapes don't match")
def test_every_epoch_is_saved_and_the_files_open_everywhere(tmp_path):
    import evergraph as eg

    prefix = str(tmp_path / "net")
    module = mx.mod.Module(network())
    callbacks = [mx.callback.do_checkpoint(prefix), mx.callback.module_checkpoint(module, prefix + "m", 2, True)]
    module.fit(data(), num_epoch=2, epoch_end_callback=callbacks)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "net-0001.params",
        "net-0002.params",
        "net-symbol.json",
        "netm-0002.params",
        "netm-0002.states",
        "netm-symbol.json",
    ]
    assert bool(eg.verify(prefix))
    again = mx.mod.Module.load(prefix, 2, data_names=["data"])
    again.bind([("data", (4, 6))], for_training=False)
    np.testing.assert_allclose(again.predict(X[:4]).asnumpy(), module.predict(X[:4]).asnumpy(), rtol=1e-5)


def test_batches_of_another_size_reshape_and_share_parameters():
    module = fitted()
    small = module.predict(X[:2]).asnumpy()
    large = module.predict(mx.nd.array(X)).asnumpy()
    np.testing.assert_allclose(small, large[:2], rtol=1e-5)


def test_input_gradients_and_shared_modules():
    first = fitted()
    other = mx.mod.Module(network())
    other.bind(data().provide_data, data().provide_label, inputs_need_grad=True, shared_module=first)
    batch = next(iter(data()))
    other.forward_backward(batch)
    assert other.get_input_grads()[0].shape == (6, 6)
    assert np.abs(other.get_input_grads()[0].asnumpy()).sum() > 0
    other.update()
    weight = first._exec_group.execs[0].arg_dict["fc2_weight"]
    assert weight.asnumpy().tobytes() == parameters(other)["fc2_weight"].tobytes()


def test_takes_a_torch_data_loader():
    import torch

    pairs = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    module = mx.mod.Module(network())
    args, auxs = start()
    loader = torch.utils.data.DataLoader(pairs, batch_size=6)
    options = {"optimizer_params": OPTIMIZER, "arg_params": args, "aux_params": auxs}
    module.fit(loader, num_epoch=2, **options)
    for key, value in parameters(fitted()).items():
        np.testing.assert_allclose(parameters(module)[key], value, rtol=1e-5, atol=1e-6)
    assert module.score(loader, "acc")[0][0] == "accuracy"


def test_logs_what_mxnet_logs(caplog):
    with caplog.at_level(logging.INFO):
        module = mx.mod.Module(network())
        module.fit(data(), eval_data=data(), num_epoch=1, batch_end_callback=mx.callback.Speedometer(6, 2))
    texts = [r.getMessage() for r in caplog.records]
    assert any(t.startswith("Epoch[0] Batch [0-2]\tSpeed: ") and "\taccuracy=" in t for t in texts)
    assert any(t.startswith("Epoch[0] Train-accuracy=") for t in texts)
    assert any(t.startswith("Epoch[0] Validation-accuracy=") for t in texts)


def recurrent(length):
    data, label = mx.sym.Variable("data"), mx.sym.Variable("softmax_label")
    words = mx.sym.Embedding(data, input_dim=7, output_dim=3, name="embed")
    net = mx.sym.FullyConnected(mx.sym.Reshape(words, shape=(-1, 3)), num_hidden=7, name="out")
    return mx.sym.SoftmaxOutput(net, mx.sym.Reshape(label, shape=(-1,)), name="softmax"), ["data"], ["softmax_label"]


class Buckets:
    def __init__(self):
        random = np.random.RandomState(0)
        self.rows = [(n, random.randint(0, 7, (4, n))) for n in (3, 5, 3, 4)]
        self.default_bucket_key = 5
        self.provide_data = [mx.io.DataDesc("data", (4, 5))]
        self.provide_label = [mx.io.DataDesc("softmax_label", (4, 5))]

    def reset(self):
        pass

    def __iter__(self):
        for n, words in self.rows:
            array = mx.nd.array(words)
            shapes = {"provide_data": [mx.io.DataDesc("data", (4, n))]}
            shapes["provide_label"] = [mx.io.DataDesc("softmax_label", (4, n))]
            yield mx.io.DataBatch([array], [array], bucket_key=n, **shapes)


def test_buckets_share_parameters_and_optimizer(tmp_path):
    module = mx.mod.BucketingModule(recurrent, default_bucket_key=5)
    metric = mx.metric.Perplexity(None)
    module.fit(Buckets(), eval_metric=metric, num_epoch=12, optimizer="adam", optimizer_params={"learning_rate": 0.1})
    assert module.score(Buckets(), mx.metric.Perplexity(None))[0][1] < 1.5
    assert set(module._buckets) == {3, 4, 5}
    first, second = (module._buckets[k]._exec_group.execs[0].arg_dict["embed_weight"] for k in (3, 5))
    assert first is second
    prefix = str(tmp_path / "lm")
    module.save_checkpoint(prefix, 1)
    again = mx.mod.BucketingModule.load(prefix, 1, sym_gen=recurrent, default_bucket_key=5)
    again.bind(Buckets().provide_data, Buckets().provide_label, for_training=False)
    assert again.score(Buckets(), mx.metric.Perplexity(None)) == module.score(Buckets(), mx.metric.Perplexity(None))


def test_modules_in_a_row_train_together():
    lower = mx.sym.Activation(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=4, name="low"), act_type="tanh")
    upper = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="high")
    row = mx.mod.SequentialModule()
    row.add(mx.mod.Module(lower, label_names=[])).add(mx.mod.Module(upper, label_names=[]), auto_wiring=True)

    def gradient(scores, labels):
        found = mx.nd.softmax(scores)
        return (found - mx.nd.one_hot(labels, 2)) / 6

    row.add(mx.mod.PythonLossModule(grad_func=gradient), take_labels=True, auto_wiring=True)
    row.fit(data(), num_epoch=20, optimizer_params={"learning_rate": 3.0}, initializer=mx.init.Xavier())
    assert row.score(data(), "acc")[0][1] > 0.9


def test_says_which_inputs_there_are():
    with pytest.raises(ValueError, match=r"data_names.*images.*data"):
        mx.mod.Module(network(), data_names=["images"])


def test_says_which_step_was_left_out():
    module = mx.mod.Module(network())
    with pytest.raises(AssertionError, match="bind it"):
        module.init_params()
    with pytest.raises(AssertionError, match="number of epochs"):
        module.fit(data())


def test_refuses_parameters_all_at_once_and_changes_none():
    module = mx.mod.Module(network())
    module.bind(data().provide_data, data().provide_label)
    module.init_params()
    before = parameters(module)
    args, auxs = start()
    del args["fc1_bias"]
    args["fc2_weight"] = mx.nd.ones((3, 3))
    args["other"] = mx.nd.ones((1,))
    with pytest.raises(RuntimeError) as caught:
        module.set_params(args, auxs)
    for text in ("fc1_bias is not presented", "fc2_weight: shape (3, 3) for (2, 5)", "other: unknown"):
        assert text in str(caught.value)
    assert all(v.tobytes() == before[k].tobytes() for k, v in parameters(module).items())


def test_refuses_data_of_other_names_and_unlike_batches():
    module = mx.mod.Module(network())
    with pytest.raises(ValueError, match="data_shapes don't match"):
        module.bind([("images", (6, 6))])
    with pytest.raises(ValueError, match="same batch size"):
        module.bind([("data", (6, 6))], [("softmax_label", (5,))])
