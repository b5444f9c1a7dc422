"""States of trainings, opened, checked and converted like any checkpoint."""

import json
import os

import numpy as np
import pytest

import evergraph as eg
import evergraph.mxnet as mx
from evergraph.cli import main
from evergraph.errors import DamagedError, IntegrityError, UsageError
from evergraph.formats.shards import table_sum
from evergraph.formats.training_state import manifest_sum

ROWS, CLASSES = np.random.default_rng(0).normal(size=(12, 4)).astype("f"), np.arange(12) % 3


def network():
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=5, name="fc1")
    net = mx.sym.BatchNorm(net, name="bn")
    return mx.sym.SoftmaxOutput(mx.sym.FullyConnected(net, num_hidden=3, name="fc2"), name="softmax")


def train(folder, module=None, **asked):
    module = mx.mod.Module(network()) if module is None else module
    checkpoint = mx.callback.TrainingCheckpoint(str(folder), **{"batches": 2, **asked})
    module.fit(mx.io.NDArrayIter(ROWS, CLASSES, 4), num_epoch=2, optimizer="adam", checkpoint=checkpoint)
    args, auxs = module.get_params()
    found = {**{f"arg:{k}": v.asnumpy() for k, v in args.items()}, **{f"aux:{k}": v.asnumpy() for k, v in auxs.items()}}
    return module, found


@pytest.fixture(params=[False, True], ids=["whole", "sharded"])
def trained(request, tmp_path):
    module, values = train(tmp_path / "runs", sharded=request.param)
    return tmp_path / "runs", module, values


def test_opens_as_the_parameters_and_the_graph_of_the_newest_state(trained):
    folder, _, values = trained
    for place in (folder, folder / "state-0002-00000000", folder / "state-0002-00000000" / "training.json"):
        found = eg.open(place)
        assert list(found) == list(values)
        for name, value in values.items():
            np.testing.assert_array_equal(found[name].numpy(), value)
        assert found.graph is not None
        assert (found.format, found.metadata["epoch"]) == ("training-state", 2)
    facts = found.details["training"]
    assert (facts["optimizer"], facts["settings"]["lr"], facts["step"]) == ("Adam", 0.01, 6)
    older = eg.open(folder, member="state-0001-00000001")
    assert older.details["training"]["batch"] == 1
    assert not np.array_equal(older["arg:fc2_weight"].numpy(), values["arg:fc2_weight"])


def test_converts_to_what_mxnet_opens_and_predicts(trained, tmp_path):
    folder, module, values = trained
    eg.convert(folder, tmp_path / "net", to="mxnet-checkpoint")
    again = mx.mod.Module.load(str(tmp_path / "net"), 2)
    rows = mx.io.NDArrayIter(ROWS, CLASSES, 4)
    again.bind(rows.provide_data, rows.provide_label, for_training=False)
    np.testing.assert_array_equal(again.predict(rows).asnumpy(), module.predict(rows).asnumpy())
    eg.convert(folder, tmp_path / "net.safetensors")
    np.testing.assert_array_equal(eg.open(tmp_path / "net.safetensors")["arg:fc1_bias"].numpy(), values["arg:fc1_bias"])


def test_the_commands_say_what_it_is_and_whether_it_is_whole(trained, capsys):
    folder = str(trained[0])
    assert main(["inspect", folder]) == 0
    told = capsys.readouterr().out
    for words in (
        "training-state",
        "in epoch 2, after 6 batches in all",
        "Adam: ",
        "arg:fc1_weight",
        "FullyConnected 2",
    ):
        assert words in told
    assert main(["verify", folder]) == 0
    assert "checksums agree" in capsys.readouterr().out
    assert main(["diff", folder, f"{folder}/state-0001-00000001"]) == 1
    assert "arg:fc1_weight" in capsys.readouterr().out
    assert main(["inspect", folder, "--member", "state-0007-00000000"]) == 2
    assert "state-0001-00000001" in capsys.readouterr().err


def test_verify_names_every_damaged_array_of_every_file(trained, capsys):
    folder = trained[0] / "state-0002-00000000"
    names = sorted(p.name for p in folder.glob("*.safetensors"))
    for name in names:
        data = bytearray((folder / name).read_bytes())
        data[-1] ^= 1
        (folder / name).write_bytes(data)
    found = eg.verify(folder)
    assert len(found.findings) == len(names)
    assert all(any(line.startswith(f"{name}, ") for line in found.findings) for name in names)
    with pytest.raises(IntegrityError):
        eg.open(folder, verify=True)
    (folder / f"{names[0]}.evg.json").unlink()
    assert any(f"{names[0]}" in line for line in eg.verify(folder).findings)


def test_several_modules_have_their_parameters_and_no_graph(tmp_path):
    row = mx.mod.SequentialModule()
    row.add(mx.mod.Module(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=4, name="first"), label_names=[]))
    row.add(mx.mod.Module(network()), take_labels=True, auto_wiring=True)
    train(tmp_path, row)
    found = eg.open(tmp_path)
    assert {"arg:first_weight", "arg:fc1_weight", "aux:bn_moving_mean"} <= set(found)
    assert found.graph is None


def test_a_folder_with_other_checkpoints_opens_a_state_by_its_name(tmp_path):
    module, _ = train(tmp_path)
    module.save_checkpoint(str(tmp_path / "net"), 2)
    assert eg.open(tmp_path).format == "mxnet-checkpoint"
    assert eg.open(tmp_path, member="state-0002-00000000").format == "training-state"
    assert eg.open(tmp_path, member="net").format == "mxnet-checkpoint"


