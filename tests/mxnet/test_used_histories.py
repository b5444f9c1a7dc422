"""States that go from one batch into the next after a backward pass, as recurrent networks of the D2L book train.

The values are those of MXNet 1.9.1.
"""

import numpy as np
import pytest

from evergraph.mxnet import autograd, gluon, init, nd
from evergraph.mxnet.gluon import rnn

LOSSES = [0.039508253, 0.07533712, 0.05247392]
GRADIENTS = [0.038907617, 0.20800462, 0.17880364]


@pytest.mark.parametrize("detached", [True, False])
def test_takes_a_layers_states_into_the_next_batch_as_constants(detached):
    layer = rnn.LSTM(3, input_size=2)
    layer.initialize(init.Constant(0.1))
    states, x = layer.begin_state(1), nd.ones((2, 1, 2))
    trainer = gluon.Trainer(layer.collect_params(), "sgd", {"learning_rate": 0.1})
    found = []
    for _ in range(3):
        if detached:
            for state in states:
                state.detach()
        with autograd.record():
            outputs, states = layer(x, states)
            loss = (outputs * outputs).sum()
        loss.backward()
        trainer.step(1)
        found.append((loss.asscalar(), layer.collect_params()[f"{layer.prefix}l0_h2h_weight"].grad().asnumpy().sum()))
    np.testing.assert_allclose(found, list(zip(LOSSES, GRADIENTS, strict=True)), rtol=1e-5)


def test_detach_ends_a_history_that_was_used_up():
    weight, state, found = nd.full((2, 2), 0.5), nd.ones((1, 2)), []
    weight.attach_grad()
    for _ in range(3):
        state.detach()
        with autograd.record():
            state = nd.tanh(nd.dot(state, weight))
            total = state.sum()
        total.backward()
        found.append((total.asscalar(), weight.grad.asnumpy()[0, 0]))
    wanted = [(1.5231884, 0.41997433), (1.28403, 0.44767782), (1.1325399, 0.4361454)]
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_detach_leaves_a_history_that_is_still_to_be_used():
    x = nd.array([1.0, 2.0])
    x.attach_grad()
    with autograd.record():
        y = nd.square(x) * 3
    fixed = y.detach()
    y.backward()
    assert x.grad.asnumpy().tolist() == [6.0, 12.0]
    assert fixed.asnumpy().tolist() == [3.0, 12.0]
