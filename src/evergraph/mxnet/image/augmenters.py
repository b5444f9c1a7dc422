"""Augmenters: objects that change an image, each time anew where they are random."""

# ruff: noqa: D102 - an augmenter's class says what a call does

import json
import random
import warnings
from typing import Any

import numpy as np

from evergraph.errors import UsageError
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.base import InputTypeError
from evergraph.mxnet.image import transforms

__all__ = [
    "Augmenter",
    "BrightnessJitterAug",
    "CastAug",
    "CenterCropAug",
    "ColorJitterAug",
    "ColorNormalizeAug",
    "ContrastJitterAug",
    "CreateAugmenter",
    "ForceResizeAug",
    "HorizontalFlipAug",
    "HueJitterAug",
    "LightingAug",
    "RandomCropAug",
    "RandomGrayAug",
    "RandomOrderAug",
    "RandomSizedCropAug",
    "ResizeAug",
    "SaturationJitterAug",
    "SequentialAug",
]

Size = tuple[int, int]
_LUMINANCE = [[[0.299, 0.587, 0.114]]]
IMAGENET_MEAN = [123.68, 116.28, 103.53]
IMAGENET_STD = [58.395, 57.12, 57.375]


class Augmenter:
    """The base class: called with an image, gives an image.

    Args:
        **kwargs: what `dumps` writes.
    """

    def __init__(self, **kwargs: Any) -> None:
        self._kwargs = {k: self._plain(v) for k, v in kwargs.items()}

    @staticmethod
    def _plain(value: Any) -> Any:
        if isinstance(value, nd.NDArray):
            value = value.asnumpy()
        return value.tolist() if isinstance(value, np.ndarray) else value

    def dumps(self) -> Any:
        """The augmenter as JSON: its name and arguments."""
        return json.dumps([type(self).__name__.lower(), self._kwargs])

    def __call__(self, src: Any) -> Any:
        raise UsageError(
            f"{type(self).__name__} does not say how it changes an image", fix="define __call__(self, src)"
        )


class SequentialAug(Augmenter):
    """Augmenters one after another."""

    def __init__(self, ts: list[Any]) -> None:
        super().__init__()
        self.ts = ts

    def dumps(self) -> Any:
        """The name, and what each augmenter writes."""
        return [type(self).__name__.lower(), [x.dumps() for x in self.ts]]

    def __call__(self, src: Any) -> Any:
        for augment in self.ts:
            src = augment(src)
        return src


class RandomOrderAug(SequentialAug):
    """Augmenters in a random order."""

    def __call__(self, src: Any) -> Any:
        random.shuffle(self.ts)
        return super().__call__(src)


class _Sized(Augmenter):
    """An augmenter with a size and an interpolation."""

    def __init__(self, size: Any, interp: int = 2) -> None:
        super().__init__(size=size, interp=interp)
        self.size = size
        self.interp = interp


class ResizeAug(_Sized):
    """Resizes the shorter side."""

    def __call__(self, src: Any) -> Any:
        return transforms.resize_short(src, self.size, self.interp)


class ForceResizeAug(_Sized):
    """Resizes to (width, height), whatever the proportions."""

    def __call__(self, src: Any) -> Any:
        sizes = (*src.shape[:2], self.size[1], self.size[0])
        return transforms.imresize(src, *self.size, interp=transforms.chosen_method(self.interp, sizes))


class RandomCropAug(_Sized):
    """Crops a random rectangle."""

    def __call__(self, src: Any) -> Any:
        return transforms.random_crop(src, self.size, self.interp)[0]


class CenterCropAug(_Sized):
    """Crops the middle."""

    def __call__(self, src: Any) -> Any:
        return transforms.center_crop(src, self.size, self.interp)[0]


class RandomSizedCropAug(Augmenter):
    """Crops a rectangle of random area and proportions, and resizes it."""

    def __init__(self, size: Size, area: Any, ratio: tuple[float, float], interp: int = 2, **kwargs: Any) -> None:
        super().__init__(size=size, area=area, ratio=ratio, interp=interp)
        if "min_area" in kwargs:
            warnings.warn("min_area is deprecated: write area", DeprecationWarning, stacklevel=2)
            area = kwargs.pop("min_area")
        if kwargs:
            raise InputTypeError("RandomSizedCropAug has no such arguments", found=", ".join(kwargs))
        self.size, self.area, self.ratio, self.interp = size, area, ratio, interp

    def __call__(self, src: Any) -> Any:
        return transforms.random_size_crop(src, self.size, self.area, self.ratio, self.interp)[0]


