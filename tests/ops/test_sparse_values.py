"""Sparse values themselves: conversions, empty ones, and work that follows what is stored, not the shape."""

import numpy as np
import pytest
import torch

from evergraph import ops
from evergraph.errors import ShapeError
from evergraph.ops.run import Run
from evergraph.ops.sparse import CSR, RowSparse, compute, csr_from_dense, kind_of, row_gradient, rows_from_dense

WIDE = 10**13
"""A size of which no dense array fits into any memory."""


def wide_csr():
    return CSR(torch.tensor([1.0, -2.5, 4.0]), torch.tensor([7, 3, WIDE - 1]), torch.tensor([0, 1, 3]), (2, WIDE))


def wide_rows():
    return RowSparse(torch.tensor([[1.0, -2.5], [0.0, 4.0]]), torch.tensor([5, WIDE - 1]), (WIDE, 2))


def run(name, *inputs, **attrs):
    op = ops.get(name)
    params = op.convert(attrs)
    return compute(op, op.arrange(params, inputs), params)


ONE = sorted(
    n
    for n, op in ops.names().items()
    if n == op.name and ("csr",) in op.sparse_bodies and n not in ("_contrib_getnnz", "sum", "mean")
)
ARGUMENTS = {"clip": {"a_min": -1, "a_max": 1}, "cast_storage": {"stype": "csr"}, "slice": {"begin": 0, "end": 1}} | {
    n: {"scalar": 0} for n in ("_plus_scalar", "_minus_scalar", "_not_equal_scalar", "_lesser_scalar")
}


@pytest.mark.parametrize("name", ONE)
def test_work_follows_the_stored_values(name):
    attrs = ARGUMENTS.get(name, {})
    if "equal" in name and not attrs:
        attrs = {"scalar": -1 if "lesser" in name else 1}
    if name == "norm":
        assert run(name, wide_csr()).item() == pytest.approx(np.sqrt(1 + 6.25 + 16))
        return
    assert kind_of(run(name, wide_csr(), **attrs)) == "csr"
    if ("row_sparse",) in ops.get(name).sparse_bodies and name != "cast_storage":
        assert kind_of(run(name, wide_rows(), **attrs)) == "row_sparse"


@pytest.mark.parametrize("name", ["elemwise_add", "elemwise_sub", "elemwise_mul", "_maximum", "_minimum", "_grad_add"])
def test_work_on_pairs_follows_the_stored_values(name):
    assert run(name, wide_rows(), wide_rows()).indices.tolist() == [5, WIDE - 1]
    tall = CSR(torch.ones(1), torch.tensor([2]), torch.tensor([0, 1, 1]), (2, 10**12))
    assert kind_of(run(name, tall, tall)) == "csr"


def test_sums_of_a_wide_matrix():
    assert run("sum", wide_csr()).tolist() == [2.5]
    assert run("sum", wide_csr(), axis=1).tolist() == [1.0, 1.5]
    assert run("_contrib_getnnz", wide_csr()).tolist() == [3]
    assert run("_square_sum", wide_rows(), axis=0).tolist() == [1.0, 22.25]
    assert run("add_n", wide_rows(), wide_rows(), wide_rows()).data.tolist() == [[3.0, -7.5], [0.0, 12.0]]


def test_a_product_with_few_stored_rows():
    weight = RowSparse(torch.tensor([[2.0], [3.0]]), torch.tensor([3, WIDE - 1]), (WIDE, 1))
    assert run("dot", wide_csr(), weight).tolist() == [[0.0], [-2.5 * 2 + 4 * 3]]


@pytest.mark.parametrize("name", ["square", "_copy", "zeros_like", "negative"])
def test_empty_sparse_values_stay_sparse(name):
    none = torch.zeros(3, 2)
    for value in (rows_from_dense(none), csr_from_dense(none)):
        found = run(name, value)
        assert kind_of(found) == value.kind
        assert found.dense().tolist() == none.tolist()


def test_empty_pairs_and_products():
    none, some = torch.zeros(2, 2), torch.tensor([[0.0, 1.0], [0.0, 2.0]])
    for make in (rows_from_dense, csr_from_dense):
        assert run("elemwise_add", make(none), make(none)).dense().tolist() == none.tolist()
        assert run("elemwise_mul", make(none), make(some)).dense().tolist() == none.tolist()
    assert run("dot", csr_from_dense(none), some).tolist() == none.tolist()
    assert run("dot", csr_from_dense(none), rows_from_dense(some)).tolist() == none.tolist()
    assert run("dot", csr_from_dense(some), rows_from_dense(none)).tolist() == none.tolist()
    assert run("dot", csr_from_dense(none), some, transpose_a=True).indices.tolist() == []


def test_values_that_stand_twice_are_added_up():
    twice = CSR(torch.tensor([1.0, 2.0]), torch.tensor([1, 1]), torch.tensor([0, 2]), (1, 3))
    assert twice.dense().tolist() == [[0, 3, 0]]
    assert run("elemwise_add", twice, twice).data.tolist() == [6]


def test_rejects_sparse_operands_of_other_shapes():
    with pytest.raises(ShapeError, match="differ in shape"):
        run("elemwise_add", rows_from_dense(torch.ones(2, 2)), rows_from_dense(torch.ones(3, 2)))
    with pytest.raises(ShapeError, match="summed axes"):
        run("dot", csr_from_dense(torch.ones(2, 2)), torch.ones(3, 2))


def test_a_chain_of_row_sparse_steps_keeps_the_gradient_to_the_rows_it_met():
    weight = RowSparse(torch.ones(100, 2).requires_grad_(), torch.arange(100), (100, 2))
    matrix = CSR(torch.tensor([1.0, 3.0]), torch.tensor([70, 4]), torch.tensor([0, 1, 2]), (2, 100))
    squares = run("square", weight)
    dot = ops.get("dot")
    compute(dot, [matrix, squares], dot.parse({}), Run(True, sparse_gradients=True)).sum().backward()
    grad = row_gradient(weight)
    assert grad.indices.tolist() == [4, 70]
    assert grad.data.tolist() == [[6, 6], [2, 2]]


def test_dense_copies_serve_what_has_no_computation():
    value = rows_from_dense(torch.tensor([[0.0, 0.0], [1.0, 2.0]]))
    assert run("exp", value)[0].tolist() == [1, 1]
    assert run("slice_axis", value, axis=0, begin=1, end=2).tolist() == [[1, 2]]
