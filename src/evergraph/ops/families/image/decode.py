"""Images from encoded bytes and from files, by Pillow, in the colours that OpenCV gives."""

import io
from pathlib import Path
from typing import Any

from evergraph.errors import DamagedError, MissingDependencyError, OperatorError, StoreError, printable
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator

__all__ = ["cvimdecode", "cvimread", "decode"]


def decode(encoded: bytes, color: bool = True, where: str = "the buffer") -> Any:
    """An image (H, W, 3) in RGB, or (H, W, 1) in grey, uint8, from the bytes of a JPEG, PNG, BMP, TIFF, ... file.

    Transparency is dropped, 16 bits become 8, and a rotation that a camera noted is not carried out: as MXNet's
    OpenCV reads them. JPEG gives the same values as there.

    Args:
        encoded: the bytes of the file.
        color: three channels rather than one.
        where: what the bytes are, for errors.

    Raises:
        DamagedError: the bytes are no image, or a damaged one.
        MissingDependencyError: Pillow is not installed.
    """
    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise MissingDependencyError(
            "decoding images needs Pillow", fix="install it: pip install 'evergraph[torch]'"
        ) from error
    try:
        with Image.open(io.BytesIO(encoded)) as image:
            if not color and image.format == "JPEG":
                image.draft("L", image.size)  # the file holds its grey values
            return _pixels(image, color)
    except UnidentifiedImageError as error:
        what = f"{len(encoded)} bytes that begin with {printable(encoded[:8])}"
        raise DamagedError("this is no image that Pillow knows", where=where, found=what) from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        what = f"{len(encoded)} bytes: {printable(error)}"
        raise DamagedError("the image cannot be decoded", where=where, found=what) from error


def _pixels(image: Any, color: bool) -> Any:
    import numpy as np

    if image.mode.startswith("I;16"):
        gray = np.asarray(image) >> 8
        found = np.repeat(gray[..., None], 3, 2) if color else gray[..., None]
    elif image.mode in ("L", "LA", "1") or color:
        found = np.asarray(image.convert("RGB" if color else "L"))
        found = found if color else found[..., None]
    else:
        found = _gray(np.asarray(image.convert("RGB")), image.format)
    return torch.from_numpy(np.array(found, np.uint8))


def _gray(rgb: Any, format: str | None) -> Any:
    """Grey values (H, W, 1) by the integer weights of libpng for PNG, of OpenCV for the rest."""
    weights, bits, half = ((9797, 19234, 3737), 15, 0) if format == "PNG" else ((4899, 9617, 1868), 14, 1 << 13)
    return ((rgb.astype("int32") @ weights + half) >> bits)[..., None]


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise StoreError("the image file cannot be read", where=printable(path), found=error.strerror) from error


def _check(flag: int) -> None:
    if flag not in (0, 1):
        raise OperatorError("an image is decoded to grey (flag 0) or to colours (flag 1)", found=flag)


@operator("_cvimdecode", aliases=("_npi_cvimdecode",), description={"buf": "NDArray"})
def cvimdecode(buf, *, flag: int = 1, to_rgb: bool = True):
    """The image (H, W, 3), or (H, W, 1) with flag 0, uint8, from the bytes buf (n,) of an image file.

    Channels are red, green, blue, or the reverse without to_rgb.
    """
    _check(flag)
    if buf.dtype is not torch.uint8:
        raise OperatorError("an encoded image is a buffer of bytes", expected="uint8", found=str(buf.dtype))
    image = decode(buf.cpu().numpy().tobytes(), flag == 1)
    return image if to_rgb or not flag else image.flip(2)


@operator("_cvimread", aliases=("_npi_cvimread",))
def cvimread(*, filename: str, flag: int = 1, to_rgb: bool = True):
    """The image (H, W, 3), or (H, W, 1) with flag 0, uint8, of a file; see _cvimdecode."""
    _check(flag)
    image = decode(_read(filename), flag == 1, printable(filename))
    return image if to_rgb or not flag else image.flip(2)


@operator(
    "_imdecode",
    description=dict.fromkeys(("index", "x0", "y0", "x1", "y1", "c", "size"), "int"),
    documented=("mean", "index", "x0", "y0", "x1", "y1", "c", "size"),
)
def imdecode(
    mean=None,
    *,
    index: int = 0,
    x0: int = 0,
    y0: int = 0,
    x1: int = 0,
    y1: int = 0,
    c: int = 3,
    size: int = 0,
    str_img: str = "",
):
    """An image as float32 (c, height, width), minus mean: MXNet's first way of reading images.

    str_img holds the bytes of the file; the rectangle x0, y0, x1, y1 cuts it where y1 is not y0. index says where a
    caller's batch takes it.
    """
    encoded = str_img if isinstance(str_img, bytes) else str_img.encode("latin-1")
    image = decode(encoded, c != 1).movedim(2, 0)[:c].to(torch.float32)
    if y1 != y0:
        if not (0 <= x0 < x1 <= image.shape[2] and 0 <= y0 < y1 <= image.shape[1]):
            raise OperatorError(
                "the rectangle reaches out of the image",
                expected=f"at most {image.shape[2]} wide and {image.shape[1]} high",
                found=(x0, y0, x1, y1),
            )
        image = image[:, y0:y1, x0:x1]
    return image.contiguous() if mean is None else image - mean
