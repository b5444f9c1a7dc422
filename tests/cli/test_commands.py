"""The commands as a user types them: what they say, their JSON, their exit codes."""

import json
import re
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import evergraph as eg
from evergraph.cli import main
from evergraph.graph import Graph, Node, to_json
from tests.goldens import MXNET, near

LENET = MXNET / "0.9.5" / "checkpoints" / "lenet"


@pytest.fixture
def run(capsys):
    def call(*words):
        code = main([str(w) for w in words])
        out = capsys.readouterr()
        return code, out.out, out.err

    return call


def test_inspect_lists_every_tensor_and_the_graph(run):
    code, out, _ = run("inspect", LENET)
    assert code == 0
    assert "arg:conv1_weight" in out
    assert "4x1x3x3" in out
    assert "MXNet 0.9.5" in out
    assert "Convolution 2" in out


def test_inspect_gives_its_report_to_a_program(run):
    code, out, _ = run("inspect", LENET, "--json", "--values")
    found = json.loads(out)
    assert code == 0
    assert found["tensors"]["arg:fc_bias"]["shape"] == [5]
    recorded = np.load(f"{LENET}-io.npz")["arg:fc_bias"]
    assert found["tensors"]["arg:fc_bias"]["values"]["greatest"] == pytest.approx(recorded.max())


def test_names_from_files_cannot_take_over_the_terminal(run, tmp_path):
    eg.save({"arg:\x1b[31mred\n": np.ones(1, "f4")}, tmp_path / "x.params")
    _, out, _ = run("inspect", tmp_path / "x.params")
    assert "\x1b" not in out
    assert "\\x1b[31mred\\n" in out


def test_bad_input_is_one_message_and_exit_code_2(run, tmp_path):
    (tmp_path / "page.params").write_text("<!DOCTYPE html><html>login</html>")
    code, out, err = run("inspect", tmp_path / "page.params")
    assert (code, out) == (2, "")
    assert err.startswith("error: this is an HTML page")
    assert "Traceback" not in err


def test_errors_are_given_to_a_program_too(run, tmp_path):
    code, out, _ = run("inspect", tmp_path / "none.params", "--json")
    assert code == 2
    assert json.loads(out)["error"] == "StoreError"


def test_verify_tells_good_from_damaged(run, tmp_path):
    path = tmp_path / "net.params"
    eg.save({"arg:w": np.ones(100, "f4")}, path, checksum=True)
    assert run("verify", path)[0] == 0
    data = bytearray(path.read_bytes())
    data[120] ^= 4
    path.write_bytes(data)
    code, out, _ = run("verify", path)
    assert code == 1
    assert "arg:w: damaged" in out
    path.write_bytes(data[:200])
    code, out, _ = run("verify", path)
    assert code == 1
    assert "cut short" in out or "larger than the file" in out


def test_verify_names_a_missing_parameter(run, tmp_path):
    shutil.copy(f"{LENET}-symbol.json", tmp_path / "n-symbol.json")
    opened = eg.open(f"{LENET}-0001.params")
    eg.save({n: t for n, t in opened.items() if n != "arg:fc_bias"}, tmp_path / "n-0001.params")
    code, out, _ = run("verify", tmp_path / "n")
    assert code == 1
    assert "fc_bias" in out


def test_verify_takes_what_no_layer_has_as_a_parameter_for_an_input(run, tmp_path):
    nodes = [Node("null", n) for n in ("data", "rois", "fc_weight", "own")]
    nodes.append(Node("FullyConnected", "fc", {"num_hidden": "2", "no_bias": "True"}, ((0, 0, 0), (2, 0, 0))))
    texts = {"pooled_size": "(1, 1)", "spatial_scale": "1"}
    nodes.append(Node("ROIPooling", "roi", texts, ((0, 0, 0), (1, 0, 0))))
    nodes.append(Node("FullyConnected", "own_fc", {"num_hidden": "2", "no_bias": "True"}, ((0, 0, 0), (3, 0, 0))))
    graph = Graph(tuple(nodes), ((4, 0, 0), (5, 0, 0), (6, 0, 0)))
    arrays = {"arg:fc_weight": np.zeros((2, 3), "f4"), "arg:own": np.zeros((2, 3), "f4")}
    eg.save(eg.Checkpoint(arrays, graph=graph), tmp_path / "net", to="mxnet-checkpoint")
    code, out, _ = run("verify", tmp_path / "net")
    assert code == 0
    assert "taken for an input, because no layer has it as a parameter: rois" in out
    eg.save(eg.Checkpoint({"arg:fc_weight": arrays["arg:own"]}, graph=graph), tmp_path / "net", to="mxnet-checkpoint")
    code, out, _ = run("verify", tmp_path / "net")
    assert code == 1
    assert "the graph's parameter own is missing" in out