class BrightnessJitterAug(Augmenter):
    """Multiplies by a factor within 1 ± brightness."""

    def __init__(self, brightness: float) -> None:
        super().__init__(brightness=brightness)
        self.brightness = brightness

    def __call__(self, src: Any) -> Any:
        src *= 1.0 + random.uniform(-self.brightness, self.brightness)  # noqa: S311
        return src


class ContrastJitterAug(Augmenter):
    """Mixes with the image's mean grey, by a factor within 1 ± contrast."""

    def __init__(self, contrast: float) -> None:
        super().__init__(contrast=contrast)
        self.contrast = contrast
        self.coef = nd.array(_LUMINANCE)

    def __call__(self, src: Any) -> Any:
        alpha = 1.0 + random.uniform(-self.contrast, self.contrast)  # noqa: S311
        grey = src * self.coef
        grey = nd.sum(grey) * (3.0 * (1.0 - alpha) / grey.size)
        src *= alpha
        src += grey
        return src


class SaturationJitterAug(Augmenter):
    """Mixes with each pixel's grey, by a factor within 1 ± saturation."""

    def __init__(self, saturation: float) -> None:
        super().__init__(saturation=saturation)
        self.saturation = saturation
        self.coef = nd.array(_LUMINANCE)

    def __call__(self, src: Any) -> Any:
        alpha = 1.0 + random.uniform(-self.saturation, self.saturation)  # noqa: S311
        grey = nd.sum(src * self.coef, axis=2, keepdims=True)
        src *= alpha
        src += grey * (1.0 - alpha)
        return src


class HueJitterAug(Augmenter):
    """Turns the colours in the YIQ plane, by an angle within ± hue half-turns."""

    def __init__(self, hue: float) -> None:
        super().__init__(hue=hue)
        self.hue = hue
        self.tyiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.321], [0.211, -0.523, 0.311]])
        self.ityiq = np.array([[1.0, 0.956, 0.621], [1.0, -0.272, -0.647], [1.0, -1.107, 1.705]])

    def __call__(self, src: Any) -> Any:
        angle = random.uniform(-self.hue, self.hue) * np.pi  # noqa: S311
        u, w = np.cos(angle), np.sin(angle)
        turn = np.array([[1.0, 0.0, 0.0], [0.0, u, -w], [0.0, w, u]])
        return nd.dot(src, nd.array((self.ityiq @ turn @ self.tyiq).T))


class ColorJitterAug(RandomOrderAug):
    """Brightness, contrast and saturation in a random order; zero leaves one out."""

    def __init__(self, brightness: float, contrast: float, saturation: float) -> None:
        amounts = (brightness, contrast, saturation)
        kinds = (BrightnessJitterAug, ContrastJitterAug, SaturationJitterAug)
        super().__init__([kind(amount) for kind, amount in zip(kinds, amounts, strict=True) if amount > 0])


class LightingAug(Augmenter):
    """Adds noise along the principal components of colours."""

    def __init__(self, alphastd: float, eigval: Any, eigvec: Any) -> None:
        super().__init__(alphastd=alphastd, eigval=eigval, eigvec=eigvec)
        self.alphastd, self.eigval, self.eigvec = alphastd, eigval, eigvec

    def __call__(self, src: Any) -> Any:
        alpha = np.random.normal(0, self.alphastd, size=(3,))  # programs seed NumPy's global generator
        src += nd.array(np.dot(self.eigvec * alpha, self.eigval))
        return src


class ColorNormalizeAug(Augmenter):
    """Subtracts a mean and divides by a deviation, each a number for each channel or None."""

    def __init__(self, mean: Any, std: Any) -> None:
        super().__init__(mean=mean, std=std)
        self.mean = mean if mean is None or isinstance(mean, nd.NDArray) else nd.array(mean)
        self.std = std if std is None or isinstance(std, nd.NDArray) else nd.array(std)

    def __call__(self, src: Any) -> Any:
        return transforms.color_normalize(src, self.mean, self.std)


