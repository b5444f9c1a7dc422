"""Tables of which some rows are stored: outputs and gradients, which hold only what a batch looked up, as in 1.9.1."""

import numpy as np
import pytest

import evergraph.mxnet as mx

FULL = np.arange(12).reshape(6, 2).astype("f")
STORED = {"all": [0, 1, 2, 3, 4, 5], "those looked up": [1, 3], "one more": [1, 3, 5], "others too": [0, 1, 3, 4]}


def lookup(kind, weight):
    data = mx.sym.Variable("data")
    if kind == "dot":
        return mx.sym.dot(data, weight)
    if kind == "SparseEmbedding":
        return mx.sym.contrib.SparseEmbedding(data, weight, input_dim=6, output_dim=2)
    return mx.sym.Embedding(data, weight, input_dim=6, output_dim=2, sparse_grad=True)


def batch(kind, rows):
    if kind != "dot":
        return mx.nd.array(rows)
    found = np.zeros((len(rows), 6), "f")
    found[np.arange(len(rows)), rows] = 1
    return mx.nd.array(found).tostype("csr")


def table(rows):
    return mx.nd.sparse.row_sparse_array((FULL[rows], rows), shape=(6, 2))


@pytest.mark.parametrize("rows", [[1, 3], [3, 1, 1], [3]], ids=["two", "one twice", "one"])
@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("kind", ["Embedding", "SparseEmbedding", "dot"])
def test_gradients_hold_the_rows_that_were_looked_up(kind, stored, rows):
    net = mx.sym.make_loss(lookup(kind, mx.sym.Variable("w", stype="row_sparse")))
    grad = mx.nd.sparse.zeros("row_sparse", (6, 2))
    arrays = {"data": batch(kind, rows), "w": table(STORED[stored])}
    run = net.bind(mx.cpu(), arrays, {"w": grad}, grad_req={"data": "null", "w": "write"})
    for _ in range(2):
        run.forward(is_train=True)
        run.backward()
        assert run.outputs[0].asnumpy().tolist() == FULL[rows].tolist()
        assert grad.indices.asnumpy().tolist() == sorted(set(rows))
        assert grad.data.asnumpy().tolist() == [[float(rows.count(r))] * 2 for r in sorted(set(rows))]


@pytest.mark.parametrize("kind", ["Embedding", "SparseEmbedding"])
def test_rows_that_are_not_stored_are_zeros_and_have_no_gradient(kind):
    net = mx.sym.make_loss(lookup(kind, mx.sym.Variable("w", stype="row_sparse")))
    for stored, touched in (([1, 3], [1]), ([2], []), ([], [])):
        grad = mx.nd.sparse.zeros("row_sparse", (6, 2))
        arrays = {"data": mx.nd.array([[5, 1], [0, 1]]), "w": table(stored)}
        run = net.bind(mx.cpu(), arrays, {"w": grad}, grad_req={"data": "null", "w": "write"})
        run.forward(is_train=True)
        run.backward()
        wanted = np.zeros((6, 2), "f")
        wanted[stored] = FULL[stored]
        assert run.outputs[0].asnumpy().tolist() == wanted[[[5, 1], [0, 1]]].tolist()
        assert grad.indices.asnumpy().tolist() == touched


def test_lazy_steps_change_only_the_rows_that_were_looked_up():
    net = mx.sym.make_loss(lookup("Embedding", mx.sym.Variable("w", stype="row_sparse")))
    grad, weight = mx.nd.sparse.zeros("row_sparse", (6, 2)), table([1, 3, 5])
    run = net.bind(mx.cpu(), {"data": mx.nd.array([1]), "w": weight}, {"w": grad}, grad_req="write")
    updater = mx.optimizer.get_updater(mx.optimizer.create("sgd", learning_rate=0.1, momentum=0.9, wd=0.5))
    for _ in range(2):
        run.forward(is_train=True)
        run.backward()
        updater(0, grad, weight)
    found = weight.asnumpy()
    assert found[[0, 2, 3, 4, 5]].tolist() == [[0, 0], [0, 0], [6, 7], [0, 0], [10, 11]]
    assert (found[1] < FULL[1]).all()
