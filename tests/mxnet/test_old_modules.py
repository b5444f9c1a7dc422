"""Modules that programs of MXNet's first years import: contrib.autograd, misc, and others."""

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.errors import UsageError

S = mx.sym


def test_gradients_by_the_names_of_2016():
    from evergraph.mxnet.contrib import autograd

    x, y = mx.nd.array([1, 2]), mx.nd.array([3, 4])
    gradients, loss = autograd.grad_and_loss(lambda a, b: a * b + a)(x, y)
    assert [g.asnumpy().tolist() for g in gradients] == [[4, 5], [1, 2]]
    assert loss.asnumpy().tolist() == [4, 10]
    assert [g.asnumpy().tolist() for g in autograd.grad(lambda a, b: a * b, argnum=1)(x, y)] == [[1, 2]]
    with autograd.train_section():
        assert mx.autograd.is_recording()
        with autograd.test_section():
            assert not mx.autograd.is_training()
        z = x * 2
    assert not mx.autograd.is_recording()
    autograd.compute_gradient([z])
    with pytest.raises(TypeError, match="should be NDArray"):
        autograd.grad(lambda a: a)(3)


def test_schedules_of_2015():
    schedule = mx.misc.FactorScheduler(10)
    assert schedule(25) == pytest.approx(1e-4)
    for wrong in ((0,), (1, 1.0)):
        with pytest.raises(ValueError, match=r"Schedule step|Factor must"):
            mx.misc.FactorScheduler(*wrong)


def test_loaders_are_iterators_for_modules():
    data = mx.gluon.data.ArrayDataset(np.arange(10.0).reshape(5, 2), np.arange(5.0))
    batches = mx.contrib.io.DataLoaderIter(mx.gluon.data.DataLoader(data, 2))
    for _ in range(2):
        batches.reset()
        found = [(b.data[0].shape, b.data[0].dtype, b.pad, b.label[0].shape) for b in batches]
        assert found == [((2, 2), np.float32, pad, (2,)) for pad in (0, 0, 1)]
    wide = mx.contrib.io.DataLoaderIter(mx.gluon.data.DataLoader(data, 4))
    *_, last = list(wide)
    assert last.label[0].asnumpy().tolist() == [4, 4, 4, 4]
    assert last.data[0].asnumpy().tolist() == [[8, 9]] * 4


def test_older_homes_lead_to_the_same_functions():
    assert mx.contrib.nd.quadratic(mx.nd.array([1, 2]), a=1, b=2, c=3).asnumpy().tolist() == [6, 11]
    assert mx.contrib.sym.quadratic(S.Variable("x"), a=1).list_arguments() == ["x"]
    import mxnet.gluon.block
    import mxnet.gluon.nn.basic_layers
    import mxnet.gluon.rnn.rnn_cell
    import mxnet.ndarray.ndarray
    import mxnet.symbol.symbol

    assert mxnet.gluon.block.HybridBlock is mx.gluon.HybridBlock
    assert mxnet.gluon.nn.basic_layers.Sequential is mx.gluon.nn.Sequential
    assert mxnet.gluon.rnn.rnn_cell.BidirectionalCell is mx.gluon.rnn.BidirectionalCell
    assert mxnet.ndarray.ndarray.array is mx.nd.array
    assert mxnet.ndarray.ndarray._DTYPE_NP_TO_MX is mx.nd._DTYPE_NP_TO_MX
    assert mxnet.symbol.symbol.var is mx.sym.var
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        mxnet.symbol.symbol.nothing  # noqa: B018


def test_says_what_takes_onnxs_place():
    import mxnet.contrib.onnx  # noqa: F401 as programs import it

    for call in (mx.onnx.export_model, mx.onnx.get_operator_support):
        with pytest.raises(UsageError, match=r"torch\.onnx\.export"):
            call("net-symbol.json", "net-0000.params")
    for name in ("import_model", "import_to_gluon", "get_model_metadata"):
        with pytest.raises(UsageError, match="original checkpoint"):
            getattr(mx.contrib.onnx, name)("net.onnx")
