"""Transforms of images: blocks that take (height, width, channels), or a batch of these, and work on the pixels."""

import random
from typing import Any

import numpy as np

from evergraph.mxnet import image
from evergraph.mxnet._state import STATE
from evergraph.mxnet.gluon.block import Block
from evergraph.mxnet.gluon.errors import BlockTypeError, BlockValueError
from evergraph.mxnet.gluon.hybrid import HybridBlock
from evergraph.mxnet.gluon.nn import HybridSequential, Sequential

__all__ = [
    "Cast",
    "CenterCrop",
    "Compose",
    "CropResize",
    "Normalize",
    "RandomApply",
    "RandomBrightness",
    "RandomColorJitter",
    "RandomContrast",
    "RandomFlipLeftRight",
    "RandomFlipTopBottom",
    "RandomHue",
    "RandomLighting",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomSaturation",
    "Resize",
    "Rotate",
    "ToTensor",
]


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else tuple(size)


def _space(F: Any) -> Any:
    return F.npx if STATE.np_array else F


class Compose(Sequential):
    """Transforms, one after another; neighbours that are hybrid run as one graph.

    Args:
        transforms: the transforms, in order.

    >>> from evergraph.mxnet import nd
    >>> Compose([Resize(4), ToTensor()])(nd.zeros((8, 8, 3), dtype="uint8")).shape
    (3, 4, 4)
    """

    def __init__(self, transforms: Any) -> None:
        super().__init__()
        row: list[HybridBlock] = []
        for each in [*transforms, None]:
            if isinstance(each, HybridBlock):
                row.append(each)
                continue
            self._add_row(row)
            row = []
            if each is not None:
                self.add(each)

    def _add_row(self, row: list[HybridBlock]) -> None:
        if len(row) == 1:
            self.add(row[0])
            row[0].hybridize()
        elif row:
            joined = HybridSequential()
            joined.add(*row)
            joined.hybridize()
            self.add(joined)


class Cast(HybridBlock):
    """Changes the element type.

    Args:
        dtype: the new one.
    """

    def __init__(self, dtype: Any = "float32") -> None:
        super().__init__()
        self._dtype = dtype

    def hybrid_forward(self, F: Any, x: Any, *args: Any) -> Any:
        """The image of another element type."""
        found = tuple(_space(F).cast(each, self._dtype) for each in (x, *args))
        return found[0] if len(found) == 1 else found


class ToTensor(HybridBlock):
    """Makes (height, width, channels) of 0 to 255 into float32 (channels, height, width) of 0 to 1.

    >>> from evergraph.mxnet import nd
    >>> ToTensor()(nd.full((2, 3, 1), 255, dtype="uint8")).shape
    (1, 2, 3)
    """

    def __init__(self) -> None:
        super().__init__()

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The tensor."""
        return _space(F).image.to_tensor(x)


class Normalize(HybridBlock):
    """Takes a mean from each channel of (channels, height, width) and divides by a deviation.

    Args:
        mean: a number, or one for each channel.
        std: a number, or one for each channel.
    """

    def __init__(self, mean: Any = 0.0, std: Any = 1.0) -> None:
        super().__init__()
        self._mean, self._std = mean, std

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The normalized tensor."""
        return _space(F).image.normalize(x, self._mean, self._std)


class Rotate(Block):
    """Rotates a float32 image (channels, height, width), or a batch of them.

    Args:
        rotation_degrees: the angle; positive turns clockwise.
        zoom_in: whether it is enlarged so that no empty corner shows.
        zoom_out: whether it is shrunk so that no corner is lost.
    """

    def __init__(self, rotation_degrees: float, zoom_in: bool = False, zoom_out: bool = False) -> None:
        super().__init__()
        self._arguments = rotation_degrees, zoom_in, zoom_out

    def forward(self, *args: Any) -> Any:
        """The rotated image."""
        if args[0].dtype != np.float32:
            raise BlockTypeError("This transformation only supports float32.", found=args[0].dtype, fix="use ToTensor")
        return image.imrotate(args[0], *self._arguments)


class RandomRotation(Block):
    """Rotates by a random angle.

    Args:
        angle_limits: the smallest and the largest angle.
        zoom_in: as in `Rotate`.
        zoom_out: as in `Rotate`.
        rotate_with_proba: how often it rotates at all.

    Raises:
        ValueError: limits in the wrong order, or a probability that is none.
    """

    def __init__(
        self, angle_limits: Any, zoom_in: bool = False, zoom_out: bool = False, rotate_with_proba: float = 1.0
    ) -> None:
        super().__init__()
        lower, upper = angle_limits
        if lower >= upper:
            raise BlockValueError("`angle_limits` must be an ordered tuple", found=angle_limits)
        if not 0 <= rotate_with_proba <= 1:
            raise BlockValueError(
                "Probability of rotating the image should be between 0 and 1", found=rotate_with_proba
            )
        self._arguments, self._often = (angle_limits, zoom_in, zoom_out), rotate_with_proba

    def forward(self, *args: Any) -> Any:
        """The image, rotated or not."""
        if np.random.random() > self._often:
            return args[0]
        if args[0].dtype != np.float32:
            raise BlockTypeError("This transformation only supports float32.", found=args[0].dtype, fix="use ToTensor")
        return image.random_rotate(args[0], *self._arguments)


class RandomApply(Sequential):
    """Applies a transform now and then.

    Args:
        transforms: the transform.
        p: how often.
    """

    def __init__(self, transforms: Block, p: float = 0.5) -> None:
        super().__init__()
        self.transforms, self.p = transforms, p

    def forward(self, *args: Any) -> Any:
        """The image, transformed or not."""
        return args[0] if self.p < random.random() else self.transforms(*args)  # noqa: S311


