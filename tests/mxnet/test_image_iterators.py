"""ImageIter: images of record files and lists, in batches."""

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet.image.codecs import encode


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with mx.recordio.MXIndexedRecordIO("p.idx", "p.rec", "w") as file:
        for i in range(5):
            data = encode(np.full((8, 8, 3), i * 10, "uint8"), ".png", 9)
            (tmp_path / f"{i}.png").write_bytes(data)
            file.write_idx(i, mx.recordio.pack(mx.recordio.IRHeader(0, float(i), i, 0), data))
    (tmp_path / "p.lst").write_text("".join(f"{i}\t{i}\t{i}.png\n" for i in range(5)))
    return tmp_path


@pytest.mark.parametrize(
    "source",
    [
        {"path_imgrec": "p.rec"},
        {"path_imgrec": "p.rec", "path_imgidx": "p.idx"},
        {"path_imglist": "p.lst", "path_root": "."},
        {"imglist": [[float(i), f"{i}.png"] for i in range(5)]},
    ],
)
def test_gives_images_and_labels_of_every_source(folder, source):
    batches = mx.image.ImageIter(2, (3, 6, 6), **source)
    for _ in range(2):
        found = [(b.label[0].asnumpy().tolist(), b.data[0].asnumpy()[:, 0, 0, 0].tolist(), b.pad) for b in batches]
        assert found == [([0, 1], [0, 10], 0), ([2, 3], [20, 30], 0), ([4, 0], [40, 0], 1)]
        batches.reset()


def test_rejects_missing_sources_and_broken_images(folder):
    with pytest.raises(mx.MXNetError, match=r"(?s)no path_imgrec.*no part 3 of 2"):
        mx.image.ImageIter(2, (3, 6, 6), num_parts=2, part_index=3)
    (folder / "1.png").write_bytes(b"broken")
    with pytest.raises(mx.MXNetError, match=r"1\.png"):
        mx.image.ImageIter(2, (3, 6, 6), imglist=[[1.0, "1.png"]]).next()
