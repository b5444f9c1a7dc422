"""Programs as they were written for MXNet 0.9 to 1.9: they log and train to what MXNet's releases gave."""

import logging
import re
from pathlib import Path

import numpy as np
import pytest

import evergraph.mxnet as mx

DATA = Path(__file__).parents[1] / "data/mxnet/recorded"
TWO = [mx.cpu(0), mx.cpu(1)]
X = np.cos(np.arange(80)).reshape(20, 4).astype("f")
Y = (np.arange(20) % 3).astype("f")

pytestmark = pytest.mark.filterwarnings("ignore:mxnet.model.FeedForward has been deprecated:DeprecationWarning")


def network():
    hidden = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc")
    return mx.sym.SoftmaxOutput(hidden, name="softmax")


def rows(size=10):
    return mx.io.NDArrayIter(X, Y, size)


def lines(caplog):
    """Logger and message of each line, without times."""
    found = [f"{r.name}: {r.getMessage()}" for r in caplog.records]
    return [re.sub(r"(cost=|Speed: )[\d.einf+-]+", r"\1N", line) for line in found]


def fitted(module, first, last, **settings):
    module.fit(rows(), begin_epoch=first, num_epoch=last, optimizer="adam", **settings)
    return {name: value.asnumpy().ravel() for name, value in module.get_params()[0].items()}


WEIGHTS = {
    "fc_weight": [
        *(1.01937294, 1.38237655, 1.66637444, 1.03148592, 0.67360038, 0.34835774),
        *(0.95954913, 1.27140784, 1.60301161, 0.9644894, 0.65720141, 0.34795731),
    ],
    "fc_bias": [0.02562418, 0.07101568, -0.34894958],
}
"""After three epochs of Adam on two devices, the first two of which the recorded files hold; by MXNet 1.9.1."""


