"""Saving behind training: snapshots, errors that are told, exits that wait, the newest that stay."""

import errno
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.errors import DamagedError, StoreError, UsageError
from evergraph.saving.background import Background, Snapshot
from tests.stores.faulty import Faulty, commits


class Gate:
    """A store that takes a while: writes wait until it is opened."""

    def __init__(self, monkeypatch):
        self.open, self.reached = threading.Event(), threading.Event()
        write = commits._LocalSink._write

        def slow(sink, pieces):
            self.reached.set()
            assert self.open.wait(60)
            write(sink, pieces)

        monkeypatch.setattr(commits._LocalSink, "_write", slow)


def network():
    data = mx.sym.Variable("data")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(data, num_hidden=3, name="fc"), name="softmax")


def arrays(value):
    return {"fc_weight": mx.nd.full((3, 4), value), "fc_bias": mx.nd.zeros((3,))}


def module():
    rng = np.random.default_rng(0)
    data = mx.io.NDArrayIter(rng.normal(size=(8, 4)).astype("f"), np.arange(8) % 3, batch_size=4)
    return mx.mod.Module(network()), data


def test_a_later_change_of_a_parameter_never_reaches_the_file(tmp_path, monkeypatch):
    gate, args = Gate(monkeypatch), arrays(1.0)
    save = mx.callback.do_checkpoint(str(tmp_path / "net"), background=True)
    save(0, network(), args, {})
    assert gate.reached.wait(60)
    args["fc_weight"][:] = 7.0
    assert not (tmp_path / "net-0001.params").exists()
    gate.open.set()
    save.wait()
    assert (mx.nd.load(str(tmp_path / "net-0001.params"))["arg:fc_weight"].asnumpy() == 1.0).all()


def test_a_second_save_waits_for_the_first_and_both_are_right(tmp_path):
    save, args = mx.callback.do_checkpoint(str(tmp_path / "net"), background=True), arrays(0.0)
    for epoch in range(8):
        args["fc_weight"][:] = float(epoch)
        save(epoch, network(), args, {})
    save.wait()
    for epoch in range(8):
        found = mx.nd.load(str(tmp_path / f"net-{epoch + 1:04d}.params"))["arg:fc_weight"].asnumpy()
        assert (found == epoch).all()


def test_buffers_of_a_snapshot_are_used_again():
    shots, live = Snapshot(), {"w": np.zeros(1000, "float32")}
    first = shots.take(live)["w"].numpy()
    live["w"] += 1
    second = shots.take(live)["w"].numpy()
    assert np.shares_memory(first, second)
    assert (second == 1).all()


def test_a_snapshot_holds_sparse_parts_and_other_types():
    weight = mx.nd.sparse.row_sparse_array((np.ones((2, 3), "f"), [1, 4]), shape=(6, 3))
    from evergraph.mxnet.ndarray.pickling import to_tensor

    half = mx.nd.ones((2, 2), dtype="float16")
    found = Snapshot().take({"rows": to_tensor(weight), "half": to_tensor(half), "none": np.zeros((0, 3))})
    weight *= 5
    half += 1
    assert (found["rows"].data.numpy() == 1).all()
    assert found["rows"].indices.numpy().tolist() == [1, 4]
    assert (found["half"].numpy() == 1).all()
    assert found["none"].shape == (0, 3)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_an_error_behind_training_is_raised_by_the_next_call_and_the_old_file_stays(tmp_path, monkeypatch, code):
    prefix = str(tmp_path / "net")
    save = mx.callback.do_checkpoint(prefix, background=True)
    save(0, network(), arrays(1.0), {})
    save.wait()
    with monkeypatch.context() as patch:
        patch.setattr(commits, "os", Faulty(6, code, keep_failing=True))
        save(0, network(), arrays(2.0), {})
        while save._keeper._background.busy:
            time.sleep(0.01)
    with pytest.raises(StoreError, match=r"(?s)saved in the background.*" + os.strerror(code)):
        save(1, network(), arrays(3.0), {})
    assert (mx.nd.load(f"{prefix}-0001.params")["arg:fc_weight"].asnumpy() == 1.0).all()
    save(1, network(), arrays(3.0), {})
    save.wait()
    assert (mx.nd.load(f"{prefix}-0002.params")["arg:fc_weight"].asnumpy() == 3.0).all()


def test_an_error_behind_training_is_raised_once_by_wait(tmp_path, monkeypatch):
    save = mx.callback.do_checkpoint(str(tmp_path / "net"), background=True)
    with monkeypatch.context() as patch:
        patch.setattr(commits, "os", Faulty(1, errno.ENOSPC, keep_failing=True))
        save(0, network(), arrays(1.0), {})
        with pytest.raises(StoreError, match="No space left"):
            save.wait()
    save.wait()


def test_an_error_of_the_last_save_is_raised_at_the_end_of_fit(tmp_path, monkeypatch):
    net, data = module()
    save = mx.callback.do_checkpoint(str(tmp_path / "net"), background=True)
    monkeypatch.setattr(commits, "os", Faulty(1, errno.ENOSPC, keep_failing=True))
    with pytest.raises(StoreError, match="No space left"):
        net.fit(data, num_epoch=1, epoch_end_callback=save)


