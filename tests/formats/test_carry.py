"""What a target has no place for comes back from its manifest: every recorded file returns to its bytes."""

import json
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import evergraph as eg
from evergraph.errors import ConversionError, DamagedError, EvergraphError, IntegrityError
from evergraph.formats.carry import KEY, Target, describe, known, restore
from evergraph.formats.plain_json import from_plain, to_plain
from evergraph.graph import parse, to_json
from evergraph.tensors import DTYPES, Held, Tensor
from tests.formats.battery import opened, same, written
from tests.formats.test_mindspore_ckpt import GUIDE, PLAIN
from tests.formats.test_mxnet_params import FILES as PARAMS
from tests.goldens import DATA, MXNET

TARGETS = ("safetensors", "mindspore-ckpt")
ALIKE = ("", "arg:", "aux:", "x", "arg:x", "aux:x", "aux:arg:x", "x.2", "arg:x.2")
SOURCES = PARAMS + PLAIN + GUIDE


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(DATA)))
def test_comes_back_to_the_byte(path):
    found = eg.open(path)
    for target in TARGETS:
        if target != found.format:
            stored = opened(written(target, found))
            same(stored, found)
            assert written(found.format, stored) == path.read_bytes(), target


def test_comes_back_over_several_formats():
    path = MXNET / "1.9.1" / "ndarray" / "sparse.nd"
    found = eg.open(path)
    for target in (*TARGETS, "safetensors", *TARGETS):
        found = opened(written(target, found))
        assert found.format == target
        assert found.details["source"] == "mxnet-params"
    assert written("mxnet-params", found) == path.read_bytes()


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("prefix", ["0.9.5/checkpoints/lenet", "1.0.0/checkpoints/lenet", "1.9.1/checkpoints/lenet"])
def test_both_files_of_a_prefix_come_back_to_the_byte(prefix, target, tmp_path):
    eg.save(eg.open(MXNET / prefix), tmp_path / "stored", to=target)
    stored = eg.open(tmp_path / "stored")
    assert stored.metadata["epoch"] == 1
    eg.save(stored, tmp_path / "lenet", to="mxnet-checkpoint")
    for ending in ("-symbol.json", "-0001.params"):
        assert (tmp_path / f"lenet{ending}").read_bytes() == (MXNET / f"{prefix}{ending}").read_bytes()


@pytest.mark.parametrize("target", TARGETS)
def test_a_graph_and_metadata_come_back(target):
    text = (MXNET / "0.9.5" / "checkpoints" / "lenet-symbol.json").read_bytes()
    given = eg.Checkpoint(
        {"arg:w": np.ones(2), "aux:w": np.zeros(2), "plain": np.ones(1)},
        graph=parse(text),
        metadata={"epoch": 3, "words": ["a", None], "π": 3.5},
        format="toy",
        details={"bytes": b"\xff", "pair": (1, (2, "x")), "list": [1.5, float("inf")], "keys": {1: "a", "$": 2}},
    )
    found = opened(written(target, given))
    same(found, given)
    assert found.graph is not None
    assert to_json(found.graph) == text
    assert dict(found.metadata) == {"epoch": 3, "words": ["a", None], "π": 3.5}
    assert known(found, "toy") == given.details
    assert known(found, "other") == {}


@pytest.mark.parametrize("target", TARGETS)
def test_a_changed_graph_comes_back(target):
    graph = parse((MXNET / "1.9.1" / "checkpoints" / "lenet-symbol.json").read_bytes()).replace()
    found = opened(written(target, eg.Checkpoint({}, graph=graph)))
    assert found.graph is not None
    assert to_json(found.graph) == to_json(graph)


def test_plain_arrays_need_no_manifest():
    arrays = eg.Checkpoint({"a": np.ones(2), "b": np.zeros((0, 2))})
    for target in TARGETS:
        stored = opened(written(target, arrays), carried=False)
        assert list(stored) == ["a", "b"]
        assert KEY not in stored.metadata


def test_roles_are_kept_beside_bare_names():
    given = eg.Checkpoint({"arg:w": np.ones(1), "aux:m": np.ones(2), "arg:both": np.ones(3), "aux:both": np.ones(4)})
    data = written("safetensors", given)
    assert list(opened(data, carried=False)) == ["w", "m", "arg:both", "aux:both"]
    same(opened(data), given)


