"""Rotation of images (channels, height, width) about their centre."""

from numbers import Number
from typing import Any

import numpy as np

from evergraph.errors import UsageError
from evergraph.mxnet import ndarray as nd

__all__ = ["imrotate", "random_rotate"]


class _TypeOfImageError(UsageError, TypeError):
    """An image or an angle of another type than rotation takes."""


def _check(src: Any, degrees: Any, zoom_in: bool, zoom_out: bool) -> None:
    if zoom_in and zoom_out:
        raise UsageError("`zoom_in` and `zoom_out` cannot be both True")
    if src.dtype is not np.float32:
        raise _TypeOfImageError("only float32 images are rotated", found=src.dtype, fix="write src.astype('float32')")
    if src.ndim not in (3, 4):
        raise UsageError("an image has 3 axes, a batch of them 4", found=src.shape)
    if src.ndim == 3 and not isinstance(degrees, Number):
        raise _TypeOfImageError("one image is rotated by one number", found=type(degrees).__name__)
    if src.ndim == 4 and not isinstance(degrees, Number) and len(src) != len(degrees):
        raise UsageError("the number of angles is not the number of images", expected=len(src), found=len(degrees))


def _zoom(angles: np.ndarray, h: int, w: int, outwards: bool) -> np.ndarray:
    """The scale at which the turned image just fits into, or just fills, the frame."""
    corner, radius = np.arctan(h / w), np.hypot(h, w)
    both = np.stack([corner + np.abs(angles), corner - np.abs(angles)])
    max_x, max_y = np.abs(radius * np.cos(both)).max(0), np.abs(radius * np.sin(both)).max(0)
    return np.maximum(max_x / w, max_y / h) if outwards else np.minimum(w / max_x, h / max_y)


def imrotate(src: Any, rotation_degrees: Any, zoom_in: bool = False, zoom_out: bool = False) -> Any:
    """The image turned about its centre, zero where nothing was.

    Args:
        src: float32, (channels, height, width) or (images, channels, height, width).
        rotation_degrees: an angle, or for a batch an NDArray with one for each image.
        zoom_in: whether to enlarge so that no empty corner shows.
        zoom_out: whether to shrink so that no corner is lost.

    Raises:
        TypeError: src is not float32.
        ValueError: both zooms, another number of axes or of angles.
    """
    _check(src, rotation_degrees, zoom_in, zoom_out)
    batch = src.expand_dims(axis=0) if src.ndim == 3 else src
    given = rotation_degrees.asnumpy() if isinstance(rotation_degrees, nd.NDArray) else rotation_degrees
    angles = np.broadcast_to(np.asarray(given, "float32") * np.float32(np.pi) / 180, len(batch))
    h, w = batch.shape[2:]
    half_h, half_w = (h - 1) / 2, (w - 1) / 2
    y, x = np.meshgrid(np.arange(h) - half_h, np.arange(w) - half_w, indexing="ij")
    cos, sin = np.cos(angles)[:, None, None], np.sin(angles)[:, None, None]
    grid = np.stack([(x * cos - y * sin) / half_w, (x * sin + y * cos) / half_h], axis=1)
    if zoom_in or zoom_out:
        grid = grid * _zoom(angles, h, w, outwards=zoom_out)[:, None, None, None]
    turned = nd.BilinearSampler(batch, nd.array(grid.astype("float32"), ctx=src.context))
    return turned[0] if src.ndim == 3 else turned


def random_rotate(src: Any, angle_limits: tuple[float, float], zoom_in: bool = False, zoom_out: bool = False) -> Any:
    """`imrotate` by a random angle within limits, one for each image of a batch, from NumPy's global generator."""
    drawn: Any = np.random.uniform(*angle_limits, size=None if src.ndim == 3 else src.shape[0])
    return imrotate(src, drawn if src.ndim == 3 else nd.array(drawn), zoom_in=zoom_in, zoom_out=zoom_out)
