"""`mx.np.ndarray` beside values that MXNet 1.9.1 printed."""

import numpy as onp
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet import autograd, np, npx


@pytest.fixture(autouse=True)
def _numpy_semantics():
    npx.set_np()
    yield
    npx.reset_np()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("np.array([1, 2, 3])", "array([1., 2., 3.])"),
        ("np.array(onp.arange(3))", "array([0, 1, 2], dtype=int64)"),
        ("np.array(5)", "array(5.)"),
        ("np.zeros((2, 0))", "array([], shape=(2, 0))"),
        ("np.arange(3, dtype='int32')", "array([0, 1, 2], dtype=int32)"),
        ("np.ones(2, dtype='int32') / 2", "array([0.5, 0.5])"),
        ("np.ones(2, dtype='int32') + 1.5", "array([2, 2], dtype=int32)"),
        ("np.array([1, 2]) == np.array([1, 3])", "array([ True, False])"),
        ("np.ones(3, dtype='bool') + 1", "array([2, 2, 2], dtype=int64)"),
        ("np.ones((2, 3))[0, 0]", "array(1.)"),
        ("np.array([1, 2, 3])[::-1]", "array([3., 2., 1.])"),
        ("onp.sin(np.ones(3))", "array([0.84147096, 0.84147096, 0.84147096])"),
    ],
)
def test_shows_what_mxnet_shows(text, shown):
    assert repr(eval(text)) == shown


def test_takes_gradients_of_its_own_class():
    x = np.arange(3)
    x.attach_grad()
    with autograd.record():
        y = np.sin(x) * x
    y.backward()
    assert type(x.grad) is np.ndarray
    onp.testing.assert_allclose(x.grad.asnumpy(), [0.0, 1.381773, 0.077004], rtol=1e-5)


def test_shares_memory_with_the_legacy_array():
    x = np.ones(2)
    legacy = x.as_nd_ndarray()
    legacy[:] = 3
    assert type(legacy) is mx.nd.NDArray
    assert x.tolist() == [3.0, 3.0]