def test_states_that_mxnet_saved_of_a_store_go_on_with_its_numbers():
    prefix = str(DATA / "two-devices" / "two")
    module = mx.mod.Module.load(prefix, 2, load_optimizer_states=True, context=TWO)
    with pytest.warns(UserWarning, match="already initialized"):
        found = fitted(module, 2, 3, optimizer_params={"learning_rate": 0.1})
    for name, values in WEIGHTS.items():
        np.testing.assert_allclose(found[name], values, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("last", [TWO, mx.cpu()], ids=["two", "one"])
@pytest.mark.parametrize("first", [TWO, mx.cpu()], ids=["two", "one"])
def test_states_go_on_whatever_number_of_devices_saved_them(first, last, tmp_path):
    prefix = str(tmp_path / "net")
    settings = {"optimizer_params": {"learning_rate": 0.1}}
    module = mx.mod.Module(network(), context=first)
    fitted(module, 0, 2, initializer=mx.init.One(), **settings)
    module.save_checkpoint(prefix, 2, save_optimizer_states=True)
    module = mx.mod.Module.load(prefix, 2, load_optimizer_states=True, context=last)
    with pytest.warns(UserWarning, match="already initialized"):
        found = fitted(module, 2, 3, **settings)
    for name, values in WEIGHTS.items():
        np.testing.assert_allclose(found[name], values, rtol=2e-5, atol=2e-6)


# ---- FeedForward: the lines that MXNet 1.9.1 logged

WHOLE = """root: Start training with [cpu(0)]
root: Epoch[0] Batch [0-2]\tSpeed: N samples/sec\taccuracy=0.400000
root: Epoch[0] Batch [2-4]\tSpeed: N samples/sec\taccuracy=0.100000
root: Epoch[0] Resetting Data Iterator
root: Epoch[0] Time cost=N
root: Saved checkpoint to "f-0001.params"
root: Iter[0] Batch[0] Train-accuracy=0.000000
root: Iter[0] Batch[1] Train-accuracy=0.400000
root: Iter[0] Batch[2] Train-accuracy=0.600000
root: Iter[0] Batch[3] Train-accuracy=0.550000
root: Epoch[0] Validation-accuracy=0.550000"""

SIZED = """mine: Start training with [cpu(0), cpu(1)]
root: Iter[0] Batch[2] Train-accuracy=0.625000
mine: Epoch[0] Time cost=N
root: Iter[1] Batch[2] Train-accuracy=0.000000
mine: Epoch[1] Resetting Data Iterator
mine: Epoch[1] Time cost=N
root: Iter[2] Batch[2] Train-accuracy=1.000000
mine: Epoch[2] Time cost=N"""


def feedforward(**settings):
    return mx.model.FeedForward(network(), initializer=mx.init.One(), **settings)


def test_feedforward_logs_what_mxnet_logs(caplog, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.INFO):
        feedforward(num_epoch=1, learning_rate=0.5).fit(
            rows(5),
            eval_data=rows(5),
            batch_end_callback=mx.callback.Speedometer(5, 2),
            epoch_end_callback=mx.callback.do_checkpoint("f"),
            eval_batch_end_callback=mx.callback.log_train_metric(1),
        )
    assert lines(caplog) == WHOLE.splitlines()


def test_feedforward_logs_where_epochs_of_a_size_begin_the_data_anew(caplog):
    model = feedforward(num_epoch=3, epoch_size=3, ctx=TWO, learning_rate=0.5)
    watch = mx.callback.log_train_metric(2)
    with caplog.at_level(logging.INFO):
        log = logging.getLogger("mine")
        model.fit(rows(4), logger=log, batch_end_callback=watch, eval_data=rows(4), eval_end_callback=None)
    assert lines(caplog) == SIZED.splitlines()
    bias = model.arg_params["fc_bias"].asnumpy()
    np.testing.assert_allclose(bias, [0.10296308, -0.03862492, -0.0643381], rtol=2e-5)


def test_feedforward_leaves_the_learning_rate_to_the_optimizer():
    model = feedforward(num_epoch=1, optimizer="adam")
    model.fit(rows())
    bias = model.arg_params["fc_bias"].asnumpy()
    np.testing.assert_allclose(bias, [0.00126175, -0.00063254, -0.00199987], rtol=2e-4)


def test_feedforward_draws_orders_of_training_and_validation_as_mxnet_does():
    np.random.seed(2)
    model = feedforward(num_epoch=2, numpy_batch_size=6, learning_rate=0.5)
    model.fit(X, Y, eval_data=(X, Y))
    bias = model.arg_params["fc_bias"].asnumpy()
    np.testing.assert_allclose(bias, [0.04927385, 0.06379585, -0.11306971], rtol=2e-5)


def test_feedforward_refuses_data_that_ran_dry():
    class Dry(mx.io.NDArrayIter):
        def reset(self):
            self.cursor = self.num_data

    with pytest.raises(ValueError, match="the training data gives no batch"):
        feedforward(num_epoch=1, epoch_size=3).fit(Dry(X, Y, 10))


# ---- FeedForward over buckets, as lstm_bucketing.py of 2015 trained


class Batch:
    def __init__(self, key, words):
        self.bucket_key, self.pad, self.index = key, 0, None
        self.data, self.label = [mx.nd.array(words), mx.nd.zeros((4, 6))], [mx.nd.array((words + 1) % 12)]

    @property
    def provide_data(self):
        return [("data", self.data[0].shape), ("init_h", self.data[1].shape)]

    @property
    def provide_label(self):
        return [("softmax_label", self.label[0].shape)]


class Sentences(mx.io.DataIter):
    def __init__(self, buckets):
        super().__init__(4)
        self.default_bucket_key = max(buckets)
        random = np.random.RandomState(3)
        self.rows = [(k, random.randint(0, 12, (4, k))) for k in buckets * 2]
        largest = Batch(self.default_bucket_key, np.zeros((4, self.default_bucket_key)))
        self.provide_data, self.provide_label = largest.provide_data, largest.provide_label

    def __iter__(self):
        for key, words in self.rows:
            yield Batch(key, words)

    def reset(self):
        pass


def unrolled(length):
    shared = {n: mx.sym.Variable(n) for n in ("i2h_weight", "i2h_bias", "h2h_weight", "h2h_bias")}
    words = mx.sym.Embedding(mx.sym.Variable("data"), input_dim=12, output_dim=6, name="embed")
    steps = mx.sym.SliceChannel(words, num_outputs=length, squeeze_axis=1)
    hidden, outputs = mx.sym.Variable("init_h"), []
    for step in steps:
        parts = [
            mx.sym.FullyConnected(x, shared[f"{n}_weight"], shared[f"{n}_bias"], num_hidden=6)
            for n, x in (("i2h", step), ("h2h", hidden))
        ]
        hidden = mx.sym.Activation(parts[0] + parts[1], act_type="tanh")
        outputs.append(hidden)
    found = mx.sym.FullyConnected(mx.sym.Concat(*outputs, dim=0), num_hidden=12, name="cls")
    label = mx.sym.Reshape(mx.sym.transpose(mx.sym.Variable("softmax_label")), shape=(-1,))
    return mx.sym.SoftmaxOutput(found, label, name="softmax")


class Cosines(mx.init.Initializer):
    def _init_weight(self, name, arr):
        arr[:] = np.cos(np.arange(arr.size)).reshape(arr.shape) * 0.3


def perplexity(label, pred):
    picked = pred[np.arange(len(pred)), label.T.reshape(-1).astype(int)]
    return np.exp(-np.log(np.maximum(picked, 1e-10)).mean())


@pytest.mark.parametrize(
    ("devices", "wanted"),
    [(mx.cpu(), [10.138012, 7.223063, 5.136450]), (TWO, [10.151149, 7.331153, 5.340049])],
    ids=["one", "two"],
)
def test_feedforward_trains_buckets_to_the_numbers_of_0_9_5(devices, wanted, caplog):
    model = mx.model.FeedForward(
        unrolled, devices, num_epoch=3, learning_rate=0.1, momentum=0.9, wd=1e-5, initializer=Cosines()
    )
    with caplog.at_level(logging.INFO):
        model.fit(Sentences([3, 5]), eval_data=Sentences([5, 3]), eval_metric=mx.metric.np(perplexity))
    found = [float(line.rpartition("=")[2]) for line in lines(caplog) if "Validation-perplexity" in line]
    np.testing.assert_allclose(found, wanted, rtol=2e-5)
    assert len(model.symbol.get_internals().list_outputs()) > len(unrolled(3).get_internals().list_outputs())


# ---- stores, metrics and initializers of a program's own


class Summing(mx.kvstore.KVStoreBase):
    """All that a store of a program's own needs."""

    def broadcast(self, key, value, out, priority=0):
        for each in out if isinstance(out, list) else [out]:
            each[:] = value

    def pushpull(self, key, value, out=None, priority=0):
        total = sum(v.as_in_context(value[0].context) for v in value)
        for each in value if out is None else out:
            each[:] = total

    @staticmethod
    def is_capable(capability):
        return False


@pytest.mark.parametrize("make", [lambda: "teststore", lambda: "summing", Summing], ids=["test", "named", "made"])
def test_a_module_meets_in_stores_that_a_program_registers(make, monkeypatch):
    monkeypatch.setitem(mx.kvstore.KVStoreBase.kv_registry, "summing", Summing)
    module = mx.mod.Module(network(), context=TWO)
    settings = {"initializer": mx.init.One(), "optimizer_params": {"learning_rate": 0.1}}
    found = fitted(module, 0, 3, kvstore=make(), **settings)
    alone = fitted(mx.mod.Module(network()), 0, 3, **settings)
    for name, values in alone.items():
        np.testing.assert_allclose(found[name], values, rtol=2e-5, atol=2e-6)


def test_the_store_for_tests_gives_what_mxnets_gives():
    store = mx.kv.create("teststore")
    out, values = mx.nd.zeros((2,)), [mx.nd.ones((2,)), 3 * mx.nd.ones((2,))]
    store.broadcast("a", mx.nd.ones((2,)), out)
    assert out.asnumpy().tolist() == [1, 1]
    store.pushpull("a", values)
    assert [v.asnumpy().tolist() for v in values] == [[4, 4], [4, 4]]
    store.pushpull("a", values, out=out)
    assert out.asnumpy().tolist() == [8, 8]
    assert (store.type, store.rank, store.num_workers, store.is_capable("optimizer")) == ("teststore", 0, 1, False)
    with pytest.raises(ValueError, match="Unknown capability: x"):
        store.is_capable("x")


@pytest.mark.parametrize(
    ("module", "base"), [(mx.metric, mx.metric.EvalMetric), (mx.init, mx.init.Initializer)], ids=["metric", "init"]
)
def test_registers_under_further_names_and_tells_who_gives_way(module, base, monkeypatch):
    monkeypatch.setattr(base, "registry", dict(base.registry))
    first, second = (type("Own", (base,), {"__init__": lambda self: None}) for _ in range(2))
    assert module.register(module.alias("mine", "ours")(first)) is first
    module.register(first, "other")
    assert {type(module.create(n)) for n in ("own", "mine", "OURS", "other")} == {first}
    with pytest.warns(UserWarning, match=r"own is now .*Own, no longer .*Own"):
        module.register(second)
    assert type(module.create("own")) is second


# ---- a recommender with sparse weights, and the digits as train_mnist.py of 2015 reads them


def factors():
    ids = {name: mx.sym.Variable(name) for name in ("user", "item")}
    looked = [
        mx.sym.Embedding(
            data=numbers,
            weight=mx.sym.Variable(f"{name}_weight", stype="row_sparse"),
            sparse_grad=True,
            input_dim={"user": 30, "item": 20}[name],
            output_dim=4,
            name=name,
        )
        for name, numbers in ids.items()
    ]
    score = mx.sym.Flatten(mx.sym.sum(looked[0] * looked[1], axis=1))
    return mx.sym.LinearRegressionOutput(data=score, label=mx.sym.Variable("score"))


class Slow(Cosines):
    def _init_weight(self, name, arr):
        arr[:] = mx.nd.array(np.cos(np.arange(np.prod(arr.shape)) * 1.7).reshape(arr.shape) * 0.2)


@pytest.mark.parametrize(
    ("optimizer", "wanted"), [("sgd", [2.19957, 2.19614]), ("adam", [2.19040, 1.99359])], ids=["sgd", "adam"]
)
def test_rows_of_tables_are_trained_on_two_devices_to_the_numbers_of_1_9_1(optimizer, wanted):
    random = np.random.RandomState(0)
    user, item = random.randint(0, 30, 100), random.randint(0, 20, 100)
    data = mx.io.NDArrayIter({"user": user, "item": item}, {"score": ((user * 7 + item * 3) % 5).astype("f")}, 10)
    module = mx.mod.Module(factors(), context=TWO, data_names=["user", "item"], label_names=["score"])
    module.bind(data.provide_data, data.provide_label)
    module.init_params(Slow())
    module.init_optimizer(mx.kv.create("local"), optimizer, {"learning_rate": 0.1, "wd": 1e-3})
    places, metric, found = [d.name for d in data.provide_data], mx.metric.RMSE(), []
    for _ in range(2):
        metric.reset()
        data.reset()
        for batch in data:
            rows = {f"{name}_weight": ids for name, ids in zip(places, batch.data, strict=True)}
            module.prepare(batch, sparse_row_id_fn=lambda _, rows=rows: rows)
            module.forward_backward(batch)
            module.update()
            module.update_metric(metric, batch.label)
        found.append(metric.get()[1])
    np.testing.assert_allclose(found, wanted, rtol=1e-5)
    assert {p.stype for p in module.get_params()[0].values()} == {"row_sparse"}


def test_digits_are_read_with_the_parameters_of_2015_and_others_are_refused_all_at_once(tmp_path):
    images, labels = tmp_path / "images", tmp_path / "labels"
    images.write_bytes(bytes.fromhex("00000803 00000004 00000002 00000002") + bytes(range(16)))
    labels.write_bytes(bytes.fromhex("00000801 00000004") + bytes(range(4)))
    files = {"image": str(images), "label": str(labels), "shuffle": False}
    (batch,) = mx.io.MNISTIter(**files, input_shape=(1, 2, 2), batch_size=4, silent=True)
    assert batch.data[0].shape == (4, 1, 2, 2)
    with pytest.raises(mx.base.MXNetError, match="cannot take these parameters") as caught:
        mx.io.MNISTIter(**files, batch_size=0, part_index=2, num_parts=2, shape=3)
    assert [line.partition(":")[0] for line in caught.value.details] == ["shape", "part_index", "batch_size"]


def test_a_batch_without_labels_is_refused_before_it_changes_anything():
    class Forgets(mx.io.NDArrayIter):
        def next(self):
            batch = super().next()
            if self.cursor > 0:
                batch.label = None
            return batch

    first, module = mx.mod.Module(network()), mx.mod.Module(network())
    start = {"initializer": mx.init.One(), "optimizer": "adam", "num_epoch": 1}
    first.fit(mx.io.NDArrayIter(X[:10], Y[:10], 10), **start)
    with pytest.raises(ValueError, match=r"(?s)a batch has no labels.*epoch 0, batch 1.*softmax_label") as caught:
        module.fit(Forgets(X, Y, 10), **start)
    assert caught.type.__name__ == "DataError"
    for name, value in first.get_params()[0].items():
        np.testing.assert_array_equal(module.get_params()[0][name].asnumpy(), value.asnumpy())


def test_states_that_cannot_be_read_are_named_by_their_file(tmp_path):
    module = mx.mod.Module(network())
    fitted(module, 0, 1)
    for data in (b"", b"\x80\x04N."):
        (tmp_path / "net.states").write_bytes(data)
        with pytest.raises(mx.base.MXNetError, match=r"where: .*net\.states"):
            module.load_optimizer_states(str(tmp_path / "net.states"))
