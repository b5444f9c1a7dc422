"""Key-value stores: sums over devices, optimizers, rows, two-bit gradients, processes."""

import sys

import numpy as np
import pytest

import evergraph.mxnet as mx
from tests.jobs import run


def test_sums_what_devices_push():
    store = mx.kv.create("local")
    store.init(3, mx.nd.ones((2, 3)))
    store.push(3, [mx.nd.ones((2, 3), ctx=mx.cpu(i)) * (i + 1) for i in range(3)])
    found = mx.nd.zeros((2, 3))
    store.pull(3, out=found)
    assert (found.asnumpy() == 6).all()
    store = mx.kv.create("local")
    store.init(["a", "b"], [mx.nd.zeros((1,)), mx.nd.zeros((2,))])
    outs = [mx.nd.zeros((1,)), mx.nd.zeros((2,))]
    store.pushpull(["a", "b"], [mx.nd.ones((1,)), mx.nd.ones((2,)) * 2], out=outs)
    assert [o.asnumpy().tolist() for o in outs] == [[1.0], [2.0, 2.0]]


def test_an_optimizer_changes_what_is_stored(tmp_path):
    store = mx.kv.create("device")
    store.init(0, mx.nd.ones((2,)))
    store.set_optimizer(mx.optimizer.create("sgd", learning_rate=0.5, momentum=0.9))
    for _ in range(2):
        store.push(0, mx.nd.ones((2,)))
    out = mx.nd.zeros((2,))
    store.pull(0, out=out)
    np.testing.assert_allclose(out.asnumpy(), [-0.45, -0.45], rtol=1e-6)
    store.save_optimizer_states(str(tmp_path / "s.states"))
    store.load_optimizer_states(str(tmp_path / "s.states"))
    store.push(0, mx.nd.ones((2,)))
    store.pull(0, out=out)
    np.testing.assert_allclose(out.asnumpy(), [-1.805, -1.805], rtol=1e-6)


def test_gives_the_rows_that_are_asked_for():
    store = mx.kv.create("local")
    store.init("w", mx.nd.array(np.arange(8).reshape(4, 2)).tostype("row_sparse"))
    out = mx.nd.sparse.zeros("row_sparse", (4, 2))
    store.row_sparse_pull("w", out=out, row_ids=mx.nd.array([2, 0, 2]))
    assert out.indices.asnumpy().tolist() == [0, 2]
    assert out.asnumpy().tolist() == [[0, 1], [0, 0], [4, 5], [0, 0]]


def test_two_bit_gradients_keep_what_is_lost():
    store = mx.kv.create("device")
    store.set_gradient_compression({"type": "2bit", "threshold": 0.5})
    store.init(0, mx.nd.zeros((3,)))
    out = mx.nd.zeros((3,))
    sums = []
    for _ in range(2):
        store.pushpull(0, [mx.nd.array([0.3, 0.6, -0.7]), mx.nd.array([0.1, 0.2, -0.3])], out=out)
        sums.append(out.asnumpy().tolist())
    assert sums == [[0.0, 0.5, -0.5], [0.5, 0.5, -1.0]]
    with pytest.raises(ValueError, match="2bit"):
        store.set_gradient_compression({"type": "1bit"})


def test_says_what_stores_there_are():
    with pytest.raises(ValueError, match="dist_sync"):
        mx.kv.create("nope")
    with pytest.raises(mx.base.MXNetError, match="dist_sync"):
        mx.kv.create("dist_async")
    store = mx.kv.create()
    store.init(1, mx.nd.ones((1,)))
    with pytest.raises(mx.base.MXNetError, match="duplicate init of key 1"):
        store.init(1, mx.nd.ones((1,)))
    with pytest.raises(mx.base.MXNetError, match="not been inited"):
        store.push(2, mx.nd.ones((1,)))


def with_one(key=1):
    store = mx.kv.create()
    store.init(key, mx.nd.ones((2,)))
    return store


