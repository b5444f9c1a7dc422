"""A factorization machine learns who likes what from sparse data: CSR batches and row_sparse weights.

python examples/factorization_machine.py [--plot curve.png]

Each sample has two of 140 features, a person and a thing. Whether the person likes the thing depends on both together,
so that no linear model does better than chance; the factors v of the machine do (Rendle, 2010):

y = sigmoid(b + x w + sum over k of ((x v_k)^2 - x^2 v_k^2) / 2)
"""

import logging

import numpy as np
from curve import Curve, arguments, finish

import evergraph.mxnet as mx

PEOPLE, THINGS, TASTES, FACTORS, BATCH = 60, 80, 3, 6, 100


def likings():
    """Iterators over most pairs of a person and a thing, and over the rest; CSR data, and labels 0 or 1."""
    rng = np.random.RandomState(0)
    people, things = rng.normal(size=(PEOPLE, TASTES)), rng.normal(size=(THINGS, TASTES))
    pairs = rng.permutation(PEOPLE * THINGS)
    person, thing = pairs // THINGS, pairs % THINGS
    label = ((people[person] * things[thing]).sum(1) > 0).astype("float32")
    cut = len(pairs) * 3 // 4 // BATCH * BATCH
    made = []
    for part in (slice(0, cut), slice(cut, None)):
        columns = np.stack([person[part], PEOPLE + thing[part]], 1).ravel()
        rows = np.arange(0, len(columns) + 1, 2)
        shape = (len(rows) - 1, PEOPLE + THINGS)
        data = mx.nd.sparse.csr_matrix((np.ones(len(columns), "float32"), columns, rows), shape=shape)
        target = label[part].reshape(-1, 1)
        made.append(mx.io.NDArrayIter(data, target, BATCH, last_batch_handle="discard", label_name="liked"))
    return made


def machine():
    """The network."""
    x = mx.sym.Variable("data", stype="csr")
    w = mx.sym.Variable("w", shape=(PEOPLE + THINGS, 1), stype="row_sparse", init=mx.init.Normal(0.01))
    v = mx.sym.Variable("v", shape=(PEOPLE + THINGS, FACTORS), stype="row_sparse", init=mx.init.Normal(0.1))
    b = mx.sym.Variable("b", shape=(1,), init=mx.init.Zero())
    linear = mx.sym.broadcast_add(mx.sym.dot(x, w), b)
    of_sums = mx.sym.square(mx.sym.dot(x, v))
    of_squares = mx.sym.dot(mx.sym.square(x), mx.sym.square(v))
    crossed = mx.sym.sum(of_sums - of_squares, axis=1, keepdims=True)
    return mx.sym.LogisticRegressionOutput(linear + 0.5 * crossed, mx.sym.Variable("liked"), name="liking")


def right(label, pred):
    """How many are on the right side of a half."""
    return ((pred > 0.5) == (label > 0.5)).mean()


def surprise(label, pred):
    """The mean negative logarithm of the probability of what is so."""
    return -np.log(np.maximum(np.where(label > 0.5, pred, 1 - pred), 1e-7)).mean()


def main():
    """Train, and score on pairs that were never trained on."""
    args = arguments(__doc__)
    logging.basicConfig(level=logging.INFO)
    np.random.seed(0)
    mx.random.seed(0)
    train, test = likings()
    curve = Curve("log loss")
    module = mx.mod.Module(machine(), data_names=["data"], label_names=["liked"], context=mx.cpu())
    module.fit(
        train,
        eval_data=test,
        eval_metric=[mx.metric.np(right), mx.metric.np(surprise)],
        optimizer="adam",
        optimizer_params={"learning_rate": 0.02, "wd": 1e-4, "lazy_update": True},
        initializer=mx.init.Normal(0.05),
        batch_end_callback=curve.of("surprise"),
        num_epoch=30,
    )
    accuracy = dict(module.score(test, mx.metric.np(right)))["right"]
    finish(args, curve, "accuracy", accuracy, 0.85)


if __name__ == "__main__":
    main()
