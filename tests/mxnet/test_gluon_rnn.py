"""Gluon's recurrent layers, against what releases saved, exported and computed."""

from pathlib import Path

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet.gluon import rnn

DATA = Path(__file__).parents[1] / "data/mxnet"
RELEASES = [p.name for p in sorted(DATA.glob("*.*")) if (p / "gluon/lstm-io.npz").exists()]


def lstm(layout="TNC"):
    return rnn.LSTM(3, num_layers=2, bidirectional=True, input_size=4, layout=layout, prefix="lstm_")


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("release", RELEASES)
def test_loads_what_releases_saved_and_computes_the_same(release, hybrid):
    io = np.load(DATA / release / "gluon/lstm-io.npz")
    for path in sorted((DATA / release / "gluon").glob("lstm.save_param*.params")):
        net = lstm()
        net.load_parameters(str(path))
        net.hybridize(hybrid)
        found = net(mx.nd.array(io["in:data"]))
        assert np.allclose(found.asnumpy(), io["out:0"], rtol=1e-5, atol=1e-5)


def test_exports_byte_for_byte_as_1_9_1(tmp_path):
    net, io = lstm(), np.load(DATA / "1.9.1/gluon/lstm-io.npz")
    net.load_parameters(str(DATA / "1.9.1/gluon/lstm.save_parameters.params"))
    net.hybridize()
    net(mx.nd.array(io["in:data"]))
    symbol, _ = net.export(str(tmp_path / "lstm"))
    assert Path(symbol).read_text() == (DATA / "1.9.1/gluon/lstm-symbol.json").read_text()


def test_takes_and_returns_states_in_either_layout():
    net, other, io = lstm(), lstm("NTC"), np.load(DATA / "1.9.1/gluon/lstm-io.npz")
    for each in (net, other):
        each.load_parameters(str(DATA / "1.9.1/gluon/lstm.save_parameters.params"))
    x = mx.nd.array(io["in:data"])
    found, states = net(x, net.begin_state(x.shape[1]))
    turned = other(x.swapaxes(0, 1)).swapaxes(0, 1)
    assert np.allclose(found.asnumpy(), io["out:0"], rtol=1e-5, atol=1e-5)
    assert np.allclose(turned.asnumpy(), io["out:0"], rtol=1e-5, atol=1e-5)
    assert [s.shape for s in states] == [(4, x.shape[1], 3)] * 2
    assert np.allclose(states[0].asnumpy()[2], found.asnumpy()[-1, :, :3], rtol=1e-5, atol=1e-5)


def test_refuses_states_of_another_shape():
    net = lstm()
    net.load_parameters(str(DATA / "1.9.1/gluon/lstm.save_parameters.params"))
    with pytest.raises(ValueError, match="state shape"):
        net(mx.nd.ones((2, 2, 4)), [mx.nd.zeros((4, 5, 3))] * 2)


@pytest.mark.parametrize("hybrid", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(("kind", "total"), [("LSTM", [0.8585, 3.9798]), ("GRU", [1.5441, 6.3123])])
def test_takes_the_size_of_its_input_from_the_first_batch(kind, total, bidirectional, hybrid):
    net = getattr(rnn, kind)(2, num_layers=2, bidirectional=bidirectional)
    net.initialize(mx.init.Constant(0.1))
    net.hybridize(hybrid)
    # as MXNet 1.9.1; the weights of both directions are unknown at first
    found = net(mx.nd.ones((10, 1, 5))).sum().asscalar()
    assert found == pytest.approx(total[bidirectional], abs=2e-4)
    assert net.collect_params(".*0_i2h_weight")
    assert {p.shape[1] for p in net.collect_params(".*0_i2h_weight").values()} == {5}
