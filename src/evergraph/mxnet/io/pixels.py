"""Pixels of bytes moved and recoloured in OpenCV's arithmetic: resizing, affine maps, hue, luminance and saturation.

Images are uint8 (height, width, channels), red first.
"""

from typing import Any

import numpy as np

from evergraph.errors import UsageError

__all__ = ["BILINEAR", "affine", "interpolation", "recoloured", "resized", "shifted"]

NEAREST, BILINEAR, CUBIC, AREA, LANCZOS = range(5)
_AUTO, _RANDOM = 9, 10
_BITS = 11  # fraction of the weights along an axis
_LANE = 21  # bits between the channels of a pixel packed into 64; a weighted sum takes 20
_STEPS = 32  # positions between two pixels that an affine map tells apart


def interpolation(code: int, before: Any, after: Any, draw: np.random.Generator) -> int:
    """The interpolation 0 to 4 for a code that may be 9 (the fitting one) or 10 (any).

    Args:
        code: the code.
        before: old height and width.
        after: new height and width.
        draw: where a random choice comes from.
    """
    if code == _RANDOM:
        return int(draw.integers(0, 5))
    if code != _AUTO:
        return code
    if all(new > old for new, old in zip(after, before, strict=True)):
        return CUBIC
    return AREA if all(new < old for new, old in zip(after, before, strict=True)) else BILINEAR


def resized(image: np.ndarray, size: Any, method: int, window: Any = None) -> np.ndarray:
    """An image in another size, or only a window of it.

    Args:
        image: what is resized.
        size: height and width of the whole result.
        method: the interpolation, 0 to 4.
        window: top, left, height and width within the result; None for all of it.
    """
    top, left, height, width = window or (0, 0, *size)
    before = image.shape[:2]
    if before == tuple(size):
        return image[top : top + height, left : left + width]
    halved = all(old == 2 * new for old, new in zip(before, size, strict=True))  # OpenCV averages four pixels there
    if method == BILINEAR and not halved:
        return _bilinear(image, size, (top, left, height, width))
    import torch

    from evergraph.ops.families.image.resize import resize

    found = resize(torch.from_numpy(np.ascontiguousarray(image)), size[0], size[1], method).numpy()
    return found[top : top + height, left : left + width]


def _taps(before: int, after: int, start: int, count: int, edges: bool) -> tuple[Any, Any, Any, Any]:
    """The two old pixels of each new one and their weights; beyond an edge the first alone counts where `edges`."""
    step = 1.0 / (after / before)
    place = ((np.arange(start, start + count) + 0.5) * step - 0.5).astype(np.float32)
    first = np.floor(place)
    part = place - first
    first = first.astype(np.int64)
    if edges:
        part = np.where((first < 0) | (first >= before - 1), np.float32(0), part)
        first = first.clip(0, before - 1)
    one, two = (np.rint(w * np.float32(1 << _BITS)).astype(np.int64) for w in (1 - part, part))
    return first.clip(0, before - 1), (first + 1).clip(0, before - 1), one, two


def _bilinear(image: np.ndarray, size: Any, window: Any) -> np.ndarray:
    """A window of a bilinear resize, by the fixed-point weights and roundings of OpenCV.

    Three channels of a pixel share one 64-bit word along the rows, so that each is gathered and weighted once: a third
    of the time of doing it by channels.
    """
    top, left, height, width = window
    columns, after, a, b = _taps(image.shape[1], size[1], left, width, True)
    rows, below, c, d = _taps(image.shape[0], size[0], top, height, False)
    first, row = columns[0], rows[0]
    part = image[row : below[-1] + 1, first : after[-1] + 1]
    c, d = (w.astype(np.int32)[:, None] for w in (c, d))
    channels = part.shape[2]
    found = np.empty((channels, height, width), np.uint8)
    for begin in range(0, channels, 3):
        lanes = range(begin, min(begin + 3, channels))
        words = part[..., lanes[-1]].astype(np.int64)
        for k in reversed(lanes[:-1]):
            words <<= _LANE
            words |= part[..., k]
        across = np.take(words, columns - first, axis=1)
        across *= a
        second = np.take(words, after - first, axis=1)
        second *= b
        across += second
        across >>= 4
        for k in lanes:
            plane = (across & 0xFFFF).astype(np.int32)
            across >>= _LANE
            found[k] = _down(plane, rows - row, below - row, c, d)
    return found.transpose(1, 2, 0)


