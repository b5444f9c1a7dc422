"""Operators written in Python, on arrays and in graphs."""

from typing import ClassVar

import numpy as np
import pytest

import evergraph.mxnet as mx
from tests.goldens import operator_schema


class Softmax(mx.operator.CustomOp):
    def forward(self, is_train, req, in_data, out_data, aux):
        x = in_data[0].asnumpy()
        y = np.exp(x - x.max(axis=1, keepdims=True))
        self.assign(out_data[0], req[0], mx.nd.array(y / y.sum(axis=1, keepdims=True)))

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        y = out_data[0].asnumpy()
        y[np.arange(len(y)), in_data[1].asnumpy().astype(int)] -= 1.0
        self.assign(in_grad[0], req[0], mx.nd.array(y))


@mx.operator.register("test_softmax")
class SoftmaxProp(mx.operator.CustomOpProp):
    def __init__(self):
        super().__init__(need_top_grad=False)

    def list_arguments(self):
        return ["data", "label"]

    def infer_shape(self, in_shape):
        return [in_shape[0], (in_shape[0][0],)], [in_shape[0]], []

    def create_operator(self, ctx, in_shapes, in_dtypes):
        assert ctx == "cpu(0)"
        return Softmax()


class Counted(mx.operator.CustomOp):
    def __init__(self, power):
        self.power = power

    def forward(self, is_train, req, in_data, out_data, aux):
        if is_train:
            aux[0][:] += 1
        self.assign(out_data[0], req[0], in_data[0] ** self.power)

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        self.assign(in_grad[0], req[0], out_grad[0] * self.power * in_data[0] ** (self.power - 1))


@mx.operator.register("test_counted")
class CountedProp(mx.operator.CustomOpProp):
    def __init__(self, power="2"):
        super().__init__()
        assert isinstance(power, str)
        self.power = float(power)

    def list_auxiliary_states(self):
        return ["count"]

    def infer_shape(self, in_shape):
        return in_shape, [in_shape[0]], [(1,)]

    def create_operator(self, ctx, in_shapes, in_dtypes):
        return Counted(self.power)


def test_runs_in_a_graph_with_the_gradient_of_softmax_output():
    data, label = mx.sym.Variable("data"), mx.sym.Variable("softmax_label")
    mine = mx.sym.Custom(data=data, label=label, name="softmax", op_type="test_softmax")
    real = mx.sym.SoftmaxOutput(data=data, label=label, name="softmax")
    assert mine.list_arguments() == real.list_arguments()
    assert mine.infer_shape(data=(4, 3)) == real.infer_shape(data=(4, 3))
    x, runs = np.random.RandomState(0).randn(4, 3).astype("float32"), []
    for symbol in (mine, real):
        run = symbol.simple_bind(mx.cpu(), data=(4, 3))
        run.forward(is_train=True, data=mx.nd.array(x), softmax_label=mx.nd.array([0, 1, 2, 1]))
        run.backward()
        runs.append([run.outputs[0].asnumpy(), run.grad_dict["data"].asnumpy()])
    assert np.allclose(runs[0], runs[1], rtol=1e-5, atol=1e-6)


def test_makes_variables_for_what_is_not_given():
    symbol = mx.sym.Custom(mx.sym.Variable("x"), op_type="test_softmax", name="s")
    assert symbol.list_arguments() == ["x", "s_label"]
    assert mx.sym.Custom(mx.sym.Variable("x"), op_type="test_counted", name="c").list_auxiliary_states() == ["c_count"]


def test_changes_auxiliary_states_and_reads_attributes_as_text():
    symbol = mx.sym.Custom(mx.sym.Variable("x"), op_type="test_counted", power=3, name="c")
    assert symbol.attr_dict()["c"]["power"] == "3"
    run = symbol.simple_bind(mx.cpu(), x=(2,))
    run.forward(is_train=True, x=mx.nd.array([1, 2]))
    run.backward(mx.nd.ones((2,)))
    assert run.outputs[0].asnumpy().tolist() == [1, 8]
    assert run.grad_dict["x"].asnumpy().tolist() == [3, 12]
    assert run.aux_dict["c_count"].asnumpy().tolist() == [1]


