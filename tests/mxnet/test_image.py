"""Images: what MXNet 1.9.1 made of the same image with the same seeds (every seventh value, at most 60)."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet import image as im

RECORDED = json.loads((Path(__file__).parents[1] / "data/mxnet/recorded/image.json").read_text())
RAMP = np.add.outer(np.arange(24) * 5, np.arange(34) * 3)[:, :, None] + np.array([0, 20, 40])
BASE = (RAMP + np.random.RandomState(5).randint(0, 20, (24, 34, 3))).clip(0, 255).astype("uint8")
EIGENVALUES = np.array([55.46, 4.794, 1.148])


def _image(dtype="uint8"):
    return mx.nd.array(BASE, dtype=dtype)


def _planes():
    return mx.nd.array(BASE.astype("float32").transpose(2, 0, 1))


def _pair():
    return mx.nd.stack(_planes(), _planes() + 1)


AUGMENTERS = {
    "b": lambda: im.BrightnessJitterAug(0.3),
    "c": lambda: im.ContrastJitterAug(0.3),
    "s": lambda: im.SaturationJitterAug(0.3),
    "h": lambda: im.HueJitterAug(0.3),
    "cj": lambda: im.ColorJitterAug(0.2, 0.3, 0.4),
    "li": lambda: im.LightingAug(0.1, EIGENVALUES, np.eye(3) + 0.1),
    "g": lambda: im.RandomGrayAug(0.9),
    "f": lambda: im.HorizontalFlipAug(0.9),
}
JITTER = {"brightness": 0.1, "contrast": 0.1, "saturation": 0.1, "hue": 0.1, "pca_noise": 0.1, "rand_gray": 0.2}
LISTS = {
    "a": {"resize": 20, "rand_crop": True, "rand_mirror": True, "mean": True, "std": True},
    "b": {"rand_crop": True, "rand_resize": True, "inter_method": 10, **JITTER},
    "c": {"mean": np.array([1.0, 2, 3])},
}


def _created(name):
    return im.SequentialAug(im.CreateAugmenter((3, 14, 15), **LISTS[name]))(_image())


CALLS = {
    **{f"short{i}": lambda i=i: im.resize_short(_image(), 12, i) for i in (0, 1, 2, 3, 4, 9)},
    **{f"big{i}": lambda i=i: im.ForceResizeAug((50, 40), i)(_image()) for i in (1, 2, 9)},
    "rc": lambda: im.random_crop(_image(), (12, 10)),
    "rcbig": lambda: im.random_crop(_image(), (50, 10)),
    "cc": lambda: im.center_crop(_image(), (13, 11)),
    "ccbig": lambda: im.center_crop(_image(), (13, 60)),
    "rs": lambda: im.random_size_crop(_image(), (12, 10), 0.08, (0.75, 1.333)),
    "rs2": lambda: im.random_size_crop(_image(), (12, 10), (0.2, 0.4), (0.75, 1.333), 9),
    "fc": lambda: im.fixed_crop(_image(), 2, 3, 10, 11, (7, 6)),
    "border": lambda: im.copyMakeBorder(_image(), 1, 2, 3, 4),
    "norm": lambda: im.color_normalize(_image("float32"), mx.nd.array([1, 2, 3]), mx.nd.array([2, 3, 4])),
    **{f"aug {name}": lambda make=make: make()(_image("float32")) for name, make in AUGMENTERS.items()},
    **{f"create {name}": lambda name=name: _created(name) for name in LISTS},
    "rot": lambda: im.imrotate(_planes(), 30),
    "rotin": lambda: im.imrotate(_planes(), -70, zoom_in=True),
    "rotout": lambda: im.imrotate(_planes(), 100, zoom_out=True),
    "rotb": lambda: im.imrotate(_pair(), mx.nd.array([10, -45]), zoom_out=True),
    "rrot": lambda: im.random_rotate(_pair(), (-90, 90)),
}


@pytest.mark.parametrize("name", CALLS)
def test_changes_an_image_as_mxnet(name):
    random.seed(11)
    np.random.seed(11)
    found = CALLS[name]()
    if isinstance(found, tuple):
        found, box = found
        assert list(box) == RECORDED[f"{name} box"]
    shape, dtype, values = RECORDED[name]
    array = found.asnumpy()
    assert (list(array.shape), str(array.dtype)) == (shape, dtype)
    assert np.allclose(array.astype("float64").ravel()[::7][:60], values, rtol=0, atol=2e-3)


@pytest.mark.parametrize("name", LISTS)
def test_describes_augmenters_as_mxnet(name):
    found = [a.dumps() for a in im.CreateAugmenter((3, 14, 15), **LISTS[name])]
    assert found == RECORDED[f"dumps {name}"]


def test_scales_down_as_mxnet():
    sizes = (((640, 480), (720, 120)), ((10, 10), (5, 20)), ((3, 9), (9, 3)))
    assert [list(im.scale_down(a, b)) for a, b in sizes] == RECORDED["scale"]


def test_decodes_bytes_in_red_green_blue():
    packed = mx.recordio.pack_img((0, 1, 1, 0), BASE[..., ::-1], img_fmt=".png", quality=1)
    data = mx.recordio.unpack(packed)[1]
    assert np.array_equal(im.imdecode(data).asnumpy(), BASE)
    assert np.array_equal(im.imdecode(data, to_rgb=False).asnumpy(), BASE[..., ::-1])
    assert im.imdecode(data, flag=0).shape == (24, 34, 1)


@pytest.mark.parametrize(
    ("call", "kind"),
    [
        (lambda: im.imdecode("path.jpg"), ValueError),
        (lambda: im.resize_short(_image(), 12, 77), ValueError),
        (lambda: im.imrotate(_image(), 3), TypeError),
        (lambda: im.imrotate(_planes(), 3, True, True), ValueError),
        (lambda: im.imrotate(_pair(), mx.nd.array([1, 2, 3])), ValueError),
        (lambda: im.random_size_crop(_image(), (3, 3), 0.1, (1, 1), wrong=1), AssertionError),
        (lambda: im.CreateAugmenter((3, 4, 4), rand_resize=True), AssertionError),
        (lambda: im.CreateAugmenter((3, 4, 4), mean=3), AssertionError),
    ],
)
def test_rejects_what_mxnet_rejects(call, kind):
    with pytest.raises(kind) as caught:
        call()
    assert isinstance(caught.value, mx.MXNetError)
