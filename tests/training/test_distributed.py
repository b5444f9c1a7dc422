"""Trainings in several processes, killed and gone on to the bit; states that are spread over processes."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from evergraph.errors import DamagedError, IntegrityError, ShapeError, StoreError
from evergraph.saving.state import Moment
from evergraph.training.shards import load_shards, read_shards, save_shards
from tests.jobs import run

HERE = Path(__file__).parent


POINTS = int(os.environ.get("EVERGRAPH_JOB_KILL_POINTS", "1"))
"""How many kills; more by hand: EVERGRAPH_JOB_KILL_POINTS=10 pytest tests/training/test_distributed.py"""

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "EVERGRAPH_DIST_TIMEOUT": "240"}


def command(size, program, *args, restarts=0):
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={size}"]
    return [*start, f"--max-restarts={restarts}", str(HERE / program), *map(str, args)]


def ended_well(jobs):
    for codes, texts in jobs:
        assert not any(codes), texts


def ends(prefix, rank=0):
    return dict(np.load(f"{prefix}-{rank}.npz"))


def same(found, wanted, kind=("arg:", "aux:")):
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        if name.startswith(kind):
            np.testing.assert_array_equal(found[name].view(np.uint8), value.view(np.uint8), err_msg=name)


def test_a_job_that_is_killed_ends_with_the_same_bits_and_fewer_processes_take_it_over(tmp_path):
    folder, epochs = tmp_path / "states", POINTS + 1  # so many that no kill comes too late
    draw = random.Random("kills of jobs")
    killed, at = (",".join(str(draw.randint(*ends)) for _ in range(POINTS)) for ends in ((0, 1), (1, 5)))
    args = [folder, tmp_path / "killed", killed, at, epochs, "sharded"]
    start = command(2, "workers.py", *args, restarts=POINTS)
    job = subprocess.run(start, check=False, capture_output=True, text=True, timeout=600, env=ENVIRONMENT)
    assert job.returncode == 0, job.stderr
    newest = max(p for p in folder.iterdir() if (p / "training.json").exists())
    assert {"shard-0.safetensors", "shard-1.safetensors", "shards.json"} <= set(os.listdir(newest))
    whole = (2, HERE / "workers.py", [tmp_path / "other", tmp_path / "whole", 0, 0, epochs], {})
    alone = (1, HERE / "workers.py", [folder, tmp_path / "alone", 0, 0, epochs, "sharded", "changes"], {})
    ended_well(run(tmp_path, whole, alone))
    for rank in (0, 1):
        assert ends(tmp_path / "killed", rank)["starts"] == POINTS
        same(ends(tmp_path / "killed", rank), ends(tmp_path / "whole", rank))
    same(ends(tmp_path / "alone"), ends(tmp_path / "whole"), "arg:")


def test_on_sigterm_the_processes_of_a_job_save_the_same_batch(tmp_path):
    folder = tmp_path / "states"
    args = command(2, "workers.py", folder, tmp_path / "out", 0, 0, 1_000_000, "notice")
    job = subprocess.Popen(args, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    try:
        while job.poll() is None and not list(folder.glob("*/training.json")):
            time.sleep(0.1)
        job.send_signal(signal.SIGTERM)
        told = job.communicate(timeout=120)[1]
    finally:
        job.kill()
    stops = re.findall(r"Stopped by SIGTERM; (.*) is saved", told)
    assert len(stops) == 2, told
    assert stops[0] == stops[1]
    newest = max(p for p in folder.iterdir() if (p / "training.json").exists())
    assert {"process-0.safetensors", "process-1.safetensors"} <= set(os.listdir(newest))
    assert stops[0] == str(Moment(*map(int, newest.name.split("-")[1:])))


def test_shards_of_one_process_are_read_and_written_by_two_and_read_by_one(tmp_path):
    rng = torch.Generator().manual_seed(0)
    wanted = {"w": torch.rand(7, 3, generator=rng), "table": torch.rand(5, 2, 2, generator=rng), "b": torch.rand(4)}
    save_shards(wanted, str(tmp_path / "one"))
    ended_well(run(tmp_path, (2, HERE / "reshard.py", [tmp_path / "one", tmp_path / "two"], {})))
    table = json.loads((tmp_path / "two" / "shards.json").read_text())["tensors"]
    assert [c["sizes"] for c in table["w"]["chunks"]] == [[4, 3], [3, 3]]
    assert {c["file"] for c in table["w"]["chunks"]} == {"shard-0.safetensors", "shard-1.safetensors"}
    assert len(table["b"]["chunks"]) == 1
    found = read_shards(str(tmp_path / "two"))
    for name, value in wanted.items():
        np.testing.assert_array_equal(found[name].numpy(), (2 * value).numpy())


@pytest.fixture
def shards(tmp_path):
    save_shards({"w": torch.ones(4, 3), "half": torch.ones(3, dtype=torch.bfloat16)}, str(tmp_path / "s"))
    return tmp_path / "s"


def test_rejects_tensors_of_other_names_shapes_and_types_all_at_once(shards):
    target = {"w": torch.zeros(3, 4), "half": torch.zeros(3), "v": torch.zeros(1)}
    with pytest.raises(ShapeError) as told:
        load_shards(target, str(shards))
    assert len(told.value.details) == 3
    assert not target["w"].any()


def test_rejects_damaged_shards_and_tables(shards):
    data = bytearray((shards / "shard-0.safetensors").read_bytes())
    data[-5] ^= 4
    (shards / "shard-0.safetensors").write_bytes(data)
    with pytest.raises(IntegrityError, match=r"shard-0.safetensors, \w+#\d"):
        read_shards(str(shards))
    text = (shards / "shards.json").read_text()
    for broken in (text.replace('"float32"', '"float64"'), text[:-20], "[]", "{}"):
        (shards / "shards.json").write_text(broken)
        with pytest.raises(DamagedError, match="table of shards"):
            read_shards(str(shards))
    (shards / "shards.json").unlink()
    with pytest.raises(StoreError):
        read_shards(str(shards))


def test_no_shards_hold_a_pickle(shards):
    for path in shards.iterdir():
        assert b"pickle" not in path.read_bytes()
        assert path.suffix in (".json", ".safetensors")