class RandomGrayAug(Augmenter):
    """Makes an image grey with probability p."""

    def __init__(self, p: float) -> None:
        super().__init__(p=p)
        self.p = p
        self.mat = nd.array([[0.21] * 3, [0.72] * 3, [0.07] * 3])

    def __call__(self, src: Any) -> Any:
        return nd.dot(src, self.mat) if random.random() < self.p else src  # noqa: S311


class HorizontalFlipAug(Augmenter):
    """Mirrors an image with probability p."""

    def __init__(self, p: float) -> None:
        super().__init__(p=p)
        self.p = p

    def __call__(self, src: Any) -> Any:
        return nd.flip(src, axis=1) if random.random() < self.p else src  # noqa: S311


class CastAug(Augmenter):
    """Changes the type."""

    def __init__(self, typ: str = "float32") -> None:
        super().__init__(type=typ)
        self.typ = typ

    def __call__(self, src: Any) -> Any:
        return src.astype(self.typ)


def _statistic(value: Any, usual: list[float], name: str) -> Any:
    if value is True:
        return nd.array(usual)
    if value is not None and not (isinstance(value, (np.ndarray, nd.NDArray)) and value.shape[0] in (1, 3)):
        raise InputTypeError(
            f"{name} must be an array of 1 or 3 numbers",
            expected=f"True for {usual}, an array, or None",
            found=repr(value),
        )
    return value


def CreateAugmenter(
    data_shape: tuple[int, int, int],
    resize: int = 0,
    rand_crop: bool = False,
    rand_resize: bool = False,
    rand_mirror: bool = False,
    mean: Any = None,
    std: Any = None,
    brightness: float = 0,
    contrast: float = 0,
    saturation: float = 0,
    hue: float = 0,
    pca_noise: float = 0,
    rand_gray: float = 0,
    inter_method: int = 2,
) -> list[Augmenter]:
    """The usual list of augmenters.

    Args:
        data_shape: (channels, height, width) of the result.
        resize: the shorter side before cropping; 0 for none.
        rand_crop: whether to crop at random, not in the middle.
        rand_resize: whether the crop's area and proportions are random (needs rand_crop).
        rand_mirror: whether to mirror half of the images.
        mean: what is subtracted: an array, True for ImageNet's, None for nothing.
        std: what divides, likewise.
        brightness: largest change of brightness.
        contrast: largest change of contrast.
        saturation: largest change of saturation.
        hue: largest change of hue.
        pca_noise: deviation of the noise along ImageNet's principal components.
        rand_gray: probability of a grey image.
        inter_method: the interpolation's code.

    >>> [json.loads(a.dumps())[0] for a in CreateAugmenter((3, 8, 8), resize=10, rand_mirror=True)]
    ['resizeaug', 'centercropaug', 'horizontalflipaug', 'castaug']
    """
    augmenters: list[Augmenter] = [ResizeAug(resize, inter_method)] if resize > 0 else []
    if len(data_shape) != 3:
        raise InputTypeError("data_shape is (channels, height, width)", found=tuple(data_shape))
    size = (data_shape[2], data_shape[1])
    if rand_resize:
        if not rand_crop:
            raise InputTypeError("rand_resize needs rand_crop", fix="pass rand_crop=True as well")
        augmenters.append(RandomSizedCropAug(size, 0.08, (3.0 / 4.0, 4.0 / 3.0), inter_method))
    else:
        augmenters.append((RandomCropAug if rand_crop else CenterCropAug)(size, inter_method))
    if rand_mirror:
        augmenters.append(HorizontalFlipAug(0.5))
    augmenters.append(CastAug())
    if brightness or contrast or saturation:
        augmenters.append(ColorJitterAug(brightness, contrast, saturation))
    if hue:
        augmenters.append(HueJitterAug(hue))
    if pca_noise > 0:
        vectors = [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
        augmenters.append(LightingAug(pca_noise, np.array([55.46, 4.794, 1.148]), np.array(vectors)))
    if rand_gray > 0:
        augmenters.append(RandomGrayAug(rand_gray))
    mean = _statistic(mean, IMAGENET_MEAN, "mean")
    std = _statistic(std, IMAGENET_STD, "std")
    if mean is not None or std is not None:
        augmenters.append(ColorNormalizeAug(mean, std))
    return augmenters
