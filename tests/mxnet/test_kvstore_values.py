"""Key-value stores: compressed gradients, rows and sums as of MXNet 1.9.1, and what they refuse."""

import json
from pathlib import Path

import numpy as np
import pytest

import evergraph.mxnet as mx

RECORDED = json.loads((Path(__file__).parents[1] / "data/mxnet/recorded/kvstore.json").read_text())
DEVICES = [mx.cpu(0), mx.cpu(1)]
DRAW = np.random.RandomState()


def drawn(*shape):
    return [mx.nd.array(DRAW.randn(*shape).astype("f"), ctx=c) for c in DEVICES]


def rows(values, indices, count):
    return mx.nd.sparse.row_sparse_array((values, indices), shape=(count, 2))


def compressed(threshold):
    store = mx.kv.create("device")
    store.set_gradient_compression({"type": "2bit", "threshold": threshold})
    store.init("w", mx.nd.zeros((4, 5)))
    found = []
    for _ in range(4):
        store.push("w", drawn(4, 5))
        outs = [mx.nd.zeros((4, 5), ctx=c) for c in DEVICES]
        store.pull("w", out=outs)
        assert np.array_equal(outs[0].asnumpy(), outs[1].asnumpy())
        found.append(outs[0].asnumpy())
    return found


def compressed_on_one():
    store = mx.kv.create("device")
    store.set_gradient_compression({"type": "2bit"})
    store.init(3, mx.nd.zeros(4))
    store.push(3, mx.nd.array([0.3, 0.6, -2, 0.1]))
    return pulled(store, 3, mx.nd.zeros(4))


def compressed_steps():
    store = mx.kv.create("device")
    store.set_gradient_compression({"type": "2bit", "threshold": 0.5})
    store.init("w", mx.nd.ones((2, 3)))
    store.set_optimizer(mx.optimizer.SGD(learning_rate=0.1, momentum=0.9))
    found = []
    for _ in range(3):
        store.push("w", drawn(2, 3))
        found.append(pulled(store, "w", mx.nd.zeros((2, 3))))
    return found


def pulled(store, key, out):
    store.pull(key, out=out)
    return out.asnumpy()


def embedding(*asked):
    store = mx.kv.create("local")
    store.init("e", rows(DRAW.randn(3, 2).astype("f"), [0, 2, 5], 7))
    outs = [mx.nd.sparse.zeros("row_sparse", (7, 2)) for _ in asked]
    ids = [mx.nd.array(a, dtype="int64") for a in asked]
    several = len(asked) > 1
    store.row_sparse_pull("e", out=outs if several else outs[0], row_ids=ids if several else ids[0])
    found = [[o.asnumpy().tolist(), o.indices.asnumpy().tolist()] for o in outs]
    return found if several else found[0]


def sparse_gradients():
    return [rows(DRAW.randn(2, 2).astype("f"), places, 5) for places in ([0, 3], [3, 4])]


def pushed_rows():
    store = mx.kv.create("local")
    store.init("e", mx.nd.ones((5, 2)).tostype("row_sparse"))
    store.push("e", sparse_gradients())
    out, whole = mx.nd.sparse.zeros("row_sparse", (5, 2)), mx.nd.zeros((5, 2))
    store.row_sparse_pull("e", out=out, row_ids=mx.nd.array([0, 1, 3, 4], dtype="int64"))
    store.pull("e", out=whole, ignore_sparse=False)
    return [[out.asnumpy().tolist(), out.indices.asnumpy().tolist()], whole.asnumpy().tolist()]


def updated_rows():
    store = mx.kv.create("local")
    store.init("e", mx.nd.ones((5, 2)).tostype("row_sparse"))
    store.set_optimizer(mx.optimizer.SGD(learning_rate=0.1, momentum=0.5))
    found = []
    for _ in range(3):
        store.push("e", sparse_gradients())
        out = mx.nd.sparse.zeros("row_sparse", (5, 2))
        store.row_sparse_pull("e", out=out, row_ids=mx.nd.arange(5, dtype="int64"))
        found.append(out.asnumpy())
    return found


def sums():
    store = mx.kv.create("local")
    store.init(["a", "b"], [mx.nd.ones(2), mx.nd.zeros(3)])
    store.push(["a", "b"], [[mx.nd.ones(2) * 2, mx.nd.ones(2)], [mx.nd.ones(3) * 3]])
    outs = [mx.nd.zeros(2), mx.nd.zeros(3)]
    store.pull(["a", "b"], out=outs)
    return [o.asnumpy().tolist() for o in outs]


