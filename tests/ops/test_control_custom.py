"""Operators written in Python: registered by name, described by their own object, part of gradients."""

import numpy as np
import pytest
import torch

from evergraph import ops
from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.families.control.registry import register_custom
from evergraph.ops.run import Run


class Scaled:
    """out = data * factor, counting its calls in an auxiliary state; the gradient is three times the true one."""

    def __init__(self, factor="2"):
        self.factor = float(factor)

    def list_arguments(self):
        return ["data"]

    def list_outputs(self):
        return ["output", "shape_like"]

    def list_auxiliary_states(self):
        return ["calls"]

    def infer_shape(self, in_shape):
        return [in_shape[0]], [in_shape[0], in_shape[0][:1]], [(1,)]

    def infer_type(self, in_type):
        return in_type, [in_type[0], np.int32], [np.float32]

    def create_operator(self, ctx, in_shapes, in_dtypes):
        assert in_dtypes == [np.float32]
        return self

    def forward(self, is_train, req, in_data, out_data, aux):
        assert req == ["write", "write"]
        out_data[0].copy_(in_data[0] * self.factor)
        out_data[1].fill_(int(is_train))
        aux[0] += 1

    def backward(self, req, out_grad, in_data, out_data, in_grad, aux):
        assert torch.equal(out_data[0], in_data[0] * self.factor)
        in_grad[0].copy_(out_grad[0] * self.factor * 3)


@pytest.fixture
def scaled():
    register_custom("_test_scaled", Scaled)
    return ops.get("Custom")


def test_computes_and_passes_its_own_gradient(scaled):
    p = scaled.parse({"op_type": "_test_scaled", "factor": "4"})
    data, calls = torch.tensor([[1.0, 2.0]], requires_grad=True), torch.zeros(1)
    outs = scaled.body(data, calls, **p, run=Run(training=True))
    assert outs[0].tolist() == [[4.0, 8.0]]
    assert outs[1].tolist() == [1]
    assert outs[1].dtype is torch.int32
    outs[0].backward(torch.tensor([[1.0, 10.0]]))
    assert data.grad.tolist() == [[12.0, 120.0]]
    assert calls.item() == 1


def test_names_shapes_and_types_are_those_it_tells(scaled):
    p = scaled.parse({"op_type": "_test_scaled"})
    assert scaled.input_names(p) == ["data", "calls"]
    assert scaled.changed_names(p) == ["calls"]
    assert scaled.output_names(p) == ("output", "shape_like")
    assert scaled.infer_shapes(p, [(3, 2), None], [None, None]) == ([(3, 2), (1,)], [(3, 2), (3,)])
    assert scaled.dtype(p, ["float32", None], [None, None]) == (["float32", "float32"], ["float32", "int32"])


def test_rejects_an_op_type_that_nobody_registered():
    op = ops.get("Custom")
    with pytest.raises(OperatorError, match="no Python operator is registered under the op_type 'no_such'"):
        op.output_names(op.parse({"op_type": "no_such"}))


def test_rejects_other_inputs_than_it_lists(scaled):
    p = scaled.parse({"op_type": "_test_scaled"})
    with pytest.raises(OperatorError, match="takes other inputs"):
        scaled.body(torch.ones(1), **p, run=Run())


class Failing(Scaled):
    """Its description fails once all shapes are known."""

    def infer_shape(self, in_shape):
        raise KeyError("no such layer")


def test_says_what_a_description_of_a_user_raised():
    register_custom("_test_failing", Failing)
    op = ops.get("Custom")
    with pytest.raises(ShapeError, match="infer_shape of _test_failing cannot tell") as error:
        op.infer_shapes(op.parse({"op_type": "_test_failing"}), [(2, 2), (1,)], [None, None])
    assert "KeyError" in str(error.value)
