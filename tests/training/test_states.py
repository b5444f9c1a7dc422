"""Training states: what they hold, what they refuse, what survives a full disk, SIGTERM, nan and odd data."""

import errno
import json
import logging
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import evergraph as eg
import evergraph.mxnet as mx
from evergraph.errors import DamagedError, EvergraphError, IntegrityError, StoreError, UsageError
from tests.stores.faulty import Faulty, commits

pytestmark = pytest.mark.filterwarnings("ignore:Parameters already initialized")

ROWS = np.random.default_rng(0).normal(size=(24, 4)).astype("f")
CLASSES = np.arange(24) % 3


def network(hidden=5, act="tanh"):
    data = mx.sym.Variable("data")
    net = mx.sym.FullyConnected(data, num_hidden=hidden, name="fc1")
    net = mx.sym.BatchNorm(mx.sym.Activation(net, act_type=act, name="act"), name="bn")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=3, name="fc2"), name="softmax")


def batches(size=4, count=24):
    return mx.io.NDArrayIter(ROWS[:count], CLASSES[:count], size, shuffle=True)


def fit(
    folder, epochs=2, *, net=None, data=None, module=None, seed=1, asked=None, optimizer="adam", params=None, **rest
):
    mx.random.seed(seed)
    np.random.seed(seed)
    module = mx.mod.Module(network() if net is None else net) if module is None else module
    checkpoint = None if folder is None else mx.callback.TrainingCheckpoint(str(folder), **(asked or {}))
    module.fit(
        batches() if data is None else data,
        num_epoch=epochs,
        optimizer=optimizer,
        optimizer_params={"learning_rate": 0.05} if params is None else params,
        initializer=mx.init.Xavier(),
        checkpoint=checkpoint,
        **rest,
    )
    return module


def values(module):
    args, auxs = module.get_params()
    return {**{k: v.asnumpy() for k, v in args.items()}, **{k: v.asnumpy() for k, v in auxs.items()}}


def assert_same(found, wanted):
    for name, value in values(wanted).items():
        np.testing.assert_array_equal(values(found)[name], value, err_msg=name)


def newest(folder):
    return max(p for p in Path(folder).iterdir() if (p / "training.json").exists())


class Cut(Exception):
    pass


def cut_after(count):
    seen = [0]

    def call(_):
        seen[0] += 1
        if seen[0] == count:
            raise Cut

    return call


def broken_off(folder, after=4, **rest):
    with pytest.raises(Cut):
        fit(folder, batch_end_callback=cut_after(after), **rest)


# ---- going on


def test_a_longer_training_goes_on_where_a_shorter_one_ended(tmp_path):
    fit(tmp_path, 2)
    assert_same(fit(tmp_path, 4), fit(None, 4))


def test_a_training_that_is_done_only_gives_its_parameters(tmp_path):
    first = fit(tmp_path, 2)
    before = sorted(os.listdir(tmp_path))
    again = fit(tmp_path, 2, batch_end_callback=cut_after(1), seed=9)
    assert_same(again, first)
    assert sorted(os.listdir(tmp_path)) == before
    assert again._optimizer._index_update_count == first._optimizer._index_update_count


@pytest.mark.parametrize(
    "options",
    [
        {"kvstore": "device", "optimizer": "sgd", "params": {"learning_rate": 0.1, "momentum": 0.9}},
        {"kvstore": None},
        {"optimizer": "lbsgd", "params": {"learning_rate": 0.1, "momentum": 0.9, "warmup_epochs": 1}},
        {"optimizer": "sgld"},
        {"optimizer": "dcasgd", "params": {"learning_rate": 0.1, "momentum": 0.5}},
        {
            "optimizer": "sgd",
            "params": {"learning_rate": 0.1, "lr_scheduler": mx.lr_scheduler.CosineScheduler(12, 0.1)},
        },
    ],
    ids=["store-on-two-devices", "no-store", "lbsgd", "sgld", "dcasgd", "schedule"],
)
def test_what_broke_off_goes_on_with_the_same_bits(tmp_path, options):
    def module():
        several = options.get("kvstore", "local") != "local"
        return mx.mod.Module(network(), context=[mx.cpu(0), mx.cpu(1)] if several else mx.cpu())

    def made():
        found = dict(options)
        if "lr_scheduler" in found.get("params", {}):
            found["params"] = {**found["params"], "lr_scheduler": mx.lr_scheduler.CosineScheduler(12, 0.1)}
        return found

    wanted = fit(None, 2, module=module(), **made())
    broken_off(tmp_path, after=8, module=module(), asked={"batches": 3}, **made())
    assert newest(tmp_path).name == "state-0001-00000000"
    broken_off(tmp_path, after=5, module=module(), seed=2, asked={"batches": 3}, **made())
    assert newest(tmp_path).name == "state-0001-00000003"
    assert_same(fit(tmp_path, 2, module=module(), seed=3, asked={"batches": 3}, **made()), wanted)


