"""`mx.contrib.amp`: programs that ask for mixed precision train as without it, in float32."""

import logging

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet import autograd, gluon
from evergraph.mxnet.contrib import amp


def trained(mixed, clip=False):
    net = gluon.nn.Dense(2, in_units=3)
    net.initialize(mx.init.Constant(0.2))
    trainer = gluon.Trainer(net.collect_params(), "sgd", {"learning_rate": 0.5, "rescale_grad": 0.25})
    if mixed:
        amp.init_trainer(trainer)
    x = mx.nd.array(np.arange(12).reshape(4, 3))
    for _ in range(3):
        with autograd.record():
            loss = gluon.loss.L2Loss()(net(x), mx.nd.ones((4, 2)))
            if not mixed:
                autograd.backward(loss)
        if mixed:
            with amp.scale_loss(loss, trainer) as scaled:
                autograd.backward(scaled)
            if clip:
                amp.unscale(trainer)
        trainer.step(4)
    return net.weight.data().asnumpy()


@pytest.mark.parametrize("clip", [False, True])
def test_trains_as_without_it(clip):
    amp.init()
    np.testing.assert_allclose(trained(True, clip), trained(False), rtol=1e-6)


def test_says_that_nothing_is_computed_in_half_precision(caplog):
    with caplog.at_level(logging.WARNING, "evergraph"):
        amp.init(target_dtype="bfloat16")
    assert "bfloat16" in caplog.text
    assert "float32" in caplog.text


def test_gives_models_back():
    symbol, values = mx.sym.Variable("x") * 2, {"w": mx.nd.ones((2,))}
    assert amp.convert_model(symbol, values, {}) == (symbol, values, {})
    assert amp.convert_symbol(symbol, "bfloat16") is symbol
    net = gluon.nn.Dense(1)
    assert amp.convert_hybrid_block(net) is net


def test_refuses_types_and_trainers_that_are_none():
    with pytest.raises(mx.MXNetError, match="narrower type"):
        amp.init("int8")
    with pytest.raises(TypeError, match="Gluon Trainer"):
        amp.init_trainer(mx.optimizer.SGD())
    net = gluon.nn.Dense(1, in_units=1)
    net.initialize()
    trainer = gluon.Trainer(net.collect_params(), "sgd")
    with pytest.raises(mx.MXNetError, match="init_trainer"), amp.scale_loss(mx.nd.ones((1,)), trainer):
        pass
