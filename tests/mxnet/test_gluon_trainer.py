"""Gluon's trainer on two devices, against the parameters that MXNet 1.9.1 reached."""

import json
from pathlib import Path

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet import gluon
from evergraph.mxnet.gluon import nn

RECORDED = json.loads((Path(__file__).parents[1] / "data/mxnet/recorded/gluon_trainer.json").read_text())
OPTIONS = {"sgd": {"learning_rate": 0.1, "momentum": 0.9, "wd": 0.01}, "adam": {"learning_rate": 0.01}}
DEVICES = [mx.cpu(0), mx.cpu(1)]


def started(name):
    r = np.random.RandomState(5)
    net = nn.HybridSequential(prefix="net_")
    with net.name_scope():
        net.add(nn.Dense(4, activation="tanh", in_units=3), nn.Dense(1, in_units=4))
    net.initialize(ctx=DEVICES)
    for each in net.collect_params().values():
        each.set_data(mx.nd.array(r.randn(*(each.shape or ())).astype("f")))
    net.hybridize()
    batch = [gluon.utils.split_and_load(r.randn(6, n).astype("f"), DEVICES) for n in (3, 1)]
    return net, gluon.Trainer(net.collect_params(), name, OPTIONS[name]), batch


def step(net, trainer, batch):
    loss = gluon.loss.L2Loss()
    with mx.autograd.record():
        found = [loss(net(x), y) for x, y in zip(*batch, strict=True)]
    for each in found:
        each.backward()
    trainer.step(6)


def values(net):
    return {k: p.data(DEVICES[1]).asnumpy() for k, p in net.collect_params().items()}


@pytest.mark.parametrize("name", RECORDED)
def test_reaches_the_parameters_of_1_9_1(name):
    net, trainer, batch = started(name)
    for _ in range(3):
        step(net, trainer, batch)
    for key, found in values(net).items():
        assert np.allclose(found, RECORDED[name][key], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", RECORDED)
def test_goes_on_from_saved_states(name, tmp_path):
    net, trainer, batch = started(name)
    step(net, trainer, batch)
    trainer.save_states(str(tmp_path / "states"))
    net.save_parameters(str(tmp_path / "net.params"))
    other, again, _ = started(name)
    other.load_parameters(str(tmp_path / "net.params"), ctx=DEVICES)
    again.load_states(str(tmp_path / "states"))
    for _ in range(2):
        step(other, again, batch)
    for key, found in values(other).items():
        assert np.allclose(found, RECORDED[name][key], rtol=1e-5, atol=1e-6)


def test_refuses_gradients_that_were_used_already():
    net, trainer, batch = started("sgd")
    step(net, trainer, batch)
    with pytest.raises(UserWarning, match="has not been updated by backward"):
        trainer.step(6)
    before = values(net)
    trainer.step(6, ignore_stale_grad=True)
    assert all(np.array_equal(before[k], v) for k, v in values(net).items())


def test_refuses_what_is_no_parameter():
    with pytest.raises(ValueError, match="list or dict of Parameters"):
        gluon.Trainer([1], "sgd")


def of_images():
    net = nn.HybridSequential(prefix="images_")
    with net.name_scope():
        net.add(nn.Conv2D(4, 3, padding=1, in_channels=3, activation="tanh"), nn.BatchNorm(in_channels=4))
        net.add(nn.Activation("relu"), nn.MaxPool2D(2), nn.Flatten(), nn.Dense(2, in_units=36))
    net.initialize()
    r = np.random.RandomState(2)
    for each in net.collect_params().values():
        each.set_data(mx.nd.array(r.rand(*(each.shape or ())).astype("f")))
    return net


@pytest.mark.parametrize("hooked", [False, True], ids=["alone", "with a monitor"])
def test_trains_a_hybrid_net_of_images_as_the_calls_in_order_do(hooked):
    nets, r = [of_images(), of_images()], np.random.RandomState(3)
    data, label = mx.nd.array(r.randn(4, 3, 6, 6)), mx.nd.array([0, 1, 1, 0])
    nets[1].hybridize()
    seen = []
    for net in nets:
        trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1, "momentum": 0.9})
        data.attach_grad()
        for _ in range(3):
            with mx.autograd.record():
                loss = gluon.loss.SoftmaxCrossEntropyLoss()(net(data), label)
            loss.backward()
            trainer.step(4)
            if hooked and net is nets[1]:
                net.register_op_hook(lambda name, op, value: seen.append(value.asnumpy()))
    assert bool(seen) == hooked
    pairs = zip(nets[0].collect_params().values(), nets[1].collect_params().values(), strict=True)
    for plain, hybrid in pairs:
        assert np.allclose(plain.data().asnumpy(), hybrid.data().asnumpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("store", "same"), [("device", True), (None, False)])
def test_gives_all_devices_the_statistics_of_the_first_at_the_first_step(store, same):
    net = nn.BatchNorm(momentum=0.5)
    net.initialize(ctx=DEVICES)
    data = gluon.utils.split_and_load(mx.nd.array(np.arange(8).reshape(4, 2)), DEVICES)
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.1}, kvstore=store)
    means = []
    for _ in range(2):
        with mx.autograd.record():
            losses = [net(x).sum() for x in data]
        mx.autograd.backward(losses)
        trainer.step(4)
        means.append([a.asnumpy().tolist() for a in net.running_mean.list_data()])
    # as MXNet 1.9.1, whose stores take and give all parameters at the first step, and gradients alone later
    assert means[0] == [[0.5, 1.0], [0.5, 1.0] if same else [2.5, 3.0]]
    assert means[1] == [[0.75, 1.5], [2.75, 3.5] if same else [3.75, 4.5]]
