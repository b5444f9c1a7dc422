"""Prefixes, Gluon exports, symbol files alone, folders: what belongs together is opened together."""

import os

import numpy as np
import pytest

import evergraph as eg
from evergraph.errors import ConversionError, DamagedError, FormatError, StoreError, UsageError
from evergraph.graph import Graph, Node
from tests.formats.battery import FormatBattery, same
from tests.goldens import MXNET, RELEASES

SYMBOLS = [MXNET / r / "checkpoints" / "lenet-symbol.json" for r in RELEASES]
GLUON = sorted(MXNET.glob("*/gluon/*-symbol.json"))


@pytest.mark.parametrize("path", SYMBOLS + GLUON, ids=lambda p: str(p.relative_to(MXNET)))
def test_a_prefix_opens_both_files_and_saves_to_the_same_bytes(path, tmp_path):
    prefix = os.fspath(path).removesuffix("-symbol.json")
    found = eg.open(prefix)
    params = next(path.parent.glob(f"{os.path.basename(prefix)}-*.params"))
    assert found.format == "mxnet-checkpoint"
    assert found.metadata["epoch"] == int(params.stem[-4:])
    same(found, eg.open(params))
    assert found.graph.text == path.read_bytes()
    eg.save(found, tmp_path / "again", to="mxnet-checkpoint")
    assert (tmp_path / f"again-{params.stem[-4:]}.params").read_bytes() == params.read_bytes()
    assert (tmp_path / "again-symbol.json").read_bytes() == path.read_bytes()


@pytest.fixture
def prefix(tmp_path):
    graph = Graph((Node("null", "w"), Node("null", "x")), heads=((0, 0, 0),))
    for epoch in (3, 12):
        checkpoint = eg.Checkpoint({"arg:w": np.full(2, epoch, "float32")}, graph=graph)
        eg.save(checkpoint, tmp_path / "m", to="mxnet-checkpoint", epoch=epoch)
    return tmp_path / "m"


def test_the_newest_epoch_is_opened(prefix):
    assert eg.open(prefix)["arg:w"].numpy()[0] == 12
    assert eg.open(prefix, epoch=3)["arg:w"].numpy()[0] == 3
    assert eg.open(prefix).metadata["epochs"] == [3, 12]
    with pytest.raises(UsageError, match=r"(?s)no parameters of epoch 4.*3, 12"):
        eg.open(prefix, epoch=4)


def test_parameters_alone_have_no_graph(prefix):
    found = eg.open(f"{prefix}-0003.params")
    assert found.format == "mxnet-params"
    assert found.graph is None
    both = eg.open(f"{prefix}-0003.params", format="mxnet-checkpoint")
    assert both.graph is not None
    assert both.metadata["epoch"] == 3


def test_a_graph_alone_has_no_tensors(prefix, tmp_path):
    found = eg.open(f"{prefix}-symbol.json")
    assert (found.format, len(found), len(found.graph)) == ("mxnet-symbol", 0, 2)
    eg.save(found, tmp_path / "n-symbol.json")
    assert (tmp_path / "n-symbol.json").read_bytes() == (tmp_path / "m-symbol.json").read_bytes()
    # without parameters, the prefix is the graph
    assert eg.open(tmp_path / "n").graph == found.graph or len(eg.open(tmp_path / "n").graph) == 2


def test_a_folder_with_one_checkpoint_opens(prefix):
    assert eg.open(prefix.parent).metadata["epoch"] == 12
    np.save(prefix.parent / "input.npy", np.zeros(3))
    assert eg.open(prefix.parent).metadata["epoch"] == 12
    (prefix.parent / "other.params").write_bytes((prefix.parent / "m-0003.params").read_bytes())
    with pytest.raises(UsageError, match=r"(?s)several checkpoints.*m \(epochs 3, 12\).*other\.params"):
        eg.open(prefix.parent)
    assert eg.open(prefix.parent, member="other.params").format == "mxnet-params"
    assert eg.open(prefix.parent, member="m", epoch=3).metadata["epoch"] == 3


def test_a_folder_with_several_checkpoints_lists_them(tmp_path):
    for name in ("a.npz", "b.npz"):
        eg.save({"w": np.ones(2)}, tmp_path / name)
    with pytest.raises(UsageError, match=r"(?s)several checkpoints.*a\.npz.*b\.npz"):
        eg.open(tmp_path)
    assert list(eg.open(tmp_path, member="b.npz")) == ["w"]


