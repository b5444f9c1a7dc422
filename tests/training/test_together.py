"""Checkpoints of several files: whatever fails while they are saved, all are new or all are as they were."""

import errno
import os

import pytest

import evergraph.mxnet as mx
from evergraph.errors import StoreError
from evergraph.stores import Transaction
from tests.stores.faulty import Faulty, commits

pytestmark = pytest.mark.filterwarnings("ignore:mxnet.model.FeedForward has been deprecated:DeprecationWarning")


def network(hidden):
    data = mx.sym.Variable("data")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(data, num_hidden=hidden, name="fc"), name="softmax")


def arrays(hidden):
    return {"fc_weight": mx.nd.full((hidden, 4), hidden), "fc_bias": mx.nd.zeros((hidden,))}


def module(hidden, kind=mx.mod.Module):
    net = mx.mod.Module(network(hidden))
    if kind is mx.mod.BucketingModule:
        net = kind(lambda _: (network(hidden), ["data"], ["softmax_label"]), default_bucket_key=2)
    net.bind([("data", (2, 4))], [("softmax_label", (2,))])
    net.init_params(mx.init.Constant(hidden))
    net.init_optimizer(optimizer_params={"momentum": 0.9})
    shapes = {"provide_data": [("data", (2, 4))], "provide_label": [("softmax_label", (2,))]}
    net.forward_backward(mx.io.DataBatch([mx.nd.ones((2, 4))], [mx.nd.array([0, 1])], bucket_key=2, **shapes))
    net.update()
    return net


def block(hidden):
    net = mx.gluon.nn.HybridSequential(prefix="net_")
    net.add(mx.gluon.nn.Dense(hidden, in_units=4, prefix="fc_"))
    net.initialize(mx.init.Constant(hidden))
    net.hybridize()
    net(mx.nd.ones((2, 4)))
    return net


def by_rnn(hidden):
    cell = mx.rnn.RNNCell(hidden, prefix="rnn_")
    shapes = {"rnn_i2h_weight": (hidden, 4), "rnn_h2h_weight": (hidden, hidden)}
    shapes |= {"rnn_i2h_bias": (hidden,), "rnn_h2h_bias": (hidden,)}
    weights = {name: mx.nd.full(shape, hidden) for name, shape in shapes.items()}
    return lambda p: mx.rnn.save_rnn_checkpoint(cell, p, 1, network(hidden), weights, {})


def by_feedforward(hidden):
    net = mx.model.FeedForward(network(hidden), arg_params=arrays(hidden), aux_params={})
    return lambda p: net.save(p, 1)


def by_module(hidden):
    net = module(hidden)
    return lambda p: net.save_checkpoint(p, 1, True)


def by_buckets(hidden):
    net = module(hidden, mx.mod.BucketingModule)
    return lambda p: net.save_checkpoint(p, 1)


def by_export(hidden):
    net = block(hidden)
    return lambda p: net.export(p, 1)


SAVERS = {
    "save_checkpoint": lambda n: lambda p: mx.model.save_checkpoint(p, 1, network(n), arrays(n), {}),
    "do_checkpoint": lambda n: lambda p: mx.callback.do_checkpoint(p)(0, network(n), arrays(n), {}),
    "do_checkpoint, keep": lambda n: lambda p: mx.callback.do_checkpoint(p, keep=2)(0, network(n), arrays(n), {}),
    "module": by_module,
    "buckets": by_buckets,
    "rnn": by_rnn,
    "feedforward": by_feedforward,
    "export": by_export,
    "save": lambda n: block(n).save,
}


def files(folder):
    """Content by name; what retention lists is no part of a checkpoint."""
    return {p.name: p.read_bytes() for p in folder.iterdir() if not p.name.endswith(".kept.json")}


def emptied(folder):
    for path in folder.iterdir():
        path.unlink()


class Interrupting(Faulty):
    """Raises what the interrupt key raises, before or right behind the call."""

    def __init__(self, fail_at, late):
        super().__init__(0, 0)
        self.at, self.late = fail_at, late

    def __getattr__(self, name):
        call = super().__getattr__(name)
        if name not in ("link", "replace"):
            return call

        def interrupted(*args, **kwargs):
            if not self.late:
                self.stop()
            call(*args, **kwargs)
            if self.late:
                self.stop()

        return interrupted

    def stop(self):
        self.at -= 1
        if self.at == 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("kind", SAVERS)
