"""safetensors in several files: shards checked against their index, and written so that old and new never mix."""

import json
import os
import shutil

import fsspec
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import evergraph as eg
from evergraph.errors import DamagedError, FormatError, UnsafeError, UsageError
from tests.formats.battery import same
from tests.goldens import MXNET

ARRAYS = {f"layer.{i}": np.full((5, 5), i, "float32") for i in range(6)} | {"step": np.array(7)}
INDEX = "model.safetensors.index.json"


@pytest.fixture
def folder(tmp_path):
    """A checkpoint of three shards as the library and its users write them."""
    homes = {}
    for number, names in enumerate((["layer.0", "layer.1", "layer.4"], ["layer.2"], ["layer.3", "layer.5", "step"]), 1):
        file = f"model-{number:05d}-of-00003.safetensors"
        save_file({n: ARRAYS[n] for n in names}, tmp_path / file, {"format": "pt"})
        homes |= dict.fromkeys(names, file)
    index = {"metadata": {"total_size": 608}, "weight_map": dict(sorted(homes.items()))}
    (tmp_path / INDEX).write_text(json.dumps(index, indent=2, sort_keys=True) + "\n")
    return tmp_path


def change(folder, **changes):
    index = json.loads((folder / INDEX).read_text())
    (folder / INDEX).write_text(json.dumps(index | changes))


def test_opens_by_its_index_and_by_its_folder(folder):
    for place in (folder / INDEX, folder, f"{folder}/"):
        found = eg.open(place)
        same(found, eg.Checkpoint(ARRAYS))
        assert found.format == "safetensors-sharded"


def test_an_index_beside_other_checkpoints_is_one_of_several(folder):
    eg.save({"arg:other": np.ones(2, "f4")}, folder / "other.params")
    index = (folder / INDEX).rename(folder / "own.safetensors.index.json")
    with pytest.raises(UsageError, match="there are several checkpoints") as caught:
        eg.open(folder)
    assert set(caught.value.details) == {index.name, "other.params"}
    assert list(eg.open(folder, member="other.params")) == ["arg:other"]
    assert eg.open(folder, member=index.name).format == "safetensors-sharded"
    index.rename(folder / "model.safetensors.index.json")
    assert eg.open(folder).format == "safetensors-sharded", "the name by which libraries open a folder"
    assert list(eg.open(folder, member="other.params")) == ["arg:other"]


def test_opens_from_a_remote_store(folder):
    memory = fsspec.filesystem("memory")
    for file in os.listdir(folder):
        memory.pipe_file(f"/shards/{file}", (folder / file).read_bytes())
    same(eg.open(f"memory://shards/{INDEX}"), eg.Checkpoint(ARRAYS))
    same(eg.open("memory://shards/"), eg.Checkpoint(ARRAYS))


def test_opened_and_saved_is_the_same_files(folder, tmp_path):
    (folder / "copy").mkdir()
    eg.save(eg.open(folder), folder / "copy" / INDEX)
    written = {f for f in os.listdir(folder / "copy") if not f.endswith(".evg.json")}
    assert written == {f for f in os.listdir(folder) if f != "copy"}
    for file in written:
        assert (folder / "copy" / file).read_bytes() == (folder / file).read_bytes()


def test_the_library_reads_the_shards(tmp_path):
    layout = eg.save(ARRAYS, tmp_path / INDEX, shard_size=250, metadata={"format": "pt"})
    assert [f.location.basename for f in layout.files][-1] == INDEX
    index = json.loads((tmp_path / INDEX).read_text())
    assert index["metadata"] == {"total_size": 608}
    assert list(index["weight_map"]) == list(ARRAYS)
    for file in set(index["weight_map"].values()):
        for key, array in load_file(tmp_path / file).items():
            assert index["weight_map"][key] == file
            assert np.array_equal(array, ARRAYS[key])
    assert len(set(index["weight_map"].values())) == 3


@pytest.mark.parametrize(("size", "shards"), [("1kB", 1), (608, 1), (607, 2), ("100 B", 7), (1, 7)])
def test_a_shard_is_filled_up_to_its_size(tmp_path, size, shards):
    eg.save(ARRAYS, tmp_path / INDEX, shard_size=size)
    assert len(list(tmp_path.glob("*.safetensors"))) == shards
    same(eg.open(tmp_path), eg.Checkpoint(ARRAYS))


def test_one_file_is_written_where_one_is_enough(tmp_path):
    eg.save(ARRAYS, tmp_path / "m.safetensors", shard_size="1GB")
    assert os.listdir(tmp_path) == ["m.safetensors"]
    eg.save(ARRAYS, tmp_path / "n.safetensors", shard_size=300)
    assert (tmp_path / "n.safetensors.index.json").exists()
    same(eg.open(tmp_path / "n.safetensors.index.json"), eg.Checkpoint(ARRAYS))


