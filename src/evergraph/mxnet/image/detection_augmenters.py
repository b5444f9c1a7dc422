"""Augmenters for detection: each changes an image (height, width, 3) and its boxes together.

A label is a float array, one row for each object: class, left, top, right, bottom, then anything. Positions are
fractions of the image's sides. Random choices come from Python's `random`, so `random.seed` repeats them.
"""

# ruff: noqa: D102 - an augmenter's class says what a call does

import json
import random
import warnings
from collections.abc import Iterator
from math import sqrt
from typing import Any

import numpy as np

from evergraph.errors import UsageError
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.base import InputTypeError
from evergraph.mxnet.image import transforms
from evergraph.mxnet.image.augmenters import Augmenter, CreateAugmenter, ForceResizeAug, ResizeAug

__all__ = [
    "CreateDetAugmenter",
    "CreateMultiRandCropAugmenter",
    "DetAugmenter",
    "DetBorrowAug",
    "DetHorizontalFlipAug",
    "DetRandomCropAug",
    "DetRandomPadAug",
    "DetRandomSelectAug",
]

_CONSTANT = 0
"""The code of copyMakeBorder for a border of one colour."""


class DetAugmenter:
    """The base class: called with an image and its label, gives both.

    Args:
        **kwargs: what `dumps` writes.
    """

    def __init__(self, **kwargs: Any) -> None:
        self._kwargs = {k: Augmenter._plain(v) for k, v in kwargs.items()}

    def dumps(self) -> Any:
        """The augmenter as JSON: its name and arguments."""
        return json.dumps([type(self).__name__.lower(), self._kwargs])

    def __call__(self, src: Any, label: Any) -> tuple[Any, Any]:
        raise UsageError(
            f"{type(self).__name__} does not say how it changes an image and its label",
            fix="define __call__(self, src, label)",
        )


class DetBorrowAug(DetAugmenter):
    """An augmenter of images alone, which moves no box.

    Raises:
        TypeError: augmenter is none of `mx.image`.
    """

    def __init__(self, augmenter: Augmenter) -> None:
        if not isinstance(augmenter, Augmenter):
            raise InputTypeError(
                "only an augmenter of images is borrowed", expected="mx.image.Augmenter", found=augmenter
            )
        super().__init__(augmenter=augmenter.dumps())
        self.augmenter = augmenter

    def dumps(self) -> Any:
        """The name, and what the borrowed augmenter writes."""
        return [type(self).__name__.lower(), self.augmenter.dumps()]

    def __call__(self, src: Any, label: Any) -> tuple[Any, Any]:
        return self.augmenter(src), label


class DetRandomSelectAug(DetAugmenter):
    """One of some augmenters, chosen at random, or none with probability skip_prob.

    Args:
        aug_list: the augmenters, or one; an empty list changes nothing.
        skip_prob: probability that nothing happens.

    Raises:
        ValueError: one of them is no DetAugmenter.
    """

    def __init__(self, aug_list: Any, skip_prob: float = 0) -> None:
        super().__init__(skip_prob=skip_prob)
        self.aug_list = list(aug_list) if isinstance(aug_list, (list, tuple)) else [aug_list]
        wrong = [repr(a) for a in self.aug_list if not isinstance(a, DetAugmenter)]
        if wrong:
            raise UsageError("only augmenters for detection are chosen from", expected="DetAugmenter", details=wrong)
        self.skip_prob = skip_prob if self.aug_list else 1

    def dumps(self) -> Any:
        """The name, and what each augmenter writes."""
        return [type(self).__name__.lower(), [a.dumps() for a in self.aug_list]]

    def __call__(self, src: Any, label: Any) -> tuple[Any, Any]:
        if random.random() < self.skip_prob:  # noqa: S311
            return src, label
        random.shuffle(self.aug_list)
        return self.aug_list[0](src, label)


class DetHorizontalFlipAug(DetAugmenter):
    """Mirrors the image and its boxes with probability p; boxes change in place."""

    def __init__(self, p: float) -> None:
        super().__init__(p=p)
        self.p = p

    def __call__(self, src: Any, label: Any) -> tuple[Any, Any]:
        if random.random() < self.p:  # noqa: S311
            src = nd.flip(src, axis=1)
            label[:, [1, 3]] = 1.0 - label[:, [3, 1]]
        return src, label