class RandomResizedCrop(Block):
    """Cuts out a random part and resizes it.

    Args:
        size: width and height of the result, or one number for both.
        scale: smallest and largest part of the area.
        ratio: smallest and largest width by height.
        interpolation: 0 nearest, 1 bilinear, 2 bicubic, 3 area, 4 Lanczos.
    """

    def __init__(
        self, size: Any, scale: Any = (0.08, 1.0), ratio: Any = (3.0 / 4.0, 4.0 / 3.0), interpolation: int = 1
    ) -> None:
        super().__init__()
        self._arguments = _pair(size), scale, ratio, interpolation

    def forward(self, *args: Any) -> Any:
        """The part."""
        return image.random_size_crop(args[0], *self._arguments)[0]


class CropResize(HybridBlock):
    """Cuts out a part, of an image or of each of a batch, and resizes it where a size is given.

    Args:
        x: its left edge.
        y: its upper edge.
        width: its width.
        height: its height.
        size: width and height of the result.
        interpolation: 0 nearest, 1 bilinear, 2 bicubic, 3 area, 4 Lanczos.
    """

    def __init__(self, x: int, y: int, width: int, height: int, size: Any = None, interpolation: Any = None) -> None:
        super().__init__()
        self._place, self._size, self._interpolation = (x, y, width, height), size, interpolation

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The part."""
        found = _space(F).image.crop(x, *self._place)
        return _space(F).image.resize(found, self._size, False, self._interpolation) if self._size else found


class CenterCrop(Block):
    """Cuts out the middle, enlarged where the image is smaller.

    Args:
        size: width and height of the result, or one number for both.
        interpolation: 0 nearest, 1 bilinear, 2 bicubic, 3 area, 4 Lanczos.
    """

    def __init__(self, size: Any, interpolation: int = 1) -> None:
        super().__init__()
        self._arguments = _pair(size), interpolation

    def forward(self, *args: Any) -> Any:
        """The middle."""
        return image.center_crop(args[0], *self._arguments)[0]


class Resize(HybridBlock):
    """Resizes an image, or each of a batch.

    Args:
        size: width and height of the result, or one number.
        keep_ratio: with one number: the shorter side gets this length, the other keeps the ratio.
        interpolation: 0 nearest, 1 bilinear, 2 bicubic, 3 area, 4 Lanczos.
    """

    def __init__(self, size: Any, keep_ratio: bool = False, interpolation: int = 1) -> None:
        super().__init__()
        self._arguments = size, keep_ratio, interpolation

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The resized image."""
        return _space(F).image.resize(x, *self._arguments)


class RandomFlipLeftRight(HybridBlock):
    """Mirrors left and right, every second time on average."""

    def __init__(self) -> None:
        super().__init__()

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The image, mirrored or not."""
        return _space(F).image.random_flip_left_right(x)


class RandomFlipTopBottom(HybridBlock):
    """Mirrors top and bottom, every second time on average."""

    def __init__(self) -> None:
        super().__init__()

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The image, mirrored or not."""
        return _space(F).image.random_flip_top_bottom(x)


def _range(amount: float) -> tuple[float, float]:
    return max(0, 1 - amount), 1 + amount


class RandomBrightness(HybridBlock):
    """Scales brightness by a number from 1 - brightness to 1 + brightness.

    Args:
        brightness: how far from 1.
    """

    def __init__(self, brightness: float) -> None:
        super().__init__()
        self._range = _range(brightness)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The changed image."""
        return _space(F).image.random_brightness(x, *self._range)


class RandomContrast(HybridBlock):
    """Scales contrast by a number from 1 - contrast to 1 + contrast.

    Args:
        contrast: how far from 1.
    """

    def __init__(self, contrast: float) -> None:
        super().__init__()
        self._range = _range(contrast)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The changed image."""
        return _space(F).image.random_contrast(x, *self._range)


class RandomSaturation(HybridBlock):
    """Scales saturation by a number from 1 - saturation to 1 + saturation.

    Args:
        saturation: how far from 1.
    """

    def __init__(self, saturation: float) -> None:
        super().__init__()
        self._range = _range(saturation)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The changed image."""
        return _space(F).image.random_saturation(x, *self._range)


class RandomHue(HybridBlock):
    """Turns hue by a number from 1 - hue to 1 + hue.

    Args:
        hue: how far from 1.
    """

    def __init__(self, hue: float) -> None:
        super().__init__()
        self._range = _range(hue)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The changed image."""
        return _space(F).image.random_hue(x, *self._range)


class RandomColorJitter(HybridBlock):
    """Changes brightness, contrast, saturation and hue in a random order.

    Args:
        brightness: as in `RandomBrightness`.
        contrast: as in `RandomContrast`.
        saturation: as in `RandomSaturation`.
        hue: as in `RandomHue`.
    """

    def __init__(self, brightness: float = 0, contrast: float = 0, saturation: float = 0, hue: float = 0) -> None:
        super().__init__()
        self._amounts = brightness, contrast, saturation, hue

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The changed image."""
        return _space(F).image.random_color_jitter(x, *self._amounts)


class RandomLighting(HybridBlock):
    """Adds random amounts of the colours that differ most among natural images.

    Args:
        alpha: standard deviation of the amounts.
    """

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self._alpha = alpha

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The changed image."""
        return _space(F).image.random_lighting(x, self._alpha)
