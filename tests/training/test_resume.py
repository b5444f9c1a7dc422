"""A training that is killed and started again ends with the same parameters, to the bit."""

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SURVIVOR = Path(__file__).parent / "survivor.py"
KINDS = ("arrays", "ahead", "loader", "devices")
EPOCHS = 3
POINTS = int(os.environ.get("EVERGRAPH_KILL_POINTS", "6"))
"""How many kills in all; 50 by hand: EVERGRAPH_KILL_POINTS=50 pytest tests/training/test_resume.py"""


def same_ends(folder, kind, kills, *rest):
    """Train without kills and with them, and compare what both end with; returns how many kills there were."""
    command = [sys.executable, str(SURVIVOR), str(folder), kind, kills, str(EPOCHS), *rest]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    found = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, env=environment)
    assert found.returncode == 0, found.stdout + found.stderr
    whole, killed = np.load(folder / "whole.npz"), np.load(folder / "killed.npz")
    assert whole.files == killed.files
    for name in whole.files:
        np.testing.assert_array_equal(killed[name].view(np.uint8), whole[name].view(np.uint8), f"{name}: {kills}")
    return int(found.stdout.split()[-2])


def drawn(kind):
    """This kind's share of the kill points: a number of batches, or a moment, after each start."""
    source = random.Random(f"kills of {kind}")
    share = POINTS // len(KINDS) + (KINDS.index(kind) < POINTS % len(KINDS))
    most = max(18 // max(share, 1), 2)
    # by time, a kill also meets a save half done
    moments = [f"{source.uniform(0, 0.02):.4f}s" for _ in range(share // 2)]
    return source.sample([*moments, *(str(source.randint(1, most)) for _ in range(share - len(moments)))], share)


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_training_ends_with_the_same_bits(tmp_path, kind):
    kills = drawn(kind)
    assert same_ends(tmp_path, kind, ",".join(kills)) == len(kills)


def test_states_of_every_third_batch_and_in_the_foreground_serve_as_well(tmp_path):
    same_ends(tmp_path, "arrays", "4,7", "3", "0")
