"""Image operators against what MXNet 1.9.1, with its OpenCV, gave; random ones by their distribution."""

import io

import numpy as np
import pytest
import torch

from evergraph import ops
from evergraph.errors import DamagedError, OperatorError, ShapeError, StoreError
from evergraph.ops.run import Run
from tests.goldens import MXNET
from tests.ops.recorded import cases, check

FILES = np.load(io.BytesIO((MXNET / "op-extra" / "image-decode.npz").read_bytes()))
DECODED = sorted(k[5:] for k in FILES.files if k.startswith("file:") and f"color:{k[5:]}" in FILES.files)


@pytest.mark.parametrize("name", cases("image"))
def test_recorded_image_case(name):
    check(cases("image")[name], 1e-5, 1e-3)


def encoded(name):
    return torch.from_numpy(FILES[f"file:{name}"].copy())


@pytest.mark.parametrize("name", DECODED)
def test_decodes_to_the_same_values(name):
    op = ops.get("_cvimdecode")
    color = op.body(encoded(name), flag=1, to_rgb=True)
    assert np.array_equal(color, FILES[f"color:{name}"])
    assert torch.equal(op.body(encoded(name), flag=1, to_rgb=False), color.flip(2))
    assert np.array_equal(op.body(encoded(name), flag=0, to_rgb=True), FILES[f"gray:{name}"])


def test_reads_a_file_as_its_bytes_decode(tmp_path):
    (tmp_path / "a.png").write_bytes(FILES["file:png"].tobytes())
    found = ops.get("_cvimread").body(filename=str(tmp_path / "a.png"), flag=1, to_rgb=True)
    assert np.array_equal(found, FILES["color:png"])


def test_first_way_of_decoding_gives_channels_first_minus_a_mean():
    op = ops.get("_imdecode")
    text = FILES["file:png"].tobytes().decode("latin-1")
    found = op.body(torch.full((3, 1, 1), 5.0), **op.convert({"str_img": text, "x0": 2, "x1": 9, "y0": 1, "y1": 4}))
    assert np.array_equal(found, FILES["color:png"].astype("f").transpose(2, 0, 1)[:, 1:4, 2:9] - 5)


@pytest.mark.parametrize("name", ["bad", "cutpng"])
def test_rejects_bytes_that_are_no_whole_image(name):
    with pytest.raises(DamagedError):
        ops.get("_cvimdecode").body(encoded(name), flag=1, to_rgb=True)


def test_rejects_a_file_that_is_not_there(tmp_path):
    with pytest.raises(StoreError, match="cannot be read"):
        ops.get("_cvimread").body(filename=str(tmp_path / "none.png"), flag=1, to_rgb=True)


def test_rejects_a_crop_that_reaches_out():
    op = ops.get("_image_crop")
    with pytest.raises(ShapeError, match="reaches out"):
        op.infer_shapes(op.convert({"x": 2, "y": 0, "width": 3, "height": 2}), [(4, 4, 3)], [None])


def test_rejects_an_interpolation_that_opencv_does_not_have():
    with pytest.raises(OperatorError, match="no such interpolation"):
        ops.get("_cvimresize").body(torch.zeros(2, 2, 3, dtype=torch.uint8), w=3, h=3, interp=7)


def test_fitting_interpolation_is_area_to_shrink_and_bicubic_to_enlarge():
    op = ops.get("_cvimresize")
    image = torch.randint(0, 256, (9, 8, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    for size, same in ((3, 3), (20, 2)):
        assert torch.equal(op.body(image, w=size, h=size, interp=9), op.body(image, w=size, h=size, interp=same))
    assert torch.equal(op.body(image, w=20, h=3, interp=9), op.body(image, w=20, h=3, interp=1))


def seeded(seed=0):
    return Run(generators={"cpu": torch.Generator().manual_seed(seed)})


def test_random_factors_are_uniform_between_their_limits():
    op = ops.get("_image_random_brightness")
    run = seeded()
    drawn = torch.stack([op.body(torch.ones(1, 1, 1), min_factor=0.5, max_factor=1.5, run=run) for _ in range(2000)])
    assert drawn.min() >= 0.5
    assert drawn.max() <= 1.5
    assert abs(drawn.mean().item() - 1) < 0.03
    assert abs(drawn.var().item() - 1 / 12) < 0.01


@pytest.mark.parametrize(("name", "axis"), [("left_right", 1), ("top_bottom", 0)])
def test_random_flips_turn_half_of_the_images(name, axis):
    op, image, run = ops.get(f"_image_random_flip_{name}"), torch.arange(12.0).view(2, 2, 3), seeded()
    turned = [torch.equal(op.body(image, run=run), image.flip(axis)) for _ in range(400)]
    assert 160 < sum(turned) < 240


def test_equal_seeds_give_equal_colours():
    op, image = ops.get("_image_random_color_jitter"), torch.rand(4, 4, 3) * 255
    params = {"brightness": 0.3, "contrast": 0.3, "saturation": 0.3, "hue": 0.1}
    first, again = (op.body(image, **params, run=seeded(7)) for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first, op.body(image, **params, run=seeded(8)))


def test_random_light_has_the_given_deviation():
    op, run = ops.get("_image_random_lighting"), seeded()
    drawn = torch.stack([op.body(torch.zeros(1, 1, 3), alpha_std=0.1, run=run) for _ in range(2000)])[:, 0, 0, 0]
    expected = 0.1 * ((55.46 * 0.5675) ** 2 + (4.794 * 0.7192) ** 2 + (1.148 * 0.4009) ** 2) ** 0.5
    assert abs(drawn.std().item() / expected - 1) < 0.05