def test_a_state_without_its_manifest_does_not_count(trained):
    (trained[0] / "state-0002-00000000" / "training.json").unlink()
    assert eg.open(trained[0]).details["training"]["epoch"] == 1
    with pytest.raises(UsageError, match=r"(?s)no state.*state-0001-00000001"):
        eg.open(trained[0], member="state-0002-00000000")


def test_opens_in_other_stores():
    train(f"memory://states-{os.getpid()}/net")
    assert eg.open(f"memory://states-{os.getpid()}/net/").metadata["epoch"] == 2


def test_rejects_saving_in_its_own_form(trained, tmp_path):
    with pytest.raises(UsageError, match="read, not written"):
        eg.save(eg.open(trained[0]), tmp_path / "copy", to="training-state")


def rewritten(place, change):
    content = json.loads(place.read_text())
    change(content)
    if "parts" in content:
        content["crc"] = manifest_sum(content)
    else:
        content["crc"] = table_sum(content["tensors"])
    place.write_text(json.dumps(content))


LIES = {
    "version": lambda c: c.update(evergraph_training=2),
    "no-parts": lambda c: c.update(parts=[]),
    "a-file-elsewhere": lambda c: c["parts"][0].update(file="../../secret"),
    "no-epoch": lambda c: c.update(epoch="2"),
}


@pytest.mark.parametrize("name", LIES)
def test_rejects_manifests_that_lie(tmp_path, name):
    train(tmp_path)
    rewritten(tmp_path / "state-0002-00000000" / "training.json", LIES[name])
    with pytest.raises(DamagedError, match=r"(?s)manifest.*remove the folder state-0002-00000000"):
        eg.open(tmp_path)


VALUES = {
    "no-json": b"{",
    "no-object": b"[]",
    "empty": b"{}",
    "array-not-there": json.dumps(
        {
            "shared": {"modules": [{"arguments": {"w": [{"$tensor": "gone"}]}}], "settings": [{}]},
            "own": {"modules": [], "metric": {"kind": "x"}},
        }
    ).encode(),
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("name", VALUES)
def test_rejects_values_that_lie(tmp_path, name):
    train(tmp_path)
    eg.save({"values": np.frombuffer(VALUES[name], np.uint8)}, tmp_path / "state-0002-00000000/process-0.safetensors")
    with pytest.raises(DamagedError, match="values are damaged"):
        eg.open(tmp_path)


@pytest.fixture
def shards(tmp_path):
    whole = np.arange(12, dtype="f").reshape(4, 3)
    eg.save({"w#0": whole[:3], "half#1": np.ones(2, "float16")}, tmp_path / "shard-0.safetensors")
    eg.save({"w#2": whole[3:]}, tmp_path / "shard-1.safetensors")
    chunks = [
        {"offsets": [0, 0], "sizes": [3, 3], "file": "shard-0.safetensors", "name": "w#0"},
        {"offsets": [3, 0], "sizes": [1, 3], "file": "shard-1.safetensors", "name": "w#2"},
    ]
    half = {"offsets": [0], "sizes": [2], "file": "shard-0.safetensors", "name": "half#1"}
    tensors = {
        "w": {"dtype": "float32", "shape": [4, 3], "chunks": chunks},
        "half": {"dtype": "float16", "shape": [2], "chunks": [half]},
    }
    text = json.dumps({"evergraph_shards": 1, "tensors": tensors, "crc": table_sum(tensors)})
    (tmp_path / "shards.json").write_text(text)
    return tmp_path / "shards.json"


def test_shards_of_several_processes_open_as_whole_tensors(shards):
    found = eg.open(shards)
    np.testing.assert_array_equal(found["w"].numpy(), np.arange(12, dtype="f").reshape(4, 3))
    assert found["half"].dtype == "float16"
    assert eg.open(shards.parent).format == "evergraph-shards"


TABLES = {
    "a-file-elsewhere": lambda t: t["w"]["chunks"][0].update(file="../shard-0.safetensors"),
    "a-part-outside": lambda t: t["w"]["chunks"][1].update(offsets=[4, 0]),
    "a-part-before": lambda t: t["w"]["chunks"][1].update(offsets=[-1, 0]),
    "a-part-missing": lambda t: t["w"]["chunks"].pop(),
    "another-type": lambda t: t["w"].update(dtype="float64"),
    "a-type-that-is-none": lambda t: t["w"].update(dtype="float99"),
    "a-huge-shape": lambda t: t["w"].update(shape=[1 << 40, 3]),
    "another-rank": lambda t: t["w"].update(shape=[12]),
    "an-entry-that-is-not-there": lambda t: t["w"]["chunks"][0].update(name="gone"),
}


@pytest.mark.parametrize("name", TABLES)
def test_rejects_tables_of_shards_that_lie(shards, name):
    rewritten(shards, lambda c: TABLES[name](c["tensors"]))
    with pytest.raises(eg.EvergraphError, match=r"table of shards is damaged|no such type|float99"):
        eg.open(shards)


def test_rejects_a_table_with_another_checksum(shards):
    shards.write_text(shards.read_text().replace("[4, 3]", "[4, 4]"))
    with pytest.raises(DamagedError, match="its checksum is another one"):
        eg.open(shards)