def test_runs_on_arrays_and_gives_gradients():
    x, count = mx.nd.array([1, 2, 3]), mx.nd.zeros((1,))
    x.attach_grad()
    with mx.autograd.record():
        y = mx.nd.Custom(x, count, op_type="test_counted", power=2) * 2
    y.backward()
    assert y.asnumpy().tolist() == [2, 8, 18]
    assert x.grad.asnumpy().tolist() == [4, 8, 12]
    assert count.asnumpy().tolist() == [1]


def test_names_what_is_registered_when_an_op_type_is_not():
    with pytest.raises(mx.MXNetError, match="test_softmax"):
        mx.nd.Custom(mx.nd.ones((2,)), op_type="test_softmx")


class Cube(mx.operator.NumpyOp):
    def forward(self, in_data, out_data):
        out_data[0][:] = in_data[0] ** 3

    def backward(self, out_grad, in_data, out_data, in_grad):
        in_grad[0][:] = 3 * in_data[0] ** 2 * out_grad[0]


class ArrayCube(mx.operator.NDArrayOp):
    forward, backward = Cube.forward, Cube.backward


@pytest.mark.filterwarnings("ignore:.* has been deprecated. Please use CustomOp")
@pytest.mark.parametrize("kind", [Cube, ArrayCube])
def test_runs_operators_of_the_older_style(kind):
    symbol = kind()(data=mx.sym.Variable("x"), name="cube")
    assert symbol.list_outputs() == ["cube_output"]
    run = symbol.simple_bind(mx.cpu(), x=(2,))
    run.forward(is_train=True, x=mx.nd.array([1, 2]))
    run.backward(mx.nd.ones((2,)))
    assert run.outputs[0].asnumpy().tolist() == [1, 8]
    assert run.grad_dict["x"].asnumpy().tolist() == [3, 12]


@pytest.mark.parametrize("name", ["Convolution", "FullyConnected", "Pooling", "RNN", "Concat", "SoftmaxOutput", "topk"])
def test_lists_arguments_with_the_words_of_1_9_1(name):
    found = mx.operator.get_operator_arguments(name)
    assert list(map(list, zip(found.names, found.types, strict=True))) == operator_schema()["ops"][name]["args"]
    assert found.narg == len(found.names)


def test_lists_all_operators():
    assert {"Convolution", "_plus_scalar", "Custom"} <= set(mx.operator.get_all_registered_operators())


class Counting(mx.operator.CustomOp):
    def __init__(self, made):
        super().__init__()
        self.made, self.runs = made, 0

    def forward(self, is_train, req, in_data, out_data, aux):
        self.runs += 1
        self.assign(out_data[0], req[0], in_data[0] * 0 + self.runs)

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        self.assign(in_grad[0], req[0], out_grad[0] * self.runs)


@mx.operator.register("counting_of_tests")
class CountingProp(mx.operator.CustomOpProp):
    made: ClassVar[list] = []

    def list_auxiliary_states(self):
        return ["seen"]

    def infer_shape(self, in_shape):
        return in_shape, [in_shape[0]], [(1,)]

    def create_operator(self, ctx, in_shapes, in_dtypes):
        self.made.append(in_shapes)
        return Counting(self.made)


def test_an_executor_keeps_one_computation_for_each_node():
    CountingProp.made.clear()
    symbol = mx.sym.Custom(
        mx.sym.Custom(mx.sym.Variable("x"), op_type="counting_of_tests"), op_type="counting_of_tests"
    )
    run = symbol.simple_bind(mx.cpu(), x=(2,))
    for number, training in enumerate([False, True, True, False], 1):
        assert run.forward(is_train=training)[0].asnumpy().tolist() == [number] * 2
    run.forward(is_train=True)
    run.backward(mx.nd.ones((2,)))
    assert run.grad_dict["x"].asnumpy().tolist() == [25, 25]
    # as MXNet 1.9.1: one for each of the two nodes, told the shapes of states too
    assert CountingProp.made == [[[2], [1]]] * 2
    assert symbol.simple_bind(mx.cpu(), x=(2,)).forward()[0].asnumpy().tolist() == [1, 1]
