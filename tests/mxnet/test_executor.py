"""Executors: values and errors as MXNet 1.9.1 gives them."""

import numpy as np
import pytest

import evergraph.mxnet as mx


def network():
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc")
    return mx.sym.SoftmaxOutput(net, name="softmax")


@pytest.fixture
def run():
    found = network().simple_bind(mx.cpu(), data=(2, 3), grad_req={"fc_weight": "write", "fc_bias": "add"})
    found.arg_dict["fc_weight"][:] = [[1, 0, -1], [0.5, 0.5, 0]]
    found.arg_dict["data"][:] = [[1, 2, 3], [0, 1, 0]]
    found.arg_dict["softmax_label"][:] = [0, 1]
    return found


def test_forward_and_backward_give_the_values_of_1_9_1(run):
    # recorded from MXNet 1.9.1
    run.forward(is_train=True)
    expected = [[0.02931223, 0.97068775], [0.37754068, 0.62245935]]
    np.testing.assert_allclose(run.outputs[0].asnumpy(), expected, rtol=1e-5)
    run.backward()
    weight = [[-0.97068775, -1.5638348, -2.9120631], [0.97068775, 1.5638348, 2.9120631]]
    np.testing.assert_allclose(run.grad_dict["fc_weight"].asnumpy(), weight, rtol=1e-5)
    np.testing.assert_allclose(run.grad_dict["fc_bias"].asnumpy(), [-0.5931471, 0.5931471], rtol=1e-5)
    assert run.grad_dict["data"] is None


def test_add_requests_sum_and_write_requests_replace(run):
    for _ in range(2):
        run.forward(is_train=True)
        run.backward()
    np.testing.assert_allclose(run.grad_dict["fc_bias"].asnumpy(), [-1.1862942, 1.1862942], rtol=1e-5)
    np.testing.assert_allclose(run.grad_dict["fc_weight"].asnumpy()[0, 0], -0.97068775, rtol=1e-5)


def test_what_is_written_into_arrays_is_seen(run):
    before = run.forward()[0].asnumpy()
    for _ in range(5):
        run.forward()
    run.arg_dict["fc_bias"][:] = [10, 0]
    after = run.forward()[0].asnumpy()
    assert (after[:, 0] > 0.99).all()
    assert not (before[:, 0] > 0.99).any()


def test_gradient_storage_is_the_callers(run):
    weight = mx.nd.ones((2, 3))
    storage = mx.nd.zeros((2, 3))
    x = mx.sym.Variable("x")
    bound = (x * 3).bind(mx.cpu(), {"x": weight}, args_grad={"x": storage})
    bound.forward(is_train=True)
    bound.backward(mx.nd.ones((2, 3)) * 2)
    assert (storage.asnumpy() == 6).all()


def test_auxiliary_states_change_when_the_gradient_passes():
    net = mx.sym.BatchNorm(mx.sym.Variable("data"), name="bn", momentum=0.5, fix_gamma=False)
    bound = net.simple_bind(mx.cpu(), data=(4, 1))
    bound.arg_dict["data"][:] = [[1], [2], [3], [6]]
    bound.forward(is_train=True)
    assert bound.aux_dict["bn_moving_mean"].asnumpy().tolist() == [0.0]
    bound.backward(mx.nd.ones((4, 1)))
    assert bound.aux_dict["bn_moving_mean"].asnumpy().tolist() == [1.5]


def test_reshape_shares_what_keeps_its_shape(run):
    other = run.reshape(data=(5, 3), softmax_label=(5,), allow_up_sizing=True)
    assert other.outputs[0].shape == (5, 2)
    run.arg_dict["fc_bias"][:] = 7
    assert other.arg_dict["fc_bias"].asnumpy().tolist() == [7.0, 7.0]
    with pytest.raises(AssertionError, match="allow_up_sizing"):
        run.reshape(data=(9, 3), softmax_label=(9,))


def test_monitor_sees_every_output(run):
    seen = []
    run.set_monitor_callback(lambda name, value: seen.append((name, value.shape)))
    run.forward()
    assert seen == [("fc_output", (2, 2)), ("softmax_output", (2, 2))]


def test_bind_says_everything_that_is_missing():
    with pytest.raises(ValueError, match=r"fc_weight.*fc_bias"):
        network().bind(mx.cpu(), {"data": mx.nd.ones((2, 3)), "softmax_label": mx.nd.zeros((2,))})


def test_bind_names_the_node_whose_shapes_contradict():
    arrays = {"data": (2, 3), "fc_weight": (2, 4), "fc_bias": (2,), "softmax_label": (2,)}
    with pytest.raises(mx.base.MXNetError, match="fc"):
        network().bind(mx.cpu(), {k: mx.nd.ones(v) for k, v in arrays.items()})


def test_forward_refuses_another_shape_and_unknown_names(run):
    with pytest.raises(ValueError, match="Shape not match"):
        run.forward(data=np.zeros((3, 3)))
    with pytest.raises(TypeError, match="Unknown argument"):
        run.forward(nope=np.zeros((3, 3)))


def test_copy_params_from_copies_all_or_nothing(run):
    with pytest.raises(ValueError, match=r"(?s)fc_bias.*other"):
        run.copy_params_from({"fc_weight": mx.nd.ones((2, 3)), "fc_bias": mx.nd.ones((3,)), "other": mx.nd.ones((1,))})
    assert run.arg_dict["fc_weight"].asnumpy()[0, 1] == 0
    run.copy_params_from({"fc_weight": mx.nd.ones((2, 3)), "other": mx.nd.ones((1,))}, allow_extra_params=True)
    assert (run.arg_dict["fc_weight"].asnumpy() == 1).all()


def test_sparse_embedding_gradients_are_rows():
    net = mx.sym.Embedding(mx.sym.Variable("i"), input_dim=10, output_dim=2, sparse_grad=True, name="e")
    bound = net.simple_bind(mx.cpu(), i=(3,), grad_req={"e_weight": "write"})
    bound.arg_dict["i"][:] = [1, 7, 1]
    bound.forward(is_train=True)
    bound.backward(mx.nd.ones((3, 2)))
    grad = bound.grad_dict["e_weight"]
    assert grad.stype == "row_sparse"
    assert grad.indices.asnumpy().tolist() == [1, 7]
    assert grad.data.asnumpy().tolist() == [[2.0, 2.0], [1.0, 1.0]]


def test_outputs_that_are_views_of_others_are_arrays_of_their_own():
    x = mx.sym.Variable("x") * 1
    for made in (
        mx.sym.transpose(x),
        mx.sym.slice_axis(x, axis=1, begin=1, end=3),
        mx.sym.broadcast_to(mx.sym.sum(x, axis=0, keepdims=True), shape=(2, 3)),
    ):
        (out,) = made.bind(mx.cpu(), {"x": mx.nd.array([[1, 2, 3], [4, 5, 6]])}).forward()
        flat = out.reshape((-1,))
        assert flat.asnumpy().tolist() == out.asnumpy().ravel().tolist()
        flat[0] = -7
        assert (out.asnumpy() == -7).sum() == 1
