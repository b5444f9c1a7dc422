"""The augmentations of `ImageRecordIter`, in MXNet's order: resize, affine map, border, crop, colours."""

from typing import Any

import numpy as np

from evergraph.mxnet.io.pixels import affine, interpolation, recoloured, resized, shifted

__all__ = ["augmented", "needs_affine", "shorter_side"]

_EIGENVALUES = np.array([55.46, 4.794, 1.148])
_EIGENVECTORS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])
"""Of the colours of ImageNet, red first."""

Options = dict[str, Any]
Draw = np.random.Generator


def augmented(image: np.ndarray, shape: tuple[int, int, int], options: Options, draw: Draw) -> np.ndarray:
    """An image (height, width, channels) in the height and width of shape, changed as options say."""
    return _coloured(_placed(image, shape[1:], options, draw), options, draw)


def shorter_side(image: np.ndarray, side: int) -> tuple[int, int]:
    """Height and width with the proportions of an image and this shorter side; its own where side is not positive."""
    height, width = image.shape[:2]
    if side <= 0:
        return height, width
    return (side * height // width, side) if height > width else (side, side * width // height)


def needs_affine(options: Options) -> bool:
    """Whether options ask for rotation, shear, scale or limits of the size."""
    o = options
    aspect = not o["random_resized_crop"] and (o["min_aspect_ratio"] is not None or o["max_aspect_ratio"] != 0)
    turned = o["max_rotate_angle"] > 0 or o["rotate"] > 0 or o["max_shear_ratio"] > 0
    scaled = o["max_random_scale"] != 1 or o["min_random_scale"] != 1
    return turned or scaled or aspect or o["max_img_size"] != 1e10 or o["min_img_size"] != 0


def _placed(image: np.ndarray, goal: tuple[int, int], options: Options, draw: Draw) -> np.ndarray:
    size = shorter_side(image, options["resize"])
    method = interpolation(options["inter_method"], image.shape[:2], size, draw)
    mapped, pad = needs_affine(options), options["pad"]
    cut = options["random_resized_crop"] or options["max_crop_size"] != -1 or options["min_crop_size"] != -1
    if not (mapped or pad or cut) and all(s >= g for s, g in zip(size, goal, strict=True)):
        # only the window that is kept is computed
        return resized(image, size, method, (*_corner(size, goal, options["rand_crop"], draw), *goal))
    image = resized(image, size, method)
    if mapped:
        image = _mapped(image, options, draw)
    if pad > 0:
        edges = ((pad, pad), (pad, pad), (0, 0))
        image = np.pad(image, edges, constant_values=options["fill_value"])
    return _cropped(image, goal, options, draw)


def _mapped(image: np.ndarray, o: Options, draw: Draw) -> np.ndarray:
    """An image turned, sheared and scaled about its centre."""
    one = np.float32(1)
    shear = np.float32(draw.uniform(-o["max_shear_ratio"], o["max_shear_ratio"]))
    angle = int(draw.integers(-o["max_rotate_angle"], o["max_rotate_angle"] + 1)) if o["max_rotate_angle"] > 0 else 0
    angle = o["rotate"] if o["rotate"] > 0 else angle
    a, b = (np.float32(f(angle / 180.0 * np.pi)) for f in (np.cos, np.sin))
    scale = np.float32(draw.uniform(o["min_random_scale"], o["max_random_scale"]))
    low, high = _aspects(o) if not o["random_resized_crop"] else (1, 1)
    ratio = np.float32(draw.uniform(low, high))
    tall = 2 * scale / (one + ratio)
    wide = ratio * tall
    height, width = image.shape[:2]
    sizes = [
        max(np.float32(o["min_img_size"]), min(np.float32(o["max_img_size"]), scale * np.float32(s)))
        for s in (width, height)
    ]
    linear = [[tall * a - shear * b * wide, tall * b + shear * a * wide], [-b * wide, a * wide]]
    matrix = np.zeros((2, 3), np.float32)
    matrix[:, :2] = linear
    centre = matrix[:, 0] * np.float32(width) + matrix[:, 1] * np.float32(height)
    matrix[:, 2] = (np.array(sizes, np.float32) - centre) / 2
    new = (int(sizes[1]), int(sizes[0]))
    method = interpolation(o["inter_method"], (height, width), new, draw)
    return affine(image, matrix, new, method or 1, o["fill_value"])


def _aspects(o: Options) -> tuple[float, float]:
    """The limits of the random proportions."""
    if o["min_aspect_ratio"] is None:
        return 1 - o["max_aspect_ratio"], 1 + o["max_aspect_ratio"]
    return o["min_aspect_ratio"], o["max_aspect_ratio"]


def _corner(size: tuple[int, int], goal: tuple[int, int], is_random: bool, draw: Draw) -> tuple[int, int]:
    y, x = (int(draw.integers(s - g + 1)) if is_random else (s - g) // 2 for s, g in zip(size, goal, strict=True))
    return y, x


def _to_size(image: np.ndarray, size: tuple[int, int], options: Options, draw: Draw) -> np.ndarray:
    return resized(image, size, interpolation(options["inter_method"], image.shape[:2], size, draw))


def _cropped(image: np.ndarray, goal: tuple[int, int], o: Options, draw: Draw) -> np.ndarray:
    part = _area(image, o, draw) if o["random_resized_crop"] else None
    if part is not None:
        return _to_size(part, goal, o, draw)
    height, width = image.shape[:2]
    if o["max_crop_size"] != -1 or o["min_crop_size"] != -1:
        side = int(draw.integers(o["min_crop_size"], o["max_crop_size"] + 1))
        y, x = _corner((height, width), (side, side), o["rand_crop"], draw)
        return _to_size(image[y : y + side, x : x + side], goal, o, draw)
    tall, wide = goal
    for axis in (0, 1):
        height, width = image.shape[:2]
        if image.shape[axis] < goal[axis]:
            grown = (tall, int(np.float32(tall) / np.float32(height) * np.float32(width)))
            grown = grown if axis == 0 else (int(np.float32(wide) / np.float32(width) * np.float32(height)), wide)
            image = _to_size(image, grown, o, draw)
    y, x = _corner((image.shape[0], image.shape[1]), goal, o["rand_crop"], draw)
    return image[y : y + tall, x : x + wide]


def _area(image: np.ndarray, o: Options, draw: Draw) -> np.ndarray | None:
    """A rectangle of random area and proportions; None where ten draws do not fit, or there is nothing to draw."""
    low, high = _aspects(o)
    if low == high == o["min_random_area"] == o["max_random_area"] == 1:
        return None
    height, width = image.shape[:2]
    for _ in range(10):
        area = draw.uniform(o["min_random_area"], o["max_random_area"]) * height * width
        ratio = draw.uniform(low, high)
        w, h = round(np.sqrt(area * ratio)), round(np.sqrt(area / ratio))
        if draw.random() > 0.5:
            w, h = h, w
        if 0 < w <= width and 0 < h <= height:
            y, x = int(draw.integers(height - h + 1)), int(draw.integers(width - w + 1))
            return image[y : y + h, x : x + w]
    return None


def _coloured(image: np.ndarray, o: Options, draw: Draw) -> np.ndarray:
    amounts = [o["brightness"], o["contrast"], o["saturation"]]
    if any(amounts):
        for kind in draw.permutation(3):
            if amounts[kind]:
                alpha = 1 + draw.uniform(-amounts[kind], amounts[kind])
                image = (_brighter, _contrasted, _saturated)[kind](image, alpha)
    hue, rich, light = (o[f"random_{k}"] for k in "hsl")
    if (hue or rich or light) and image.shape[2] >= 3:
        hue, rich, light = (int(draw.uniform(-v, v)) for v in (hue, rich, light))
        image = shifted(image, hue, light, rich)
    if o["pca_noise"] > 0 and image.shape[2] >= 3:
        change = _EIGENVECTORS @ (draw.normal(0, o["pca_noise"], 3) * _EIGENVALUES)
        tables = (np.arange(256)[:, None] + change).clip(0, 255).astype(np.uint8)
        image = image.copy()
        for k in range(3):
            image[..., k] = tables[image[..., k], k]
    return image


def _planes(image: np.ndarray) -> np.ndarray:
    """The colours as float32 (3, height, width)."""
    return np.ascontiguousarray(image[..., :3].transpose(2, 0, 1), np.float32)


def _grey(planes: np.ndarray) -> np.ndarray:
    """The brightness of each pixel as OpenCV rounds it; its weights have 14 bits, so float32 holds their sum exactly.

    MXNet passes red first where OpenCV expects blue: red weighs as little as blue should.
    """
    weights = np.array([1868, 9617, 4899], np.float32)
    total = (weights @ planes.reshape(3, -1)).reshape(planes.shape[1:])
    total += np.float32(8192)
    total *= np.float32(1 / 16384)
    return np.floor(total, out=total)


def _brighter(image: np.ndarray, alpha: float) -> np.ndarray:
    return recoloured(image, alpha, 0)


def _contrasted(image: np.ndarray, alpha: float) -> np.ndarray:
    grey = _grey(_planes(image)) if image.shape[2] >= 3 else image[..., 0]
    return recoloured(image, alpha, (1 - alpha) * float(grey.mean(dtype=np.float64)))


def _saturated(image: np.ndarray, alpha: float) -> np.ndarray:
    if image.shape[2] < 3:
        return image
    planes = _planes(image)
    grey = _grey(planes)
    grey *= np.float32(1 - alpha)
    planes *= np.float32(alpha)
    planes += grey
    np.rint(planes, out=planes)
    found = planes.clip(0, 255, out=planes).astype(np.uint8).transpose(1, 2, 0)
    return found if image.shape[2] == 3 else np.concatenate([found, image[..., 3:]], 2)
