"""Commands in a pipe, and the options that choose among several checkpoints."""

import json
import shutil
import subprocess
import sys

import pytest

import evergraph as eg
from evergraph.cli import main
from tests.goldens import MXNET

LENET = MXNET / "0.9.5" / "checkpoints" / "lenet"
TODAY = MXNET / "1.9.1" / "checkpoints" / "lenet"


def piped(*words, given=b""):
    found = subprocess.run(
        [sys.executable, "-m", "evergraph", *map(str, words)], input=given, capture_output=True, check=False
    )
    return found.returncode, found.stdout, found.stderr.decode()


def test_convert_writes_nothing_but_the_target_to_standard_output(tmp_path):
    source = f"{TODAY}-0001.params"
    code, data, told = piped("convert", source, "-", "--to", "safetensors")
    assert code == 0
    assert "wrote -" in told
    (tmp_path / "x").write_bytes(data)
    assert list(eg.open(tmp_path / "x")) == list(eg.open(source))
    code, back, told = piped("convert", "-", "-", "--to", "mxnet-params", "--json", given=data)
    assert code == 0
    assert back == (TODAY.parent / "lenet-0001.params").read_bytes()
    assert json.loads(told)["target"] == "-"


def test_upgrade_keeps_the_format_on_standard_output():
    path = LENET.parent / "lenet-symbol.json"
    code, data, told = piped("upgrade", "-", "-", given=path.read_bytes())
    assert code == 0
    assert data == path.with_name("lenet-symbol.upgraded-by-1.9.1.json").read_bytes()
    assert "written by MXNet 0.9.5" in told


@pytest.mark.parametrize("words", [("upgrade", LENET, "-"), ("convert", LENET, "-", "--to", "mxnet-checkpoint")])
def test_rejects_several_files_for_one_stream(words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main([str(w) for w in words]) == 2
    assert "standard output takes one" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.fixture
def epochs(tmp_path):
    """A prefix with two epochs, of which the first has zeros."""
    shutil.copy(f"{LENET}-symbol.json", tmp_path / "net-symbol.json")
    shutil.copy(f"{LENET}-0001.params", tmp_path / "net-0003.params")
    zeros = {n: t.numpy() * 0 for n, t in eg.open(f"{LENET}-0001.params").items()}
    eg.save(zeros, tmp_path / "net-0001.params")
    return tmp_path / "net"


def test_the_newest_epoch_is_taken_or_the_one_asked_for(epochs, tmp_path, capsys):
    for words, wanted in (([], 3), (["--epoch", "1"], 1)):
        assert main(["inspect", str(epochs), "--json", *words]) == 0
        assert json.loads(capsys.readouterr().out)["metadata"]["epoch"] == wanted
        assert main(["convert", str(epochs), str(tmp_path / "x.safetensors"), *words]) == 0
        assert bool(eg.open(tmp_path / "x.safetensors")["arg:fc_bias"].numpy().any()) == (wanted == 3)
        assert main(["verify", str(epochs), *words]) == 0
        capsys.readouterr()
    assert main(["inspect", str(epochs), "--epoch", "2"]) == 2
    assert "there are no parameters of epoch 2" in capsys.readouterr().err


def test_predict_takes_the_epoch_asked_for(epochs, tmp_path, capsys):
    import numpy as np

    np.save(tmp_path / "x.npy", np.load(f"{LENET}-io.npz")["in:data"])
    found = []
    for epoch in ("1", "3"):
        words = ["predict", str(epochs), "--input", str(tmp_path / "x.npy"), "--epoch", epoch, "--json"]
        assert main(words) == 0
        found.append(json.loads(capsys.readouterr().out)["predictions"])
    assert found[0] != found[1]
