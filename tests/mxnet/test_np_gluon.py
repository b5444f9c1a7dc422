"""Gluon gives under `mx.npx.set_np()` what MXNet 1.9.1 gave: classes of arrays, shapes, graphs, files and numbers."""

import numpy as onp
import pytest

import evergraph.mxnet as mx
from tests.mxnet.np_gluon_programs import PROGRAMS
from tests.mxnet.np_recording import recorded, rounded
from tests.mxnet.programs import described, difference

RECORDED = recorded("np_gluon")


@pytest.fixture(autouse=True)
def _classic_afterwards():
    yield
    mx.npx.reset_np()


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_gives_what_mxnet_gave(name):
    found = difference(RECORDED[name], rounded(described(PROGRAMS[name](mx), mx)), rtol=1e-3, atol=1e-4)
    assert not found


def test_begins_a_recurrent_layers_states_inside_a_graph_for_any_batch(tmp_path):
    class Net(mx.gluon.nn.HybridBlock):
        def __init__(self):
            super().__init__()
            self.lstm, self.dense = mx.gluon.rnn.LSTM(4, layout="NTC"), mx.gluon.nn.Dense(3, flatten=False)

        def hybrid_forward(self, F, x):
            return self.dense(self.lstm(x))

    mx.npx.set_np()
    x = mx.np.array(onp.random.RandomState(4).uniform(-1, 1, (2, 3, 5)).astype("float32"))
    net = Net()
    net.initialize(mx.init.Constant(0.1))
    net.hybridize()
    found = float(net(x).sum())
    assert found == pytest.approx(0.15738949, rel=1e-5)  # MXNet's without a graph: its graph refuses the states' shape
    assert net(mx.np.ones((4, 2, 5))).shape == (4, 2, 3)
    names = net.export(f"{tmp_path}/net")
    block = mx.gluon.SymbolBlock.imports(names[0], "data", names[1])
    assert float(block(x).sum()) == pytest.approx(found)


def test_refuses_a_blocks_classic_results():
    mx.npx.set_np()
    for net in (mx.gluon.nn.Lambda(lambda x: x.as_nd_ndarray()), mx.gluon.nn.Lambda(lambda x: [x, x.as_nd_ndarray()])):
        with pytest.raises(TypeError, match="NumPy's semantics"):
            net(mx.np.ones(2))
    assert mx.gluon.nn.Lambda(lambda x: 3)(mx.np.ones(2)) == 3
    with pytest.raises(ValueError, match="dense"):
        mx.gluon.nn.Embedding(3, 2, sparse_grad=True).initialize()


def test_loads_what_was_saved_without_numpys_semantics(tmp_path):
    old = mx.gluon.nn.Dense(2, in_units=3)
    old.initialize(mx.init.One())
    old.hybridize()
    old(mx.nd.ones((1, 3)))
    old.save_parameters(f"{tmp_path}/old.params")
    names = old.export(f"{tmp_path}/old")
    mx.npx.set_np()
    new = mx.gluon.nn.Dense(2, in_units=3)
    new.load_parameters(f"{tmp_path}/old.params")
    block = mx.gluon.SymbolBlock.imports(names[0], "data", names[1])
    for net in (new, block):
        found = net(mx.np.ones((1, 3)))
        assert type(found) is mx.np.ndarray
        assert found.asnumpy().tolist() == [[3, 3]]


@pytest.mark.parametrize("array", [False, True])
def test_workers_have_the_semantics_of_the_thread_that_made_them(array):
    with mx.util.np_array(array):
        loader = mx.gluon.data.DataLoader([1.5, 2.5, 3.5], 2, num_workers=2)
        found = list(loader)
    assert [type(batch) for batch in found] == [mx.np.ndarray if array else mx.nd.NDArray] * 2
    assert found[0].asnumpy().tolist() == [1.5, 2.5]


def test_initializes_with_words_and_loops_over_arrays(caplog):
    mx.npx.set_np()
    caplog.set_level("INFO")
    net = mx.gluon.nn.Dense(1, in_units=4)
    net.initialize(mx.init.One(), verbose=True)
    assert "1.0" in caplog.text
    outputs, state = mx.nd.contrib.while_loop(
        lambda i: i < 3, lambda i: (i * 2, i + 1), [mx.np.array([0.0])], max_iterations=4
    )
    values = (outputs[0] if isinstance(outputs, list) else outputs).asnumpy()
    assert values[:3].ravel().tolist() == [0, 2, 4]
    assert (type(state[0]), state[0].item()) == (mx.np.ndarray, 3)
    found = mx.nd.contrib.cond(mx.np.array([1.0]), lambda: mx.np.ones(2), lambda: mx.np.zeros(2))
    assert found.asnumpy().tolist() == [1, 1]
