"""ImageDetIter and the augmenters for detection: what MXNet 1.9.1 gave for the same records and seeds."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

import evergraph.mxnet as mx

RECORDED = json.loads((Path(__file__).parents[1] / "data/mxnet/recorded/image_detection.json").read_text())
FILES = {"path_imgrec": "d.rec", "path_imgidx": "d.idx"}


def label_of(boxes):
    return [2.0, 5.0] + [round(x, 4) for box in boxes for x in box]


@pytest.fixture
def records(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw = np.random.RandomState(3)
    with mx.recordio.MXIndexedRecordIO("d.idx", "d.rec", "w") as file:
        for i in range(5):
            image = draw.randint(0, 255, (20 + 3 * i, 26, 3)).astype("uint8")
            boxes = [[float(k), *draw.uniform(0, 0.5, 2), *draw.uniform(0.6, 1, 2)] for k in range(i % 3 + 1)]
            boxes += [[7.0, 0.5, 0.5, 0.5, 0.7]] * (i == 1)  # it has no area
            header = mx.recordio.IRHeader(0, label_of(boxes), i, 0)
            file.write_idx(i, mx.recordio.pack_img(header, image, 9, ".png"))
    return tmp_path


@pytest.mark.parametrize("name", RECORDED["cases"])
def test_gives_the_batches_of_1_9_1_from_the_same_seeds(records, name):
    options = {k: tuple(v) if k in ("area_range", "pad_val") else v for k, v in RECORDED["cases"][name].items()}
    random.seed(11)
    np.random.seed(11)
    found, wanted = mx.image.ImageDetIter(2, (3, 18, 22), inter_method=1, **FILES, **options), RECORDED["found"][name]
    assert list(found.label_shape) == wanted["shape"]
    for epoch in wanted["epochs"]:
        found.reset()
        batches = list(found)
        assert len(batches) == len(epoch)
        for batch, (sums, pixels, labels, pad) in zip(batches, epoch, strict=True):
            data = batch.data[0].asnumpy().astype("f8")
            np.testing.assert_allclose(batch.label[0].asnumpy(), labels, atol=2e-6)
            np.testing.assert_allclose(data[:, :, ::7, ::7].reshape(2, -1), pixels, atol=2e-3, rtol=1e-5)
            np.testing.assert_allclose(data.sum((1, 2, 3)), sums, atol=0.5, rtol=1e-5)
            assert batch.pad == pad


def test_describes_augmenters_as_1_9_1_does():
    options = {"resize": 9, "rand_crop": 0.5, "rand_pad": 0.5, "rand_mirror": True, "brightness": 0.1, "hue": 0.1}
    options |= {"mean": True, "std": True, "pca_noise": 0.1, "rand_gray": 0.2}

    def plain(value):
        if isinstance(value, list):
            return [plain(v) for v in value]
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items()}
        if isinstance(value, str) and value[:1] == "[":
            return plain(json.loads(value))
        return pytest.approx(value) if isinstance(value, float) else value

    found = [augmenter.dumps() for augmenter in mx.image.CreateDetAugmenter((3, 8, 8), **options)]
    assert plain(RECORDED["found"]["dumps"]) == json.loads(json.dumps(plain_numbers(found)))


def plain_numbers(value):
    if isinstance(value, list):
        return [plain_numbers(v) for v in value]
    return plain_numbers(json.loads(value)) if isinstance(value, str) and value[:1] == "[" else value


def test_names_every_bad_label_at_once(records):
    image = np.zeros((4, 6, 3), "uint8")
    wrong = [[1.0], [2.0, 4.0, 1, 0, 0, 1, 1], label_of([[0, 0.5, 0.5, 0.5, 0.7]]), label_of([[0, 0.1, 0.1, 0.9, 0.9]])]
    with mx.recordio.MXRecordIO("bad.rec", "w") as file:
        for i, label in enumerate(wrong):
            file.write(mx.recordio.pack_img(mx.recordio.IRHeader(0, label, i, 0), image, 9, ".png"))
    with pytest.raises(mx.MXNetError, match=r"(?s)3 labels.*byte 0: .*shorter.*widths.*no box with an area"):
        mx.image.ImageDetIter(1, (3, 4, 4), path_imgrec="bad.rec")


def test_makes_room_for_labels_and_refuses_to_take_it(records):
    train = mx.image.ImageDetIter(2, (3, 18, 22), **FILES)
    one = [[label_of([[0, 0.1, 0.1, 0.9, 0.9]]), "1.png"]]
    (records / "1.png").write_bytes(mx.recordio.unpack(mx.recordio.MXRecordIO("d.rec", "r").read())[1])
    other = mx.image.ImageDetIter(1, (3, 18, 22), imglist=one)
    assert (train.label_shape, other.label_shape) == ((3, 5), (1, 5))
    assert train.sync_label_shape(other) is other
    assert other.next().label[0].shape == (1, 3, 5)
    for shape in ((2, 5), (3, 6), (3,)):
        with pytest.raises(ValueError, match="no room"):
            train.reshape(label_shape=shape)
    train.reshape(data_shape=(3, 9, 9))
    with pytest.raises(mx.MXNetError, match="augmenters"):
        train.next()


def test_draws_boxes_blue_first(records):
    images = list(mx.image.ImageDetIter(1, (3, 18, 22), **FILES).draw_next(color=(255, 0, 9), id2labels={0: "cat"}))
    assert len(images) == 5
    assert images[0].shape == (18, 22, 3)
    assert (images[0].reshape(-1, 3) == [9, 0, 255]).all(1).any()


def test_goes_on_where_it_stood(records):
    from evergraph.mxnet.io.positions import move, position

    options = {"shuffle": True, "last_batch_handle": "roll_over"}
    random.seed(5)
    first = mx.image.ImageDetIter(2, (3, 18, 22), **FILES, **options)
    first.reset()
    list(first)
    first.reset()
    here = position(first)
    wanted = [batch.label[0].asnumpy() for batch in first]
    again = mx.image.ImageDetIter(2, (3, 18, 22), **FILES, **options)
    move(again, here)
    np.testing.assert_array_equal([batch.label[0].asnumpy() for batch in again], wanted)


@pytest.mark.parametrize(
    ("kind", "options"),
    [("DetRandomCropAug", {"area_range": (0.5, 0.1)}), ("DetRandomPadAug", {"area_range": (0.5, 1.0)})],
)
def test_warns_of_limits_that_leave_nothing_to_do(kind, options):
    with pytest.warns(UserWarning, match=f"{kind} does nothing: area_range"):
        augmenter = getattr(mx.image, kind)(**options)
    image, label = mx.nd.zeros((8, 8, 3)), np.array([[0, 0.1, 0.1, 0.9, 0.9]])
    assert augmenter(image, label) == (image, label)


def test_refuses_augmenters_of_the_wrong_kind():
    with pytest.raises(TypeError, match="borrowed"):
        mx.image.DetBorrowAug(3)
    with pytest.raises(ValueError, match="DetAugmenter"):
        mx.image.DetRandomSelectAug([mx.image.CastAug()])
    with pytest.raises(mx.MXNetError, match="length"):
        mx.image.CreateMultiRandCropAugmenter([0.1, 0.2], max_attempts=[1, 2, 3])