def test_new_shards_never_replace_those_of_the_old_index(folder):
    before = {f: (folder / f).read_bytes() for f in os.listdir(folder) if f != INDEX}
    changed = eg.open(folder)
    changed = changed.replace({k: t.numpy() + 1 for k, t in changed.items()})
    layout = eg.save(changed, folder / INDEX)
    assert {f: (folder / f).read_bytes() for f in before} == before
    assert any("older shards stay" in n for n in layout.notes)
    same(eg.open(folder), changed)
    eg.save(changed, folder / INDEX)
    same(eg.open(folder), changed)


def test_sizes_and_checksums_stand_beside_the_index(tmp_path):
    eg.save(ARRAYS, tmp_path / INDEX, shard_size=250)
    manifest = json.loads((tmp_path / f"{INDEX}.evg.json").read_text())["versions"][0]
    assert set(manifest["tensors"]) == set(ARRAYS)
    assert set(manifest["files"]) == {f for f in os.listdir(tmp_path) if not f.endswith(".evg.json")}


@pytest.mark.parametrize("version", ["0.9.5", "1.9.1"])
def test_brings_a_parameter_file_back(version, tmp_path):
    path = MXNET / version / "checkpoints" / "lenet-0001.params"
    eg.save(eg.open(path), tmp_path / INDEX, shard_size="100kB")
    eg.save(eg.open(tmp_path), tmp_path / "back.params")
    assert (tmp_path / "back.params").read_bytes() == path.read_bytes()


def test_rejects_shards_that_are_missing_or_damaged_all_at_once(folder):
    (folder / "model-00001-of-00003.safetensors").unlink()
    (folder / "model-00003-of-00003.safetensors").write_bytes(b"\x05\0\0\0\0\0\0\0{}")
    with pytest.raises(DamagedError, match="missing or damaged") as caught:
        eg.open(folder)
    first, second = caught.value.details
    assert first.startswith("model-00001-of-00003.safetensors: the file cannot be opened")
    assert second.startswith("model-00003-of-00003.safetensors: the file is cut short in its header")


def test_rejects_an_index_that_does_not_fit_its_shards(folder):
    homes = json.loads((folder / INDEX).read_text())["weight_map"]
    del homes["layer.0"]
    homes["layer.2"] = "model-00001-of-00003.safetensors"
    homes["new"] = "model-00003-of-00003.safetensors"
    homes["layer.1"] = homes["step"]
    change(folder, weight_map=homes | {"x": "model-00002-of-00003.safetensors"})
    with pytest.raises(DamagedError, match="do not agree") as caught:
        eg.open(folder)
    lines = "\n".join(caught.value.details)
    assert "'layer.0': in model-00001-of-00003.safetensors, and not in the index" in lines
    assert "'layer.2': the index says it is in model-00001-of-00003.safetensors, which does not have it" in lines
    assert "'layer.2': also in model-00002-of-00003.safetensors" in lines
    assert "'new': the index says it is in model-00003" in lines
    assert "'layer.1': also in model-00001" in lines


@pytest.mark.parametrize(
    "file", ["../other.safetensors", "/etc/passwd", "a/b", "a\\b", "..", ".", "", "C:x", "x\0y", "s3://a/b"]
)
def test_rejects_shards_outside_the_folder(folder, file):
    homes = json.loads((folder / INDEX).read_text())["weight_map"]
    change(folder, weight_map=homes | {"step": file})
    with pytest.raises(UnsafeError, match="outside its folder"):
        eg.open(folder)


def test_rejects_links_out_of_the_folder_unless_asked_to_follow(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("cache")
    file = "model-00002-of-00003.safetensors"
    shutil.copy(folder / file, elsewhere / "blob")
    (folder / file).unlink()
    (folder / file).symlink_to(elsewhere / "blob")
    with pytest.raises(UnsafeError, match="outside its folder") as caught:
        eg.open(folder)
    assert "follow_links=True" in str(caught.value)
    same(eg.open(folder, follow_links=True), eg.Checkpoint(ARRAYS))


@pytest.mark.parametrize("homes", [None, [], {"a": 1}, {"a": None}, "x"])
def test_rejects_an_index_without_a_map(folder, homes):
    change(folder, weight_map=homes)
    with pytest.raises(DamagedError, match="no map from tensors to shards"):
        eg.open(folder)


def test_rejects_a_cut_index(folder):
    data = (folder / INDEX).read_bytes()
    for at in range(len(data) - 2):
        (folder / INDEX).write_bytes(data[:at])
        with pytest.raises(FormatError):
            eg.open(folder)


def test_rejects_a_folder_with_several_indexes(folder):
    shutil.copy(folder / INDEX, folder / "a.safetensors.index.json")
    same(eg.open(folder), eg.Checkpoint(ARRAYS))
    (folder / INDEX).rename(folder / "b.safetensors.index.json")
    with pytest.raises(UsageError, match="several indexes"):
        eg.open(folder)


@pytest.mark.parametrize("size", [0, -1, "much", "5XB", 1.5, True])
def test_rejects_sizes_that_are_none(tmp_path, size):
    with pytest.raises(UsageError, match="shard_size"):
        eg.save(ARRAYS, tmp_path / INDEX, shard_size=size)
    assert not list(tmp_path.iterdir())
