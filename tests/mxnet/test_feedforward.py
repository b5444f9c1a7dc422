"""`FeedForward`: fitted to arrays, saved, loaded and scored."""

import numpy as np
import pytest

import evergraph.mxnet as mx

RANDOM = np.random.RandomState(0)
X = RANDOM.randn(60, 4).astype("f4")
Y = (X[:, 0] > 0).astype("f4")


def network():
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc"), name="softmax")


def test_learns_saves_and_loads(tmp_path):
    model = mx.model.FeedForward.create(
        network(), X, Y, num_epoch=20, learning_rate=0.5, numpy_batch_size=20, initializer=mx.init.Xavier()
    )
    assert model.score((X, Y)) > 0.95
    found = model.predict(X)
    assert found.shape == (60, 2)
    model.save(str(tmp_path / "net"))
    again = mx.model.FeedForward.load(str(tmp_path / "net"), 20)
    np.testing.assert_allclose(again.predict(X), found, rtol=1e-5)
    outputs, data, labels = again.predict(mx.io.NDArrayIter(X, Y, 16), return_data=True)
    np.testing.assert_allclose(data, X)
    np.testing.assert_allclose(labels, Y)
    assert (outputs.argmax(1) == Y).mean() > 0.95


def test_goes_on_from_given_parameters():
    args = {"fc_weight": mx.nd.zeros((2, 4)), "fc_bias": mx.nd.zeros((2,)), "other": mx.nd.ones((1,))}
    model = mx.model.FeedForward(network(), num_epoch=1, arg_params=args, aux_params={}, allow_extra_params=True)
    model.fit(X, Y, eval_data=(X, Y))
    assert np.abs(model.arg_params["fc_weight"].asnumpy()).sum() > 0


def test_says_what_is_missing():
    with pytest.raises(AssertionError, match="no parameters"):
        mx.model.FeedForward(network()).predict(X)
    with pytest.raises(AssertionError, match="not equal"):
        mx.model.FeedForward(network(), num_epoch=1).fit(X, Y[:5])
