"""Checksums name the damaged tensor, and never cry wolf."""

import json

import numpy as np
import pytest

import evergraph as eg
from evergraph.errors import DamagedError
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