@pytest.mark.parametrize("target", TARGETS)
@given(st.lists(st.sampled_from(ALIKE), min_size=1, unique=True))
def test_names_that_are_alike_without_their_roles_all_come_back(target, names):
    tensors = {name: np.full(2, number, "float32") for number, name in enumerate(names)}
    found = opened(written(target, eg.Checkpoint(tensors)))
    assert list(found) == names
    assert [float(t.numpy()[0]) for t in found.values()] == list(range(len(names)))


def test_parts_of_sparse_tensors_take_names_that_are_free():
    parts = Tensor.of(np.ones((1, 2), "f4")), Tensor.of(np.array([3]))
    given = eg.Checkpoint(
        {"w": Tensor.sparse("row_sparse", (4, 2), *parts), "w.data": np.ones(1), "w.data.2": np.ones(2)}
    )
    data = written("safetensors", given)
    assert list(opened(data, carried=False)) == ["w.data.3", "w.indices", "w.data", "w.data.2"]
    same(opened(data), given)


def test_an_order_that_the_target_does_not_keep_comes_back():
    given = eg.Checkpoint(
        {"z": np.ones(1), "none": Tensor(DTYPES["float32"], None, Held(b""), "none"), "a": np.ones(2)}
    )
    target = Target("toy", "a toy", {"float64": "float64"}, order=sorted)
    carried = describe(given, target)
    stored = eg.Checkpoint({k: carried.tensors[k] for k in sorted(carried.tensors)})
    same(restore(stored, carried.manifest), given)


def test_lists_what_a_target_cannot_carry():
    given = eg.Checkpoint({"c": np.ones(2, "complex64"), "d": np.ones(2)}, details={"odd": object()}, format="toy")
    carried = describe(given, Target("box", "a box", {"float64": "float64"}))
    assert carried.losses == ("c: a box has no complex64", "the file's own details: object cannot be written as JSON")
    plain = describe(given.replace(format="other"), Target("box", "a box", {"float64": "float64"}), carry=False)
    assert plain.losses == ("c: a box has no complex64",)
    assert plain.notes == ("what only other knows (record versions, devices, order) is not kept",)


@pytest.mark.parametrize("target", TARGETS)
def test_without_a_manifest_losses_are_listed_first(target, tmp_path):
    path = MXNET / "1.9.1" / "ndarray" / "sparse.nd"
    found = eg.open(path)
    with pytest.raises(ConversionError, match="cannot carry everything") as caught:
        eg.save(found, tmp_path / "x", to=target, carry=False)
    assert any("csr storage becomes dense" in line for line in caught.value.details)
    assert not list(tmp_path.iterdir())
    eg.save(found, tmp_path / "x", to=target, carry=False, lossy=True)
    stored = eg.open(tmp_path / "x")
    for key, tensor in found.items():
        assert np.array_equal(stored[key].numpy(), tensor.numpy())
        assert stored[key].storage == "dense"


def manifest_of(**changes):
    content = {"tensors": 1, "role": "arg:", "entries": {}} | changes
    text = json.dumps(content)
    return f"1 {zlib.crc32(text.encode()):08x} {text}"


CSR = ("data", "indices", "indptr")
STORED = eg.Checkpoint({"w": np.ones(2, "f4")}, name="file.safetensors")


def test_restores_what_a_manifest_says():
    assert list(restore(STORED, manifest_of())) == ["arg:w"]
    found = restore(STORED, manifest_of(entries={"w": {"name": "v", "dtype": "int64", "shape": [1]}}))
    assert (found["v"].dtype, found["v"].shape) == ("int64", (1,))


