"""Names cross by the kind of their layer; each change stands in a table, nothing is lost or used twice in silence."""

import json

import numpy as np
import pytest
import torch

import evergraph as eg
import evergraph.mindspore as ms
from evergraph.cli import main
from evergraph.crossing import cross, decide, origin_of
from evergraph.errors import DamagedError, UsageError
from evergraph.mindspore import nn


def checkpoint(**shapes):
    return eg.Checkpoint({n.replace("__", "."): np.ones(s, "f4") for n, s in shapes.items()}, format="torch")


def renamed(crossing):
    return {row.source[0]: row.target for row in crossing.rows}


def to_mindspore(given, **more):
    return cross(given, "torch", "mindspore", **more)


def test_layers_of_each_kind_get_mindspores_names():
    given = checkpoint(ln__weight=4, ln__bias=4, emb__weight=(9, 4), fc__weight=(3, 4), fc__bias=3, act__weight=1)
    assert renamed(to_mindspore(given)[1]) == {
        "ln.weight": "ln.gamma",
        "ln.bias": "ln.beta",
        "emb.weight": "emb.embedding_table",
        "fc.weight": "fc.weight",
        "fc.bias": "fc.bias",
        "act.weight": "act.w",
    }


def test_the_names_are_those_of_mindspores_own_layers():
    pairs = {
        "bn": (torch.nn.BatchNorm1d(3), nn.BatchNorm1d(3)),
        "gn": (torch.nn.GroupNorm(2, 4), nn.GroupNorm(2, 4)),
        "ln": (torch.nn.LayerNorm([2, 3]), nn.LayerNorm((2, 3))),
        "conv": (torch.nn.Conv1d(2, 4, 3), nn.Conv1d(2, 4, 3, has_bias=True)),
        "up": (torch.nn.ConvTranspose1d(2, 4, 3), nn.Conv1dTranspose(2, 4, 3, has_bias=True)),
        "up2": (torch.nn.ConvTranspose2d(2, 4, 3), nn.Conv2dTranspose(2, 4, 3, has_bias=True)),
        "conv3": (torch.nn.Conv3d(2, 4, 3), nn.Conv3d(2, 4, 3, has_bias=True)),
        "act": (torch.nn.PReLU(4), nn.PReLU(4)),
        "words": (torch.nn.Embedding(5, 3), nn.Embedding(5, 3)),
        "gru": (torch.nn.GRU(3, 4, 2), nn.GRU(3, 4, 2)),
        "cell": (torch.nn.LSTMCell(3, 4), nn.LSTMCell(3, 4)),
    }
    source = torch.nn.ModuleDict({n: p[0] for n, p in pairs.items()})
    target = nn.Cell()
    for name, (_, cell) in pairs.items():
        target.insert_child_to_cell(name, cell)
    target.update_parameters_name("")
    given = eg.Checkpoint({n: t.numpy() for n, t in source.state_dict().items()}, format="torch")
    found, _ = to_mindspore(given, model=source)
    wanted = {n: p.shape for n, p in target.parameters_and_names()}
    assert {n: t.shape for n, t in found.items()} == wanted


def test_a_matrix_that_may_be_an_embedding_is_marked_as_a_guess():
    _, table = to_mindspore(checkpoint(rows__weight=(9, 4), emb__weight=(9, 4)))
    assert [(r.target, r.guessed) for r in table.rows] == [("rows.weight", True), ("emb.embedding_table", True)]
    assert [line for line in table.lines() if line.startswith("guessed")] != []


def test_the_model_tells_what_names_cannot():
    model = torch.nn.ModuleDict({"rows": torch.nn.Embedding(9, 4), "scale": torch.nn.LayerNorm(4, bias=False)})
    given = eg.Checkpoint({n: t.numpy() for n, t in model.state_dict().items()}, format="torch")
    for told in (model, torch.nn.DataParallel(model)):
        _, table = to_mindspore(given, model=told)
        assert renamed(table) == {"rows.weight": "rows.embedding_table", "scale.weight": "scale.gamma"}
        assert not table.guesses


def test_prefixes_of_training_checkpoints_are_left_off_and_come_back(tmp_path):
    value = {"state_dict": {"module.fc.weight": torch.ones(3, 4), "module.fc.bias": torch.ones(3)}, "epoch": 3}
    torch.save(value, tmp_path / "net.pth")
    done = eg.convert(tmp_path / "net.pth", tmp_path / "net.ckpt")
    assert list(eg.open(tmp_path / "net.ckpt")) == ["fc.weight", "fc.bias"]
    assert any("module." in line for line in done.lines())
    eg.convert(tmp_path / "net.ckpt", tmp_path / "back.pth")
    back = torch.load(tmp_path / "back.pth", weights_only=True)  # noqa: TID251 - PyTorch must take what was written
    assert back["epoch"] == 3
    assert list(back["state_dict"]) == list(value["state_dict"])