def test_compressed_gradients_keep_what_was_lost(tmp_path):
    def module():
        params = {"type": "2bit", "threshold": 0.01}
        return mx.mod.Module(network(), context=[mx.cpu(0), mx.cpu(1)], compression_params=params)

    options = {"kvstore": "device", "optimizer": "sgd"}
    wanted = fit(None, 1, module=module(), **options)
    broken_off(tmp_path, module=module(), asked={"batches": 1}, **options)
    assert_same(fit(tmp_path, 1, module=module(), seed=3, **options), wanted)


def test_buckets_share_what_goes_on(tmp_path):
    sentences = [[1 + (i * j) % 7 for j in range(3 + i % 2)] for i in range(40)]

    def symbols(length):
        net = mx.sym.Embedding(mx.sym.Variable("data"), input_dim=9, output_dim=4, name="embed")
        net = mx.sym.FullyConnected(mx.sym.Reshape(net, shape=(-1, 4)), num_hidden=9, name="fc")
        label = mx.sym.Reshape(mx.sym.Variable("softmax_label"), shape=(-1,))
        return mx.sym.SoftmaxOutput(net, label, name="softmax"), ("data",), ("softmax_label",)

    def options(seed):
        import random

        random.seed(seed)
        np.random.seed(seed)
        data = mx.rnn.BucketSentenceIter(sentences, 4, buckets=[3, 4], invalid_label=0)
        return {"data": data, "module": mx.mod.BucketingModule(symbols, 4), "eval_metric": mx.metric.Perplexity(0)}

    wanted = fit(None, 2, **options(1))
    broken_off(tmp_path, after=12, asked={"batches": 1}, **options(1))
    assert_same(fit(tmp_path, 2, **options(5)), wanted)
    assert_same(fit(tmp_path, 2, **options(6)), wanted)


@pytest.mark.filterwarnings("ignore:Accumulating with float16")
def test_float16_weights_go_on_with_their_float32_copies(tmp_path):
    def options(seed):
        half = mx.sym.Cast(
            mx.sym.FullyConnected(mx.sym.Cast(mx.sym.Variable("data"), dtype="float16"), num_hidden=3, name="fc"),
            dtype="float32",
        )
        params = {"learning_rate": 0.1, "momentum": 0.9, "multi_precision": True}
        return {"net": mx.sym.SoftmaxOutput(half, name="softmax"), "optimizer": "sgd", "params": params, "seed": seed}

    wanted = fit(None, 2, **options(1))
    assert values(wanted)["fc_weight"].dtype == np.float16
    broken_off(tmp_path, after=8, asked={"batches": 1}, **options(1))
    assert_same(fit(tmp_path, 2, **options(5)), wanted)


def test_what_no_state_can_hold_is_told(tmp_path, caplog):
    class Holder:
        __slots__ = ("value",)

    optimizer = mx.optimizer.create("sgd", learning_rate=0.1, rescale_grad=0.25)
    optimizer.holder = Holder()
    with caplog.at_level(logging.WARNING):
        fit(tmp_path, 1, optimizer=optimizer, eval_metric=mx.metric.np(lambda label, pred: 0.0))
    assert [r.message for r in caplog.records] == [
        "Not in the training state, because it is neither a plain value nor an array: holder: Holder"
    ]


