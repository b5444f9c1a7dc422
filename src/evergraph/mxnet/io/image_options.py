"""The augmenter parameters of the iterators over packed images: defaults, types, and what does not fit together."""

from typing import Any

from evergraph.errors import UsageError
from evergraph.mxnet.io.augmenting import needs_affine
from evergraph.mxnet.io.detecting import SAMPLER
from evergraph.mxnet.io.native import kind_of, typed

__all__ = ["CLASSIFICATION", "DETECTION", "options_of"]

_SHARED: dict[str, Any] = {
    **{f"mean_{c}": 0.0 for c in "rgba"},
    "resize": -1,
    "inter_method": 1,
    "scale": 1.0,
    "mean_img": "",
}
CLASSIFICATION: dict[str, Any] = {
    **_SHARED,
    **{f"std_{c}": 1.0 for c in "rgba"},
    "aug_seq": "aug_default",
    "pad": 0,
    "fill_value": 255,
    "rand_crop": False,
    "random_resized_crop": False,
    "mirror": False,
    "rand_mirror": False,
    "max_rotate_angle": 0,
    "rotate": -1,
    "max_shear_ratio": 0.0,
    "max_aspect_ratio": 0.0,
    "min_aspect_ratio": None,
    "max_random_area": 1.0,
    "min_random_area": 1.0,
    "max_random_scale": 1.0,
    "min_random_scale": 1.0,
    "max_crop_size": -1,
    "min_crop_size": -1,
    "max_img_size": 1e10,
    "min_img_size": 0.0,
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
    "pca_noise": 0.0,
    "random_h": 0,
    "random_s": 0,
    "random_l": 0,
    "max_random_contrast": 0.0,
    "max_random_illumination": 0.0,
}
DETECTION: dict[str, Any] = {
    **_SHARED,
    **{f"std_{c}": 0.0 for c in "rgba"},
    **{name: (value,) for name, value in SAMPLER.items()},
    **{f"random_{name}_prob": 0.0 for name in ("hue", "saturation", "illumination", "contrast")},
    **{f"max_random_{name}": 0 for name in ("hue", "saturation", "illumination")},
    "max_random_contrast": 0.0,
    "aug_seq": "det_aug_default",
    "rand_crop_prob": 0.0,
    "num_crop_sampler": 1,
    "crop_emit_mode": "center",
    "emit_overlap_thresh": 0.3,
    "rand_pad_prob": 0.0,
    "max_pad_scale": 1.0,
    "rand_mirror_prob": 0.0,
    "fill_value": 127,
    "resize_mode": "force",
    "label_pad_width": 0,
    "label_pad_value": -1.0,
}
_IGNORED = {"verbose", "prefetch_buffer", "ctx", "device_id", "shuffle_chunk_size", "shuffle_chunk_seed"}
"""Of MXNet's threads and messages: they change no image."""
_CHOICES = {
    "inter_method": (0, 1, 2, 3, 4, 9, 10),
    "aug_seq": ("aug_default", "det_aug_default"),
    "crop_emit_mode": ("center", "overlap"),
    "resize_mode": ("force", "shrink", "fit"),
}


def options_of(given: dict[str, Any], known: dict[str, Any], owner: str) -> dict[str, Any]:
    """The options of an iterator, each of its type.

    Args:
        given: what a program passed.
        known: CLASSIFICATION or DETECTION.
        owner: the iterator's name, for the message.

    Raises:
        UsageError: unknown names, wrong types, and what does not fit together, all at once.
    """
    found, wrong = dict(known), []
    for name, value in given.items():
        if name in _IGNORED:
            continue
        if name not in known:
            wrong.append(f"{name}={value!r}: there is no such parameter")
            continue
        try:
            found[name] = typed(value, known[name])
        except (ValueError, TypeError, KeyError):
            wrong.append(f"{name}={value!r}: expected {kind_of(known[name])}")
    for name, choices in _CHOICES.items():
        if name in found and (found[name] not in choices or (name == "aug_seq" and found[name] != known[name])):
            shown = (known[name],) if name == "aug_seq" else choices
            wrong.append(f"{name}={found[name]!r}: expected {' or '.join(map(str, shown))}")
    wrong += _sampling(found) if "num_crop_sampler" in known else _clashes(found)
    if wrong:
        raise UsageError(
            f"{owner} cannot honour these parameters",
            details=wrong,
            fix="leave them out, or augment with mx.image.ImageIter and augmenters of your own",
        )
    return found


def _clashes(o: dict[str, Any]) -> list[str]:
    wrong = [
        f"min_{what}={o[f'min_{what}']} is above max_{what}={o[f'max_{what}']}"
        for what in ("random_area", "random_scale", "crop_size", "img_size")
        if o[f"min_{what}"] > o[f"max_{what}"]
    ]
    if o["min_aspect_ratio"] is not None and o["min_aspect_ratio"] > o["max_aspect_ratio"]:
        wrong.append(f"min_aspect_ratio={o['min_aspect_ratio']} is above max_aspect_ratio={o['max_aspect_ratio']}")
    if o["min_crop_size"] <= 0 < o["max_crop_size"]:
        wrong.append("max_crop_size needs a min_crop_size of at least 1")
    if needs_affine(o) and not o["inter_method"]:
        wrong.append("inter_method=0 cannot rotate, shear or scale")
    alone = {"rand_crop": False, "min_random_scale": 1, "max_random_scale": 1, "min_crop_size": -1, "max_crop_size": -1}
    if o["random_resized_crop"]:
        wrong += [f"random_resized_crop excludes {k}={o[k]}" for k, v in alone.items() if o[k] != v]
    return wrong


def _sampling(o: dict[str, Any]) -> list[str]:
    """Give each crop sampler its values; what is wrong with them."""
    count, wrong = o["num_crop_sampler"], []
    for name in SAMPLER:
        if len(o[name]) not in (1, count):
            wrong.append(f"{name} has {len(o[name])} values for num_crop_sampler={count}")
        o[name] = o[name] * count if len(o[name]) == 1 else o[name]
    for name in SAMPLER:
        if name.startswith("min_"):
            limit = "max_" + name[4:]
            pairs = zip(o[name], o[limit], strict=False)
            # equal proportions are a fixed shape, any other equal limits leave no room
            bad = [(low, high) for low, high in pairs if low > high or (low == high and "aspect" not in name)]
            wrong += [f"{name}={low} leaves no room below {limit}={high}" for low, high in bad]
    return wrong