@pytest.mark.parametrize("there", [True, False], ids=["over an older one", "the first"])
def test_all_files_are_new_or_all_as_they_were_whichever_call_fails(tmp_path, monkeypatch, kind, there):
    folder, before, after = tmp_path / "x", SAVERS[kind](2), SAVERS[kind](3)
    folder.mkdir()
    after(str(folder / "net"))
    new, fail_at = files(folder), 0
    assert len(new) >= 2
    while True:
        emptied(folder)
        if there:
            before(str(folder / "net"))
        old, told, fail_at = files(folder), None, fail_at + 1
        with monkeypatch.context() as patch:
            patch.setattr(commits, "os", faulty := Faulty(fail_at, errno.ENOSPC))
            try:
                after(str(folder / "net"))
            except StoreError as error:
                told = error
        if faulty.count < fail_at:
            break
        found = {n: c for n, c in files(folder).items() if not n.endswith(".evg-tmp")}
        place = f"call {fail_at} ({faulty.log[fail_at - 1]})"
        assert found in (old, new), place
        assert found == new or told is not None, place
    assert fail_at > 10 * len(new)


@pytest.mark.parametrize("late", [False, True], ids=["before the call", "behind it"])
@pytest.mark.parametrize("there", [True, False], ids=["over an older one", "the first"])
def test_an_interrupt_between_two_files_leaves_all_new_or_all_as_they_were(tmp_path, monkeypatch, late, there):
    folder, before, after = tmp_path / "x", by_module(2), by_module(3)
    folder.mkdir()
    after(str(folder / "net"))
    new, seen = files(folder), []
    for at in range(1, 8):
        emptied(folder)
        if there:
            before(str(folder / "net"))
        old = files(folder)
        with monkeypatch.context() as patch:
            patch.setattr(commits, "os", Interrupting(at, late))
            try:
                after(str(folder / "net"))
            except KeyboardInterrupt:
                seen.append(at)
        assert files(folder) in ([old] if at in seen else [new])
    # no file is linked that was not there
    assert seen == list(range(1, 7 if there or not late else 4))


def save_all(folder):
    with Transaction() as work:
        for name in ("a", "b", "c"):
            work.add(folder / name).write(b"new")


def test_a_file_that_cannot_be_put_back_is_named(tmp_path, monkeypatch):
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(b"old")
    real = os.replace  # noqa: TID251 - this test stands in for the one place
    done = []

    def replace(source, target):
        if os.path.basename(target) == "b" or target in done:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))
        done.append(target)
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(commits.os, "replace", replace)
        with pytest.raises(StoreError, match="a holds its new content already") as told:
            save_all(tmp_path)
    assert len(told.value.details) == 1
    assert "elsewhere" in told.value.fix
    assert [(tmp_path / n).read_bytes() for n in ("a", "b", "c")] == [b"new", b"old", b"old"]


class OwnStore(mx.kv.KVStoreBase):
    """A store of the program's own, which keeps the states itself."""

    type, rank, num_workers = "ownstore", 0, 1

    def broadcast(self, key, value, out, priority=0):
        for each in out if isinstance(out, list) else [out]:
            each[:] = value

    def pushpull(self, key, value, out=None, priority=0):
        pass

    def set_optimizer(self, optimizer):
        pass

    @staticmethod
    def is_capable(capability):
        return True

    def save_optimizer_states(self, fname, dump_optimizer=False):
        with open(fname, "wb") as file:
            file.write(b"own")


def test_states_of_a_store_of_the_programs_own_are_saved_by_it(tmp_path):
    net = mx.mod.Module(network(3))
    net.bind([("data", (2, 4))], [("softmax_label", (2,))])
    net.init_params()
    net.init_optimizer(kvstore=OwnStore())
    net.save_checkpoint(str(tmp_path / "net"), 1, True)
    assert (tmp_path / "net-0001.states").read_bytes() == b"own"
    with pytest.raises(mx.MXNetError, match="a store of the program's own"):
        mx.callback.module_checkpoint(net, str(tmp_path / "net"), 1, True, keep=1)(0)