def test_rejects_stores_that_keep_weights_where_nobody_sees_them(tmp_path):
    class Far(mx.kvstore.KVStoreBase):
        def __init__(self):
            self._inner = mx.kv.create("local")

        def __getattr__(self, name):
            if name == "_values":
                raise AttributeError(name)
            return getattr(self._inner, name)

        @staticmethod
        def is_capable(capability):
            return True

        def broadcast(self, *args, **rest):
            self._inner.broadcast(*args, **rest)

        def set_optimizer(self, optimizer):
            self._inner.set_optimizer(optimizer)

    with pytest.raises(UsageError, match="keeps weights of its own"):
        fit(tmp_path, 1, kvstore=Far())


def test_modules_in_a_row_go_on(tmp_path):
    def module():
        first = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=4, name="first")
        row = mx.mod.SequentialModule()
        row.add(mx.mod.Module(first, label_names=[]))
        return row.add(mx.mod.Module(network()), take_labels=True, auto_wiring=True)

    wanted = fit(None, 2, module=module())
    broken_off(tmp_path, after=9, module=module(), asked={"batches": 2})
    assert_same(fit(tmp_path, 2, module=module(), seed=3), wanted)


def test_a_state_holds_no_pickle_and_opens_like_any_checkpoint(tmp_path):
    module = fit(tmp_path, 1)
    for path in newest(tmp_path).iterdir():
        assert path.suffix in (".json", ".safetensors")
    found = eg.open(newest(tmp_path) / "process-0.safetensors", verify=True)
    kept = found["shared/modules/0/arguments/fc1_weight/0"].numpy()
    np.testing.assert_array_equal(kept, values(module)["fc1_weight"])
    assert eg.verify(newest(tmp_path) / "process-0.safetensors").ok


def test_the_newest_states_are_kept_and_cut_off_ones_go(tmp_path):
    fit(tmp_path, 2, asked={"batches": 1, "keep": 3})
    assert sorted(os.listdir(tmp_path)) == ["state-0001-00000004", "state-0001-00000005", "state-0002-00000000"]
    (tmp_path / "state-0001-00000005" / "training.json").unlink()
    (tmp_path / "state-0001-00000004" / "mine.txt").touch()
    fit(tmp_path, 3)
    assert sorted(os.listdir(tmp_path)) == ["state-0002-00000000", "state-0003-00000000"]


def test_states_go_to_other_stores():
    fit("memory://states/net", 1)
    assert_same(fit("memory://states/net", 2, seed=4), fit(None, 2))


# ---- another training


def refused(folder, **rest):
    """The error that names everything, and the proof that nothing was changed."""
    start = {}

    class Watched(mx.mod.Module):
        def init_optimizer(self, *args, **kwargs):
            super().init_optimizer(*args, **kwargs)
            start.update({k: v.copy() for k, v in values(self).items()})

    module = Watched(rest.pop("net") if "net" in rest else network())
    with pytest.raises(EvergraphError) as told:
        fit(folder, 3, module=module, **rest)
    for name, value in values(module).items():
        np.testing.assert_array_equal(value, start[name])
    assert module._optimizer.num_update == 0
    return told.value


def test_rejects_another_optimizer_network_data_and_metric_all_at_once(tmp_path):
    fit(tmp_path, 1)
    other = {"optimizer": "sgd", "params": {"learning_rate": 0.5, "momentum": 0.9}}
    told = refused(tmp_path, net=network(7), data=batches(6), eval_metric="mse", **other)
    text = str(told)
    assert "nothing was changed" in text
    for line in (
        "argument fc1_weight: 5x4 float32 in the state, 7x4 float32 here",
        "auxiliary state bn_moving_mean: 5 float32 in the state, 7 float32 here",
        "optimizer: Adam in the state, SGD here",
        "lr: 0.05 in the state, 0.5 here",
        "metric: Accuracy in the state, MSE here",
        "batch_size: 6, and 4 in the state",
    ):
        assert line in text
    assert "changes=True" in text


def test_rejects_another_computation_with_the_same_shapes(tmp_path):
    fit(tmp_path, 1)
    assert "computation" in str(refused(tmp_path, net=network(act="relu")))


