"""Optimizers: weights after the same gradients as in MXNet 1.9.1, states in its files."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

import evergraph.mxnet as mx

ROWS = json.loads((Path(__file__).parents[1] / "data/mxnet/recorded/optimizers.json").read_text())


def optimizer(row):
    return mx.optimizer.create(row["optimizer"], param_idx2name={0: "a_weight", 1: "b_bias"}, **row["settings"])


def steps(row, updater, weights, grads):
    for each in grads:
        for i in (0, 1):
            updater(i, mx.nd.array(each[i], dtype=row["type"]), weights[i])


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r['optimizer']}-{r['type']}-{list(r['settings'].values())}")
def test_gives_the_weights_of_1_9_1(row):
    weights = [mx.nd.array(w, dtype=row["type"]) for w in row["start"]]
    steps(row, mx.optimizer.get_updater(optimizer(row)), weights, row["grads"])
    tolerance = {"rtol": 2e-3, "atol": 2e-3} if row["type"] == "float16" else {"rtol": 2e-5, "atol": 2e-6}
    for found, wanted in zip(weights, row["after"], strict=True):
        np.testing.assert_allclose(found.asnumpy(), wanted, **tolerance)


@pytest.mark.parametrize("row", ROWS, ids=lambda r: f"{r['optimizer']}-{r['type']}-{list(r['settings'].values())}")
def test_goes_on_from_its_states_to_the_bit(row):
    if row["optimizer"] == "lbsgd":
        pytest.skip("sums of gradients are no part of its states, in MXNet neither")
    weights = [mx.nd.array(w, dtype=row["type"]) for w in row["start"]]
    first = mx.optimizer.get_updater(optimizer(row))
    steps(row, first, weights, row["grads"][:2])
    copies = [w.copy() for w in weights]
    second = mx.optimizer.get_updater(mx.optimizer.create("sgd"))
    second.set_states(first.get_states(dump_optimizer=True))
    assert type(second.optimizer) is type(first.optimizer)
    steps(row, first, weights, row["grads"][2:])
    steps(row, second, copies, row["grads"][2:])
    for a, b in zip(weights, copies, strict=True):
        assert a.asnumpy().tobytes() == b.asnumpy().tobytes()


def test_several_weights_at_once_are_as_one_by_one():
    row = next(r for r in ROWS if r["optimizer"] == "sgd" and "momentum" in r["settings"])
    apart, together = ([mx.nd.array(w) for w in row["start"]] for _ in range(2))
    steps(row, mx.optimizer.get_updater(optimizer(row)), apart, row["grads"])
    updater = mx.optimizer.get_updater(optimizer(row))
    for grads in row["grads"]:
        updater([0, 1], [mx.nd.array(g) for g in grads], together)
    for a, b in zip(apart, together, strict=True):
        np.testing.assert_allclose(a.asnumpy(), b.asnumpy(), rtol=1e-6)


def test_rates_follow_names_attributes_and_schedules():
    net = mx.sym.FullyConnected(
        mx.sym.Variable("data"), mx.sym.Variable("w_weight", lr_mult=3.0), num_hidden=2, name="f"
    )
    names = {0: "w_weight", 1: "f_bias"}
    schedule = mx.lr_scheduler.FactorScheduler(step=1, factor=0.5, base_lr=1.0)
    found = mx.optimizer.SGD(learning_rate=1.0, wd=0.1, sym=net, param_idx2name=names, lr_scheduler=schedule)
    found._update_count(0)
    assert found._get_lrs([0, 1]) == [3.0, 1.0]
    assert found._get_wds([0, 1]) == [0.1, 0.0]
    found._update_count(0)
    assert found._get_lr(1) == 0.5
    with pytest.raises(UserWarning, match="LRScheduler"):
        found.set_learning_rate(1)


def test_states_are_read_without_running_anything():
    with pytest.raises(mx.base.MXNetError):
        mx.optimizer.get_updater(mx.optimizer.SGD()).set_states(pickle.dumps({0: print}))


def test_says_which_optimizers_there_are():
    with pytest.raises(ValueError, match="adam"):
        mx.optimizer.create("nope")


@pytest.mark.parametrize(("name", "module"), [("groupadagrad", "contrib"), ("adam", "optimizer")])
def test_states_name_the_class_where_mxnet_has_it(name, module):
    updater = mx.optimizer.get_updater(mx.optimizer.create(name))
    updater(0, mx.nd.ones((2, 2)), mx.nd.ones((2, 2)))
    data = updater.get_states(dump_optimizer=True)
    assert f"mxnet.optimizer.{module}".encode() in data
    kind = type(updater.optimizer)
    assert getattr(getattr(mx.optimizer, module), kind.__name__) is kind
    other = mx.optimizer.get_updater(mx.optimizer.SGD())
    other.set_states(data)
    assert type(other.optimizer) is kind


def test_trains_large_batches_as_1_9_1_which_overwrites_the_first_gradient():
    x, y = np.arange(12, dtype="float32").reshape(6, 2) / 10, np.array([1, 0, 2, 1, 0, 2], "float32")
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=1, name="fc")
    module = mx.mod.Module(mx.sym.LinearRegressionOutput(net, mx.sym.Variable("label")), label_names=["label"])
    module.fit(
        mx.io.NDArrayIter(x, y, 2, label_name="label"),
        num_epoch=2,
        optimizer="lbsgd",
        optimizer_params={"learning_rate": 0.1, "batch_scale": 2, "warmup_epochs": 1, "updates_per_epoch": 2},
        arg_params={"fc_weight": mx.nd.array([[1, -1]]), "fc_bias": mx.nd.array([0.5])},
        eval_metric="mse",
        kvstore=None,
    )
    found, _ = module.get_params()
    np.testing.assert_allclose(found["fc_weight"].asnumpy(), [[1.1712706, -0.7979187]], rtol=1e-5)
    np.testing.assert_allclose(found["fc_bias"].asnumpy(), [0.8081067], rtol=1e-5)


def test_moving_leaders_stand_a_rate_of_0():
    arrays = [mx.nd.array([a, a + 1]) for a in (1.0, 0.5, 0.1, 0.2, 0.3)]
    found = mx.nd.ftml_update(*arrays, lr=0, t=2)
    recorded = [[np.nan] * 2, [np.inf] * 2, [0.20005, 1.20105], [-np.inf] * 2]
    for array, wanted in zip([found, *arrays[2:]], recorded, strict=True):
        np.testing.assert_allclose(array.asnumpy(), wanted, rtol=1e-5)


@pytest.mark.parametrize(("momentum", "expected"), [(0.0, (0.95, 0.9025)), (0.9, (0.95, 0.8575))])
def test_decays_weights_where_gradients_are_scaled_away(momentum, expected):
    sgd = mx.optimizer.create("sgd", learning_rate=0.5, wd=0.1, momentum=momentum, rescale_grad=0.0)
    update, weight = mx.optimizer.get_updater(sgd), mx.nd.ones((3,))
    for value in expected:  # state = momentum * state - 0.5 * 0.1 * weight
        update(0, mx.nd.ones((3,)), weight)
        assert np.allclose(weight.asnumpy(), value, rtol=1e-6)
