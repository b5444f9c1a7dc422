"""Functions on images (height, width, channels): decode, resize, crop, pad, rotate, normalize.

Random choices come from Python's `random`, so `random.seed` repeats them.
"""

import random
import warnings
from typing import Any

import numpy as np

from evergraph.errors import UsageError
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet._state import STATE
from evergraph.mxnet.base import InputTypeError
from evergraph.mxnet.ndarray import _internal

__all__ = [
    "center_crop",
    "color_normalize",
    "copyMakeBorder",
    "fixed_crop",
    "imdecode",
    "imread",
    "imresize",
    "random_crop",
    "random_size_crop",
    "resize_short",
    "scale_down",
]

Box = tuple[int, int, int, int]
_CUBIC, _LINEAR, _AREA = 2, 1, 3


def imread(filename: str, *args: Any, **kwargs: Any) -> Any:
    """The image of a file, uint8 (height, width, 3).

    Args:
        filename: its path.
        *args: flag (1 colour, 0 grey), to_rgb (whether red comes first).
        **kwargs: the same by name.
    """
    found = _internal._cvimread(filename, *args, **kwargs)
    return found.as_np_ndarray() if STATE.np_array else found


def imdecode(buf: Any, *args: Any, **kwargs: Any) -> Any:
    """The image of compressed bytes, uint8 (height, width, 3).

    Args:
        buf: bytes, bytearray, a uint8 array or NDArray.
        *args: flag (1 colour, 0 grey), to_rgb (whether red comes first).
        **kwargs: the same by name.

    Raises:
        ValueError: buf is of another type.
    """
    if not isinstance(buf, nd.NDArray):
        if not isinstance(buf, (bytes, bytearray, np.ndarray)):
            raise UsageError(
                "an image is decoded from bytes",
                expected="bytes, bytearray, numpy.ndarray or NDArray",
                found=type(buf).__name__,
                fix="read the file in binary mode, or use imread for a path",
            )
        buf = nd.array(np.frombuffer(buf, np.uint8), dtype=np.uint8)
    found = _internal._cvimdecode(buf, *args, **kwargs)
    return found.as_np_ndarray() if STATE.np_array else found


def imresize(src: Any, w: int, h: int, *args: Any, **kwargs: Any) -> Any:
    """The image resized to width w and height h.

    Args:
        src: the image.
        w: its new width.
        h: its new height.
        *args: interp (0 nearest, 1 bilinear, 2 bicubic, 3 area, 4 Lanczos).
        **kwargs: the same by name.
    """
    return _internal._cvimresize(src, w, h, *args, **kwargs)


def copyMakeBorder(src: Any, top: int, bot: int, left: int, right: int, *args: Any, **kwargs: Any) -> Any:
    """The image with a border around it; `type`, `value` and `values` say of what."""
    return _internal._cvcopyMakeBorder(src, top, bot, left, right, *args, **kwargs)


