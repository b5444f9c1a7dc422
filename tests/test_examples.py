"""The examples learn what they say, and end with an error where they do not."""

import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).parents[1] / "examples"
PROGRAMS = sorted(p.stem for p in FOLDER.glob("*.py") if p.stem != "curve")


def run(name, *words, folder=FOLDER):
    env = dict(os.environ, OMP_NUM_THREADS="1")
    return subprocess.run(
        [sys.executable, str(folder / f"{name}.py"), *words], check=False, capture_output=True, text=True, env=env
    )


def reached(done):
    """The number of the last line, and the one that it had to reach."""
    found = re.search(r"^\S+: (\S+) \((?:not )?learned, wanted (<=|>=) (\S+)\)$", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    return float(found[1]), found[2], float(found[3])


@pytest.mark.parametrize(
    ("name", "sign", "limit"),
    [
        ("factorization_machine", ">=", 0.85),
        ("lenet_digits", ">=", 0.98),
        ("lstm_text", "<=", 3.0),
        ("resnet_textures", ">=", 0.9),
        ("ssd_shapes", ">=", 0.8),
    ],
)
def test_example_learns_to_its_number(name, sign, limit):
    done = run(name)
    assert done.returncode == 0, done.stdout + done.stderr
    value, said, wanted = reached(done)
    assert (said, wanted) == (sign, limit)
    assert value >= limit if sign == ">=" else value <= limit


def test_every_example_has_a_line_in_the_readme_and_is_tried_here():
    listed = re.findall(r"^\| \[(\w+)\.py\]", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == PROGRAMS
    (tried,) = (m.args[1] for m in test_example_learns_to_its_number.pytestmark)
    assert sorted(name for name, _, _ in tried) == PROGRAMS


def write_idx(path, array):
    kind = {1: 0x801, 3: 0x803}[array.ndim]
    path.write_bytes(struct.pack(f">{array.ndim + 1}I", kind, *array.shape) + array.astype("uint8").tobytes())


def test_lenet_reads_mnist_files_and_says_that_noise_cannot_be_learned(tmp_path):
    rng = np.random.default_rng(0)
    for part in ("train", "t10k"):
        write_idx(tmp_path / f"{part}-images-idx3-ubyte", rng.integers(0, 256, (128, 8, 8)))
        write_idx(tmp_path / f"{part}-labels-idx1-ubyte", rng.integers(0, 10, 128))
    done = run("lenet_digits", "--data", str(tmp_path))
    value, _, _ = reached(done)
    assert value < 0.5
    assert done.returncode == 1


def test_curve_is_drawn_into_the_file_that_is_named(tmp_path):
    pytest.importorskip("matplotlib")
    code = f"from curve import *; c = Curve('loss'); c.add(2); c.add(1); c.draw({str(tmp_path / 'c.png')!r})"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=FOLDER)
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_plot_without_matplotlib_says_what_to_install(tmp_path):
    code = "import sys; sys.modules['matplotlib'] = None\nfrom curve import *; c = Curve('loss'); c.draw('c.png')"
    done = subprocess.run([sys.executable, "-c", code], check=False, cwd=FOLDER, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "--plot needs matplotlib: pip install matplotlib\n"
