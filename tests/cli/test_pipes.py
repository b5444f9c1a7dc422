"""Commands in a pipe, for any terminal, and the options that choose among several checkpoints and inputs."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
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
    np.save(tmp_path / "x.npy", np.load(f"{LENET}-io.npz")["in:data"])
    found = []
    for epoch in ("1", "3"):
        words = ["predict", str(epochs), "--input", str(tmp_path / "x.npy"), "--epoch", epoch, "--json"]
        assert main(words) == 0
        found.append(json.loads(capsys.readouterr().out)["predictions"])
    assert found[0] != found[1]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_names_that_an_output_cannot_show_are_escaped(encoding, tmp_path):
    eg.save({"arg:\udcff": np.ones(1, "f4"), "arg:\u2603": np.full(1, np.nan, "f4")}, tmp_path / "x.params")
    for words in ([], ["--json"]):
        environment = os.environ | {"PYTHONIOENCODING": encoding}
        command = [sys.executable, "-m", "evergraph", "inspect", str(tmp_path / "x.params"), *words]
        found = subprocess.run(command, env=environment, capture_output=True, check=True).stdout.decode(encoding)
        if words:
            assert list(json.loads(found)["tensors"]) == ["arg:\udcff", "arg:\u2603"]
        else:
            assert ("arg:\u2603" if encoding == "utf-8" else r"arg:\u2603") in found


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("words", [(), ("--json",), ("--values",)], ids=["text", "json", "values"])
def test_a_full_disk_behind_the_answer_is_one_message(words):
    with open("/dev/full", "wb") as full:
        call = [sys.executable, "-m", "evergraph", "inspect", str(LENET), *words]
        found = subprocess.run(call, stdout=full, stderr=subprocess.PIPE, check=False, text=True)
    assert found.returncode == 2
    assert found.stderr.startswith("error: the answer cannot be written\n")
    assert "Traceback" not in found.stderr
    assert "Exception" not in found.stderr


def shell(line, *words):
    call = ["bash", "-c", line, "bash", sys.executable, "-m", "evergraph", *map(str, words)]
    found = subprocess.run(call, capture_output=True, check=False, text=True)
    return found.returncode, found.stdout, found.stderr


def test_closed_streams_are_no_tracebacks():
    assert shell('"$@" >&-', "verify", f"{LENET}-0001.params") == (0, "", "")
    assert shell('"$@" 2>&-', "inspect", "nosuch")[:2] == (2, "")
    code, _, err = shell('"$@" >&-', "convert", f"{LENET}-0001.params", "-", "--to", "npz")
    assert code == 2
    assert err.startswith("error: standard output is closed\n")
    code, _, err = shell('"$@" <&-', "inspect", "-")
    assert code == 2
    assert err.startswith("error: standard input is closed\n")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk_behind_the_target_is_one_message():
    code, _, err = shell('"$@" > /dev/full', "convert", f"{LENET}-0001.params", "-", "--to", "safetensors")
    assert code == 2
    assert err.startswith("error: the output cannot be written\n")
    assert "free some space" in err
    assert "Traceback" not in err
    assert "Exception" not in err


def test_json_steers_no_terminal_either(tmp_path, capsys):
    name = "a\u202eb\x9b31m\x7f\U000e0001\u2028\u00e9"
    eg.save({name: np.zeros(1, "f4")}, tmp_path / "x.params")
    assert main(["inspect", str(tmp_path / "x.params"), "--json"]) == 0
    out = capsys.readouterr().out
    assert all(line.isprintable() for line in out.split("\n"))
    assert "\u00e9" in out, "what can be seen is shown"
    assert list(json.loads(out)["tensors"]) == [name]


def test_json_holds_no_numbers_that_json_does_not_have(tmp_path, capsys):
    for name, value in (("a", np.inf), ("b", 1.0)):
        eg.save({"w": np.full(1, value)}, tmp_path / f"{name}.npz")
    assert main(["diff", str(tmp_path / "a.npz"), str(tmp_path / "b.npz"), "--json"]) == 1
    json.loads(capsys.readouterr().out, parse_constant=pytest.fail)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-i", "nope=x.npy"], "nope=x.npy: no such input, and no such file"),
        (["-i", "data=x.npy", "-i", "data=x.npy"], "data is given more than once"),
        (["-i", "data=x.npy", "-i", "x.npy"], "x.npy is given for no input"),
        (["-i", "net.params"], "found: first bytes 12 01 00"),
    ],
)
def test_rejects_inputs_that_are_none(words, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.zeros((1, 1, 12, 12), "f4"))
    eg.save({"w": np.zeros(1)}, "net.params")
    assert main(["predict", str(LENET), *words]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("words", [["--top", "-1"], ["--batch", "0"], ["--repeat", "-1"], ["--top", "x"]])
def test_rejects_counts_that_are_none(words, capsys):
    with pytest.raises(SystemExit):
        main(["predict", str(LENET), "-i", "x.npy", *words])
    assert "expected a whole number from" in capsys.readouterr().err


def test_rejects_a_bucket_as_a_target(capsys):
    assert main(["convert", str(LENET), "memory://net.npz"]) == 2
    assert "asks for no known format" in capsys.readouterr().err
