"""The augmentations of `ImageDetRecordIter`, which move boxes with their image: colours, mirror, padding, crop."""

from typing import Any, NamedTuple

import numpy as np

from evergraph.errors import DamagedError, printable
from evergraph.mxnet.io.augmenting import shorter_side
from evergraph.mxnet.io.pixels import interpolation, recoloured, resized, shifted

__all__ = ["SAMPLER", "detected"]

SAMPLER = {
    "min_crop_scales": 0.0,
    "max_crop_scales": 1.0,
    "min_crop_aspect_ratios": 1.0,
    "max_crop_aspect_ratios": 1.0,
    "min_crop_overlaps": 0.0,
    "max_crop_overlaps": 1.0,
    "min_crop_sample_coverages": 0.0,
    "max_crop_sample_coverages": 1.0,
    "min_crop_object_coverages": 0.0,
    "max_crop_object_coverages": 1.0,
    "max_crop_trials": 25,
}
"""What each crop sampler has a value of, and the value where none is given."""

Options = dict[str, Any]
Draw = np.random.Generator


class Labelled(NamedTuple):
    """An image, the head of its label, and its objects (count, width) as fractions of its sides."""

    image: np.ndarray
    head: np.ndarray
    objects: np.ndarray


def detected(
    image: np.ndarray, label: np.ndarray, shape: Any, options: Options, draw: Draw, path: str
) -> tuple[np.ndarray, np.ndarray]:
    """An image within the height and width of shape, and channels, its height and width, the label's length, the label.

    Raises:
        DamagedError: the label describes no boxes.
    """
    if len(label) < 2 or label[0] < 2 or label[1] < 5 or (len(label) - int(label[0])) % int(label[1]):
        raise DamagedError(
            "a record's label describes no boxes",
            where=printable(path),
            expected="header width, width of an object (at least 5), and whole objects",
            found=printable(label.tolist()),
        )
    head, width = int(label[0]), int(label[1])
    size = shorter_side(image, options["resize"])
    image = resized(image, size, interpolation(options["inter_method"], image.shape[:2], size, draw))
    found = Labelled(_coloured(image, options, draw), label[:head], label[head:].reshape(-1, width).copy())
    for step in (_mirrored, _padded, _cropped):
        found = step(found, options, draw)
    image = _fitted(found.image, shape[1:], options, draw)
    values = np.concatenate([found.head, found.objects.ravel()])
    return image, np.concatenate([np.array([shape[0], *image.shape[:2], len(values)], np.float32), values])


def _happens(probability: float, draw: Draw) -> bool:
    return probability > 0 and draw.random() < probability


def _coloured(image: np.ndarray, o: Options, draw: Draw) -> np.ndarray:
    change = {
        name: draw.uniform(-o[f"max_random_{name}"], o[f"max_random_{name}"])
        for name in ("hue", "saturation", "illumination", "contrast")
        if _happens(o[f"random_{name}_prob"], draw)
    }
    hue, rich, light = (int(change.get(name, 0)) for name in ("hue", "saturation", "illumination"))
    if (hue or rich or light) and image.shape[2] >= 3:
        image = shifted(image, hue, light, rich)
    contrast = change.get("contrast", 0.0)
    return recoloured(image, 1 + contrast, 0) if abs(contrast) > 1e-3 else image


def _mirrored(found: Labelled, o: Options, draw: Draw) -> Labelled:
    if not _happens(o["rand_mirror_prob"], draw):
        return found
    objects = found.objects.copy()
    objects[:, [1, 3]] = 1 - objects[:, [3, 1]]
    return found._replace(image=found.image[:, ::-1], objects=objects)