def scale_down(src_size: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """The largest size of the same proportions as size that fits into src_size, each (width, height).

    >>> scale_down((640, 480), (720, 120))
    (640, 106)
    """
    w: float
    h: float
    (w, h), (limit_w, limit_h) = size, src_size
    if limit_h < h:
        w, h = float(w * limit_h) / h, limit_h
    if limit_w < w:
        w, h = limit_w, float(h * limit_w) / w
    return int(w), int(h)


def chosen_method(interp: int, sizes: tuple[int, ...] = ()) -> int:
    """The interpolation for a code: 9 takes the fitting one, 10 a random one.

    Args:
        interp: 0 to 4, 9 or 10.
        sizes: old height and width, new height and width.
    """
    if interp == 10:
        return random.randint(0, 4)  # noqa: S311
    if interp == 9:
        if not sizes:
            return _CUBIC
        old_h, old_w, new_h, new_w = sizes
        if new_h > old_h and new_w > old_w:
            return _CUBIC
        return _AREA if new_h < old_h and new_w < old_w else _LINEAR
    if interp not in range(5):
        raise UsageError("unknown interpolation", expected="0 to 4, 9 or 10", found=interp)
    return interp


def resize_short(src: Any, size: int, interp: int = 2) -> Any:
    """The image resized so that its shorter side is `size`."""
    h, w, _ = src.shape
    new_h, new_w = (size * h // w, size) if h > w else (size, size * w // h)
    return imresize(src, new_w, new_h, interp=chosen_method(interp, (h, w, new_h, new_w)))


def fixed_crop(src: Any, x0: int, y0: int, w: int, h: int, size: tuple[int, int] | None = None, interp: int = 2) -> Any:
    """The rectangle at (x0, y0), resized to size (width, height) where one is given."""
    out = src[y0 : y0 + h, x0 : x0 + w]
    if size is None or (w, h) == tuple(size):
        return out
    return imresize(out, *size, interp=chosen_method(interp, (h, w, size[1], size[0])))


def random_crop(src: Any, size: tuple[int, int], interp: int = 2) -> tuple[Any, Box]:
    """A random rectangle of size (width, height), or smaller and enlarged; with its (x, y, width, height)."""
    h, w, _ = src.shape
    new_w, new_h = scale_down((w, h), size)
    x0 = random.randint(0, w - new_w)  # noqa: S311
    y0 = random.randint(0, h - new_h)  # noqa: S311
    return fixed_crop(src, x0, y0, new_w, new_h, size, interp), (x0, y0, new_w, new_h)


def center_crop(src: Any, size: tuple[int, int], interp: int = 2) -> tuple[Any, Box]:
    """The rectangle of size (width, height) in the middle, or smaller and enlarged; with its (x, y, width, height)."""
    h, w, _ = src.shape
    new_w, new_h = scale_down((w, h), size)
    x0, y0 = (w - new_w) // 2, (h - new_h) // 2
    return fixed_crop(src, x0, y0, new_w, new_h, size, interp), (x0, y0, new_w, new_h)


def color_normalize(src: Any, mean: Any, std: Any = None) -> Any:
    """(src - mean) / std, in place; None leaves a step out."""
    if mean is not None:
        src -= mean
    if std is not None:
        src /= std
    return src


def random_size_crop(
    src: Any, size: tuple[int, int], area: Any, ratio: tuple[float, float], interp: int = 2, **kwargs: Any
) -> tuple[Any, Box]:
    """A rectangle of random area and proportions, resized; the middle where ten draws do not fit.

    Args:
        src: the image.
        size: (width, height) of the result.
        area: fractions of the image's area, (smallest, largest) or the smallest.
        ratio: width over height, (smallest, largest).
        interp: the interpolation's code.
        **kwargs: min_area, the old name of area.

    Returns:
        The image, and (x, y, width, height) of the rectangle.
    """
    if "min_area" in kwargs:
        warnings.warn("min_area is deprecated: write area", DeprecationWarning, stacklevel=2)
        area = kwargs.pop("min_area")
    if kwargs:
        raise InputTypeError("random_size_crop has no such arguments", found=", ".join(kwargs))
    h, w, _ = src.shape
    smallest, largest = area if isinstance(area, (tuple, list)) else (float(area), 1.0)
    for _ in range(10):
        target = random.uniform(smallest, largest) * h * w  # noqa: S311
        shape = np.exp(random.uniform(np.log(ratio[0]), np.log(ratio[1])))  # noqa: S311
        new_w = round(np.sqrt(target * shape))
        new_h = round(np.sqrt(target / shape))
        if new_w <= w and new_h <= h:
            x0 = random.randint(0, w - new_w)  # noqa: S311
            y0 = random.randint(0, h - new_h)  # noqa: S311
            return fixed_crop(src, x0, y0, new_w, new_h, size, interp), (x0, y0, new_w, new_h)
    return center_crop(src, size, interp)
