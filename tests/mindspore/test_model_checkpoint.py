"""`ModelCheckpoint`: the directory after every step, for the configurations that MindSpore 2.10 ran."""

import json
import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

import evergraph.mindspore as ms
from evergraph.mindspore.train.callback import CheckpointConfig, ModelCheckpoint
from evergraph.mindspore.train.callback import checkpoint as module

ROWS = json.loads((Path(__file__).parents[1] / "data/mindspore/callbacks.json").read_text())
RUNS = [r for r in ROWS if "cfg" in r and r.get("prefix") is not None and r.get("runs")]
# those that need the loop of Model itself: exceptions in the middle, a stop asked for
DRIVEN = [r for r in RUNS if not r["name"].startswith(("exception", "stop", "prefix int"))]


class Clock:
    def __init__(self):
        self.now = 1_700_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    monkeypatch.setattr(module, "_clock", found)
    return found


def listed(folder, row):
    return sorted(n for n in os.listdir(folder) if n not in row["preexisting"] and not n.startswith("."))


def config(row, net):
    given = dict(row["cfg"])
    if given.get("saved_network") == "NET":
        given["saved_network"] = net
    return CheckpointConfig(**given)


def drive(row, folder, clock, net):
    """One run as Model would drive it; returns the callback and the listing after each step."""
    prefix = row["prefix"] if row["prefix"] != "callable" else (lambda p: f"c{p.cur_step_num}")
    callback = ModelCheckpoint(prefix, str(folder), config(row, net))
    params = SimpleNamespace(train_network=net, batch_num=row["steps_per_epoch"], cur_step_num=0, cur_epoch_num=0)
    params.latest_ckpt_file = params.last_save_ckpt_step = None
    context = SimpleNamespace(original_args=lambda: params)
    seen, before = [], set(os.listdir(folder))
    for step in range(1, row["epochs"] * row["steps_per_epoch"] + 1):
        params.cur_step_num, params.cur_epoch_num = step, (step - 1) // row["steps_per_epoch"] + 1
        callback.step_end(context)
        for name in {n for n in os.listdir(folder) if not n.startswith(".")} - before:  # temporary ones come and go
            os.utime(folder / name, (clock.now, clock.now))
        before = set(os.listdir(folder))
        clock.now += row["seconds_per_step"] or 1
        seen.append([f"e{params.cur_epoch_num}s{step}", listed(folder, row)])
    callback.end(context)
    seen.append(["end", listed(folder, row)])
    return callback, seen


@pytest.mark.parametrize("row", DRIVEN, ids=lambda r: f"{r['name']}")
def test_the_directory_is_mindspores_after_every_step(row, tmp_path, clock):
    for name in row["preexisting"]:
        (tmp_path / name).write_bytes(b"")
        os.utime(tmp_path / name, (clock.now - 1000, clock.now - 1000))
    net = ms.nn.Dense(3, 2)
    for run in row["runs"]:
        if "error" in run:
            kind = run["error"][0]
            with pytest.raises(Exception) as caught:  # noqa: PT011 - the class is asked for below
                drive(row, tmp_path, clock, net)
            assert kind in [k.__name__ for k in type(caught.value).__mro__]
            assert listed(tmp_path, row) == [n for n in run["final"] if n not in row["preexisting"]]
            return
        callback, seen = drive(row, tmp_path, clock, net)
        wanted = [[when, sorted(n for n in names if n not in row["preexisting"])] for when, names in run["steps"]]
        if not row["cfg"].get("async_save"):
            assert seen == wanted
        assert seen[-1] == wanted[-1]
        assert os.path.basename(callback.latest_ckpt_file_name) == os.path.basename(run["latest"] or "")
        for name, mode in run["modes"].items():
            if name not in row["preexisting"]:
                assert oct(stat.S_IMODE((tmp_path / name).stat().st_mode)) == mode, name
        clock.now += 100


def test_appended_values_follow_the_parameters(tmp_path, clock):
    row = next(r for r in ROWS if r.get("name") == "append_info")
    drive(row, tmp_path, clock, ms.nn.Dense(3, 2))
    name, wanted = next(iter(row["runs"][0]["params"].items()))
    found = ms.load_checkpoint(str(tmp_path / name))
    extra = ("epoch_num", "step_num", "lr", "flag", "n")
    assert [n for n in found if n in extra] == [p[0] for p in wanted if p[0] in extra]


@pytest.mark.parametrize("row", [r for r in ROWS if r.get("name") == "config attrs"], ids=lambda r: str(r["cfg"]))
def test_the_policy_is_mindspores(row):
    policy = CheckpointConfig(**row["cfg"]).get_checkpoint_policy()
    assert policy == {k: (None if v in ("None", None) else v) for k, v in row["policy"].items()}


@pytest.mark.parametrize("behind", [False, True], ids=["at once", "behind"])
def test_the_old_file_stays_until_the_next_one_is_there(behind, tmp_path, monkeypatch):
    net, seen = ms.nn.Dense(3, 2), []
    callback = ModelCheckpoint("m", str(tmp_path), CheckpointConfig(1, keep_checkpoint_max=1, async_save=behind))
    params = SimpleNamespace(train_network=net, batch_num=9, cur_step_num=1, cur_epoch_num=1)
    context = SimpleNamespace(original_args=lambda: params)
    callback.step_end(context)
    saving = ms.serialization.saving.save
    monkeypatch.setattr(
        ms.serialization.saving, "save", lambda *a, **k: (seen.append(os.listdir(tmp_path)), saving(*a, **k))
    )
    for params.cur_step_num in (2, 3):
        callback.step_end(context)
    callback.end(context)
    assert [n for names in seen for n in names if not n.startswith(".")] == ["m-1_1.ckpt", "m-1_2.ckpt"]
    assert os.listdir(tmp_path) == ["m-1_3.ckpt"]
    monkeypatch.setattr(ms.serialization.saving, "save", lambda *_, **__: (_ for _ in ()).throw(OSError("disk full")))
    params.cur_step_num = 4
    callback.step_end(context) if behind else None
    with pytest.raises(OSError, match="disk full"):
        (callback.end if behind else callback.step_end)(context)
    assert os.listdir(tmp_path) == ["m-1_3.ckpt"]


def test_safetensors_note_that_nothing_was_left_out(tmp_path):
    net = ms.nn.Dense(3, 2)
    callback = ModelCheckpoint("m", str(tmp_path), CheckpointConfig(1, format="safetensors"))
    params = SimpleNamespace(train_network=net, batch_num=9, cur_step_num=1, cur_epoch_num=1)
    callback.step_end(SimpleNamespace(original_args=lambda: params))
    assert b'"remove_redundancy":"False"' in (tmp_path / "m-1_1.safetensors").read_bytes()
