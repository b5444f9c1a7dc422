"""`FeedForward`: fitted to arrays, saved, loaded and scored."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import evergraph.mxnet as mx

RANDOM = np.random.RandomState(0)
X = RANDOM.randn(60, 4).astype("f4")
Y = (X[:, 0] > 0).astype("f4")

pytestmark = pytest.mark.filterwarnings("ignore:mxnet.model.FeedForward has been deprecated:DeprecationWarning")


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


BAD = {
    "fewer-labels": ((X, Y[:5]), ValueError, "(?s)not equal.*60.*5"),
    "labels-absent": ((X,), ValueError, "y must be specified"),
    "wide-labels": ((X, np.ones((60, 2))), ValueError, "(?s)Label must be 1D.*60, 2"),
    "a-number": ((3,), TypeError, "(?s)X must be DataIter.*int"),
    "no-epochs": ((X, Y), AssertionError, "number of epochs"),
}


@pytest.mark.parametrize("name", BAD)
def test_rejects_what_cannot_be_fitted(name):
    arguments, kind, words = BAD[name]
    epochs = None if name == "no-epochs" else 1
    with pytest.raises(kind, match=words):
        mx.model.FeedForward(network(), num_epoch=epochs).fit(*arguments)


def test_takes_torch_loaders_and_columns_of_labels():
    loader = DataLoader(TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)), 20)
    found = []
    for data in ((loader,), (mx.io.NDArrayIter(X, Y, 20),)):
        args = {"fc_weight": mx.nd.ones((2, 4)), "fc_bias": mx.nd.zeros((2,))}
        model = mx.model.FeedForward(network(), num_epoch=2, arg_params=args, learning_rate=0.1)
        model.fit(*data)
        found.append(model.arg_params["fc_weight"].asnumpy())
    np.testing.assert_array_equal(*found)
    mx.model.FeedForward(network(), num_epoch=1).fit(X, Y.reshape(60, 1))


RECORDED = [
    *((1, [4, 19, 7, 6, 9]), (2, [13, 14, 11, 3, 5]), (3, [0, 12, 8, 1, 10]), (4, [16, 17, 2, 15, 18])),
    *((1, [2, 17, 16, 14, 5]), (2, [11, 7, 15, 9, 4]), (3, [12, 3, 19, 1, 18]), (4, [0, 10, 6, 13, 8])),
]
"""What MXNet 1.9.1 told: the number of batches done, and the samples of each batch, over two epochs."""


def test_shuffles_and_counts_batches_as_1_9_1_does():
    rows, seen = np.arange(20, dtype="f").reshape(20, 1), []

    def call(told):
        seen.append((told.nbatch, told.locals["data_batch"].data[0].asnumpy().ravel().astype(int).tolist()))

    args = {"fc_weight": mx.nd.zeros((2, 1)), "fc_bias": mx.nd.zeros((2,))}
    np.random.seed(3)
    model = mx.model.FeedForward(network(), num_epoch=2, numpy_batch_size=5, arg_params=args)
    model.fit(rows, np.arange(20) % 2, batch_end_callback=call)
    assert seen == RECORDED


def test_epochs_of_a_size_go_on_where_the_last_one_stopped():
    rows, seen = np.arange(20, dtype="f").reshape(20, 1), []
    data = mx.io.NDArrayIter(rows, np.arange(20) % 2, 5)
    model = mx.model.FeedForward(network(), num_epoch=2, epoch_size=3)
    model.fit(data, batch_end_callback=lambda p: seen.append(int(p.locals["data_batch"].data[0].asnumpy()[0, 0])))
    assert seen == [0, 5, 10, 15, 0, 5]
