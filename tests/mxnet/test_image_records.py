"""Augmentations of packed images: MXNet 1.9.1's pixels where nothing is random, its ranges elsewhere."""

import json
from pathlib import Path

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet.image.codecs import decode
from evergraph.mxnet.io.pixels import resized
from evergraph.ops.families.image.resize import resize

FOLDER = Path(__file__).parents[1] / "data/mxnet/recorded"
RECORDED = json.loads((FOLDER / "image_records.json").read_text())
PIXELS = np.load(FOLDER / "image_records.npz")
KINDS = {"std": mx.io.ImageRecordIter, "det": mx.io.ImageDetRecordIter}
BOXES = [2, 5, 1, 0.1, 0.2, 0.5, 0.6, 2, 0.4, 0.3, 0.9, 0.8]
# weights of 15 bits, which OpenCV makes add up to one, against exact ones
ROUNDED = {"std:rotate30c", "std:rotate30l"}


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    folder = tmp_path_factory.mktemp("records")
    y, x = np.mgrid[:40, :50]
    noise = np.random.RandomState(1).randint(-20, 20, (40, 50, 3))
    image = (np.stack([x * 5, y * 6, 255 - (x + y) * 2.5], -1) + noise).clip(0, 255).astype("uint8")
    flat = np.full((40, 50, 3), 100, "uint8")
    flat[:, 25:] = (200, 60, 20)  # packing takes blue first
    for name, pixels in (("exact", image), ("random", flat)):
        for kind, label in (("std", 3.0), ("det", BOXES)):
            with mx.recordio.MXRecordIO(str(folder / f"{kind}-{name}.rec"), "w") as file:
                file.write(mx.recordio.pack_img(mx.recordio.IRHeader(0, label, 0, 0), pixels, 9, ".png"))
    return folder


def iterator(records, case, name, **options):
    kind = case.partition(":")[0]
    usual = {"path_imgrec": str(records / f"{kind}-{name}.rec"), "batch_size": 1, "preprocess_threads": 1}
    return KINDS[kind](**usual | {"data_shape": (3, 32, 36)} | options)


@pytest.mark.parametrize("case", RECORDED["exact"])
def test_gives_the_pixels_of_1_9_1(records, case):
    batch = iterator(records, case, "exact", **RECORDED["exact"][case]).next()
    wanted = PIXELS[case].astype("f8")
    np.testing.assert_allclose(batch.data[0].asnumpy()[0], wanted, rtol=1e-6, atol=1.0 if case in ROUNDED else 1e-6)
    if case in ROUNDED:
        assert (batch.data[0].asnumpy()[0] != wanted).mean() < 0.003
    if case.startswith("det"):
        np.testing.assert_allclose(batch.label[0].asnumpy()[0], PIXELS["label:" + case[4:]], rtol=1e-6)


@pytest.mark.parametrize("case", RECORDED["random"])
def test_random_changes_reach_as_far_as_those_of_1_9_1(records, case):
    row = RECORDED["random"][case]
    is_label = case in ("det:pad", "det:crop", "det:crop2")
    extra = {"label_pad_width": 12, "data_shape": (3, 40, 50)} if case.startswith("det") else {}
    batches, found = iterator(records, case, "random", seed=3, **extra, **row["options"]), []
    for _ in range(200):
        batch = batches.next()
        data = batch.data[0].asnumpy()[0]
        found.append(batch.label[0].asnumpy()[0] if is_label else [*data[:, 5, 3], *data[:, 5, -3]])
        batches.reset()
    least, mean, most = (np.array(row[k]) for k in ("least", "mean", "most"))
    reach = most - least
    # the ends of the ranges are seldom drawn: 200 draws stop short of 1,500, and several changes at once by more
    inner = 0.7 if case in ("std:all", "std:pca", "det:hue", "det:crop", "det:crop2") else 0.12
    tolerance = reach * (0.2 if inner > 0.5 else 0.06) + 0.01
    values = np.array(found, "f8")
    assert (values.min(0) >= least - tolerance).all()
    assert (values.max(0) <= most + tolerance).all()
    assert (values.min(0) <= least + reach * inner).all()
    assert (values.max(0) >= most - reach * inner).all()
    np.testing.assert_allclose(values.mean(0), mean, atol=(reach * 0.12 + 0.01).max())


@pytest.mark.parametrize("size", [(30, 41), (77, 60), (20, 90), (41, 31)])
def test_a_window_is_the_same_as_of_the_whole(size):
    image = np.random.RandomState(0).randint(0, 255, (60, 75, 4)).astype("uint8")
    import torch

    for channels in (1, 3, 4):
        part = np.ascontiguousarray(image[..., :channels])
        wanted = resize(torch.from_numpy(part), *size, 1).numpy()
        np.testing.assert_array_equal(resized(part, size, 1), wanted)
        np.testing.assert_array_equal(resized(part, size, 1, (3, 5, 11, 13)), wanted[3:14, 5:18])


@pytest.mark.parametrize(
    ("kind", "options", "says"),
    [
        ("std", {"rotate": "x", "wrong": 1, "resize": 3.5}, r"rotate='x'.*wrong=1.*resize=3\.5"),
        ("std", {"aug_seq": "nope", "inter_method": 7}, r"inter_method=7.*aug_seq='nope'"),
        ("std", {"random_resized_crop": True, "rand_crop": True}, r"excludes rand_crop"),
        ("std", {"rotate": 3, "inter_method": 0}, r"inter_method=0 cannot"),
        ("std", {"min_crop_size": 9, "max_crop_size": 5}, r"min_crop_size=9 is above"),
        ("det", {"num_crop_sampler": 2, "min_crop_scales": (0.1, 0.2, 0.3)}, r"3 values for num_crop_sampler=2"),
        ("det", {"min_crop_scales": 1}, r"min_crop_scales=1\.0 leaves no room"),
        ("det", {"resize_mode": "stretch"}, r"force or shrink or fit"),
        ("det", {"label_width": 11, "label_pad_width": 3}, r"label_width=11.*label_pad_width=3.*12 numbers"),
        ("det", {"rand_mirror": True}, r"no such parameter"),
    ],
)
def test_names_every_parameter_that_does_not_fit(records, kind, options, says):
    with pytest.raises(mx.MXNetError, match=f"(?s){says}"):
        iterator(records, kind, "exact", **options)


def test_takes_texts_for_numbers_as_mxnet_does(records):
    plain = iterator(records, "std", "exact", rotate=30, mirror=True).next().data[0].asnumpy()
    texts = iterator(records, "std", "exact", rotate="30", mirror="True", min_aspect_ratio="None").next()
    np.testing.assert_array_equal(texts.data[0].asnumpy(), plain)


def test_random_crops_show_parts_of_the_image_in_its_colours(records):
    options = {"random_resized_crop": True, "min_random_area": 0.1, "max_random_area": 0.5, "max_aspect_ratio": 0.3}
    batches = iterator(records, "std", "random", **options)
    seen = set()
    for _ in range(30):
        data = batches.next().data[0].asnumpy()[0]
        seen |= {tuple(data[:, 0, 0].tolist()), tuple(data[:, -1, -1].tolist())}
        batches.reset()
    assert {(100.0, 100.0, 100.0), (20.0, 60.0, 200.0)} <= seen


def test_reads_colours_red_first(records):
    image = decode(mx.recordio.unpack(mx.recordio.MXRecordIO(str(records / "std-random.rec"), "r").read())[1])
    data = iterator(records, "std", "random").next().data[0].asnumpy()[0]
    np.testing.assert_array_equal(data.transpose(1, 2, 0), image[4:36, 7:43])
