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
