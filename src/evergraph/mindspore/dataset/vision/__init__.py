"""Transforms of images: NumPy arrays (H, W, C) or (H, W), as MindSpore's own transforms make them."""

import enum
import io
from typing import Any

import numpy as np

from evergraph.errors import ShapeError, UsageError, printable
from evergraph.mindspore.common import seed

__all__ = [
    "HWC2CHW",
    "Border",
    "CenterCrop",
    "Crop",
    "Decode",
    "HorizontalFlip",
    "Inter",
    "Invert",
    "Normalize",
    "Pad",
    "RandomColorAdjust",
    "RandomCrop",
    "RandomCropDecodeResize",
    "RandomHorizontalFlip",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomVerticalFlip",
    "Rescale",
    "Resize",
    "ToTensor",
    "VerticalFlip",
]


class Inter(enum.IntEnum):
    """How pixels between pixels are made."""

    NEAREST = 0
    LINEAR = 1
    BILINEAR = 1


class Border(enum.StrEnum):
    """What stands beyond an image's edge."""

    CONSTANT = "constant"
    EDGE = "edge"
    REFLECT = "reflect"
    SYMMETRIC = "symmetric"


def _pair(value: Any) -> tuple[int, int]:
    found = (value, value) if isinstance(value, int) else tuple(value)
    if len(found) != 2 or min(found) < 1:
        raise UsageError("a size is one or two whole numbers above 0", found=printable(value))
    return found


class Decode:
    """Bytes of an image file as an array (H, W, 3)."""

    def __init__(self, to_pil: bool = False) -> None:
        self.to_pil = to_pil

    def __call__(self, image: Any) -> Any:
        """Decode."""
        from PIL import Image

        found = Image.open(io.BytesIO(np.asarray(image).tobytes())).convert("RGB")
        return found if self.to_pil else np.asarray(found)


class Resize:
    """To another size; of one number, the shorter side gets it.

    Args:
        size: height and width, or one number.
        interpolation: Inter.LINEAR or Inter.NEAREST.
    """

    def __init__(self, size: Any, interpolation: Any = Inter.LINEAR) -> None:
        if interpolation not in (Inter.LINEAR, Inter.NEAREST):
            raise UsageError("interpolation is Inter.LINEAR or Inter.NEAREST", found=printable(interpolation))
        self.size, self.interpolation = size, interpolation
        _pair(size)

    def __call__(self, image: Any) -> Any:
        """Resize."""
        image = np.asarray(image)
        height, width = image.shape[:2]
        if isinstance(self.size, int):
            share = self.size / min(height, width)
            wanted = (self.size, int(width * share)) if height < width else (int(height * share), self.size)
        else:
            wanted = _pair(self.size)
        if wanted == (height, width):
            return image
        if self.interpolation == Inter.NEAREST:
            rows = (np.arange(wanted[0]) * (height / wanted[0])).astype(int)
            return image[rows][:, (np.arange(wanted[1]) * (width / wanted[1])).astype(int)]
        return _linear(image, wanted)


def _between(size: int, wanted: int, rows: bool) -> tuple[Any, Any, Any]:
    """The two neighbours of each new pixel's centre, and how far it is from the first.

    OpenCV keeps the share of a row beyond the edge and repeats the row; of a column it takes the edge alone.
    """
    centre = ((np.arange(wanted) + 0.5) * (size / wanted) - 0.5).astype(np.float32)
    first = np.floor(centre).astype(int)
    share = (centre - first).astype(np.float32)
    if not rows:
        share[(first < 0) | (first >= size - 1)] = 0
        first = np.clip(first, 0, size - 1)
    return np.clip(first, 0, size - 1), np.clip(first + 1, 0, size - 1), share