def test_names_that_were_made_up_do_not_make_another_network(tmp_path):
    def net(extra):
        for _ in range(extra):
            mx.sym.relu(mx.sym.Variable("x"))
        hidden = mx.sym.relu(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc"))
        return mx.sym.SoftmaxOutput(hidden, name="softmax")

    fit(tmp_path, 1, net=net(0))
    fit(tmp_path, 2, net=net(3))


def test_changes_that_are_asked_for_count_and_are_told(tmp_path, caplog):
    first = fit(tmp_path, 1)
    with caplog.at_level(logging.WARNING):
        module = fit(tmp_path, 2, params={"learning_rate": 0.0}, data=batches(6), asked={"changes": True})
    assert "lr: 0.05 in the state, 0.0 here" in caplog.text
    assert "batch_size: 6, and 4 in the state" in caplog.text
    for name in ("fc1_weight", "fc2_bias"):
        np.testing.assert_array_equal(values(module)[name], values(first)[name])
    assert module._optimizer.num_update == 6 + 4
    with pytest.raises(UsageError, match="fc1_weight"):
        fit(tmp_path, 3, net=network(7), asked={"changes": True})


def test_rejects_a_state_where_there_should_be_none_and_the_other_way_round(tmp_path):
    with pytest.raises(UsageError, match="no training state"):
        fit(tmp_path, asked={"resume": True})
    fit(tmp_path, 1, asked={"resume": False})
    with pytest.raises(UsageError, match="already"):
        fit(tmp_path, asked={"resume": False})
    fit(tmp_path, 2, asked={"resume": True})


@pytest.mark.parametrize(
    ("settings", "lines"),
    [({"period": 0, "keep": 0, "batches": -1}, 3), ({"resume": "yes"}, 1), ({"keep": True}, 1), ({"batches": 1.5}, 1)],
    ids=["numbers", "resume", "keep", "batches"],
)
def test_rejects_settings_that_make_no_sense_all_at_once(settings, lines):
    with pytest.raises(UsageError) as told:
        mx.callback.TrainingCheckpoint("runs", **settings)
    assert len(told.value.details) == lines


def test_rejects_what_is_no_folder():
    with pytest.raises(UsageError, match="checkpoint is a folder"):
        mx.mod.Module(network()).fit(batches(), num_epoch=1, checkpoint=3)


class Unknown(mx.mod.BaseModule):
    pass


def test_rejects_modules_that_do_not_say_what_is_trained():
    with pytest.raises(UsageError, match="trained_parts"):
        Unknown().trained_parts()


# ---- damage


@pytest.fixture
def saved(tmp_path):
    fit(tmp_path, 1)
    return newest(tmp_path)


def test_rejects_flipped_bits_and_names_the_arrays(saved):
    path = saved / "process-0.safetensors"
    data = bytearray(path.read_bytes())
    at = data.index(eg.open(path)["shared/modules/0/arguments/fc1_weight/0"].numpy().tobytes())
    data[at] ^= 1
    data[-1] ^= 1
    path.write_bytes(data)
    told = refused(saved.parent)
    assert isinstance(told, IntegrityError)
    assert len(told.details) == 2
    assert "fc1_weight" in str(told)
    assert f"remove the folder {saved.name}" in str(told)


@pytest.mark.parametrize("name", ["process-0.safetensors", "process-0.safetensors.evg.json", "training.json"])
@pytest.mark.parametrize("how", ["cut", "empty", "gone", "noise"])
def test_rejects_files_that_are_cut_or_gone(saved, name, how):
    path = saved / name
    data = path.read_bytes()
    if how == "gone":
        path.unlink()
        if name == "training.json":
            fit(saved.parent, 1)  # without its manifest a state does not count
            return
    else:
        path.write_bytes({"cut": data[: len(data) // 2], "empty": b"", "noise": data[::-1]}[how])
    assert isinstance(refused(saved.parent), (DamagedError, StoreError))


def test_rejects_manifests_and_values_that_lie(saved):
    path = saved / "training.json"
    content = json.loads(path.read_text())
    for change in ({"epoch": 5}, {"evergraph_training": 2}, {"parts": [{"file": "../../x", "sums": "0"}]}):
        path.write_text(json.dumps({**content, **change}))
        assert isinstance(refused(saved.parent), DamagedError)


def test_a_state_that_was_removed_leaves_the_one_before(tmp_path):
    fit(tmp_path, 2, asked={"batches": 2, "keep": 3})
    for each in newest(tmp_path).iterdir():
        each.unlink()
    assert newest(tmp_path).name == "state-0001-00000004"
    assert_same(fit(tmp_path, 2, seed=8), fit(None, 2))


# ---- a full disk


@pytest.mark.parametrize("background", [False, True], ids=["in-front", "behind"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("fail_at", [1, 9, 30])
def test_a_full_disk_is_told_and_the_state_before_serves(tmp_path, monkeypatch, background, code, fail_at):
    wanted = fit(None, 3)
    fit(tmp_path, 1)
    with monkeypatch.context() as patch:
        patch.setattr(commits, "os", Faulty(fail_at, code, keep_failing=True))
        with pytest.raises(StoreError, match=os.strerror(code)):
            fit(tmp_path, 3, asked={"batches": 2, "background": background})
    assert_same(fit(tmp_path, 3, seed=6), wanted)


# ---- SIGTERM


PROGRAM = """
import os, signal, sys
import numpy as np
import evergraph.mxnet as mx
data = mx.sym.Variable("data")
net = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(data, num_hidden=3, name="fc"), name="softmax")
count = [0]
def after(_):
    count[0] += 1
    if count[0] == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGTERM)
mx.mod.Module(net).fit(
    mx.io.NDArrayIter(np.ones((20, 4), "f"), np.zeros(20), 4), num_epoch=2, batch_end_callback=after,
    checkpoint=mx.callback.TrainingCheckpoint(sys.argv[1], background=False),
)
"""


@pytest.mark.parametrize(("at", "state"), [("2", "state-0000-00000003"), ("4", "state-0000-00000005")])
def test_on_sigterm_the_batch_is_finished_and_saved(tmp_path, at, state):
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, str(tmp_path)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    found = subprocess.run([*command, at], capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert found.returncode == 128 + signal.SIGTERM, found.stderr
    assert os.listdir(tmp_path) == [state]
    assert "Stopped by SIGTERM" in found.stderr
    assert fit_goes_on(tmp_path)


def fit_goes_on(folder):
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc")
    module = mx.mod.Module(mx.sym.SoftmaxOutput(net, name="softmax"))
    data = mx.io.NDArrayIter(np.ones((20, 4), "f"), np.zeros(20), 4)
    module.fit(data, num_epoch=2, checkpoint=str(folder))
    return module._optimizer.num_update == 10


def test_the_handler_of_before_comes_back(tmp_path):
    before = signal.getsignal(signal.SIGTERM)
    fit(tmp_path, 1)
    assert signal.getsignal(signal.SIGTERM) is before


# ---- nan


def test_the_guard_stops_before_nan_reaches_a_parameter(tmp_path):
    rows = ROWS.copy()
    rows[9, 2] = np.nan
    data = mx.io.NDArrayIter(rows, CLASSES, 4)
    module = mx.mod.Module(network())
    with pytest.raises(FloatingPointError) as told:
        fit(tmp_path, module=module, data=data, nan_guard=True, asked={"batches": 1})
    text = str(told.value)
    assert "epoch 0, batch 2" in text
    for line in ("output softmax_output: ", "gradient of fc1_weight: ", "data 0 of the batch: 1 of 16 values"):
        assert line in text
    assert "parameter" not in "".join(told.value.details)
    assert all(np.isfinite(v).all() for v in values(module).values())
    assert newest(tmp_path).name == "state-0000-00000002"


def test_without_the_guard_nan_goes_on_as_in_mxnet():
    rows = ROWS.copy()
    rows[9, 2] = np.nan
    module = fit(None, 1, data=mx.io.NDArrayIter(rows, CLASSES, 4))
    assert not np.isfinite(values(module)["fc1_weight"]).all()


def test_the_guard_lets_good_trainings_be():
    assert_same(fit(None, 2, nan_guard=True), fit(None, 2))


# ---- odd data


class Plain(mx.io.DataIter):
    """An iterator of a program's own, which does not tell where it stands."""

    def __init__(self, count, shapes=((4, 4),)):
        super().__init__(4)
        self.count, self.shapes = count, shapes
        self.provide_data = [mx.io.DataDesc("data", (4, 4))]
        self.provide_label = [mx.io.DataDesc("softmax_label", (4,))]
        self.at = 0

    def reset(self):
        self.at = 0

    def next(self):
        if self.at == self.count:
            raise StopIteration
        shape = self.shapes[min(self.at, len(self.shapes) - 1)]
        self.at += 1
        data = np.random.default_rng(self.at).normal(size=shape)
        return mx.io.DataBatch([mx.nd.array(data)], [mx.nd.array(np.arange(shape[0]) % 3)], 0)


def test_an_iterator_of_a_programs_own_is_gone_through_and_that_is_told(tmp_path, caplog):
    wanted = fit(None, 2, data=Plain(5))
    with caplog.at_level(logging.WARNING):
        broken_off(tmp_path, after=3, data=Plain(5), asked={"batches": 1})
    assert caplog.text.count("Plain does not tell where it stands") == 1
    assert_same(fit(tmp_path, 2, data=Plain(5), seed=7), wanted)


class Shuffles(Plain):
    """Draws its order when it begins anew, as many programs' iterators do."""

    def reset(self):
        super().reset()
        self.order = np.random.permutation(24)

    def next(self):
        batch = super().next()
        rows = self.order[4 * (self.at - 1) : 4 * self.at]
        return mx.io.DataBatch([mx.nd.array(ROWS[rows])], batch.label, 0)


class Noisy(Plain):
    """Draws with each batch, and tells where it stands."""

    def next(self):
        batch = super().next()
        return mx.io.DataBatch([batch.data[0] + mx.nd.array(np.random.normal(size=(4, 4)))], batch.label, 0)

    def state_dict(self):
        return {"at": self.at}

    def load_state_dict(self, state):
        self.at = state["at"]


@pytest.mark.parametrize("kind", [Shuffles, Noisy], ids=["order-at-reset", "noise-at-fetch"])
@pytest.mark.parametrize("after", [3, 8, 12])
def test_what_iterators_draw_is_drawn_again(tmp_path, kind, after):
    def data():
        np.random.seed(5)
        found = kind(5)
        found.reset()
        return found

    wanted = fit(None, 3, data=data())
    broken_off(tmp_path, after=after, epochs=3, data=data(), asked={"batches": 1})
    assert_same(fit(tmp_path, 3, data=data(), seed=7), wanted)


class Draws(Plain):
    """Draws with a generator of its own, at the beginning of a pass and with each batch."""

    def __init__(self, draw):
        super().__init__(6)
        self.draws = [draw]

    def number(self):
        draw = self.draws[0]
        if isinstance(draw, torch.Generator):
            return torch.rand((), generator=draw).item()
        return draw.random() if hasattr(draw, "random") else draw.random_sample()

    def reset(self):
        super().reset()
        self.offset = self.number()

    def next(self):
        batch = super().next()
        return mx.io.DataBatch([batch.data[0] + self.offset + self.number()], batch.label, 0)


OWN_DRAWS = {
    "python": lambda: Draws(random.Random(3)),
    "numpy": lambda: Draws(np.random.default_rng(3)),
    "numpy-mt19937": lambda: Draws(np.random.Generator(np.random.MT19937(3))),
    "numpy-old": lambda: Draws(np.random.RandomState(3)),
    "torch": lambda: Draws(torch.Generator().manual_seed(3)),
    "loader": lambda: DataLoader(
        TensorDataset(torch.from_numpy(ROWS), torch.from_numpy(CLASSES)),
        4,
        shuffle=True,
        generator=torch.Generator().manual_seed(3),
    ),
}


@pytest.mark.parametrize("kind", OWN_DRAWS)
def test_what_iterators_draw_from_generators_of_their_own_is_drawn_again(tmp_path, kind):
    def data():
        found = OWN_DRAWS[kind]()
        if isinstance(found, Draws):
            found.reset()
        return found

    wanted = fit(None, 3, data=data())
    broken_off(tmp_path, after=9, epochs=3, data=data(), asked={"batches": 1})
    broken_off(tmp_path, after=6, epochs=3, data=data(), seed=5, asked={"batches": 1})
    assert_same(fit(tmp_path, 3, data=data(), seed=7), wanted)


def test_the_metric_of_a_broken_epoch_is_that_of_the_whole_one(tmp_path):
    def last(folder, **rest):
        seen = []
        fit(
            folder,
            1,
            eval_metric=["acc", "ce", "mae"],
            batch_end_callback=lambda p: seen.append(p.eval_metric.get_name_value()),
            **rest,
        )
        return seen[-1]

    wanted = last(None)
    broken_off(tmp_path, after=4, epochs=1, eval_metric=["acc", "ce", "mae"], asked={"batches": 1})
    assert last(tmp_path, seed=9) == wanted


def test_the_optimizer_counts_on(tmp_path):
    broken_off(tmp_path, after=4, asked={"batches": 1})
    optimizer = fit(tmp_path, 1, seed=9)._optimizer
    assert optimizer.num_update == 6
    assert set(optimizer._index_update_count.values()) == {6}


def test_rejects_an_iterator_that_ends_before_the_states_place(tmp_path):
    broken_off(tmp_path, after=4, data=Plain(5), asked={"batches": 1})
    told = refused_in_data(tmp_path, Plain(2))
    assert "ends before the place where the state was taken" in told
    assert "found: 2 batches" in told


def refused_in_data(folder, data):
    with pytest.raises(UsageError) as told:
        fit(folder, 2, data=data)
    return str(told.value)


def test_rejects_data_without_a_batch():
    with pytest.raises(UsageError, match="gives no batch"):
        fit(None, 1, data=Plain(0))


def test_rejects_batches_that_do_not_fit_the_network_and_goes_on_after_them():
    module = mx.mod.Module(network())
    with pytest.raises(EvergraphError) as told:
        fit(None, 1, module=module, data=Plain(3, [(4, 4), (4, 6)]))
    assert "fc1_weight" in str(told.value)
    before = values(module)
    assert all(np.isfinite(v).all() for v in before.values())
    fit(None, 1, module=module, data=Plain(3, [(4, 4), (2, 4)]))
    assert not np.array_equal(values(module)["fc1_weight"], before["fc1_weight"])


def test_rejects_processes_at_different_batches(tmp_path):
    from evergraph.mxnet.resume.session import Session

    session = object.__new__(Session)

    class Two:
        rank, count, saving_group = 0, 2, None

        def gather(self, value, saving=False):
            return [value, ((0, 7), value[1])]

        def together(self, error, saving=False):
            assert error is None

    session._meeting, session._asked = Two(), mx.callback.TrainingCheckpoint(str(tmp_path))
    from evergraph.saving.state import Moment

    with pytest.raises(UsageError) as told:
        session._write(Moment(0, 3), 3, {"own": {}}, {})
    assert "process 1: epoch 0, 7 batches done" in str(told.value)
    assert not list(tmp_path.glob("*/training.json"))


@pytest.mark.parametrize("devices", [mx.cpu(), [mx.cpu(0), mx.cpu(1)]], ids=["one", "two"])
def test_another_optimizer_begins_with_arrays_of_its_own_and_counts_on(tmp_path, devices, caplog):
    def go(epochs, optimizer, **params):
        module = mx.mod.Module(network(), context=devices)
        asked = mx.callback.TrainingCheckpoint(str(tmp_path), changes=True)
        module.fit(batches(), num_epoch=epochs, optimizer=optimizer, optimizer_params=params, checkpoint=asked)
        updater = module._kvstore._updater if module._update_on_kvstore else module._updater
        return module._optimizer, list(updater.states.values())

    before, _ = go(1, "adam")
    after, states = go(2, "sgd", momentum=0.9)
    assert not hasattr(after, "beta1")
    assert after.num_update == 2 * before.num_update
    assert all(hasattr(s, "shape") for s in states)
    with caplog.at_level(logging.WARNING):
        assert set(go(3, "sgd")[1]) == {None}
    assert "The optimizer's arrays in the state are not those that it keeps now, and begin anew: fc1_" in caplog.text
