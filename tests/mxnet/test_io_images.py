"""Iterators over packed images: the batches that MXNet 1.9.1 gave for the same records."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

import evergraph.mxnet as mx

RECORDED = json.loads((Path(__file__).parents[1] / "data/mxnet/recorded/io_images.json").read_text())
CHANGED = {
    "noround": {"round_batch": False},
    "norm": {"mean_r": 10, "mean_g": 20, "mean_b": 30, "std_r": 2, "std_g": 3, "std_b": 4, "scale": 0.5},
    "mirror": {"mirror": True},
    "resize": {"resize": 9},
    "part": {"num_parts": 2, "part_index": 1, "path_imgidx": "p.idx"},
    "part0": {"num_parts": 2, "part_index": 0},
    "pad": {"pad": 2},
    "big": {"data_shape": (3, 14, 14)},
    "gray": {"data_shape": (1, 8, 8)},
}


@pytest.fixture
def records(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw = np.random.RandomState(0)
    with mx.recordio.MXIndexedRecordIO("p.idx", "p.rec", "w") as file:
        for i in range(7):
            image = draw.randint(0, 255, (10 + i, 12, 3)).astype("uint8")
            header = mx.recordio.IRHeader(0, float(i), i, 0)
            file.write_idx(i, mx.recordio.pack_img(header, image, 9, ".png"))
    return tmp_path


def _iterator(kind=mx.io.ImageRecordIter, **changed):
    usual = {"path_imgrec": "p.rec", "data_shape": (3, 8, 8), "batch_size": 3, "preprocess_threads": 1}
    return kind(**usual | changed)


@pytest.mark.parametrize("name", RECORDED)
def test_gives_the_batches_of_mxnet_in_two_epochs(records, name):
    kind = {"u8": mx.io.ImageRecordUInt8Iter, "i8": mx.io.ImageRecordInt8Iter}.get(name, mx.io.ImageRecordIter)
    batches = _iterator(kind, **CHANGED.get(name, {}))
    for epoch in RECORDED[name]:
        found = list(batches)
        assert len(found) == len(epoch)
        for batch, (dtype, corners, sums, labels, pad, index) in zip(found, epoch, strict=True):
            # MXNet gives no padding for what it leaves unset in the last batch: here it is told
            told = 2 if name == "noround" and labels[0] == 6 else pad
            real = slice(3 - told if name == "noround" else 3)
            data = batch.data[0].asnumpy()
            grey = 1 if name in ("gray", "big") else 0.01
            assert f"<class 'numpy.{data.dtype}'>" == dtype
            np.testing.assert_allclose(data[real, :, 0, 0].astype(float), corners[real], atol=grey)
            np.testing.assert_allclose(data[real].astype(float).sum((1, 2, 3)), sums[real], atol=200 * grey, rtol=2e-5)
            assert batch.label[0].asnumpy()[: 3 - batch.pad].tolist() == labels[: 3 - batch.pad]
            assert (batch.pad, batch.index.tolist()) == (told, index)
        batches.reset()


def _all(batches):
    return np.concatenate([b.data[0].asnumpy() for _ in range(2) for b in [*batches, *(batches.reset() or [])]])


def test_workers_give_the_same_as_one_process(records, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    random = {"shuffle": True, "rand_crop": True, "rand_mirror": True, "seed": 5, "brightness": 0.2}
    several = _iterator(preprocess_threads=2, **random)
    assert len(several._workers.processes) == 2
    np.testing.assert_array_equal(_all(several), _all(_iterator(**random)))
    assert not np.array_equal(_all(_iterator(**random)), _all(_iterator(**random | {"seed": 6})))
    processes = several._workers.processes
    several.close()
    assert all(p.returncode is not None for p in processes)


def test_tells_that_a_worker_died(records, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    batches = _iterator(preprocess_threads=2)
    for process in batches._workers.processes:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with pytest.raises(mx.MXNetError, match="worker process"):
        _all(batches)


def test_takes_labels_of_a_list(records):
    Path("p.lst").write_text("".join(f"{i}\t{i}\t{i * 2}\tx.png\n" for i in range(7)))
    first = _iterator(path_imglist="p.lst", label_width=2).next()
    assert first.label[0].asnumpy().tolist() == [[0, 0], [1, 2], [2, 4]]
    with pytest.raises(mx.MXNetError, match="label_width=3"):
        _iterator(path_imglist="p.lst", label_width=3)


def test_rejects_what_it_cannot_honour_and_damage(records):
    with pytest.raises(mx.MXNetError, match=r"(?s)rotate='x'.*wrong=1"):
        _iterator(rotate="x", wrong=1)
    with pytest.raises(mx.MXNetError, match="part_index below"):
        _iterator(num_parts=2, part_index=2)
    data = Path("p.rec").read_bytes()
    Path("short.rec").write_bytes(data[:-4])
    with pytest.raises(mx.MXNetError, match=r"short\.rec, byte"):
        _iterator(path_imgrec="short.rec")


def test_pads_labels_of_boxes_and_mirrors_them(records):
    image = np.zeros((4, 6, 3), "uint8")
    with mx.recordio.MXRecordIO("d.rec", "w") as file:
        for i in range(2):
            label = [2, 5] + [i, 0.1, 0.2, 0.3, 0.4] * (i + 1)
            file.write(mx.recordio.pack_img(mx.recordio.IRHeader(0, label, i, 0), image, 9, ".png"))
    plain = {"path_imgrec": "d.rec", "batch_size": 2}
    label = _iterator(mx.io.ImageDetRecordIter, **plain).next().label[0].asnumpy()
    assert label.shape == (2, 16)
    np.testing.assert_allclose(label[0], [3, 8, 8, 7, 2, 5, 0, 0.1, 0.2, 0.3, 0.4] + [-1] * 5, rtol=1e-6)
    mirrored = _iterator(mx.io.ImageDetRecordIter, rand_mirror_prob=1.1, **plain).next().label[0].asnumpy()
    np.testing.assert_allclose(mirrored[0, 6:11], [0, 0.7, 0.2, 0.9, 0.4], rtol=1e-6)