def _linear(image: Any, wanted: tuple[int, int]) -> Any:
    """Linear in both directions; bytes in whole numbers of 1/2048, rounded as OpenCV rounds them."""
    top, bottom, down = _between(image.shape[0], wanted[0], True)
    left, right, along = _between(image.shape[1], wanted[1], False)
    more = (1,) * (image.ndim - 2)
    if image.dtype != np.uint8:
        along, down = along.reshape(1, -1, *more), down.reshape(-1, 1, *more)
        rows = image[:, left] * (1 - along) + image[:, right] * along
        return (rows[top] * (1 - down) + rows[bottom] * down).astype(image.dtype)
    scaled = lambda share: np.rint(share * np.float32(2048)).astype(np.int64)
    x, y = along.reshape(1, -1, *more), down.reshape(-1, 1, *more)
    rows = image[:, left].astype(np.int64) * scaled(1 - x) + image[:, right].astype(np.int64) * scaled(x)
    found = (scaled(1 - y) * (rows[top] >> 4) >> 16) + (scaled(y) * (rows[bottom] >> 4) >> 16)
    return np.clip((found + 2) >> 2, 0, 255).astype(np.uint8)


class Rescale:
    """image * rescale + shift, in Float32."""

    def __init__(self, rescale: float, shift: float) -> None:
        self.rescale, self.shift = np.float32(rescale), np.float32(shift)

    def __call__(self, image: Any) -> Any:
        """Rescale."""
        return np.asarray(image).astype(np.float32) * self.rescale + self.shift


class HWC2CHW:
    """(H, W, C) as (C, H, W)."""

    def __call__(self, image: Any) -> Any:
        """Transpose."""
        image = np.asarray(image)
        if image.ndim == 2:
            return image[None]
        if image.ndim != 3:
            raise ShapeError("an image has two or three dimensions", found=image.shape)
        return np.ascontiguousarray(image.transpose(2, 0, 1))


class Normalize:
    """(image - mean) / std of each channel."""

    def __init__(self, mean: Any, std: Any, is_hwc: bool = True) -> None:
        self.mean, self.std, self.is_hwc = np.asarray(mean, np.float32), np.asarray(std, np.float32), is_hwc

    def __call__(self, image: Any) -> Any:
        """Normalize."""
        shape = (-1,) if self.is_hwc else (-1, 1, 1)
        found = np.asarray(image).astype(np.float32)
        return (found - self.mean.reshape(shape)) / self.std.reshape(shape)


class ToTensor:
    """(H, W, C) bytes as (C, H, W) from 0 to 1."""

    def __init__(self, output_type: Any = np.float32) -> None:
        self.output_type = output_type

    def __call__(self, image: Any) -> Any:
        """Transpose and divide by 255."""
        return (HWC2CHW()(image).astype(np.float32) / 255).astype(self.output_type)


