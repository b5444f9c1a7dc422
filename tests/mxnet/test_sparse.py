"""Sparse arrays: what MXNet 1.9.1 gave, SciPy both ways, and work in proportion to what is stored."""

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet import autograd, nd
from tests.mxnet.programs import check, recorded


@pytest.mark.parametrize(("program", "want"), recorded("sparse"))
def test_computes_with_sparse_arrays_as_mxnet(program, want):
    check(program, want, mx)


def test_operators_named_like_pythons_own_functions_leave_those_alone():
    nd.sparse.slice(nd.ones((2, 2)), begin=(0, 0), end=(1, 1))
    nd.sparse.abs(nd.ones((2, 2)))
    nd.sparse.sum(nd.ones((2, 2)))
    assert nd.eye(3).tostype("csr")[1:].asnumpy().tolist() == [[0, 1, 0], [0, 0, 1]]


def test_refuses_row_offsets_that_are_not_one_more_than_rows():
    with pytest.raises(mx.MXNetError, match="row offsets"):
        nd.sparse.csr_matrix(([1, 2], [0, 1], [0, 1]), shape=(2, 2))


def test_coordinates_make_a_matrix():
    found = nd.sparse.csr_matrix(([1, 2, 3], ([0, 1, 1], [1, 0, 2])), shape=(2, 3))
    assert found.asnumpy().tolist() == [[0, 1, 0], [2, 0, 3]]
    assert found.indptr.asnumpy().tolist() == [0, 1, 3]


def test_refuses_an_unsorted_or_out_of_range_matrix():
    wrong = nd.sparse.csr_matrix(([1, 2], [0, 5], [0, 1, 2]), shape=(2, 3))
    with pytest.raises(mx.MXNetError):
        wrong.check_format()


def test_scipy_matrices_go_both_ways():
    scipy_sparse = pytest.importorskip("scipy.sparse")
    dense = np.array([[0, 1, 0], [2, 0, 3]], "float32")
    made = nd.sparse.csr_matrix(scipy_sparse.csr_matrix(dense))
    assert np.array_equal(made.asnumpy(), dense)
    assert np.array_equal(made.asscipy().toarray(), dense)


def test_a_gradient_of_a_large_embedding_keeps_only_the_rows_used():
    weight = nd.zeros((1_000_000, 8))
    weight.attach_grad(stype="row_sparse")
    with autograd.record():
        y = nd.Embedding(nd.array([5, 999_999, 5]), weight, input_dim=1_000_000, output_dim=8, sparse_grad=True)
    y.backward()
    assert weight.grad.stype == "row_sparse"
    assert weight.grad.indices.asnumpy().tolist() == [5, 999_999]
    assert weight.grad.data.asnumpy().tolist() == [[2.0] * 8, [1.0] * 8]


@pytest.mark.parametrize("devices", [1, 2])
def test_variables_that_ask_for_sparse_storage_train_as_in_1_9_1(devices):
    rng = np.random.RandomState(0)
    data, label = (rng.rand(12, 6) < 0.4) * rng.rand(12, 6), rng.randint(0, 2, 12).astype("float32")
    x, w = mx.sym.Variable("data", stype="csr"), mx.sym.Variable("w", stype="row_sparse", shape=(6, 2))
    y = mx.sym.broadcast_add(mx.sym.sparse.dot(x, w) + 0, mx.sym.Variable("b", shape=(1, 2)))
    rows = mx.io.NDArrayIter(nd.array(data).tostype("csr"), label, 4, last_batch_handle="discard")
    module = mx.mod.Module(mx.sym.SoftmaxOutput(y, name="softmax"), context=[mx.cpu(i) for i in range(devices)])
    weights = {"w": nd.array(rng.rand(6, 2)).tostype("row_sparse"), "b": nd.zeros((1, 2))}
    module.fit(
        rows,
        num_epoch=2,
        kvstore="local",
        optimizer="adam",
        optimizer_params={"learning_rate": 0.1},
        arg_params=weights,
        eval_metric="acc",
    )
    found = module.get_params()[0]["w"]
    recorded = {
        1: [0.4716, 0.546, 0.4876, 0.2904, 0.1338, 0.838, 0.4425, 0.934, 0.3673, 0.1091, 1.0262, 0.1247],
        # rows that nobody pulls stay on the devices as they were
        2: [0.4656, 0.5519, 0.4955, 0.2825, 0.1319, 0.8399, 0.4426, 0.9338, 0.3465, 0.1299, 1.0312, 0.1198],
    }
    assert found.stype == "row_sparse"
    np.testing.assert_allclose(found.asnumpy().ravel(), recorded[devices], atol=6e-5)