def _range(value: Any, name: str) -> Any:
    """A pair of limits; one number stands for both."""
    if isinstance(value, (tuple, list)):
        return value
    if isinstance(value, (int, float, np.number)):
        return (value, value)
    raise InputTypeError(f"{name} is a number or a pair of them", found=repr(value))


def _areas(boxes: np.ndarray) -> np.ndarray:
    """Areas of (left, top, right, bottom); zero where a box is turned over."""
    sides = np.maximum(0, boxes[:, 2:4] - boxes[:, :2])
    return sides[:, 0] * sides[:, 1]


class _Proposing(DetAugmenter):
    """An augmenter that tries rectangles of random proportions and area until one fits."""

    _largest_that_is_nothing: float

    def __init__(self, aspect_ratio_range: Any, area_range: Any, max_attempts: int, **kwargs: Any) -> None:
        shapes, areas = _range(aspect_ratio_range, "aspect_ratio_range"), _range(area_range, "area_range")
        super().__init__(aspect_ratio_range=shapes, area_range=areas, max_attempts=max_attempts, **kwargs)
        self.aspect_ratio_range, self.area_range, self.max_attempts = shapes, areas, max_attempts
        wrong = []
        if areas[1] <= self._largest_that_is_nothing or areas[0] > areas[1]:
            wrong.append(f"area_range {tuple(areas)}")
        if shapes[0] <= 0 or shapes[0] > shapes[1]:
            wrong.append(f"aspect_ratio_range {tuple(shapes)}")
        self.enabled = not wrong
        if wrong:
            warnings.warn(f"{type(self).__name__} does nothing: {', '.join(wrong)}", stacklevel=3)

    def _shapes(self, height: int, width: int) -> Iterator[tuple[float, float, float]]:
        """Random proportions, with the smallest and the largest area in pixels."""
        smallest, largest = (a * height * width for a in self.area_range)
        for _ in range(self.max_attempts if self.enabled and height > 0 and width > 0 else 0):
            yield random.uniform(*self.aspect_ratio_range), smallest, largest  # noqa: S311


class DetRandomCropAug(_Proposing):
    """Crops a random rectangle in which enough of an object remains; objects that lose too much go.

    Args:
        min_object_covered: the rectangle holds more than this fraction of each object that it touches.
        aspect_ratio_range: width over height of the rectangle, smallest and largest.
        area_range: its area as a fraction of the image's, smallest and largest.
        min_eject_coverage: objects of which this fraction or less remains are dropped.
        max_attempts: how many rectangles are tried before the image stays as it is.
    """

    _largest_that_is_nothing = 0

    def __init__(
        self,
        min_object_covered: float = 0.1,
        aspect_ratio_range: Any = (0.75, 1.33),
        area_range: Any = (0.05, 1.0),
        min_eject_coverage: float = 0.3,
        max_attempts: int = 50,
    ) -> None:
        kept = {"min_object_covered": min_object_covered, "min_eject_coverage": min_eject_coverage}
        super().__init__(aspect_ratio_range, area_range, max_attempts, **kept)
        self.min_object_covered, self.min_eject_coverage = min_object_covered, min_eject_coverage

    def __call__(self, src: Any, label: Any) -> tuple[Any, Any]:
        height, width = src.shape[:2]
        for ratio, smallest, largest in self._shapes(height, width):
            size = self._size(ratio, smallest, largest, height, width) if ratio > 0 else None
            if size is None:
                continue
            w, h = size
            y = random.randint(0, height - h)  # noqa: S311
            x = random.randint(0, width - w)  # noqa: S311
            frame = np.array([x / width, y / height, (x + w) / width, (y + h) / height])
            found = self._seen(label, frame) if self._fits(label, frame, height * width, w * h) else None
            if found is not None:
                return transforms.fixed_crop(src, x, y, w, h), found
        return src, label

    @staticmethod
    def _size(ratio: float, smallest: float, largest: float, height: int, width: int) -> tuple[int, int] | None:
        """A random width and height of these proportions within the limits, or None."""
        low, high = (round(sqrt(area / ratio)) for area in (smallest, largest))
        if round(high * ratio) > width:
            high = int((width + 0.4999999) / ratio)  # the largest that rounds to no more than the width
        high = min(high, height)
        h = random.randint(low, high) if low < high else high  # noqa: S311
        # rounding may leave the limits by one row
        if h * round(h * ratio) < smallest:
            h += 1
        if h * round(h * ratio) > largest:
            h -= 1
        w = round(h * ratio)
        fits = smallest <= w * h <= largest and 0 <= w <= width and 0 <= h <= height
        return (w, h) if fits else None

    def _fits(self, label: Any, frame: np.ndarray, pixels: int, size: int) -> bool:
        """Whether enough of the smallest touched object lies in the frame; objects of two pixels do not count."""
        if size < 2:
            return False
        areas = _areas(label[:, 1:5])
        counted = areas * pixels > 2
        boxes = label[counted, 1:5]
        inside = np.concatenate([np.maximum(boxes[:, :2], frame[:2]), np.minimum(boxes[:, 2:], frame[2:])], 1)
        shares = _areas(inside) / areas[counted]
        shares = shares[shares > 0]
        return shares.size > 0 and shares.min() > self.min_object_covered

    def _seen(self, label: Any, frame: np.ndarray) -> Any:
        """The objects that remain, relative to the frame; None where none does."""
        found = label.copy()
        size = frame[2:] - frame[:2]
        corner = np.tile(frame[:2], 2).astype(label.dtype)
        found[:, 1:5] = ((found[:, 1:5] - corner) / np.tile(size, 2)).clip(0, 1)
        boxes = found[:, 1:5]
        with np.errstate(divide="ignore", invalid="ignore"):
            shares = _areas(boxes) * size[0] * size[1] / _areas(label[:, 1:5])
        kept = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]) & (shares > self.min_eject_coverage)
        return found[kept] if kept.any() else None


