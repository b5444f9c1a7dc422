"""`mx.npx` beside what MXNet 1.9.1 answered."""

import numpy as onp
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet import autograd, np, npx
from tests.mxnet.numpy_answers import check, recorded


@pytest.fixture(autouse=True)
def _numpy_semantics():
    npx.set_np()
    yield
    npx.reset_np()


@pytest.mark.parametrize(("text", "answer"), [pytest.param(*pair, id=pair[0]) for pair in recorded("np_extension")])
def test_answers_as_mxnet(text, answer):
    check(text, answer)


def test_has_layers_that_make_arrays_of_its_own_class_in_training_too():
    x = np.ones((200, 10))
    with autograd.record():
        dropped = npx.dropout(x, p=0.5)
    assert type(dropped) is np.ndarray
    assert set(onp.unique(dropped.asnumpy()).tolist()) == {0.0, 2.0}


def test_checks_constraints_on_booleans():
    held = np.array([1, 2]) > 0
    assert npx.constraint_check(held, "never").item() is True
    with pytest.raises(mx.base.MXNetError, match="must be positive"):
        npx.constraint_check(np.array([1, -2]) > 0, "must be positive")


def test_saves_and_loads_arrays_of_all_shapes(tmp_path):
    file = str(tmp_path / "arrays")
    given = {
        "x": np.arange(6).reshape(2, 3),
        "number": np.array(2.5),
        "none": np.zeros((2, 0)),
        "yes": np.array([1]) > 0,
    }
    npx.save(file, given)
    found = npx.load(file)
    assert {k: (type(v), v.shape, onp.dtype(v.dtype), v.tolist()) for k, v in found.items()} == {
        k: (np.ndarray, v.shape, onp.dtype(v.dtype), v.tolist()) for k, v in given.items()
    }
    npx.save(file, [given["x"]])
    assert [v.tolist() for v in npx.load(file)] == [given["x"].tolist()]
    npx.save(file, given["x"])
    assert len(npx.load(file)) == 1


def test_refuses_to_save_legacy_arrays_and_what_is_none(tmp_path):
    file = str(tmp_path / "arrays")
    with pytest.raises(TypeError, match="NDArray"):
        npx.save(file, [mx.nd.ones((2,))])
    with pytest.raises(TypeError, match="keys"):
        npx.save(file, {1: np.ones(2)})
    with pytest.raises(ValueError, match="data needs"):
        npx.save(file, 3)
    npx.reset_np()
    with pytest.raises(ValueError, match="set_np"):
        npx.save(file, mx.nd.ones((2,)).as_np_ndarray())


def test_switches_numpys_semantics():
    assert (npx.is_np_array(), npx.is_np_shape()) == (True, True)
    npx.set_np(True, False)
    assert (npx.is_np_array(), npx.is_np_shape()) == (False, True)
    with pytest.raises(ValueError, match="Shape"):
        npx.set_np(shape=False)
    npx.reset_np()
    assert (npx.is_np_array(), npx.is_np_shape()) == (False, False)
    npx.set_np()


def test_names_devices_and_waits():
    assert npx.cpu(1) == mx.cpu(1)
    assert npx.current_context() == mx.cpu()
    assert npx.num_gpus() == mx.num_gpus()
    npx.waitall()


def test_prints_numbers_with_the_digits_of_their_type():
    # NumPy's own f-strings turn arrays of one number into Python's floats first
    assert str(np.array(143.62668)) == "143.62668"
    assert f"{np.array(0.1)}" == "0.1"


@pytest.mark.parametrize("space", ["nd", "npx"])
def test_layers_name_the_inputs_that_are_lacking(space):
    x, weight = (mx.nd.ones(s) if space == "nd" else np.ones(s) for s in ((2, 3), (4, 3)))
    layer = mx.nd.FullyConnected if space == "nd" else npx.fully_connected
    with pytest.raises(mx.base.MXNetError, match="data, weight, bias"):
        layer(x, weight, num_hidden=4)
    with pytest.raises(mx.base.MXNetError, match="data, weight, bias"):
        layer(x, num_hidden=4)


@pytest.mark.parametrize("space", ["nd", "npx"])
def test_takes_none_in_place_of_an_input_before_parameters_by_position(space):
    x = mx.nd.array([[1, 2], [3, 5]])
    found = mx.nd.softmax(x, None, 0) if space == "nd" else npx.softmax(x.as_np_ndarray(), None, 0)
    onp.testing.assert_allclose(found.asnumpy(), [[0.1192029, 0.0474259], [0.8807971, 0.9525741]], rtol=1e-5)
