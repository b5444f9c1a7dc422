"""Sparse storage against MXNet 1.9.1: values, storage of results, stored rows, gradients."""

import numpy as np
import pytest
import torch

from evergraph import ops
from evergraph.ops.run import Run
from evergraph.ops.sparse import compute, dense_value, kind_of, result_kind, row_gradient
from tests.goldens import near
from tests.ops.variants import array, recorded, stored

CASES = {}
for _case in recorded()["sparse"]:
    CASES.setdefault(_case["op"], []).append(_case)


def prepared(case, wanted=()):
    op = ops.get(case["op"])
    params = op.parse(case["attrs"])
    values = [
        stored(kind, array(a), i in wanted)
        for i, (kind, a) in enumerate(zip(case["kinds"], case["inputs"], strict=True))
    ]
    return op, params, values


@pytest.mark.parametrize("name", sorted(CASES))
def test_values_and_storage_are_those_of_mxnet(name):
    for case in CASES[name]:
        op, params, values = prepared(case)
        found = compute(op, op.arrange(params, values), params)
        what = f"{name} {case['attrs']} of {case['kinds']}"
        assert kind_of(found) == case["stype"], f"{what}: {kind_of(found)} for {case['stype']}"
        assert result_kind(op, params, case["kinds"]) == case["stype"], f"{what}: the declared storage"
        near(dense_value(found).numpy(), array(case["out"]), 1e-5, 1e-5, what)
        if case["rows"] is not None:
            assert found.indices.tolist() == sorted(case["rows"]), f"{what}: stored rows"


def gradient(value, kind):
    if kind == "default":
        grad = value.grad
        return grad.to_dense() if grad.is_sparse else grad
    found = row_gradient(value)
    return torch.zeros(value.shape) if found is None else found.dense()


@pytest.mark.parametrize("sparse_gradients", [False, True])
@pytest.mark.parametrize("name", sorted(n for n, cases in CASES.items() if any(c["grads"] for c in cases)))
def test_gradients_are_those_of_mxnet(name, sparse_gradients):
    for case in CASES[name]:
        if not case["grads"]:
            continue
        wanted = [int(i) for i in case["grads"]]
        op, params, values = prepared(case, wanted)
        found = compute(op, op.arrange(params, values), params, Run(True, sparse_gradients=sparse_gradients))
        dense_value(found).backward(torch.from_numpy(array(case["head"])))
        for i in wanted:
            got = gradient(values[i], case["kinds"][i]).numpy()
            near(got, array(case["grads"][str(i)]), 1e-4, 1e-4, f"{name} {case['attrs']}: gradient of input {i}")


def test_a_product_gives_gradients_to_the_rows_it_met():
    matrix = np.array([[0, 2, 0, 0], [1, 0, 0, 3]], "float32")
    lhs, rhs = stored("csr", matrix), torch.ones(4, 2, requires_grad=True)
    dot = ops.get("dot")
    compute(dot, [lhs, rhs], dot.parse({}), Run(True, sparse_gradients=True)).sum().backward()
    grad = rhs.grad.coalesce()
    assert grad.is_sparse
    assert grad.indices()[0].tolist() == [0, 1, 3]
    assert grad.values()[:, 0].tolist() == [1, 2, 3]