def test_a_prefix_in_a_remote_store_opens(prefix):
    import fsspec

    memory = fsspec.filesystem("memory")
    for path in prefix.parent.glob("m-*"):
        memory.pipe_file(f"/models/{path.name}", path.read_bytes())
    assert eg.open("memory://models/m").metadata["epoch"] == 12
    assert eg.open("memory://models/").metadata["epoch"] == 12
    with pytest.raises(StoreError, match=r"(?s)no such file, folder or prefix.*tried"):
        eg.open("memory://models/missing")


def test_saving_says_what_the_pair_cannot_hold(tmp_path):
    graph = Graph((Node("null", "w"),), heads=((0, 0, 0),))
    found = eg.Checkpoint({"w": np.ones(2, "float32")}, graph=graph, metadata={"note": "x"})
    with pytest.raises(ConversionError, match="metadata: note"):
        eg.save(found, tmp_path / "m", to="mxnet-checkpoint")
    layout = eg.save(found, tmp_path / "m", to="mxnet-checkpoint", lossy=True)
    assert any("no role" in n for n in layout.notes)
    with pytest.raises(UsageError, match="no graph"):
        eg.save({"w": np.ones(2)}, tmp_path / "m", to="mxnet-checkpoint")
    with pytest.raises(ConversionError, match="1 tensor:"):
        eg.save(found, tmp_path / "m-symbol.json")


@pytest.mark.parametrize("name", ["m-symbol.json", "m-0007.params", "m"])
def test_either_file_names_the_prefix_when_saving(name, tmp_path):
    found = eg.Checkpoint({"arg:w": np.ones(2)}, graph=Graph((Node("null", "w"),), heads=((0, 0, 0),)))
    eg.save(found, tmp_path / name, to="mxnet-checkpoint")
    epoch = "0007" if "7" in name else "0000"
    assert {f"m-{epoch}.params", "m-symbol.json"} <= set(os.listdir(tmp_path))


def test_a_graph_alone_is_a_pair_without_parameters(tmp_path):
    graph = Graph((Node("null", "w"),), heads=((0, 0, 0),))
    eg.save(eg.Checkpoint({}, graph=graph), tmp_path / "m")
    assert os.listdir(tmp_path) == ["m-symbol.json"]
    eg.save(eg.Checkpoint({}, graph=graph, metadata={"epoch": 3}), tmp_path / "m")
    assert "m-0003.params" in os.listdir(tmp_path), "a source that had parameters, though none, keeps them"


def test_a_prefix_is_found_beside_any_other_checkpoint(prefix):
    for name in ("other.safetensors", "other.safetensors.index.json", "other.npz", "other.pth", "other.ckpt"):
        eg.save({"w": np.ones(2, "f4")}, prefix.parent / name)
    assert eg.open(prefix).format == "mxnet-checkpoint"
    assert eg.verify(prefix)


def test_rejects_a_folder_as_a_prefix(tmp_path, prefix):
    with pytest.raises(UsageError, match="the target is a folder") as caught:
        eg.save(eg.open(prefix), f"{tmp_path}/")
    assert caught.value.fix == f"give a name in it, such as {tmp_path}/m"


def test_what_is_missing_is_said_with_what_was_tried(tmp_path, prefix):
    with pytest.raises(StoreError) as caught:
        eg.open(tmp_path / "n")
    assert "n-symbol.json" in str(caught.value)
    with pytest.raises(StoreError, match=r"near: m-0003\.params"):
        eg.open(tmp_path / "m-0004.params")
    with pytest.raises(StoreError, match="does not exist"):
        eg.open(tmp_path / "no" / "where")


def test_a_broken_graph_hinders_nobody_who_looks_at_the_tensors(prefix):
    (prefix.parent / "m-symbol.json").write_bytes(b'{"nodes": [')
    found = eg.open(prefix)
    assert found["arg:w"].numpy()[0] == 12
    with pytest.raises(DamagedError):
        assert found.graph


def test_rejects_json_that_is_no_graph(tmp_path):
    (tmp_path / "a.json").write_text('{"error": "not found"}')
    with pytest.raises(FormatError):
        eg.open(tmp_path / "a.json")


class TestSymbolBattery(FormatBattery):
    format_name = "mxnet-symbol"

    def examples(self):
        graph = Graph((Node("null", "w"), Node("relu", "y", inputs=((0, 0, 0),))), heads=((1, 0, 0),))
        return {"small": (eg.Checkpoint({}, graph=graph), {})}
