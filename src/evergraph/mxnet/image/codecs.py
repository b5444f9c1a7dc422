"""Compressed images to arrays and back, by Pillow."""

import io

import numpy as np

from evergraph.errors import DamagedError, MissingDependencyError, UsageError

__all__ = ["decode", "encode"]

_MODES = {"colour": "RGB", "grey": "L"}


def _pillow() -> tuple[type[Exception], ...]:
    try:
        import PIL.Image
    except ImportError as error:
        raise MissingDependencyError(
            "images need Pillow", fix="install it: pip install 'evergraph[torch]' (or pip install pillow)"
        ) from error
    return PIL.UnidentifiedImageError, OSError, SyntaxError, ValueError, PIL.Image.DecompressionBombError


def decode(data: bytes, colours: str = "colour") -> np.ndarray:
    """An image from its compressed bytes.

    Args:
        data: JPEG, PNG, WebP, BMP or another format that Pillow reads.
        colours: `colour` (red, green, blue), `grey`, or `as it is`.

    Returns:
        uint8, (height, width, 3) or (height, width); `as it is` may have an alpha channel.

    Raises:
        DamagedError: the bytes are no image, or break off.
    """
    broken = _pillow()
    from PIL import Image

    try:
        with Image.open(io.BytesIO(data)) as image:
            wanted = _MODES.get(colours) or (image.mode if image.mode in ("L", "RGB", "RGBA") else "RGB")
            if wanted == "RGB" and image.mode == "RGBA":
                return np.asarray(image)[..., :3].copy()
            return np.array(image if image.mode == wanted else image.convert(wanted))
    except broken as error:
        raise DamagedError(
            "the bytes are no image that can be decoded",
            expected="JPEG, PNG or another image format",
            found=f"{len(data)} bytes that begin {bytes(data[:8]).hex(' ')}",
            details=[str(error).partition("\n")[0]],
        ) from error


def encode(image: np.ndarray, form: str = ".jpg", quality: int = 95) -> bytes:
    """An image's compressed bytes.

    Args:
        image: uint8, (height, width[, 1, 3 or 4]), in the order red, green, blue.
        form: `.jpg`, `.jpeg` or `.png`.
        quality: of JPEG 1 to 100; of PNG the compression, 0 to 9, where more counts as 9, as in OpenCV.

    Raises:
        UsageError: another form, or no image.
    """
    _pillow()
    from PIL import Image

    options = {".jpg": ("JPEG", "quality"), ".jpeg": ("JPEG", "quality"), ".png": ("PNG", "compress_level")}
    chosen = options.get(form.lower())
    if chosen is None:
        raise UsageError("images are not encoded in this form", expected=", ".join(options), found=repr(form))
    flat = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    if flat.dtype != np.uint8 or flat.ndim not in (2, 3) or (flat.ndim == 3 and flat.shape[2] not in (3, 4)):
        raise UsageError(
            "the array is no image",
            expected="uint8 (height, width) or (height, width, 1, 3 or 4)",
            found=f"{image.dtype} {image.shape}",
        )
    if chosen[0] == "JPEG" and flat.ndim == 3:
        flat = flat[..., :3]
    out = io.BytesIO()
    extra = {"subsampling": 2} if chosen[0] == "JPEG" else {}
    quality = quality if chosen[0] == "JPEG" else min(quality, 9)
    Image.fromarray(np.ascontiguousarray(flat)).save(out, chosen[0], **{chosen[1]: quality}, **extra)
    return out.getvalue()