@pytest.mark.parametrize(
    ("inputs", "heads", "words"),
    [
        (((0, 9, 0),), ((1, 0, 0),), "reads output 9 of node 0 'x'"),
        (((0, 0, 0),), ((1, 9, 0),), "head 0 is output 9 of node 1 'y'"),
        (((0, 0, 0), (0, 0, 0)), ((1, 0, 0),), "Flatten: takes 1 inputs: data, has 2"),
    ],
)
def test_verify_finds_what_no_engine_can_run(inputs, heads, words, run, tmp_path):
    graph = Graph((Node("null", "x"), Node("Flatten", "y", inputs=inputs)), heads)
    (tmp_path / "net-symbol.json").write_bytes(to_json(graph))
    code, out, _ = run("verify", tmp_path / "net-symbol.json")
    assert code == 1
    assert words in out
    assert ("nodes is well formed" in out) == ("takes" in words)


def test_verify_lists_names_that_are_parameters_and_states_at_once(run, tmp_path):
    eg.save({"arg:x": np.zeros(1, "f4"), "aux:x": np.zeros(1, "f4")}, tmp_path / "x.params")
    code, out, _ = run("verify", tmp_path / "x.params")
    assert code == 1
    assert "arg:x and aux:x both" in out


def test_a_graph_without_outputs_is_remarked(run, tmp_path):
    (tmp_path / "x-symbol.json").write_bytes(to_json(Graph((Node("null", "x"),), ())))
    assert "it has no heads" in run("inspect", tmp_path / "x-symbol.json")[1]
    assert "it has no heads" in run("verify", tmp_path / "x-symbol.json")[1]


@pytest.mark.parametrize("data", [b"\x0a" + b"\xff" * 11, b"\x08\x01" * 10], ids=["varint", "wire type"])
def test_a_ckpt_of_no_format_says_where_its_reader_gives_up(data, run, tmp_path):
    (tmp_path / "x.ckpt").write_bytes(data)
    code, _, err = run("inspect", tmp_path / "x.ckpt")
    assert code == 2
    assert "as .ckpt: " in err
    assert re.search(r"at: .*x\.ckpt, (near )?byte 1\b", err)


def test_upgrade_writes_what_1_9_1_writes(run, tmp_path):
    code, out, _ = run("upgrade", LENET, tmp_path / "new", "--check", "--shape", "data=2,1,12,12")
    assert code == 0
    assert "written by MXNet 0.9.5" in out
    assert "both were run: 1 output, the same values" in out
    assert (tmp_path / "new-symbol.json").read_bytes() == (
        LENET.parent / "lenet-symbol.upgraded-by-1.9.1.json"
    ).read_bytes()


def test_upgrade_in_place_replaces_both_files(run, tmp_path):
    for ending in ("-symbol.json", "-0001.params"):
        shutil.copy(f"{LENET}{ending}", tmp_path / f"n{ending}")
    code, _, _ = run("upgrade", tmp_path / "n", "--in-place")
    assert code == 0
    assert eg.open(tmp_path / "n").graph.version == 10901
    assert eg.open(tmp_path / "n-0001.params")["arg:fc_bias"].details["version"] == 2