def _within(objects: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Objects relative to a box (left, top, width, height), cut off at its edges."""
    found = objects.copy()
    corner, size = np.tile(box[:2], 2), np.tile(box[2:], 2)
    found[:, 1:5] = ((objects[:, 1:5] - corner) / size).clip(0, 1)
    return found


def _padded(found: Labelled, o: Options, draw: Draw) -> Labelled:
    """The image somewhere in a larger one of one colour."""
    if o["max_pad_scale"] <= 1 or not _happens(o["rand_pad_prob"], draw):
        return found
    scale = draw.uniform(1, o["max_pad_scale"])
    x, y = draw.uniform(0, scale - 1, 2)
    height, width = found.image.shape[:2]
    edges = [(int(at * side), int((scale - 1 - at) * side)) for at, side in ((y, height), (x, width))]
    image = np.pad(found.image, (*edges, (0, 0)), constant_values=o["fill_value"])
    return found._replace(image=image, objects=_within(found.objects, np.array([-x, -y, scale, scale])))


def _cropped(found: Labelled, o: Options, draw: Draw) -> Labelled:
    """The first rectangle of the samplers, in random order, in which an object remains as they ask."""
    if not _happens(o["rand_crop_prob"], draw):
        return found
    height, width = found.image.shape[:2]
    for number in draw.permutation(o["num_crop_sampler"]):
        sampler = {name: o[name][number] for name in SAMPLER}
        for _ in range(sampler["max_crop_trials"]):
            box = _box(sampler, width / height, draw)
            if not _accepted(found.objects, box, sampler):
                continue
            kept = _kept(found.objects, box, o)
            if len(found.objects) and not kept.any():
                continue
            left, top, wide, tall = (int(v * s) for v, s in zip(box, (width, height) * 2, strict=True))
            image = found.image[top : top + max(tall, 1), left : left + max(wide, 1)]
            return found._replace(image=image, objects=_within(found.objects[kept], box))
    return found


def _box(sampler: Options, proportion: float, draw: Draw) -> np.ndarray:
    """A random rectangle (left, top, width, height) as fractions of the image's sides."""
    scale = draw.uniform(sampler["min_crop_scales"], sampler["max_crop_scales"])
    scale = max(scale, 1e-6)
    low = max(sampler["min_crop_aspect_ratios"] / proportion, scale * scale)
    high = min(sampler["max_crop_aspect_ratios"] / proportion, 1 / (scale * scale))
    ratio = np.sqrt(draw.uniform(0, 1) * (high - low) + low)
    size = np.minimum(1, [scale * ratio, scale / ratio])
    return np.concatenate([draw.uniform(0, 1, 2) * (1 - size), size])


def _shared(objects: np.ndarray, box: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The area that each object shares with a box, and its own."""
    low, high = np.maximum(objects[:, 1:3], box[:2]), np.minimum(objects[:, 3:5], box[:2] + box[2:])
    return (high - low).clip(0).prod(1), (objects[:, 3:5] - objects[:, 1:3]).clip(0).prod(1)


def _accepted(objects: np.ndarray, box: np.ndarray, sampler: Options) -> bool:
    """Whether one object meets all limits that a sampler sets."""
    shared, own = _shared(objects, box)
    area = box[2] * box[3]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = {"overlaps": shared / (own + area - shared), "sample_coverages": shared / area}
        found["object_coverages"] = shared / own
    fits, limited = np.ones(len(objects), bool), False
    for name, values in found.items():
        low, high = sampler[f"min_crop_{name}"], sampler[f"max_crop_{name}"]
        if low > 0 or high < 1:
            limited = True
            fits &= (values >= low) & (values <= high)
    return not limited or not len(objects) or bool(fits.any())


def _kept(objects: np.ndarray, box: np.ndarray, o: Options) -> np.ndarray:
    """Which objects stay: those with their centre in the box, or with enough of their area there."""
    if o["crop_emit_mode"] == "center":
        centre = (objects[:, 1:3] + objects[:, 3:5]) / 2
        return np.all((centre >= box[:2]) & (centre < box[:2] + box[2:]), axis=1)
    shared, own = _shared(objects, box)
    return shared > o["emit_overlap_thresh"] * own


def _fitted(image: np.ndarray, goal: tuple[int, int], o: Options, draw: Draw) -> np.ndarray:
    """The image in its size: forced, or with its proportions and where it is too large (shrink) or always (fit)."""
    mode, (tall, wide) = o["resize_mode"], goal
    height, width = image.shape[:2]
    size = goal
    if mode != "force":
        ratio = np.float32(min(np.float32(tall) / np.float32(height), np.float32(wide) / np.float32(width)))
        size = (max(int(ratio * np.float32(height)), 1), max(int(ratio * np.float32(width)), 1))
        if mode == "shrink" and height <= tall and width <= wide:
            return image
    return resized(image, size, interpolation(o["inter_method"], (height, width), size, draw))
