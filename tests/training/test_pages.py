"""The programs of the README and of the page on training run, in the order in which they stand."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch

import evergraph as eg
import evergraph.mxnet as mx
from evergraph.cli import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/training.md").read_text()
README = (ROOT / "README.md").read_text()
BLOCK = r"```python\n(.*?)```"

pytestmark = pytest.mark.filterwarnings("ignore:Parameters already initialized")


def digits():
    draw = np.random.default_rng(0)
    return draw.normal(size=(192, 20)).astype("f"), draw.integers(0, 10, 192).astype("f")


def run(text, names):
    exec(compile(text, "a program of the page", "exec"), names)


def test_the_pages_programs_and_commands_run(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    x, y = digits()
    names = {"x": x, "y": y, "model": torch.nn.Linear(3, 2)}
    programs = re.findall(BLOCK, PAGE, re.DOTALL)
    for number, text in enumerate(programs):
        if "TrainingCheckpoint(" in text:
            names["module"] = mx.mod.Module(names["net"])  # as another process has it
            names["train"] = mx.io.NDArrayIter(x, y, 64, shuffle=True)
        if "load_shards" in text:
            torch.nn.init.ones_(names["model"].weight)
        run(text, names)
        if number == 1:
            assert eg.open("runs/net").metadata["epoch"] == 5
    assert len(programs) >= 5
    assert sorted(p.name for p in tmp_path.glob("net-*.params")) == [f"net-000{i}.params" for i in (3, 4, 5)]
    (commands,) = (
        b for b in re.findall(r"^```\w*\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE) if "evergraph inspect" in b
    )
    mine = next(p.name for p in sorted(Path("runs/net").iterdir()))
    for line in commands.strip().splitlines():
        words = shlex.split(line.partition("#")[0])[1:]
        words = [mine if w.startswith("state-") else w for w in words]
        assert main(words) == 0, (line, capsys.readouterr())
    assert Path("net-symbol.json").exists()


def test_the_readmes_training_goes_on_and_is_loaded_again(tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    x, y = digits()
    data = mx.sym.Variable("data")
    symbol = mx.sym.SoftmaxOutput(mx.sym.FullyConnected(data, num_hidden=10, name="fc"), name="softmax")
    fit, load = (t for t in re.findall(BLOCK, README, re.DOTALL) if "train_data" in t)
    ends = []
    for _ in range(2):  # the second run finds the training done
        names = {
            "symbol": symbol,
            "train_data": mx.io.NDArrayIter(x, y, 64),
            "validation": mx.io.NDArrayIter(x[:64], y[:64], 64),
        }
        with caplog.at_level("INFO"):
            run(fit, names)
        ends.append(names["module"].get_params()[0]["fc_weight"].asnumpy())
    np.testing.assert_array_equal(*ends)
    assert "Going on from the start of epoch 10" in caplog.text
    assert len(list(tmp_path.glob("net-*.params"))) == 3
    run(load, {"mx": mx, "train_data": mx.io.NDArrayIter(x, y, 64)})
