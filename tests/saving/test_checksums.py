"""Checksums name the damaged tensor, and never cry wolf."""

import json

import numpy as np
import pytest

import evergraph as eg
from evergraph.errors import DamagedError, FormatError
from evergraph.graph import Graph, Node
from evergraph.saving import verify
from evergraph.tensors import Tensor


@pytest.fixture
def saved(tmp_path):
    path = tmp_path / "net.params"
    eg.save(weights(), path, checksum=True)
    return path


def weights(value=1.0):
    rows = Tensor.sparse(
        "row_sparse", (9, 2), Tensor.of(np.full((2, 2), value, "float32")), Tensor.of(np.array([3, 5]))
    )
    return {"arg:a": np.full(1000, value, "float32"), "arg:b": np.arange(50), "arg:rows": rows}


def findings(path):
    return verify.check_checkpoint(eg.open(path), path).findings


def test_a_whole_file_has_no_findings(saved):
    report = verify.check_checkpoint(eg.open(saved), saved)
    assert report.ok
    assert "4 checksums agree" in report.checked


def test_one_flipped_bit_names_the_tensor(saved):
    data = bytearray(saved.read_bytes())
    at = data.index(np.full(1000, 1.0, "float32").tobytes()) + 2001
    data[at] ^= 1
    saved.write_bytes(data)
    (line,) = findings(saved)
    assert line.startswith("arg:a: damaged")


def test_damage_to_a_sparse_part_names_the_part(saved):
    data = bytearray(saved.read_bytes())
    data[data.index(np.array([3, 5]).tobytes())] = 4
    saved.write_bytes(data)
    assert [line.split(":")[1] for line in findings(saved)] == ["rows/indices"]


def test_a_crash_between_manifest_and_file_is_no_damage(saved):
    old = saved.read_bytes()
    eg.save(weights(2.0), saved, checksum=True)
    saved.write_bytes(old)  # as if the manifest had become visible, and the file not yet
    assert findings(saved) == ()


def test_a_file_without_checksums_is_said_to_have_none(tmp_path):
    eg.save(weights(), tmp_path / "x.params")
    report = verify.check_checkpoint(eg.open(tmp_path / "x.params"), tmp_path / "x.params")
    assert report.ok
    assert "no checksums were saved" in report.notes[0]


def test_the_manifest_is_deterministic(saved, tmp_path):
    eg.save(weights(), tmp_path / "net2.params", checksum=True)
    first, second = (json.loads((tmp_path / f"{n}.params.evg.json").read_text()) for n in ("net", "net2"))
    assert first["versions"][0]["tensors"] == second["versions"][0]["tensors"]


def test_sparse_parts_that_lie_are_findings(tmp_path):
    bad = Tensor.sparse("csr", (2, 2), *(Tensor.of(np.array(v)) for v in ([1.0, 2.0], [0, 9], [0, 1, 2])))
    eg.save({"m": bad}, tmp_path / "bad.params")
    assert "column numbers from 0 to 9" in findings(tmp_path / "bad.params")[0]


def test_rejects_a_manifest_that_is_none(saved):
    manifest = saved.with_name(saved.name + ".evg.json")
    manifest.write_text('{"evergraph": 1, "versions": [{"files": {}, "tensors": {"a": "xyz"}}]}')
    assert "manifest cannot be read" in findings(saved)[0]
    with pytest.raises(DamagedError, match="manifest cannot be read"):
        verify.read_manifest(verify.sidecar(verify.locate(str(saved))))


def test_a_file_that_has_checksums_keeps_them(saved):
    eg.save(weights(2.0), saved)
    assert eg.verify(saved).sums == 4
    assert eg.verify(saved).ok, "checksums of an older save would call every tensor damaged"
    assert list(eg.open(saved, verify=True)) == list(weights())


def test_a_manifest_that_nobody_can_read_hinders_no_save(saved):
    saved.with_name("net.params.evg.json").write_text("{")
    assert not eg.verify(saved).ok
    eg.save(weights(2.0), saved)
    assert eg.verify(saved).ok


@pytest.fixture
def pair(tmp_path):
    graph = Graph((Node("null", "a"),), heads=((0, 0, 0),))
    eg.save(eg.Checkpoint({"arg:a": np.zeros(9, "f4")}, graph=graph, metadata={"epoch": 1}), tmp_path / "net")
    return tmp_path / "net"


def test_checksums_of_a_pair_are_found_from_its_folder(pair):
    for place in (pair, pair.parent):
        assert eg.verify(place).sums == 1
    path = pair.with_name("net-0001.params")
    data = bytearray(path.read_bytes())
    data[data.index(b"arg:a") - 20] ^= 1
    path.write_bytes(data)
    for place in (pair, pair.parent):
        (line,) = eg.verify(place).findings
        assert line.startswith("arg:a: damaged")


def test_checksums_of_one_epoch_say_nothing_of_another(pair):
    eg.save({"arg:a": np.ones(9, "f4")}, pair.with_name("net-0002.params"))
    newest, first = eg.verify(pair), eg.verify(pair, epoch=1)
    assert (newest.ok, newest.sums) == (True, None)
    assert (first.ok, first.sums) == (True, 1)


@pytest.mark.parametrize("name", ["net-0001.params", "net-symbol.json"])
def test_a_file_of_a_pair_that_is_saved_alone_takes_the_checksums_away(name, pair):
    found = eg.open(pair).replace({"arg:a": np.ones(9, "f4")}, metadata={})
    eg.save(found.replace(graph=None) if name.endswith("params") else found.replace({}), pair.with_name(name))
    assert not pair.with_name("net.evg.json").exists()
    assert (eg.verify(pair).ok, eg.verify(pair).sums) == (True, None)


def test_checksums_of_a_pair_stay_when_another_file_is_saved(pair):
    for name in ("net-0002.params", "nets-0001.params"):
        eg.save({"arg:a": np.ones(9, "f4")}, pair.with_name(name))
    assert eg.verify(pair, epoch=1).sums == 1


def test_checksums_are_told_from_checkpoints(saved):
    with pytest.raises(FormatError, match="these are the checksums of a checkpoint"):
        eg.open(f"{saved}.evg.json")