def push_and_pull():
    store = mx.kv.create("device")
    store.init("a", mx.nd.ones(2))
    values, out = [mx.nd.ones(2) * 2, mx.nd.ones(2) * 5], mx.nd.zeros(2)
    store.pushpull("a", values, out=out)
    store.pushpull("a", values)
    return [x.asnumpy() for x in (out, *values)]


def handed_out():
    outs = [mx.nd.zeros(2), mx.nd.zeros(2)]
    mx.kv.create("device").broadcast("a", mx.nd.array([1, 2]), out=outs)
    return [o.asnumpy() for o in outs]


RUNS = {
    **{f"2bit-device-{t}": lambda t=t: compressed(t) for t in (0.5, 1.0, 0.05)},
    "2bit-one": compressed_on_one,
    "2bit-opt": compressed_steps,
    "rsp1": lambda: embedding([0, 5]),
    "rsp2": lambda: embedding([5, 0, 0, 2, 5]),
    "rsp3": lambda: embedding([1, 2]),
    "rspmany": lambda: embedding([0, 1], [5, 2]),
    "rspall": lambda: embedding(list(range(7))),
    "rsppush": pushed_rows,
    "rspupd": updated_rows,
    "agg": sums,
    "pp": push_and_pull,
    "bc": handed_out,
}


def flat(value):
    if isinstance(value, (list, tuple, np.ndarray)):
        return [x for v in value for x in flat(v)]
    return [float(value)]


@pytest.mark.parametrize("name", RUNS)
def test_gives_the_values_of_1_9_1(name):
    DRAW.seed(5)
    np.testing.assert_allclose(flat(RUNS[name]()), flat(RECORDED[name]), atol=2e-6)


def test_saves_states_and_goes_on_from_them(tmp_path):
    first, second = mx.kv.create("local"), mx.kv.create("local")
    for store in (first, second):
        store.init("w", mx.nd.ones(2))
        store.set_optimizer(mx.optimizer.Adam())
    first.push("w", mx.nd.ones(2) * 0.3)
    first.save_optimizer_states(str(tmp_path / "kv.states"), dump_optimizer=True)
    second.load_optimizer_states(str(tmp_path / "kv.states"))
    second._values["w"][:] = pulled(first, "w", mx.nd.zeros(2))
    for store in (first, second):
        store.push("w", mx.nd.ones(2) * 0.1)
        np.testing.assert_allclose(pulled(store, "w", mx.nd.zeros(2)), RECORDED["states"], atol=2e-6)


def dense_rows(store):
    store.row_sparse_pull("a", out=mx.nd.sparse.zeros("row_sparse", (2, 3)), row_ids=mx.nd.array([0]))


@pytest.mark.parametrize(
    ("kind", "call", "told"),
    [
        ("local", lambda s: s.init("a", mx.nd.ones((2, 3))), "duplicate init of key a"),
        ("local", lambda s: s.push("b", mx.nd.ones((2, 3))), "key b has not been inited"),
        ("local", lambda s: s.pull("b", out=mx.nd.ones((2, 3))), "key b has not been inited"),
        ("local", dense_rows, "takes rows of row_sparse values"),
        ("local", lambda s: s.row_sparse_pull("a", out=None, row_ids=mx.nd.array([0])), "needs out and row_ids"),
        ("local", lambda s: s.init(["x", "y"], [mx.nd.ones(2)]), "each key of a list needs a value"),
        ("local", lambda s: s.set_optimizer("sgd"), "takes an optimizer"),
        ("local", lambda s: s.is_capable("x"), "Unknown capability: x"),
        ("local", lambda s: s.save_optimizer_states("x"), "Cannot save states"),
        ("local", lambda s: s.load_optimizer_states("x"), "Cannot load states"),
        ("local", lambda s: s.set_gradient_compression({"type": "2bit"}), "not supported for this type of kvstore"),
        ("device", lambda s: s.set_gradient_compression({"threshold": 0.5}), "no such gradient compression"),
        ("device", lambda s: s.set_gradient_compression({"type": "2bit", "threshold": 0}), "greater than 0"),
        ("device", lambda s: s.set_gradient_compression({"type": "2bit", "x": 1}), "no such gradient compression"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_refuses_clearly(kind, call, told):
    store = mx.kv.create(kind)
    store.init("a", mx.nd.ones((2, 3)))
    with pytest.raises(mx.MXNetError, match=told):
        call(store)


@pytest.mark.parametrize("call", ["push", "pull"])
def test_refuses_values_of_another_shape(call):
    store = mx.kv.create("local")
    store.init("a", mx.nd.ones((2, 3)))
    with pytest.raises(mx.MXNetError, match="key a"):
        getattr(store, call)("a", mx.nd.ones((4, 3)))
