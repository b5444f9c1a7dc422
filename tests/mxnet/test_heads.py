"""Backward without gradients of the outputs: losses need none, everything else does, as in MXNet 1.9.1."""

import numpy as np
import pytest

import evergraph.mxnet as mx


def layer():
    return mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="f")


def with_loss(second):
    net = layer()
    return mx.sym.Group([mx.sym.SoftmaxOutput(net, name="softmax"), second(net)])


def executor(symbol, **more):
    found = symbol.simple_bind(mx.cpu(), data=(3, 4), **more)
    for value in found.arg_dict.values():
        value[:] = mx.nd.array(np.linspace(0, 1, value.size).reshape(value.shape))
    found.forward(is_train=True)
    return found


NEEDLESS = {
    "SoftmaxOutput": lambda: mx.sym.SoftmaxOutput(layer(), name="softmax"),
    "LinearRegressionOutput": lambda: mx.sym.LinearRegressionOutput(layer(), name="out"),
    "LogisticRegressionOutput": lambda: mx.sym.LogisticRegressionOutput(layer(), name="out"),
    "MAERegressionOutput": lambda: mx.sym.MAERegressionOutput(layer(), name="out"),
    "SVMOutput": lambda: mx.sym.SVMOutput(layer(), name="out"),
    "MakeLoss": lambda: mx.sym.MakeLoss(layer()),
    "twice-MakeLoss": lambda: mx.sym.MakeLoss(layer()) * 2,
    "BlockGrad": lambda: mx.sym.BlockGrad(layer()),
    "argmax": lambda: mx.sym.argmax(layer(), axis=1),
    "topk": lambda: mx.sym.topk(layer()),
    "greater": lambda: layer() > 0,
    "floor": lambda: mx.sym.floor(layer()),
    "zeros_like": lambda: mx.sym.zeros_like(layer()),
    "loss-and-BlockGrad": lambda: with_loss(mx.sym.BlockGrad),
    "loss-and-shape": lambda: with_loss(mx.sym.shape_array),
}


@pytest.mark.parametrize("name", NEEDLESS)
def test_losses_and_what_has_no_gradient_need_none(name):
    executor(NEEDLESS[name]()).backward()


NEEDED = {
    "FullyConnected": (layer, ["f_output"]),
    "sum": (lambda: mx.sym.sum(layer(), name="total"), ["total_output"]),
    "sign": (lambda: mx.sym.sign(layer(), name="s"), ["s_output"]),
    "SoftmaxActivation": (lambda: mx.sym.SoftmaxActivation(layer(), name="s"), ["s_output"]),
    "topk-values": (lambda: mx.sym.topk(layer(), ret_typ="value", name="t"), ["t_output"]),
    "parts": (
        lambda: mx.sym.Group(list(mx.sym.SliceChannel(layer(), num_outputs=2, name="c"))),
        ["c_output0", "c_output1"],
    ),
    "beside-a-loss": (lambda: with_loss(lambda net: net * 2), ["_mulscalar"]),
}


@pytest.mark.parametrize("name", NEEDED)
def test_rejects_other_outputs_without_a_gradient_naming_each(name):
    make, outputs = NEEDED[name]
    found = executor(make())
    with pytest.raises(mx.MXNetError, match="head_gradient is required") as told:
        found.backward()
    assert len(told.value.details) == len(outputs)
    for output in outputs:
        assert output in str(told.value)
    found.backward([mx.nd.ones(o.shape) for o in found.outputs])
    assert np.isfinite(found.grad_dict["f_weight"].asnumpy()).all()


def test_nothing_is_needed_where_nothing_is_trained():
    executor(layer(), grad_req="null").backward()
    executor(layer(), grad_req={"data": "null", "f_weight": "null", "f_bias": "null"}).backward()


def test_modules_ask_for_it_too():
    module = mx.mod.Module(layer(), label_names=None)
    module.bind([("data", (3, 4))])
    module.init_params(mx.init.One())
    module.forward(mx.io.DataBatch([mx.nd.ones((3, 4))]))
    with pytest.raises(mx.MXNetError, match="head_gradient is required"):
        module.backward()
    module.backward([mx.nd.ones((3, 2))])
