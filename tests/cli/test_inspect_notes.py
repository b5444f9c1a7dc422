"""What `inspect` and `verify` tell beside the table: odd graphs, archives, checksums that files hold themselves."""

import json
import tarfile

import numpy as np

import evergraph as eg
from evergraph.cli import main

ODD = {"nodes": [{"op": "null", "name": "x", "inputs": []}], "arg_nodes": [0], "heads": [[0, 0, 0]]}
ODD |= {"attrs": {"mxnet_version": ["int", 99999]}}


def test_inspect_tells_what_is_odd_about_a_graph(tmp_path, capsys):
    path = tmp_path / "net-symbol.json"
    path.write_text(json.dumps(ODD))
    assert main(["inspect", str(path)]) == 0
    assert "newer than any that is known" in capsys.readouterr().out
    assert main(["inspect", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["graph"]["remarks"]


def test_inspect_tells_what_an_archive_holds(tmp_path, capsys):
    eg.save({"arg:w": np.ones(2, "float32")}, tmp_path / "w.params")
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "w.params", "w.params")
    assert main(["inspect", str(tmp_path / "model.tar.gz")]) == 0
    assert "tar.gz, 1 member\n" in capsys.readouterr().out


def test_verify_knows_that_npz_files_hold_checksums(tmp_path):
    path = tmp_path / "w.npz"
    eg.save({"w": np.arange(300, dtype="float32")}, path)
    report = eg.verify(path)
    assert any("own checksums" in line for line in report.checked)
    assert not any("cannot be noticed" in line for line in report.notes)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert not eg.verify(path)