@pytest.mark.parametrize("prefix", ["_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_prefixes_of_compiled_modules_are_left_off(prefix):
    given = eg.Checkpoint({f"{prefix}fc.weight": np.ones((3, 4)), f"{prefix}fc.bias": np.ones(3)}, format="torch")
    new, table = to_mindspore(given)
    assert list(new) == ["fc.weight", "fc.bias"]
    assert len(table.notes) == prefix.count(".")


def test_what_stands_beside_the_network_keeps_its_name():
    given = checkpoint(state_dict__fc__weight=(3, 4), optimizer__state__0__exp_avg=(3, 4))
    assert list(to_mindspore(given)[0]) == ["fc.weight", "optimizer.state.0.exp_avg"]


def test_convolutions_whose_kernels_all_have_height_1_become_conv1d_and_others_do_not():
    flat = eg.Checkpoint({"a.weight": np.ones((4, 2, 1, 3), "f4"), "b.weight": np.ones((4, 2, 1, 1), "f4")})
    new, table = cross(flat, "mindspore", "torch")
    assert [t.shape for t in new.values()] == [(4, 2, 3), (4, 2, 1)]
    assert len(table.guesses) == 2
    both = eg.Checkpoint({"a.weight": np.ones((4, 2, 1, 7), "f4"), "b.weight": np.ones((4, 2, 7, 1), "f4")})
    assert [t.shape for t in cross(both, "mindspore", "torch")[0].values()] == [(4, 2, 1, 7), (4, 2, 7, 1)]


def test_a_weight_added_after_crossing_crosses_back_by_its_name(tmp_path):
    torch.save(torch.nn.BatchNorm1d(3).state_dict(), tmp_path / "bn.pth")
    eg.convert(tmp_path / "bn.pth", tmp_path / "bn.ckpt")
    found = eg.open(tmp_path / "bn.ckpt")
    more = {n: t for n, t in found.items() if n != "beta"} | {"head.gamma": np.ones(2, "f4")}
    new, _ = cross(found.replace(more), "mindspore", "torch")
    assert set(new) == {"weight", "running_mean", "running_var", "num_batches_tracked", "head.weight"}


def test_rejects_two_tensors_under_one_name_and_lists_all():
    given = {n: np.ones(2) for n in ("bn.gamma", "bn.beta", "bn.moving_mean", "bn.weight", "bn.bias")}
    with pytest.raises(UsageError, match="one name") as caught:
        cross(eg.Checkpoint(given), "mindspore", "torch")
    for pair in ("from bn.gamma and from bn.weight", "from bn.beta and from bn.bias"):
        assert pair in str(caught.value)


def test_rejects_names_of_nobody(tmp_path):
    with pytest.raises(UsageError, match="whose names"):
        eg.convert(eg.Checkpoint({"a": np.ones(1)}), tmp_path / "a.ckpt", names="mindspore")
    with pytest.raises(UsageError, match="no such names"):
        eg.convert(eg.Checkpoint({"a": np.ones(1)}), tmp_path / "a.ckpt", names="caffe:mindspore")


def test_rejects_a_model_that_is_none():
    with pytest.raises(UsageError, match="no structure"):
        to_mindspore(checkpoint(fc__weight=(3, 4)), model=7)


BROKEN = {
    "short": [["a", 3]],
    "no list": 7,
    "no row": [None],
    "size": [["a", "a", {"shape": [-1]}]],
    "float": [["a", "a", {"shape": [1.0]}]],
    "type": [["a", None, {"bytes": b"1234", "dtype": "float31", "shape": [1]}]],
    "values": [["a", None, {"bytes": b"123", "dtype": "float32", "shape": [1]}]],
}


@pytest.mark.parametrize("name", BROKEN)
def test_rejects_a_record_that_cannot_be_read(name):
    given = eg.Checkpoint({"a": np.ones(1)}, details={"crossing": {"names": "torch", "rows": BROKEN[name]}})
    with pytest.raises(DamagedError, match="record"):
        cross(given, "mindspore", "torch")


FITTING = {
    "gone": [["a", "b", {}]],
    "larger": [["a", "w", {"shape": [7]}]],
    "axes": [["a", "w", {"shape": [6], "axes": [0, 0]}]],
    "apart": [[["a", "b"], "w", {"shapes": [[2], [5]]}]],
    "together": [["a", ["w", "v"], {"shape": [8]}]],
}


@pytest.mark.parametrize("name", FITTING)
def test_rows_of_a_record_that_fit_no_more_are_passed_over(name):
    record = {"names": "torch", "rows": FITTING[name]}
    given = {"w": np.arange(6, dtype="f4").reshape(2, 3), "v": np.ones(2, "f8")}
    new, _ = cross(eg.Checkpoint(given, details={"crossing": record}), "mindspore", "torch")
    assert {n: t.numpy().tolist() for n, t in new.items()} == {n: a.tolist() for n, a in given.items()}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("bn.running_var", ""), ("bn.running_mean", "torch"), ("bn.moving_variance", "mindspore"), ("aux:a", "mxnet")],
)
def test_files_of_no_framework_tell_by_their_names_whose_they_are(name, wanted):
    assert origin_of(eg.Checkpoint({name: np.ones(1)}, format="safetensors")) == wanted