def test_upgrade_in_place_of_a_folder_replaces_the_files_in_it(run, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    for ending in ("-symbol.json", "-0001.params"):
        shutil.copy(f"{LENET}{ending}", folder / f"n{ending}")
    assert run("upgrade", folder, "--in-place")[0] == 0
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    assert eg.open(folder).graph.version == 10901


@pytest.mark.parametrize("kind", ["archive", "file without a number", "folder of one file"])
def test_rejects_an_upgrade_in_place_of_what_it_could_not_replace(kind, run, tmp_path):
    source = tmp_path / "net"
    if kind == "archive":
        source = tmp_path / "net.zip"
        with zipfile.ZipFile(source, "w") as archive:
            for ending in ("-symbol.json", "-0001.params"):
                archive.write(f"{LENET}{ending}", f"net{ending}")
    elif kind == "folder of one file":
        source.mkdir()
        shutil.copy(f"{LENET}-0001.params", source / "net.params")
    else:
        shutil.copy(f"{LENET}-symbol.json", tmp_path / "net-symbol.json")
        shutil.copy(f"{LENET}-0001.params", tmp_path / "net.params")
    before = sorted(p.name for p in tmp_path.iterdir())
    code, _, err = run("upgrade", source, "--in-place")
    assert code == 2
    assert "this cannot be upgraded in place" in err
    assert sorted(p.name for p in tmp_path.iterdir()) == before


def test_upgrade_rejects_shapes_of_no_input(run, tmp_path):
    code, _, err = run("upgrade", LENET, tmp_path / "new", "--check", "--shape", "dat=2,1,12,12")
    assert code == 2
    assert "shapes are given for what is no input\n  - dat\n" in err
    assert "expected: data" in err


def test_a_comparison_sees_values_that_are_no_numbers():
    from evergraph.upgrading import _farthest

    one = np.array([1.0, np.nan, np.inf])
    assert _farthest(one, one) == 0
    assert _farthest(one, np.array([1.0, 2.0, np.inf])) == np.inf
    assert _farthest(one, np.array([1.5, np.nan, np.inf])) == 0.5


def test_upgrade_of_a_graph_alone_writes_no_parameters(run, tmp_path):
    assert run("upgrade", f"{LENET}-symbol.json", tmp_path / "new")[0] == 0
    assert [p.name for p in tmp_path.iterdir()] == ["new-symbol.json"]
    expected = LENET.with_name("lenet-symbol.upgraded-by-1.9.1.json")
    assert (tmp_path / "new-symbol.json").read_bytes() == expected.read_bytes()
    assert run("upgrade", tmp_path / "new", "--in-place")[1].splitlines()[1] == "everything is in today's form already"


@pytest.mark.parametrize(
    ("release", "words"),
    [("0.9.5", "MXNet 0.10 or older"), ("0.11.0", "MXNet 0.11"), ("1.9.1", "MXNet 0.12 or later")],
)
def test_upgrade_tells_the_age_of_parameters_by_their_records(release, words, run, tmp_path):
    source = MXNET / release / "checkpoints" / "lenet-0001.params"
    code, out, _ = run("upgrade", source, tmp_path / "new.params")
    assert code == 0
    assert out.splitlines()[0] == f"written by {words}"
    assert ("14 arrays in the record" in out) == (release != "1.9.1")


def test_upgrade_without_a_target_says_what_to_give(run):
    code, _, err = run("upgrade", LENET)
    assert code == 2
    assert "--in-place" in err


def test_convert_there_and_back_gives_the_same_bytes(run, tmp_path):
    assert run("convert", f"{LENET}-0001.params", tmp_path / "x.safetensors")[0] == 0
    assert run("convert", tmp_path / "x.safetensors", tmp_path / "back.params")[0] == 0
    assert (tmp_path / "back.params").read_bytes() == (LENET.parent / "lenet-0001.params").read_bytes()


def test_convert_selects_and_renames(run, tmp_path):
    code, out, _ = run(
        "convert",
        f"{LENET}-0001.params",
        tmp_path / "x.npz",
        "--only",
        "conv*",
        "--drop",
        "*_bias",
        "--rename",
        "^arg:=",
    )
    assert code == 0
    assert list(eg.open(tmp_path / "x.npz")) == ["conv1_weight", "conv2_weight"]
    assert "renamed arg:conv1_weight -> conv1_weight" in out


def test_a_dry_run_writes_nothing(run, tmp_path):
    code, out, _ = run("convert", LENET, tmp_path / "x.params", "--dry-run")
    assert code == 0
    assert "would write" in out
    assert list(tmp_path.iterdir()) == []


def test_what_a_target_cannot_carry_is_said_before_anything_is_written(run, tmp_path):
    eg.save({"epoch": "ten", "w": np.ones(2, "f4")}, tmp_path / "a.ckpt")
    code, _, err = run("convert", tmp_path / "a.ckpt", tmp_path / "a.params")
    assert code == 2
    assert "epoch" in err
    assert "--lossy" in err
    assert not (tmp_path / "a.params").exists()
    assert run("convert", tmp_path / "a.ckpt", tmp_path / "a.params", "--lossy")[0] == 0


def test_predict_gives_the_recorded_numbers(run, tmp_path):
    recorded = np.load(f"{LENET}-io.npz")
    np.save(tmp_path / "x.npy", recorded["in:data"])
    (tmp_path / "labels.txt").write_text("zero\none\ntwo\nthree\nfour\n")
    words = ("predict", LENET, "--input", tmp_path / "x.npy", "--labels", tmp_path / "labels.txt", "--engine", "torch")
    code, out, _ = run(*words, "--json", "--repeat", "2", "--output", tmp_path / "out.npz")
    assert code == 0
    found = json.loads(out)
    best = recorded["out:0"].argmax(1)
    assert [row["top"][0]["class"] for row in found["predictions"]] == best.tolist()
    assert found["predictions"][0]["top"][0]["label"] == ["zero", "one", "two", "three", "four"][best[0]]
    assert found["seconds"]["runs"] == 2
    near(eg.open(tmp_path / "out.npz")["softmax_output"].numpy(), recorded["out:0"], 1e-5, 1e-5, "saved output")


def test_predict_without_an_input_says_which_there_are(run):
    code, _, err = run("predict", LENET)
    assert code == 2
    assert "--input FILE, for data" in err


def test_diff_tells_same_from_different(run, tmp_path):
    eg.save({"w": np.zeros(2, "f4")}, tmp_path / "a.params")
    eg.save({"w": np.array([0, 0.5], "f4")}, tmp_path / "b.params")
    assert run("diff", tmp_path / "a.params", tmp_path / "a.params")[0] == 0
    code, out, _ = run("diff", tmp_path / "a.params", tmp_path / "b.params")
    assert code == 1
    assert "by up to 0.5" in out


def test_diff_takes_two_epochs_of_one_prefix(run, tmp_path):
    for epoch in (1, 2):
        eg.save({"arg:w": np.full(3, epoch, "float32")}, tmp_path / f"net-{epoch:04d}.params")
    (tmp_path / "net-symbol.json").write_bytes(to_json(Graph([Node("null", "w")], heads=[(0, 0, 0)])))
    assert run("diff", tmp_path / "net", tmp_path / "net", "--epoch", 2)[0] == 0
    code, out, _ = run("diff", tmp_path / "net", tmp_path / "net", "--epoch", 1, "--epoch", 2)
    assert code == 1
    assert "arg:w: 3 of 3 differ, by up to 1" in out
    code, _, err = run("diff", "a", "b", "--member", "x", "--member", "y", "--member", "z")
    assert code == 2
    assert "--member is given once for both, or for A and for B" in err


@pytest.mark.parametrize("words", [("diff", "a.params"), ("inspect", "--colour", "a.params"), ("look", "a.params")])
def test_a_wrong_command_line_is_told_to_a_program_too(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*words, "--json"])
    out = capsys.readouterr()
    assert ended.value.code == 2
    told = json.loads(out.out)
    assert told["error"] == "UsageError"
    assert told["what"] in out.err


