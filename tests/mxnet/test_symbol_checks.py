"""`mx.test_utils`' checks of symbols pass what is right and fail what is wrong."""

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet import test_utils as tu

DATA, WEIGHT = np.ones((2, 4)), np.ones((3, 4))
GRADIENTS = [np.full((2, 4), 3.0), np.full((3, 4), 2.0)]


@pytest.fixture
def layer():
    data, weight = mx.sym.Variable("data"), mx.sym.Variable("w")
    return mx.sym.FullyConnected(data, weight, no_bias=True, num_hidden=3, name="fc")


def test_holds_gradients_against_differences(layer):
    np.random.seed(0)
    tu.check_numeric_gradient(mx.sym.tanh(layer), [np.random.randn(2, 4), np.random.randn(3, 4)], rtol=1e-2, atol=1e-2)
    norm = mx.sym.BatchNorm(mx.sym.Variable("data"), name="bn", fix_gamma=False)
    values = [np.random.randn(4, 2, 3, 3), np.random.rand(2) + 0.5, np.random.randn(2)]
    tu.check_numeric_gradient(norm, values, [np.zeros(2), np.ones(2)], numeric_eps=1e-2, rtol=0.16, atol=1e-2)


def test_rejects_a_gradient_that_is_not_the_outputs():
    data = mx.sym.Variable("data")
    wrong = mx.sym.BlockGrad(data) * 2 + data
    with pytest.raises(AssertionError, match="BACKWARD_data"):
        tu.check_numeric_gradient(wrong, {"data": np.ones((2, 2))}, rtol=1e-2, atol=1e-2)


def test_holds_outputs_against_expected_ones(layer):
    tu.check_symbolic_forward(layer, {"data": DATA, "w": WEIGHT}, [np.full((2, 3), 4.0)])
    with pytest.raises(AssertionError, match="FORWARD_fc_output"):
        tu.check_symbolic_forward(layer, [DATA, WEIGHT], [np.full((2, 3), 5.0)])
    with pytest.raises(ValueError, match="'data', 'w'"):
        tu.check_symbolic_forward(layer, {"data": DATA}, [np.full((2, 3), 4.0)])


@pytest.mark.parametrize("request_of_gradients", ["write", "add", {"data": "add", "w": "null"}])
def test_holds_gradients_against_expected_ones(layer, request_of_gradients):
    expected = dict(zip(("data", "w"), GRADIENTS, strict=True))
    tu.check_symbolic_backward(layer, [DATA, WEIGHT], [np.ones((2, 3))], expected, grad_req=request_of_gradients)


def test_rejects_gradients_that_are_not_expected(layer):
    wrong = [GRADIENTS[0], GRADIENTS[1] + 1]
    with pytest.raises(AssertionError, match="BACKWARD_w"):
        tu.check_symbolic_backward(layer, [DATA, WEIGHT], [np.ones((2, 3))], wrong)


def contexts(*kinds):
    return [
        {"ctx": mx.cpu(0), "data": (2, 4), "w": (3, 4), "type_dict": dict.fromkeys(("data", "w"), k)} for k in kinds
    ]


def test_holds_types_against_the_most_precise_one(layer):
    np.random.seed(1)
    tu.check_consistency(layer, contexts("float64", "float32", "float16"))
    with pytest.raises(AssertionError, match="differ"):
        tu.check_consistency([layer, layer * 2], contexts("float64", "float32"), raise_on_err=True)


def test_compares_structures_and_runs_a_symbol_at_once(layer):
    assert tu.same_symbol_structure(layer, layer)
    assert not tu.same_symbol_structure(layer * 2, layer + 2)
    assert tu.simple_forward(layer, data=DATA, w=WEIGHT).tolist() == [[4.0] * 3] * 2
    assert isinstance(tu.check_speed(layer, N=1, data=(2, 4), w=(3, 4)), float)
    assert isinstance(tu.check_speed(layer, {"data": DATA, "w": WEIGHT}, N=1, typ="forward"), float)


def test_nodes_of_one_name_share_their_attributes_as_in_1_9_1():
    made = mx.sym.Variable("x", lr_mult=2) + mx.sym.Variable("x", wd_mult=3)
    assert made.attr_dict()["x"] == {"__lr_mult__": "2", "lr_mult": "2", "__wd_mult__": "3", "wd_mult": "3"}