class CenterCrop:
    """The middle of an image, with zeros around it where the crop is larger."""

    def __init__(self, size: Any) -> None:
        self.size = _pair(size)

    def __call__(self, image: Any) -> Any:
        """Crop."""
        image = np.asarray(image)
        lack = [max(want - have, 0) for have, want in zip(image.shape, self.size, strict=False)]
        if any(lack):
            down, along = lack
            image = Pad((along // 2, down // 2, along - along // 2, down - down // 2))(image)
        top, left = ((have - want) // 2 for have, want in zip(image.shape, self.size, strict=False))
        return image[top : top + self.size[0], left : left + self.size[1]]


class Pad:
    """More pixels on all sides; of two numbers left and right, top and bottom; of four each side."""

    def __init__(self, padding: Any, fill_value: Any = 0, padding_mode: Any = Border.CONSTANT) -> None:
        padding = padding[0] if isinstance(padding, (tuple, list)) and len(padding) == 1 else padding
        sides = (padding,) * 4 if isinstance(padding, int) else tuple(padding)
        self.padding = sides if len(sides) == 4 else (sides[0], sides[1], sides[0], sides[1])
        self.fill_value, self.padding_mode = fill_value, Border(padding_mode)

    def __call__(self, image: Any) -> Any:
        """Pad."""
        image = np.asarray(image)
        left, top, right, bottom = self.padding
        sides = [(top, bottom), (left, right)] + [(0, 0)] * (image.ndim - 2)
        if self.padding_mode is not Border.CONSTANT:
            return np.pad(image, sides, mode=self.padding_mode.value)
        if isinstance(self.fill_value, int):
            return np.pad(image, sides, constant_values=self.fill_value)
        found = np.empty((*(n + sum(s) for n, s in zip(image.shape, sides, strict=True)),), image.dtype)
        found[:] = self.fill_value
        found[top : top + image.shape[0], left : left + image.shape[1]] = image
        return found


class RandomCrop:
    """A part of an image at a random place."""

    def __init__(
        self,
        size: Any,
        padding: Any = None,
        pad_if_needed: bool = False,
        fill_value: Any = 0,
        padding_mode: Any = Border.CONSTANT,
    ) -> None:
        self.size, self.pad_if_needed, self.fill_value = _pair(size), pad_if_needed, fill_value
        self.padding_mode = padding_mode
        self._pad = None if padding is None else Pad(padding, fill_value, padding_mode)

    def __call__(self, image: Any) -> Any:
        """Crop."""
        image = np.asarray(image) if self._pad is None else self._pad(image)
        lack = [max(want - have, 0) for have, want in zip(image.shape, self.size, strict=False)]
        if any(lack):
            if not self.pad_if_needed:
                raise ShapeError("the image is smaller than the crop", expected=self.size, found=image.shape)
            image = Pad((lack[1], lack[0], lack[1], lack[0]), self.fill_value, self.padding_mode)(image)
        draw = seed.generator()
        top, left = (int(draw.integers(0, have - want + 1)) for have, want in zip(image.shape, self.size, strict=False))
        return image[top : top + self.size[0], left : left + self.size[1]]


class HorizontalFlip:
    """Mirrored left to right."""

    def __call__(self, image: Any) -> Any:
        """Flip."""
        return np.flip(np.asarray(image), 1)


class VerticalFlip:
    """Mirrored top to bottom."""

    def __call__(self, image: Any) -> Any:
        """Flip."""
        return np.flip(np.asarray(image), 0)


class Invert:
    """255 less each byte."""

    def __call__(self, image: Any) -> Any:
        """Invert."""
        return 255 - np.asarray(image)


class Crop:
    """A part of an image.

    Args:
        coordinates: top and left.
        size: height and width, or one number.
    """

    def __init__(self, coordinates: Any, size: Any) -> None:
        self.coordinates, self.size = tuple(coordinates), _pair(size)

    def __call__(self, image: Any) -> Any:
        """Crop."""
        image, (top, left) = np.asarray(image), self.coordinates
        if top + self.size[0] > image.shape[0] or left + self.size[1] > image.shape[1]:
            raise ShapeError(
                "the crop is not within the image", expected=image.shape[:2], found=(top, left, *self.size)
            )
        return image[top : top + self.size[0], left : left + self.size[1]]


class RandomResizedCrop:
    """A part of random size, form and place, in one size.

    Args:
        size: height and width, or one number.
        scale: the smallest and the largest share of the image's area.
        ratio: the smallest and the largest width over height.
        interpolation: as `Resize` takes it.
        max_attempts: how often a part is drawn before the middle is taken.
    """

    def __init__(
        self,
        size: Any,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        interpolation: Any = Inter.LINEAR,
        max_attempts: int = 10,
    ) -> None:
        self.scale, self.ratio, self.max_attempts = scale, ratio, max_attempts
        self._resize = Resize(_pair(size), interpolation)

    def _part(self, height: int, width: int) -> tuple[int, int, int, int]:
        draw = seed.generator()
        for _ in range(self.max_attempts):
            area = height * width * draw.uniform(*self.scale)
            form = np.exp(draw.uniform(*np.log(self.ratio)))
            tall, wide = round(float(np.sqrt(area / form))), round(float(np.sqrt(area * form)))
            if 0 < tall <= height and 0 < wide <= width:
                return int(draw.integers(height - tall + 1)), int(draw.integers(width - wide + 1)), tall, wide
        tall = min(height, round(width / self.ratio[0]))
        wide = min(width, round(height * self.ratio[1]))
        return (height - tall) // 2, (width - wide) // 2, tall, wide

    def __call__(self, image: Any) -> Any:
        """Crop and resize."""
        image = np.asarray(image)
        top, left, tall, wide = self._part(*image.shape[:2])
        return self._resize(image[top : top + tall, left : left + wide])


class RandomCropDecodeResize(RandomResizedCrop):
    """Bytes of an image file as a part of random size, form and place, in one size."""

    def __call__(self, image: Any) -> Any:
        """Decode, crop and resize."""
        return super().__call__(Decode()(image))


def _drawn(amount: Any, middle: float = 1.0) -> Any:
    """A random number near `middle`, or between two numbers."""
    low, high = (
        amount
        if isinstance(amount, (tuple, list))
        else (max(middle - amount, 0) if middle else -amount, middle + amount)
    )
    return seed.generator().uniform(low, high)


class RandomColorAdjust:
    """Brightness, contrast, saturation and hue changed at random.

    Args:
        brightness, contrast, saturation: how far from 1, or two limits.
        hue: how far from 0, at most 0.5, or two limits.
    """

    def __init__(self, brightness: Any = (1, 1), contrast: Any = (1, 1), saturation: Any = (1, 1), hue: Any = (0, 0)):
        self.amounts = {"Brightness": brightness, "Contrast": contrast, "Color": saturation}
        self.hue = hue

    def __call__(self, image: Any) -> Any:
        """Adjust."""
        from PIL import Image, ImageEnhance

        found = Image.fromarray(np.asarray(image))
        for name, amount in self.amounts.items():
            found = getattr(ImageEnhance, name)(found).enhance(_drawn(amount))
        turned = round(_drawn(self.hue, 0.0) * 255)
        if turned:
            hue, *rest = found.convert("HSV").split()
            hue = Image.fromarray((np.asarray(hue).astype(int) + turned).astype(np.uint8))
            found = Image.merge("HSV", (hue, *rest)).convert("RGB")
        return np.asarray(found)


class RandomRotation:
    """Turned around its centre by a random angle.

    Args:
        degrees: how far to either side, or two limits.
        resample: Inter.NEAREST or Inter.LINEAR.
        expand: whether the image grows to hold all.
        center: (x, y) to turn around.
        fill_value: what comes in at the corners.
    """

    def __init__(
        self,
        degrees: Any,
        resample: Any = Inter.NEAREST,
        expand: bool = False,
        center: Any = None,
        fill_value: Any = 0,
    ) -> None:
        self.degrees, self.resample, self.expand = degrees, resample, expand
        self.center, self.fill_value = center, fill_value

    def __call__(self, image: Any) -> Any:
        """Turn."""
        from PIL import Image

        how = Image.Resampling.NEAREST if self.resample == Inter.NEAREST else Image.Resampling.BILINEAR
        angle = _drawn(self.degrees, 0.0)
        found = Image.fromarray(np.asarray(image))
        return np.asarray(
            found.rotate(angle, how, expand=self.expand, center=self.center, fillcolor=self._fill(found.getbands()))
        )

    def _fill(self, bands: Any) -> Any:
        one = isinstance(self.fill_value, int)
        return (self.fill_value,) * len(bands) if one and len(bands) > 1 else self.fill_value


class RandomHorizontalFlip:
    """Mirrored left to right, with probability `prob`."""

    _axis = 1

    def __init__(self, prob: float = 0.5) -> None:
        self.prob = prob

    def __call__(self, image: Any) -> Any:
        """Flip, or not."""
        return np.flip(image, self._axis) if seed.generator().random() < self.prob else np.asarray(image)


class RandomVerticalFlip(RandomHorizontalFlip):
    """Mirrored top to bottom, with probability `prob`."""

    _axis = 0