class DetRandomPadAug(_Proposing):
    """Puts the image somewhere into a larger one of one colour.

    Args:
        aspect_ratio_range: width over height of the larger image, smallest and largest.
        area_range: its area as a multiple of the image's, smallest and largest.
        max_attempts: how many sizes are tried before the image stays as it is.
        pad_val: the colour, a number for each channel or one for all.
    """

    _largest_that_is_nothing = 1.0

    def __init__(
        self,
        aspect_ratio_range: Any = (0.75, 1.33),
        area_range: Any = (1.0, 3.0),
        max_attempts: int = 50,
        pad_val: Any = (128, 128, 128),
    ) -> None:
        pad_val = pad_val if isinstance(pad_val, (list, tuple)) else (pad_val,) * 3
        super().__init__(aspect_ratio_range, area_range, max_attempts, pad_val=pad_val)
        self.pad_val = pad_val

    def __call__(self, src: Any, label: Any) -> tuple[Any, Any]:
        height, width = src.shape[:2]
        for ratio, smallest, largest in self._shapes(height, width):
            h = self._height(ratio, smallest, largest, height, width)
            w = round(h * ratio)
            if h - height < 2 or w - width < 2:
                continue  # a margin of one pixel teaches nothing
            y = random.randint(0, h - height)  # noqa: S311
            x = random.randint(0, w - width)  # noqa: S311
            found = label.copy()
            scale = np.array([width, height] * 2)
            found[:, 1:5] = (found[:, 1:5] * scale + np.array([x, y] * 2)) / np.array([w, h] * 2)
            edges = (y, h - y - height, x, w - x - width)
            return transforms.copyMakeBorder(src, *edges, _CONSTANT, values=self.pad_val), found
        return src, label

    @staticmethod
    def _height(ratio: float, smallest: float, largest: float, height: int, width: int) -> int:
        low, high = (round(sqrt(area / ratio)) for area in (smallest, largest))
        if round(low * ratio) < width:
            low = int((width + 0.499999) / ratio)
        low = min(max(low, height), high)
        return random.randint(low, high) if low < high else low  # noqa: S311