PROGRAM = """
import sys, time
from evergraph.saving.background import Background
def job():
    time.sleep(0.5)
    {body}
saver = Background("the state")
saver.submit(job)
print("end of the program", flush=True)
"""


def run(body):
    return subprocess.run(
        [sys.executable, "-c", PROGRAM.format(body=body)], capture_output=True, text=True, timeout=120, check=False
    )


def test_a_program_that_exits_waits_for_what_it_saves(tmp_path):
    found = run(f"open({str(tmp_path / 'done')!r}, 'w').close()")
    assert (found.returncode, found.stdout) == (0, "end of the program\n")
    assert (tmp_path / "done").exists()


def test_an_error_that_nobody_asked_for_is_told_at_exit_with_a_failing_status():
    found = run("raise OSError(28, 'No space left on device')")
    assert found.returncode == 1
    assert "the state could not be saved in the background" in found.stderr
    assert "No space left on device" in found.stderr


def test_a_forked_child_does_not_wait_for_its_parents_save():
    program = """
import os, time, threading
from evergraph.saving.background import Background
saver, gate = Background(), threading.Event()
saver.submit(gate.wait)
child = os.fork()
if not child:
    saver.wait()
    saver.submit(lambda: None)
    saver.wait()
    raise SystemExit(0)
assert os.waitpid(child, 0)[1] == 0
gate.set()
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=60)


# ---- the newest stay


def family(folder):
    return sorted(n for n in os.listdir(folder) if n.endswith((".params", ".states")))


@pytest.mark.filterwarnings("ignore:Parameters already initialized")
@pytest.mark.parametrize("background", [False, True])
def test_the_newest_are_kept_with_their_states(tmp_path, background):
    net, data = module()
    prefix = str(tmp_path / "net")
    save = mx.callback.module_checkpoint(net, prefix, save_optimizer_states=True, keep=2, background=background)
    net.fit(data, num_epoch=5, optimizer="adam", epoch_end_callback=save)
    assert family(tmp_path) == ["net-0004.params", "net-0004.states", "net-0005.params", "net-0005.states"]
    again = mx.mod.Module.load(prefix, 5, load_optimizer_states=True)
    again.fit(data, begin_epoch=5, num_epoch=6, optimizer="adam")


def test_an_older_one_goes_only_when_the_newer_one_is_durable(tmp_path, monkeypatch):
    save = mx.callback.do_checkpoint(str(tmp_path / "net"), keep=1, background=True)
    save(0, network(), arrays(1.0), {})
    save.wait()
    with monkeypatch.context() as patch:
        patch.setattr(commits, "os", Faulty(12, errno.ENOSPC, keep_failing=True))
        save(1, network(), arrays(2.0), {})
        with pytest.raises(StoreError):
            save.wait()
    assert family(tmp_path) == ["net-0001.params"]
    save(1, network(), arrays(2.0), {})
    save.wait()
    assert family(tmp_path) == ["net-0002.params"]


def test_files_that_were_not_saved_to_be_kept_never_go(tmp_path):
    prefix = str(tmp_path / "net")
    mx.model.save_checkpoint(prefix, 0, network(), arrays(0.0), {})
    mx.callback.do_checkpoint(prefix)(0, network(), arrays(1.0), {})
    save = mx.callback.do_checkpoint(prefix, keep=1)
    for epoch in (1, 2):
        save(epoch, network(), arrays(epoch), {})
    again = mx.callback.do_checkpoint(prefix, keep=1)  # as after a restart
    again(3, network(), arrays(3.0), {})
    assert family(tmp_path) == ["net-0000.params", "net-0001.params", "net-0004.params"]


@pytest.mark.parametrize("keep", [0, -1, 1.5, True, "2"])
def test_rejects_a_number_to_keep_that_is_none(tmp_path, keep):
    with pytest.raises(UsageError, match="keep is how many checkpoints stay"):
        mx.callback.do_checkpoint(str(tmp_path / "net"), keep=keep)


@pytest.mark.parametrize("text", ["", "[]", '{"kept": [["../other"]]}', '{"kept": 3}', '{"kept": [[1]]}'])
def test_rejects_a_damaged_list_of_what_to_keep_and_removes_nothing(tmp_path, text):
    prefix = str(tmp_path / "net")
    (tmp_path / "net.kept.json").write_text(text)
    (tmp_path / "other").touch()
    with pytest.raises(DamagedError, match="cannot be read"):
        mx.callback.do_checkpoint(prefix, keep=1)(0, network(), arrays(1.0), {})
    assert (tmp_path / "other").exists()


def test_background_saves_go_to_other_stores(tmp_path):
    save = mx.callback.do_checkpoint("memory://behind/net", keep=1, background=True)
    for epoch in range(3):
        save(epoch, network(), arrays(epoch), {})
    save.wait()
    assert (mx.nd.load("memory://behind/net-0003.params")["arg:fc_weight"].asnumpy() == 2).all()
    from evergraph.stores import exists

    assert not exists("memory://behind/net-0002.params")


def test_a_closed_saver_can_be_used_again():
    saver, done = Background(), []
    saver.submit(lambda: done.append(1))
    saver.close()
    saver.submit(lambda: done.append(2))
    saver.close()
    assert done == [1, 2]
