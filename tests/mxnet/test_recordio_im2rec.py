"""`evergraph im2rec`: the lists of MXNet's tool, and records that hold what they name."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.cli.main import main
from evergraph.mxnet.image.codecs import encode

TOOL = json.loads((Path(__file__).parents[1] / "data/mxnet/recorded/im2rec.json").read_text())
RECORDED = "0\t0.000000\ta/1.png\n2\t1.000000\tb/3.png\n3\t1.000000\tb/4.jpg\n1\t0.000000\ta/2.jpg\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i, name in enumerate(["a/1.png", "a/2.jpg", "b/3.png", "b/4.jpg", "b/note.txt"]):
        path = tmp_path / "im" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(np.full((6, 8 + i, 3), i * 40, "uint8"), path.suffix.replace(".txt", ".png"), 9))
    return tmp_path


def test_lists_images_in_the_order_of_mxnets_tool(folder):
    assert main(["im2rec", "l", "im", "--list", "--recursive"]) == 0
    assert (folder / "l.lst").read_text() == RECORDED
    assert main(["im2rec", "n", "im", "--list", "--recursive", "--no-shuffle", "--train-ratio", "0.5"]) == 0
    assert (folder / "n_train.lst").read_text() == "0\t0.000000\ta/1.png\n1\t0.000000\ta/2.jpg\n"
    assert (folder / "n_val.lst").read_text() == "2\t1.000000\tb/3.png\n3\t1.000000\tb/4.jpg\n"


def test_packs_files_as_they_are(folder):
    (folder / "p.lst").write_text("7\t1.0\t2.0\ta/1.png\n3\t0.0\t5.0\tb/4.jpg\n")
    assert main(["im2rec", "p", "im", "--pass-through", "--pack-label", "--num-thread", "2"]) == 0
    with mx.recordio.MXIndexedRecordIO("p.idx", "p.rec", "r") as records:
        assert records.keys == [7, 3]
        header, data = mx.recordio.unpack(records.read_idx(3))
    assert (header.label.tolist(), header.id) == ([0, 5], 3)
    assert data == (folder / "im/b/4.jpg").read_bytes()


def test_packs_images_resized_and_cropped(folder):
    (folder / "p.lst").write_text("0\t1.0\ta/1.png\n")
    assert main(["im2rec", "p", "im", "--resize", "4", "--center-crop", "--encoding", ".png", "--quality", "3"]) == 0
    with mx.recordio.MXIndexedRecordIO("p.idx", "p.rec", "r") as records:
        assert mx.recordio.unpack_img(records.read_idx(0))[1].shape == (4, 4, 3)


def test_rejects_damaged_lists_and_absent_images(folder, capsys):
    (folder / "p.lst").write_text("x\t1.0\ta/1.png\n1\ta.png\n")
    assert main(["im2rec", "p", "im"]) == 2
    said = capsys.readouterr().err
    assert "line 1" in said
    assert "line 2" in said
    (folder / "p.lst").write_text("1\t1.0\tabsent.png\n")
    assert main(["im2rec", "p", "im"]) == 2
    assert "absent.png" in capsys.readouterr().err


@pytest.fixture
def named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in TOOL["names"]:
        path = tmp_path / "img" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * 3)
    (tmp_path / "o").mkdir()
    return tmp_path


@pytest.mark.parametrize("options", TOOL["lists"])
def test_makes_the_lists_of_mxnets_tool(named, options):
    assert main(["im2rec", "o/l", "img", "--list", *options.split()]) == 0
    wanted = {
        file: "".join(f"{key}\t{label:f}\t{path}\n" for key, label, path in rows)
        for file, rows in TOOL["lists"][options].items()
    }
    assert {p.name: p.read_text() for p in (named / "o").iterdir()} == wanted


@pytest.mark.parametrize("options", TOOL["packed"])
def test_packs_the_bytes_of_mxnets_tool(named, options):
    rows = [f"{7 * i + 1}\t{i:f}\t{i * 0.5:f}\t{name}\n" for i, name in enumerate(TOOL["names"])]
    (named / "o/l.lst").write_text("".join(rows))
    assert main(["im2rec", "o/l", "img", "--num-thread", "2", *options.split()]) == 0
    for file, digest in TOOL["packed"][options].items():
        assert hashlib.sha256((named / "o" / file).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize(
    ("options", "shape", "magic"),
    [
        ("--resize 4", (4, 5, 3), b"\xff\xd8"),
        ("--center-crop", (6, 6, 3), b"\xff\xd8"),
        ("--color 0", (6, 8), b"\xff\xd8"),
        ("--color -1 --encoding .png --quality 9", (6, 8, 3), b"\x89P"),
        ("--quality 10", (6, 8, 3), b"\xff\xd8"),
    ],
)
def test_packs_images_as_the_options_say(folder, options, shape, magic):
    (folder / "p.lst").write_text("0\t1.0\ta/1.png\n")
    assert main(["im2rec", "p", "im", *options.split()]) == 0
    with mx.recordio.MXIndexedRecordIO("p.idx", "p.rec", "r") as records:
        record = records.read_idx(0)
    assert mx.recordio.unpack(record)[1][:2] == magic
    assert mx.recordio.unpack_img(record, iscolor=-1)[1].shape == shape


def test_rejects_options_that_do_not_fit_together(folder, capsys):
    (folder / "p.lst").write_text("0\t1.0\ta/1.png\n")
    assert (
        main(["im2rec", "p", "im", "--chunks", "0", "--quality", "0", "--train-ratio", "0.8", "--test-ratio", "0.5"])
        == 2
    )
    said = capsys.readouterr().err
    assert all(word in said for word in ("--chunks 0", "--quality 0", "more than 1 together"))
