"""Iterators over files: the batches that MXNet 1.9.1 gave for the same files."""

import gzip
import json
import struct
from pathlib import Path

import numpy as np
import pytest

import evergraph.mxnet as mx

RECORDED = json.loads((Path(__file__).parents[1] / "data/mxnet/recorded/io_files.json").read_text())


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savetxt("d.csv", np.arange(14).reshape(7, 2), delimiter=",", fmt="%d")
    np.savetxt("l.csv", np.arange(7), fmt="%d")
    Path("s.svm").write_text("1 0:0.5 2:1.5\n0\n2 1:3\n3 0:1 1:2 2:3\n4 2:9\n")
    Path("l.svm").write_text("1 0:1\n2 1:5\n3 0:2 1:1\n1\n0 0:7\n")
    images = struct.pack(">iiii", 2051, 7, 2, 3) + bytes(range(42))
    Path("i.idx").write_bytes(images)
    Path("z.idx.gz").write_bytes(gzip.compress(images))
    Path("l.idx").write_bytes(struct.pack(">ii", 2049, 7) + bytes(range(7)))
    return tmp_path


def _iterator(name):
    csv = {"data_csv": "d.csv", "data_shape": (2,), "label_csv": "l.csv", "batch_size": 3}
    svm = {"data_libsvm": "s.svm", "data_shape": (3,), "batch_size": 2}
    mnist = {"image": "i.idx", "label": "l.idx", "batch_size": 3, "shuffle": False, "silent": 1}
    plain = {"data_csv": "d.csv", "data_shape": (1, 2), "batch_size": 4}
    return {
        "csv1": lambda: mx.io.CSVIter(**csv),
        "csv0": lambda: mx.io.CSVIter(**csv, round_batch=False),
        "csvnolabel": lambda: mx.io.CSVIter(**plain),
        "csvi": lambda: mx.io.CSVIter(**plain, dtype="int32"),
        "svm1": lambda: mx.io.LibSVMIter(**svm),
        "svml": lambda: mx.io.LibSVMIter(**svm, label_libsvm="l.svm", label_shape=(2,)),
        "mnist0": lambda: mx.io.MNISTIter(**mnist),
        "mnist1": lambda: mx.io.MNISTIter(**mnist | {"image": "z.idx"}, flat=True),
        "mnistp": lambda: mx.io.MNISTIter(**mnist | {"batch_size": 2}, flat=True, num_parts=2, part_index=1),
    }[name]()


@pytest.mark.parametrize("name", RECORDED)
def test_gives_the_batches_of_mxnet(folder, name):
    batches = _iterator(name)
    for expected in RECORDED[name]:
        found = [
            [b.data[0].asnumpy().tolist(), b.label[0].asnumpy().tolist(), b.pad, b.index.tolist()] for b in batches
        ]
        assert found == expected
        batches.reset()


def test_describes_and_stores_batches_as_mxnet(folder):
    assert _iterator("csvi").provide_label[0].dtype == np.int32
    assert _iterator("svml").next().label[0].stype == "csr"
    assert _iterator("mnist0").provide_data == [("data", (3, 1, 2, 3))]


def test_shuffles_by_seed(folder):
    def order(seed):
        return mx.io.MNISTIter(image="i.idx", label="l.idx", batch_size=7, seed=seed).next().label[0].asnumpy().tolist()

    assert order(1) == order(1) != order(2)
    assert sorted(order(1)) == list(range(7))


def test_parts_of_a_file_hold_each_row_once(folder):
    rows = [
        float(b.label[0].asnumpy()[0])
        for part in range(3)
        for b in mx.io.LibSVMIter("s.svm", (3,), 1, num_parts=3, part_index=part)
    ]
    assert rows == [1, 0, 2, 3, 4]


def test_rejects_files_that_do_not_fit_and_names_all_rows(folder):
    (folder / "bad.csv").write_text("1,2\n1,x\n1,2,3\n")
    with pytest.raises(mx.MXNetError, match=r"(?s)row 2.*row 3"):
        mx.io.CSVIter("bad.csv", (2,), 1)
    with pytest.raises(mx.MXNetError, match="outside 0 to 1"):
        mx.io.LibSVMIter("s.svm", (2,), 1)
    (folder / "short.idx").write_bytes((folder / "i.idx").read_bytes()[:-1])
    with pytest.raises(mx.MXNetError, match="no whole idx file"):
        mx.io.MNISTIter(image="short.idx", label="l.idx")
    with pytest.raises(mx.MXNetError, match="cannot be read"):
        mx.io.MNISTIter(image="absent", label="l.idx")


def test_gives_single_arrays_of_the_current_batch(folder, monkeypatch):
    monkeypatch.chdir(folder)
    rows = mx.io.CSVIter(data_csv="d.csv", data_shape=(2,), label_csv="l.csv", batch_size=3)
    assert rows.iter_next()
    assert rows.getdata().asnumpy().tolist() == [[0, 1], [2, 3], [4, 5]]
    assert rows.getlabel().asnumpy().tolist() == [0, 1, 2]


def test_takes_parameters_as_texts_too(folder):
    plain = mx.io.CSVIter(data_csv="d.csv", data_shape=(2,), label_csv="l.csv", batch_size=3, round_batch=False)
    texts = mx.io.CSVIter(data_csv="d.csv", data_shape="(2,)", label_csv="l.csv", batch_size="3", round_batch="False")
    for one, other in zip(plain, texts, strict=True):
        assert one.pad == other.pad
        assert one.data[0].asnumpy().tolist() == other.data[0].asnumpy().tolist()
    digits = mx.io.MNISTIter(image="i.idx", label="l.idx", batch_size="7", shuffle="0", flat="True", silent=True)
    assert next(digits).label[0].asnumpy().tolist() == list(range(7))
    assert digits.provide_data[0].shape == (7, 6)


def test_says_all_parameters_of_other_types_at_once(folder):
    with pytest.raises(mx.MXNetError) as caught:
        mx.io.LibSVMIter(data_libsvm="s.svm", data_shape="(x,)", batch_size="many", round_batch="maybe")
    said = str(caught.value)
    assert "data_shape='(x,)': expected tuple" in said
    assert "batch_size='many': expected int" in said
    assert "round_batch='maybe': expected bool" in said
