"""The pages on editing and running, and the README: their programs run in order, their commands are commands."""

import re
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest

from evergraph.cli import main

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "src/evergraph/samples"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("resnet-symbol.json", "resnet-0001.params"):
        shutil.copy(SAMPLES / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def programs(page):
    return re.findall(r"```python\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)


def run(page, names=None):
    names = {} if names is None else names
    for number, text in enumerate(programs(page)):
        exec(compile(text, f"docs/{page}, program {number}", "exec"), names)
    return names


def commands(page):
    (block,) = re.findall(r"```\n(evergraph .*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)
    return [shlex.split(line) for line in block.splitlines()]


def test_the_page_on_editing_runs(folder):
    pytest.importorskip("torch")
    run("editing.md")
    written = {p.name for p in folder.iterdir()}
    assert {"changed.params", "renamed.params", "half.params", "features-symbol.json", "pooled-symbol.json"} <= written


def test_the_commands_of_the_page_on_editing_edit(folder, capsys):
    codes = [main(words[1:]) for words in commands("editing.md")]
    assert codes == [0, 0, 1], capsys.readouterr()
    assert "unit0_conv1_weight" in capsys.readouterr().out


def test_the_page_on_running_runs(folder):
    pytest.importorskip("torch")
    names = run("running.md")
    assert names["probabilities"].shape == (1, 4)


def test_the_page_on_numpys_semantics_runs(folder, capsys):
    pytest.importorskip("torch")
    from evergraph.mxnet import npx

    try:
        names = run("numpy.md")
    finally:
        npx.reset_np()
    said = capsys.readouterr().out
    assert float(said.split()[1]) < 1e-3
    assert np.allclose(names["net"][0].weight.data().asnumpy(), [[2, -3.4]], atol=0.01)
    assert (folder / "exponential-0000.params").exists()


def test_the_commands_of_the_page_on_running_have_their_options(capsys):
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    options = set(re.findall(r"--[a-z]+", capsys.readouterr().out))
    assert {word for words in commands("running.md") for word in words if word.startswith("--")} <= options


def test_the_readmes_first_programs_run(folder):
    pytest.importorskip("torch")
    for name in ("symbol.json", "0001.params"):
        shutil.copy(SAMPLES / f"resnet-{name}", folder / f"resnet-18-{name.replace('0001', '0000')}")
    names = {"image": np.zeros((1, 3, 8, 8), "float32")}
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    for text in blocks[:2]:
        exec(compile(text, "README.md", "exec"), names)
    assert names["probabilities"].shape == (1, 4)
    assert (folder / "resnet-18.safetensors").exists()
    assert (folder / "resnet-18-today-symbol.json").exists()


def test_the_readmes_mindspore_program_runs(folder, capsys):
    pytest.importorskip("torch")
    import evergraph.mindspore as ms

    net = ms.nn.Dense(3, 2)
    ms.save_checkpoint(net, "lenet.ckpt")
    (text,) = (t for t in programs("../README.md") if "load_param_into_net" in t)
    exec(compile(text, "README.md", "exec"), {"net": net})
    assert "weight" in capsys.readouterr().out
    assert (folder / "lenet.ckpt").read_bytes() == (folder / "lenet-2.ckpt").read_bytes()


def test_the_programs_of_the_page_on_mindspore_run(folder, capsys):
    pytest.importorskip("torch")
    import evergraph.mindspore as ms

    names = {"net": ms.nn.SequentialCell(ms.nn.Dense(3, 2))}
    names["net"][0].bias.name = "fc3.bias"
    run("mindspore.md", names)
    assert list(ms.load_checkpoint("edited.ckpt")) == ["0.weight", "epoch", "added"]
    assert isinstance(names["model"], ms.Model)
