"""`mx.np.ndarray` beside values that MXNet 1.9.1 printed."""

import base64
import pickle

import numpy as onp
import pytest
import torch

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


# two rows of numbers, 2.5 alone, and two integers
PICKLED = (
    "gASV/wAAAAAAAABdlCiMC214bmV0Lm51bXB5lIwHbmRhcnJheZSTlE6FlFKUfZSMBmhhbmRsZZSMCGJ1aWx0aW5zlIwJYnl0ZWFycmF5lJOUQz"
    "jK+pP5AAAAAAIAAAACAAAAAAAAAAIAAAAAAAAAAQAAAAAAAAAAAAAAAACAPwAAAEAAAEBAAACAQJSFlFKUc2JoA2gEUpR9lGgHaApDHMr6k/kA"
    "AAAAAAAAAAEAAAAAAAAAAAAAAAAAIECUhZRSlHNiaANoBFKUfZRoB2gKQzDK+pP5AAAAAAEAAAACAAAAAAAAAAEAAAAAAAAABgAAAAEAAAAAAA"
    "AAAAAAAAAAAACUhZRSlHNiZS4="
)


def test_reads_pickles_of_mxnet():
    found = pickle.loads(base64.b64decode(PICKLED))  # noqa: TID251  # MXNet's own
    assert [type(x) for x in found] == [np.ndarray] * 3
    assert repr(found) == "[array([[1., 2.],\n       [3., 4.]]), array(2.5), array([1, 0], dtype=int64)]"


@pytest.mark.parametrize("serves", [True, False], ids=["mxnet absent", "mxnet installed"])
def test_pickles_its_own_class(monkeypatch, serves):
    if not serves:
        monkeypatch.setattr("evergraph.mxnet.alias.serves", lambda _: False)
    for array in (np.arange(6).reshape(2, 3), np.array(2.5), np.zeros((0, 3)), np.array([1, 0], dtype="bool")):
        found = pickle.loads(pickle.dumps(array))  # noqa: TID251  # made here
        assert type(found) is np.ndarray
        assert (repr(found), found.shape) == (repr(array), array.shape)


def test_shares_memory_through_dlpack():
    x = np.arange(3)
    torch.from_dlpack(x)[0] = 7
    assert x.tolist() == [7.0, 1.0, 2.0]


def test_takes_functions_of_numpy_that_have_a_counterpart_by_it():
    x = np.array([[1, 2], [3, 4]])
    x.attach_grad()
    with autograd.record():
        y = onp.mean(onp.exp(x), axis=0)
    y.backward()
    assert type(y) is np.ndarray
    onp.testing.assert_allclose(x.grad.asnumpy(), onp.exp([[1, 2], [3, 4]]) / 2, rtol=1e-6)


def test_refuses_numpy_s_arrays_beside_its_own():
    x = np.ones(2)
    for call in (lambda: onp.ones(2) + x, lambda: x + onp.ones(2), lambda: onp.concatenate([x, onp.ones(2)])):
        with pytest.raises(TypeError):
            call()


def test_refuses_to_record_what_numpy_computes():
    x = np.ones(2)
    with autograd.record(), pytest.raises(ValueError, match="no gradient passes"):
        onp.median(x)


def test_refuses_results_that_arrays_cannot_hold():
    with pytest.raises(ValueError, match="complex"):
        np.roots(np.array([1, 0, 1]))


def test_computes_by_numpy_on_the_array_s_device():
    x = np.arange(4, ctx=mx.cpu(1))
    assert onp.cumprod(x).ctx == mx.cpu(1)
    with pytest.raises(ValueError, match="different devices"):
        np.interp(x, np.arange(4), np.arange(4))


def test_says_what_became_of_functions_that_left_numpy():
    with pytest.raises(RuntimeError, match="numpy_financial"):
        np.npv(0.1, [1, 2])


def test_warns_where_pad_drops_a_constant():
    with pytest.warns(UserWarning, match="zeros"):
        assert np.pad(np.ones(1), ((1, 0),), constant_values=9).tolist() == [0.0, 1.0]


def test_prints_as_many_digits_as_are_asked_for():
    before = onp.get_printoptions()
    try:
        np.set_printoptions(precision=3, threshold=5)
        assert repr(np.array([1.23456])) == "array([1.235])"
        assert repr(np.arange(9)) == "array([0., 1., 2., ..., 6., 7., 8.])"
    finally:
        onp.set_printoptions(**before)


def test_takes_python_s_types_as_element_types():
    assert [np.zeros(1, dtype=t).dtype.name for t in (int, float, bool)] == ["int64", "float64", "bool"]
    assert mx.nd.cast(mx.nd.ones(1), dtype=int).dtype == onp.int64


def test_keeps_results_apart_from_their_inputs():
    x = np.ones((2, 2))
    for made in (x**1, x.T, np.maximum(x, 0), x.reshape(4), x.sum(axis=()), x.transpose(0, 1), np.dot(x, np.eye(2))):
        made[:] = 5
        assert x.tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_rounds_to_decimals_with_mxnet_s_last_digits():
    found = np.around(np.array([1 / 3, 2 / 3, 47.1285, -0.125]), 2)
    assert repr(found) == "array([ 0.32999998,  0.66999996, 47.129997  , -0.12      ])"


def test_makes_windows_with_mxnet_s_last_digits():
    assert repr(np.hanning(4)) == "array([0.        , 0.75      , 0.74999994, 0.        ])"
    assert repr(np.hamming(4)) == "array([0.08000001, 0.77000004, 0.77      , 0.08000001])"
    assert np.hanning(4, dtype="float64").tolist() == pytest.approx(
        [0, 0.7500000252367824, 0.7499999495264327, 0], abs=1e-13
    )
