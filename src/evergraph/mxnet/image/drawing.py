"""Boxes drawn into images."""

from typing import Any

import numpy as np

from evergraph.errors import UsageError
from evergraph.mxnet.image.augmenters import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["drawn", "restored"]


def _statistic(value: Any, usual: list[float], name: str) -> Any:
    if value is True:
        return np.array(usual)
    if value is None or (isinstance(value, np.ndarray) and value.shape[0] in (1, 3)):
        return value
    raise UsageError(f"{name} is an array of 1 or 3 numbers, True for {usual}, or None", found=repr(value))


def restored(image: np.ndarray, mean: Any, std: Any, clip: bool) -> np.ndarray:
    """A normalized image as bytes again.

    Args:
        image: (height, width, 3).
        mean: what was subtracted: an array, True for ImageNet's, or None.
        std: what divided, likewise.
        clip: whether values are cut off at 0 and 255.
    """
    mean, std = _statistic(mean, IMAGENET_MEAN, "mean"), _statistic(std, IMAGENET_STD, "std")
    found = image.astype(np.float64)
    found = found if std is None else found * std
    found = found if mean is None else found + mean
    return (found.clip(0, 255) if clip else found.astype(np.int64)).astype(np.uint8)


def drawn(image: np.ndarray, label: np.ndarray, color: Any, thickness: int, names: dict[int, str]) -> np.ndarray:
    """An image with a frame around each box.

    Args:
        image: uint8, (height, width, 3).
        label: (objects, at least 5): class, left, top, right, bottom as fractions; a negative left is no box.
        color: of the frames; None for random ones.
        thickness: of the lines, in pixels.
        names: what to write beside a box of each class.
    """
    from PIL import Image, ImageDraw

    canvas = Image.fromarray(image)
    pen = ImageDraw.Draw(canvas)
    height, width = image.shape[:2]
    for row in label:
        left, top, right, bottom = (row[1:5] * [width, height, width, height]).astype(int).tolist()
        if left < 0:
            continue
        shade = tuple(color) if color else tuple((np.random.rand(3) * 255).astype(int).tolist())
        pen.rectangle((left, top, right, bottom), outline=shade, width=thickness)
        if int(row[0]) in names:
            pen.text((left + 5, top + 5), str(names[int(row[0])]), fill=shade)
    return np.asarray(canvas)
