"""Parts of networks take the whole network's parameters, as programs that extract features or fine-tune give them."""

import logging

import numpy as np
import pytest

import evergraph.mxnet as mx


def network():
    hidden = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=4, name="fc1")
    last = mx.sym.FullyConnected(mx.sym.Activation(hidden, act_type="relu", name="relu1"), num_hidden=3, name="fc2")
    return mx.sym.SoftmaxOutput(last, name="softmax")


@pytest.fixture(params=["composed", "loaded"])
def whole(request, tmp_path):
    module = mx.mod.Module(network())
    module.bind([("data", (2, 5))], [("softmax_label", (2,))])
    module.init_params(mx.init.Uniform(1))
    module.save_checkpoint(str(tmp_path / "net"), 1)
    symbol, args, states = mx.model.load_checkpoint(str(tmp_path / "net"), 1)
    return network() if request.param == "composed" else symbol, args, states


def test_features_are_extracted_with_all_parameters(whole, caplog):
    symbol, args, states = whole
    part = mx.mod.Module(symbol.get_internals()["relu1_output"], label_names=None)
    part.bind(for_training=False, data_shapes=[("data", (2, 5))])
    with caplog.at_level(logging.INFO):
        part.set_params(args, states)
    assert "left off: fc2_weight, fc2_bias" in caplog.text
    part.forward(mx.io.DataBatch([mx.nd.ones((2, 5))]))
    want = np.maximum(args["fc1_weight"].asnumpy().sum(1) + args["fc1_bias"].asnumpy(), 0)
    np.testing.assert_allclose(part.get_outputs()[0].asnumpy(), [want, want], rtol=1e-5)


def test_a_new_last_layer_takes_the_others_parameters(whole):
    symbol, args, states = whole
    features = symbol.get_internals()["relu1_output"]
    net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(features, num_hidden=7, name="new"), name="softmax")
    module = mx.mod.Module(net)
    module.bind([("data", (2, 5))], [("softmax_label", (2,))])
    module.init_params(arg_params=args, aux_params=states, allow_missing=True)
    found = module.get_params()[0]
    assert sorted(found) == ["fc1_bias", "fc1_weight", "new_bias", "new_weight"]
    np.testing.assert_array_equal(found["fc1_weight"].asnumpy(), args["fc1_weight"].asnumpy())


def test_parameters_of_no_layer_stay_an_error(whole):
    symbol, args, states = whole
    part = mx.mod.Module(symbol.get_internals()["relu1_output"], label_names=None)
    part.bind(for_training=False, data_shapes=[("data", (2, 5))])
    with pytest.raises(RuntimeError, match="argument stranger: unknown"):
        part.set_params({**args, "stranger": mx.nd.ones((1,))}, states)