def test_safetensors_of_pytorch_cross_into_a_ckpt(tmp_path):
    from safetensors.torch import save_file

    save_file({"ln.weight": torch.ones(4), "ln.bias": torch.ones(4)}, tmp_path / "a.safetensors", {"format": "pt"})
    eg.convert(tmp_path / "a.safetensors", tmp_path / "a.ckpt")
    assert list(eg.open(tmp_path / "a.ckpt")) == ["ln.beta", "ln.gamma"]


def test_names_stay_where_that_is_asked_for(tmp_path):
    torch.save(torch.nn.BatchNorm1d(3).state_dict(), tmp_path / "bn.pth")
    done = eg.convert(tmp_path / "bn.pth", tmp_path / "bn.ckpt", names="keep")
    assert done.crossing is None
    names = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert list(eg.open(tmp_path / "bn.ckpt")) == names


def test_the_table_is_shown_before_anything_is_written(tmp_path, capsys):
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    torch.save(net.state_dict(), tmp_path / "net.pth")
    words = ["convert", str(tmp_path / "net.pth"), str(tmp_path / "net.ckpt"), "--dry-run"]
    assert main([*words, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["crossing"]["rows"]
    found = {r["source"]: r["target"] for r in rows}
    assert {"1.running_var": "1.moving_variance", "1.num_batches_tracked": None}.items() <= found.items()
    assert main(words) == 0
    shown = capsys.readouterr().out
    words = "1.running_mean 4 1.moving_mean 4 batch_norm: running_mean beside it"
    assert words in [" ".join(line.split()) for line in shown.splitlines()]
    assert "left out 1.num_batches_tracked" in shown
    assert not (tmp_path / "net.ckpt").exists()


RULES = """
drop = ["aux.*"]
[kinds]
"^rows$" = "embedding"
[names]
"fc.bias" = "head.b"
[[rules]]
find = '^fc\\.'
replace = "head."
"""


def test_rules_say_kinds_names_and_what_is_left_out(tmp_path):
    given = {"rows.weight": torch.ones(9, 4), "fc.weight": torch.ones(3, 4), "fc.bias": torch.ones(3)}
    torch.save(given | {"aux.weight": torch.ones(2, 4)}, tmp_path / "net.pth")
    (tmp_path / "rules.toml").write_text(RULES)
    words = ["convert", tmp_path / "net.pth", tmp_path / "net.ckpt", "--rules", tmp_path / "rules.toml"]
    assert main(list(map(str, words))) == 0
    assert list(eg.open(tmp_path / "net.ckpt")) == ["rows.embedding_table", "head.weight", "head.b"]


def test_rename_works_on_the_sources_names(tmp_path):
    torch.save({"net.ln.weight": torch.ones(3), "net.ln.bias": torch.ones(3)}, tmp_path / "a.pth")
    eg.convert(tmp_path / "a.pth", tmp_path / "a.ckpt", rename=[r"^net\.="])
    assert list(eg.open(tmp_path / "a.ckpt")) == ["ln.gamma", "ln.beta"]


def test_rejects_rules_that_fit_nothing_and_lists_all():
    rules = {"kinds": {"^no$": "conv"}, "names": {"nothing": "x"}, "drop": ["zz*"]}
    with pytest.raises(UsageError, match="fit nothing") as caught:
        to_mindspore(checkpoint(fc__weight=(3, 4)), rules=rules)
    for word in ("kinds: ^no$", "names: nothing", "drop: zz*"):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ({"kind": {}}, "no such table"),
        ({"kinds": {"a": "dense"}}, "is no kind"),
        ({"kinds": {"(": "conv"}}, "cannot be used"),
        ({"rules": [{"find": "a"}]}, "find"),
        ({"drop": "a"}, "a list of patterns"),
        (7, "a TOML file or a mapping"),
    ],
    ids=["table", "kind", "expression", "rule", "drop", "number"],
)
def test_rejects_rules_that_are_none(rules, said):
    with pytest.raises(UsageError, match=said):
        to_mindspore(checkpoint(fc__weight=(3, 4)), rules=rules)