@pytest.mark.parametrize(
    "changes",
    [
        {"tensors": 2},
        {"entries": []},
        {"entries": {"w": 1}},
        {"entries": {"w": {"dtype": "int64", "shape": [2]}}},
        {"entries": {"w": {"dtype": "int64", "shape": [-1]}}},
        {"entries": {"w": {"dtype": "int64", "shape": [1.0]}}},
        {"entries": {"w": {"dtype": "float1", "shape": [1]}}},
        {"entries": {"w": {"details": {"$bytes": "?"}}}},
        {"entries": {"w": {"details": {"$what": 1}}}},
        {"entries": {"x": {}}},
        {"entries": {"x": {"storage": "csr", "shape": [1], "dtype": "float32", "at": 0}}},
        {"entries": {"x": {"storage": "csr", "shape": [1], "dtype": "float32", "parts": {"indices": "w"}}}},
        {"entries": {"x": {"storage": "csr", "shape": [1], "dtype": "float32", "parts": {"data": "gone"}}}},
        {"entries": {"x": {"storage": "none", "shape": None, "dtype": "float32", "at": "first"}}},
        {"entries": {"x": {"storage": "none", "shape": None, "dtype": "float32", "at": 10**30}}},
        {"entries": {"x": {"storage": "text", "shape": [], "dtype": "str", "at": 0, "content": 5}}},
        {"entries": {"x": {"storage": "none", "shape": None, "dtype": "float32", "at": 0, "name": "arg:w"}}},
        {"entries": {"w": {"details": 5}}},
        {"common": [1]},
        {"entries": {"x": {"storage": "csr", "shape": [1, 2], "dtype": "float32", "parts": dict.fromkeys(CSR, "w")}}},
        {
            "entries": {
                "x": {"storage": "row_sparse", "shape": [], "dtype": "float32", "parts": dict.fromkeys(CSR[:2], "w")}
            }
        },
        {"entries": {"x": {"storage": "none", "shape": ["a"], "dtype": "float32", "at": 0}}},
        {"entries": {"w": {"dtype": "float32", "shape": [0, 2**70]}}},
        {"order": ["w", "w"]},
        {"order": 5},
        {"metadata": 5},
        {"metadata": [1]},
        {"graph": 5},
        {"details": 7},
    ],
)
def test_rejects_manifests_that_lie(changes):
    with pytest.raises(DamagedError) as caught:
        restore(STORED, manifest_of(**changes))
    assert "file.safetensors" in str(caught.value)
    assert "carried=False" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["", "2 00000000 {}", "1 00000000 {}", "x", "1", manifest_of()[:-1], manifest_of()[:20]]
)
def test_rejects_manifests_that_were_changed(text):
    with pytest.raises(DamagedError):
        restore(STORED, text)


def test_rejects_a_manifest_without_end():
    text = "[" * 100000
    with pytest.raises(DamagedError):
        restore(STORED, f"1 {zlib.crc32(text.encode()):08x} {text}")


def test_rejects_a_file_whose_tensors_another_program_changed():
    data = written("safetensors", eg.open(MXNET / "1.9.1" / "ndarray" / "dict.nd"))
    shown = opened(data, carried=False)
    manifest = shown.metadata[KEY]
    fewer = eg.Checkpoint(dict(list(shown.items())[1:]))
    with pytest.raises(DamagedError, match="does not belong to these tensors"):
        restore(fewer, manifest)
    with pytest.raises(IntegrityError, match="manifest was changed"):
        restore(shown, manifest.replace("arg", "agr").replace("version", "versoin"))


@pytest.mark.parametrize(
    ("target", "details"),
    [
        ("mxnet-params", {"version": 4}),
        ("mxnet-params", {"device": [1]}),
        ("mxnet-params", {"device": [2**40, 0]}),
        ("mxnet-params", {"storage": "x"}),
        ("mindspore-ckpt", {"mindspore-ckpt": {"pieces": ["a"]}}),
        ("mindspore-ckpt", {"mindspore-ckpt": 5}),
        ("mindspore-ckpt", {"mindspore-ckpt": {"frames": [[1]]}}),
    ],
)
def test_rejects_details_that_lie_when_they_are_used(target, details):
    found = restore(STORED, manifest_of(entries={"w": {"details": details}}))
    with pytest.raises(DamagedError, match="the details of an"):
        written(target, found)


def test_a_damaged_graph_is_said_when_it_is_asked_for():
    found = restore(STORED, manifest_of(graph="{"))
    with pytest.raises(EvergraphError):
        _ = found.graph


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        5,
        -1.5,
        "text",
        "\udcff",
        (),
        (1, "a", (2,)),
        [1, [2]],
        b"\0\xff",
        {},
        {"a": {"b": (1,)}},
        {"$x": 1},
        {1: (2,)},
    ],
)
def test_details_are_plain_json_and_back(value):
    assert from_plain(json.loads(json.dumps(to_plain(value)))) == value
    assert type(from_plain(to_plain(value))) is type(value)


def test_rejects_details_that_json_cannot_hold():
    with pytest.raises(ConversionError, match="JSON cannot hold"):
        to_plain({"a": object()})