def _down(plane: np.ndarray, rows: np.ndarray, below: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
    one = plane[rows]
    one *= c
    one >>= 16
    two = plane[below]
    two *= d
    two >>= 16
    one += two
    one += 2
    one >>= 2
    return one


def _weights(method: int) -> np.ndarray:
    """Weights (steps, taps) of the pixels around each of the positions between two."""
    x = np.arange(_STEPS) / _STEPS
    if method == CUBIC:
        near, far = (np.abs(x[:, None] + np.array(offsets)) for offsets in ((0, -1), (1, -2)))
        k = -0.75
        inner = ((k + 2) * near - (k + 3)) * near**2 + 1
        outer = ((k * far - 5 * k) * far + 8 * k) * far - 4 * k
        return np.stack([outer[:, 0], inner[:, 0], inner[:, 1], outer[:, 1]], 1)
    if method == LANCZOS:
        place = x[:, None] - np.arange(-3, 5)
        found = np.sinc(place) * np.sinc(place / 4)
        return found / found.sum(1, keepdims=True)
    return np.stack([1 - x, x], 1)


def affine(image: np.ndarray, matrix: np.ndarray, size: tuple[int, int], method: int, fill: int) -> np.ndarray:
    """An image through an affine map, with one colour where it has no pixel.

    Args:
        image: what is mapped.
        matrix: float32 (2, 3), old (x, y, 1) to new (x, y).
        size: height and width of the result.
        method: 1 bilinear, 2 cubic, 4 Lanczos; 3 is bilinear.
        fill: the colour.

    Raises:
        UsageError: the map flattens the image.
    """
    m = matrix.astype(np.float64)
    scale = m[0, 0] * m[1, 1] - m[0, 1] * m[1, 0]
    if not scale:
        raise UsageError("an augmentation flattens the image to a line", found=m.tolist())
    inverse = np.array([[m[1, 1], -m[0, 1]], [-m[1, 0], m[0, 0]]]) / scale
    shift = -inverse @ m[:, 2]
    x, y = np.arange(size[1]), np.arange(size[0])
    taps = _weights(BILINEAR if method == AREA else method)
    places = []
    for axis in (0, 1):
        across = np.rint(inverse[axis, 0] * x * 1024).astype(np.int64)
        down = np.rint((inverse[axis, 1] * y + shift[axis]) * 1024).astype(np.int64) + 16
        places.append((down[:, None] + across) >> 5)
    return _gathered(image, places[0], places[1], taps, fill)


def _gathered(image: np.ndarray, x: np.ndarray, y: np.ndarray, taps: np.ndarray, fill: int) -> np.ndarray:
    height, width = image.shape[:2]
    count = taps.shape[1]
    total = np.zeros((*x.shape, image.shape[2]), np.float64)
    for i in range(count):
        rows = (y >> 5) + i - (count // 2 - 1)
        for j in range(count):
            columns = (x >> 5) + j - (count // 2 - 1)
            inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
            pixels = np.where(inside[..., None], image[rows.clip(0, height - 1), columns.clip(0, width - 1)], fill)
            total += (taps[y & 31, i] * taps[x & 31, j])[..., None] * pixels
    return np.floor(total + 0.5).clip(0, 255).astype(np.uint8)


def shifted(image: np.ndarray, hue: int, luminance: int, saturation: int) -> np.ndarray:
    """A colour image with numbers added to its hue (0 to 180), luminance and saturation (0 to 255), cut off there."""
    rgb = image[..., :3].astype(np.float32) / np.float32(255)
    low, high = rgb.min(-1), rgb.max(-1)
    spread, middle = high - low, (high + low) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        rich = np.where(middle < 0.5, spread / (high + low), spread / (2 - high - low))
        r, g, b = (rgb[..., k] for k in range(3))
        turn = np.where(high == r, (g - b) / spread, np.where(high == g, (b - r) / spread + 2, (r - g) / spread + 4))
    grey = spread <= np.finfo(np.float32).eps
    turn = np.where(grey, 0, turn % 6)
    rich = np.where(grey, 0, rich)
    values = (np.rint(turn * 30) + hue, np.rint(middle * 255) + luminance, np.rint(rich * 255) + saturation)
    limited = [v.clip(0, top) for v, top in zip(values, (180, 255, 255), strict=True)]
    found = image.copy()
    found[..., :3] = _from_hls(limited[0] / 30, limited[1] / 255, limited[2] / 255)
    return found


def _from_hls(turn: np.ndarray, middle: np.ndarray, rich: np.ndarray) -> np.ndarray:
    high = np.where(middle <= 0.5, middle * (1 + rich), middle + rich - middle * rich)
    low = 2 * middle - high
    planes = []
    for offset in (2, 0, -2):  # red, green and blue stand a third of a turn apart
        place = (turn + offset) % 6
        rise = np.select([place < 1, place < 3, place < 4], [place, 1.0, 4 - place], 0.0)
        planes.append(low + (high - low) * rise)
    return np.rint(np.stack(planes, -1) * 255).clip(0, 255).astype(np.uint8)


def recoloured(image: np.ndarray, factor: float, offset: float) -> np.ndarray:
    """Each byte times a factor plus an offset, rounded and cut off."""
    table = np.rint(np.arange(256) * np.float64(factor) + offset).clip(0, 255).astype(np.uint8)
    # bytes have a faster table than arrays: a seventh of the time
    planes = image.transpose(2, 0, 1)
    found = np.frombuffer(planes.tobytes().translate(table.tobytes()), np.uint8)
    return found.reshape(planes.shape).transpose(1, 2, 0)