def test_rejects_rules_where_no_names_cross(tmp_path):
    with pytest.raises(UsageError, match="no names cross"):
        eg.convert(checkpoint(a=3), tmp_path / "a.npz", rules={"drop": ["a"]})


def test_the_default_is_the_targets_framework():
    assert decide(None, checkpoint(a__b__c=3), "mxnet-params") == ("torch", "gluon")
    assert decide(None, checkpoint(a=3), "safetensors") is None
    assert decide("torch:mindspore", eg.Checkpoint({"a": np.ones(1)}), "npz") == ("torch", "mindspore")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"only": 5}, "patterns are texts"),
        ({"drop": ["a", 5]}, "patterns are texts"),
        ({"rename": 5}, "rules for renaming are texts, pairs or a mapping"),
        ({"rename": [5]}, "a rule for renaming is OLD=NEW"),
        ({"rename": [("a",)]}, "rules for renaming that cannot be used"),
        ({"rename": [("a", 5)]}, "rules for renaming that cannot be used"),
        ({"names": 5}, "no such names"),
    ],
    ids=str,
)
def test_rejects_choices_of_a_wrong_kind(options, message, tmp_path):
    eg.save({"a": np.ones(1)}, tmp_path / "a.pth")
    with pytest.raises(UsageError, match=message):
        eg.convert(tmp_path / "a.pth", tmp_path / "a.ckpt", **options)


@pytest.mark.parametrize("given", [frozenset({"a.*"}), {"a.*"}, ("a.*",), "a.*"], ids=lambda g: type(g).__name__)
def test_patterns_come_in_any_collection(given, tmp_path):
    eg.save({"a.weight": np.ones((1, 1)), "b.weight": np.ones((1, 1))}, tmp_path / "a.pth")
    assert eg.convert(tmp_path / "a.pth", tmp_path / "a.ckpt", only=given).tensors == 1
    assert list(eg.open(tmp_path / "a.ckpt")) == ["a.weight"]


def test_a_program_that_carries_names_itself_runs_as_it_is(tmp_path, monkeypatch):
    # as guides to MindSpore write it: torch reads, ms.Tensor wraps, save_checkpoint takes a list of names and data
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": torch.nn.Conv2d(3, 2, 1).state_dict()}, "torch_resnet.pth")

    def pytorch_to_mindspore(file="torch_resnet.pth"):
        found = torch.load(file)["state_dict"]  # noqa: TID251 - as the guide's program does
        ms.save_checkpoint([{"name": n, "data": ms.Tensor(found[n].numpy())} for n in found], "ms_resnet.ckpt")

    pytorch_to_mindspore()
    assert {n: p.shape for n, p in ms.load_checkpoint("ms_resnet.ckpt").items()} == {
        "weight": (2, 3, 1, 1),
        "bias": (2,),
    }


def test_transformers_cross_to_mindspores_own_layers_and_back(tmp_path):
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)
    theirs = torch.nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval()
    ours = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True), 2)
    torch.save(theirs.state_dict(), tmp_path / "there.pth")
    eg.convert(tmp_path / "there.pth", tmp_path / "here.ckpt", like=ours)
    assert ms.load_param_into_net(ours, ms.load_checkpoint(str(tmp_path / "here.ckpt"))) == ([], [])
    x = np.random.default_rng(0).standard_normal((2, 5, 8)).astype("float32")
    wanted = theirs(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(ours(ms.Tensor(x)).asnumpy(), wanted, rtol=1e-5, atol=1e-5)
    eg.convert(tmp_path / "here.ckpt", tmp_path / "back.pth")
    back = eg.open(tmp_path / "back.pth")
    assert list(back) == list(theirs.state_dict())
    for name, value in theirs.state_dict().items():
        np.testing.assert_array_equal(back[name].numpy(), value.numpy())