BAD = {
    "numbers-and-texts": (lambda: with_one().init("a", mx.nd.ones((1,))), "Mixed key types are not allowed"),
    "numbers-and-texts-at-once": (
        lambda: mx.kv.create().init([1, "a"], [mx.nd.ones((1,))] * 2),
        "inconsistent types of keys",
    ),
    "no-key": (lambda: mx.kv.create().init(1.5, mx.nd.ones((1,))), "(?s)unexpected type for keys.*float"),
    "no-array": (lambda: mx.kv.create().init(1, np.ones(2)), "(?s)values of key 1 are no arrays.*ndarray"),
    "nowhere-to-pull-to": (lambda: with_one().pull(1), "(?s)values of key 1 are no arrays.*NoneType"),
    "fewer-values": (lambda: mx.kv.create().init([1, 2], [mx.nd.ones((1,))]), "each key of a list needs a value"),
}


@pytest.mark.parametrize("name", BAD)
def test_rejects_keys_and_values_that_are_none(name):
    call, words = BAD[name]
    with pytest.raises(AssertionError, match=words):
        call()


def test_a_key_that_stands_twice_in_a_push_gets_one_sum():
    store, found = with_one(), mx.nd.zeros((2,))
    store.push([1, 1], [mx.nd.ones((2,)), mx.nd.ones((2,)) * 4])
    store.pull(1, found)
    assert found.asnumpy().tolist() == [5, 5]  # as MXNet 1.9.1 answers


def test_registered_classes_are_made_by_name(monkeypatch):
    monkeypatch.setattr(mx.kvstore.KVStoreBase, "kv_registry", {})

    @mx.kvstore.KVStoreBase.register
    class Mine(mx.kvstore.KVStore):
        pass

    assert isinstance(mx.kv.create("mine"), Mine)


def test_outside_torchrun_distributed_stores_say_how_to_start(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(mx.base.MXNetError, match="torchrun"):
        mx.kv.create("dist_sync")


PROGRAM = """
import os, sys
import numpy as np
import evergraph.mxnet as mx

rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
random = np.random.RandomState(0)
X, Y = random.randn(32, 4).astype("f4"), random.randint(0, 2, 32).astype("f4")
W = random.randn(2, 4).astype("f4")
batch = 8
mine = [i for i in range(32) if (i % batch) // (batch // size) == rank]
net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=2, name="fc"), name="softmax")
die = os.environ.get("DIE")

def after(param):
    if die == str(rank) and param.nbatch == 1:
        os._exit(9)

args = {"fc_weight": mx.nd.array(W), "fc_bias": mx.nd.zeros((2,))}
found = []
for kind in ("dist_sync", "dist_device_sync"):
    data = mx.io.NDArrayIter(X[mine], Y[mine], batch_size=batch // size)
    module = mx.mod.Module(net)
    module.fit(data, num_epoch=3, kvstore=kind if size > 1 else "local", optimizer="adam", arg_params=args,
               optimizer_params={"learning_rate": 0.05}, batch_end_callback=after)
    found.append(module.get_params()[0]["fc_weight"].asnumpy())
np.save(f"{sys.argv[1]}-{size}-{rank}.npy", found)
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The jobs of 1, 2 and 4 processes, and one of which a process dies: exit codes and texts, by their names."""
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "program.py").write_text(PROGRAM)
    local = {"GLOO_SOCKET_IFNAME": "lo"}
    jobs = [(size, folder / "program.py", [folder / "w"], local) for size in (1, 2, 4)]
    jobs.append((2, folder / "program.py", [folder / "dead"], {**local, "DIE": "1"}))
    return folder, run(folder, *jobs)


@pytest.mark.skipif(sys.platform == "darwin", reason="the loopback interface has another name")
def test_processes_train_as_one_with_the_joined_batch(trained):
    folder, jobs = trained
    for size, (codes, texts) in zip((1, 2, 4), jobs, strict=False):
        assert codes == [0] * size, texts
    (one,) = (np.load(p) for p in folder.glob("w-1-*.npy"))
    others = [*folder.glob("w-2-*.npy"), *folder.glob("w-4-*.npy")]
    assert len(others) == 6
    for path in others:
        np.testing.assert_allclose(np.load(path), one, rtol=1e-5, atol=1e-6, err_msg=str(path))


@pytest.mark.skipif(sys.platform == "darwin", reason="the loopback interface has another name")
def test_a_worker_that_dies_ends_the_others_with_a_clear_error(trained):
    codes, texts = trained[1][-1]
    assert codes[1] == 9
    assert codes[0] not in (0, 9)
    assert "another process of the job is gone" in texts[0]