def CreateMultiRandCropAugmenter(
    min_object_covered: Any = 0.1,
    aspect_ratio_range: Any = (0.75, 1.33),
    area_range: Any = (0.05, 1.0),
    min_eject_coverage: Any = 0.3,
    max_attempts: Any = 50,
    skip_prob: float = 0,
) -> DetRandomSelectAug:
    """One of several random crops, or none with probability skip_prob.

    Each argument of DetRandomCropAug is a value for all crops, or a list with one for each.

    Raises:
        UsageError: the lists have different lengths.

    >>> len(CreateMultiRandCropAugmenter([0.1, 0.5, 0.9], area_range=(0.3, 1.0)).aug_list)
    3
    """
    given = (min_object_covered, aspect_ratio_range, area_range, min_eject_coverage, max_attempts)
    lists = [value if isinstance(value, list) else [value] for value in given]
    count = max(map(len, lists))
    if any(len(one) not in (1, count) for one in lists):
        raise UsageError("the lists of the crops' arguments differ in length", found=[len(one) for one in lists])
    aligned = [one * count if len(one) < count else one for one in lists]
    return DetRandomSelectAug([DetRandomCropAug(*one) for one in zip(*aligned, strict=True)], skip_prob)


def CreateDetAugmenter(
    data_shape: tuple[int, int, int],
    resize: int = 0,
    rand_crop: float = 0,
    rand_pad: float = 0,
    rand_gray: float = 0,
    rand_mirror: bool = False,
    mean: Any = None,
    std: Any = None,
    brightness: float = 0,
    contrast: float = 0,
    saturation: float = 0,
    pca_noise: float = 0,
    hue: float = 0,
    inter_method: int = 2,
    min_object_covered: Any = 0.1,
    aspect_ratio_range: Any = (0.75, 1.33),
    area_range: Any = (0.05, 3.0),
    min_eject_coverage: Any = 0.3,
    max_attempts: Any = 50,
    pad_val: Any = (127, 127, 127),
) -> list[DetAugmenter]:
    """The usual list of augmenters for detection.

    Args:
        data_shape: (channels, height, width) of the result, whatever the image's proportions.
        resize: the shorter side before anything else; 0 for none.
        rand_crop: probability of a random crop.
        rand_pad: probability of a random padding.
        rand_gray: probability of a grey image.
        rand_mirror: whether to mirror half of the images.
        mean: what is subtracted: an array, True for ImageNet's, None for nothing.
        std: what divides, likewise.
        brightness: largest change of brightness.
        contrast: largest change of contrast.
        saturation: largest change of saturation.
        pca_noise: deviation of the noise along ImageNet's principal components.
        hue: largest change of hue.
        inter_method: the interpolation's code.
        min_object_covered: as of DetRandomCropAug; a list makes several crops, of which one is chosen.
        aspect_ratio_range: of crops and paddings, likewise.
        area_range: of crops, likewise; its upper limit is the paddings' too.
        min_eject_coverage: as of DetRandomCropAug, likewise.
        max_attempts: of crops and paddings, likewise.
        pad_val: the colour of paddings, before normalization.

    >>> [type(a).__name__ for a in CreateDetAugmenter((3, 8, 8), rand_crop=0.5, rand_mirror=True)]
    ['DetRandomSelectAug', 'DetHorizontalFlipAug', 'DetBorrowAug', 'DetBorrowAug']
    """
    augmenters: list[DetAugmenter] = [DetBorrowAug(ResizeAug(resize, inter_method))] if resize > 0 else []
    if rand_crop > 0:
        limits = (min_object_covered, aspect_ratio_range, area_range, min_eject_coverage, max_attempts)
        augmenters.append(CreateMultiRandCropAugmenter(*limits, skip_prob=1 - rand_crop))
    if rand_mirror:
        augmenters.append(DetHorizontalFlipAug(0.5))
    if rand_pad > 0:
        pad = DetRandomPadAug(aspect_ratio_range, (1.0, area_range[1]), max_attempts, pad_val)
        augmenters.append(DetRandomSelectAug([pad], 1 - rand_pad))
    augmenters.append(DetBorrowAug(ForceResizeAug((data_shape[2], data_shape[1]), inter_method)))
    colours: dict[str, Any] = {"brightness": brightness, "contrast": contrast, "saturation": saturation, "hue": hue}
    rest = CreateAugmenter(data_shape, mean=mean, std=std, pca_noise=pca_noise, rand_gray=rand_gray, **colours)
    return augmenters + [DetBorrowAug(a) for a in rest[1:]]  # all but the crop, which would move boxes