def test_standard_input_is_read():
    data = (LENET.parent / "lenet-0001.params").read_bytes()
    done = subprocess.run(
        [sys.executable, "-m", "evergraph", "inspect", "-"], input=data, capture_output=True, check=True
    )
    assert b"arg:conv1_weight" in done.stdout


def test_the_demo_agrees_with_the_recorded_numbers_and_its_commands_work(run, tmp_path, monkeypatch):
    code, out, _ = run("demo", "--keep", tmp_path / "kept")
    assert code == 0
    assert "everything agrees" in out
    monkeypatch.chdir(tmp_path / "kept")
    commands = re.findall(r"\$ evergraph (.*)", out)
    assert [c.split()[0] for c in commands] == ["inspect", "verify", "upgrade", "predict", "convert", "convert"]
    for command in commands:
        assert run(*command.split())[0] == 0, command
    assert run("demo", "--keep", tmp_path / "kept" / "back.evg.json")[0] == 2


def test_files_are_looked_at_without_torch_or_numpy():
    code = f"""
import sys
from evergraph.cli import main
from evergraph.graph import Graph, Node, to_json
main(["inspect", {str(LENET)!r}])
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    subprocess.run([sys.executable, "-c", "import evergraph, sys; assert 'numpy' not in sys.modules"], check=True)
