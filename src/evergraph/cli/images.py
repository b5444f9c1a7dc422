"""Inputs of a model from files: arrays as they are, images resized, scaled and laid out."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from evergraph._lazy import load
from evergraph.errors import FormatError, StoreError, UsageError, printable
from evergraph.stores import list_folder, locate, open_source

__all__ = ["ARRAYS", "IMAGES", "Preparation", "expand", "load_input"]

ARRAYS = (".npy", ".npz")
IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff")

MAX_PIXELS = 200_000_000
"""Decoded images above this are refused: a small file can declare any size."""


@dataclass(frozen=True, slots=True)
class Preparation:
    """How an image becomes an input.

    Attributes:
        size: (height, width), or None to keep the image's own.
        mean: subtracted from each channel, in the range 0 to 255.
        std: what each channel is divided by after that.
        scale: what everything is multiplied with at the end.
        bgr: order of the channels: blue first.
        layout: "NCHW" or "NHWC".
        channels: 3 for colour, 1 for grey.
    """

    size: tuple[int, int] | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    scale: float = 1.0
    bgr: bool = False
    layout: str = "NCHW"
    channels: int = 3


def expand(paths: Iterable[str]) -> list[str]:
    """The files behind paths: folders stand for the arrays and images in them, by name.

    Raises:
        UsageError: a folder without any.
    """
    found: list[str] = []
    for path in paths:
        location = locate(path)
        if not (location.is_local and os.path.isdir(location.name)):
            found.append(path)
            continue
        inside = [n for n in list_folder(path) if n.lower().endswith(ARRAYS + IMAGES)]
        if not inside:
            raise UsageError("the folder holds no arrays and no images", where=location.shown)
        found += [os.path.join(location.name, n) for n in inside]
    return found


def load_input(path: str, how: Preparation) -> Any:
    """One file as a batch: an array as it stands, an image as a batch of one.

    Raises:
        FormatError: neither an array nor an image.
    """
    with open_source(path) as source:
        head = source.head(16)
        if head.startswith((b"\x93NUMPY", b"PK\x03\x04")):
            return _array(path)
        return _image(source.head(source.size), source.name, how)


def _array(path: str) -> Any:
    import evergraph

    arrays = list(evergraph.open(path).values())
    if len(arrays) != 1:
        raise UsageError("the archive holds several arrays", where=printable(path), fix="give one as NAME=FILE.npy")
    return arrays[0].numpy()


def _image(data: bytes, name: str, how: Preparation) -> Any:
    import io

    import numpy as np

    pillow = load("PIL.Image", "torch")
    try:
        image = pillow.open(io.BytesIO(data))
        if image.width * image.height > MAX_PIXELS:
            raise FormatError("the image is too large", where=name, found=f"{image.width}x{image.height}")
        image = image.convert("L" if how.channels == 1 else "RGB")
    except (OSError, ValueError, SyntaxError) as error:
        if isinstance(error, (FormatError, StoreError)):
            raise
        # Pillow names the address of a buffer that it cannot identify
        unknown = isinstance(error, pillow.UnidentifiedImageError)
        raise FormatError(
            "neither an array (.npy, .npz) nor an image that can be decoded",
            where=name,
            found=(f"first bytes {data[:16].hex(' ')}" if data else "0 bytes") if unknown else printable(error),
        ) from error
    if how.size is not None and (image.height, image.width) != how.size:
        image = image.resize((how.size[1], how.size[0]), pillow.Resampling.BILINEAR)
    pixels = np.asarray(image, dtype=np.float32).reshape(image.height, image.width, -1)
    if how.bgr:
        pixels = pixels[:, :, ::-1]
    pixels = (pixels - np.asarray(how.mean, np.float32)) / np.asarray(how.std, np.float32) * np.float32(how.scale)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1) if how.layout == "NCHW" else pixels)[None]
