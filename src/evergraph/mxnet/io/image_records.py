"""`ImageRecordIter` and its kin: batches of packed images, decoded and augmented by worker processes."""

import functools
import os
from typing import Any

import numpy as np

from evergraph.errors import DamagedError, UsageError, printable
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.io.batch import DataBatch
from evergraph.mxnet.io.decoding import Recipe
from evergraph.mxnet.io.image_options import CLASSIFICATION, DETECTION, options_of
from evergraph.mxnet.io.native import RowIter, numeric_type, taken
from evergraph.mxnet.io.positions import IMAGES, register
from evergraph.mxnet.io.records import listed_labels, record_offsets
from evergraph.mxnet.io.workers import Workers

__all__ = [
    "ImageDetRecordIter",
    "ImageRecordInt8Iter",
    "ImageRecordIter",
    "ImageRecordIter_v1",
    "ImageRecordUInt8Iter",
    "ImageRecordUInt8Iter_v1",
]


def _mean_array(path: str) -> np.ndarray | None:
    if not path:
        return None
    if not os.path.exists(path):
        raise UsageError(
            "there is no mean image", where=printable(path), fix="save one, or pass mean_r, mean_g, mean_b"
        )
    found = nd.load(path)
    values = list(found.values()) if isinstance(found, dict) else found
    return values[0].asnumpy().astype(np.float32)


class ImageRecordIter(RowIter):
    """Batches of the images of a record file.

    Args:
        path_imgrec: path of the records.
        data_shape: (channels, height, width) of an image.
        batch_size: images in a batch.
        path_imgidx: path of the index: with it, parts have equal numbers of records, without it of bytes.
        path_imglist: path of a list whose labels replace those in the records, by the records' ids.
        label_width: labels of an image.
        shuffle: whether each epoch has an order of its own, by seed; the order is not MXNet's.
        seed: of the order.
        seed_aug: of augmentations; None takes seed.
        num_parts: how many parts the records are divided into.
        part_index: which part to read.
        preprocess_threads: worker processes, at most one for each core; 1 works in this process.
        round_batch: whether the last batch is filled from the start, where the next epoch then goes on; otherwise
            zeros fill it, and its pad counts them (MXNet leaves both unset).
        dtype: the images' type; None gives the class's own.
        data_name: the name of the data.
        label_name: the name of the labels.
        **options: MXNet's augmenter parameters: resize, pad, fill_value, rand_crop, min_crop_size and max_crop_size,
            random_resized_crop with min_random_area, max_random_area, min_aspect_ratio and max_aspect_ratio, rotate,
            max_rotate_angle, max_shear_ratio, min_random_scale, max_random_scale, min_img_size, max_img_size,
            brightness, contrast, saturation, pca_noise, random_h, random_s, random_l, mirror, rand_mirror, mean_img,
            mean_r to mean_a, std_r to std_a, scale, max_random_contrast, max_random_illumination, inter_method.

    Raises:
        UsageError: parameters that are unknown or do not fit together, all at once.
        DamagedError: a damaged file; the message names the byte.
    """

    _type, _known, _detection = "float32", CLASSIFICATION, False

    def __init__(
        self,
        path_imgrec: str,
        data_shape: Any,
        batch_size: int,
        path_imgidx: str = "",
        path_imglist: str = "",
        label_width: int = 1,
        shuffle: bool = False,
        seed: int = 0,
        seed_aug: int | None = None,
        num_parts: int = 1,
        part_index: int = 0,
        preprocess_threads: int = 4,
        round_batch: bool = True,
        dtype: Any = None,
        data_name: str = "data",
        label_name: str = "softmax_label",
        **options: Any,
    ) -> None:
        owner = type(self).__name__
        self._options = options_of(options, self._known, owner)
        self._options["mean_array"] = _mean_array(self._options["mean_img"])
        shape, batch_size, label_width, seed, num_parts, part_index, preprocess_threads, shuffle, round_batch = taken(
            owner,
            data_shape=(data_shape, (1,)),
            batch_size=(batch_size, 1),
            label_width=(label_width, 1),
            seed=(seed, 0),
            num_parts=(num_parts, 1),
            part_index=(part_index, 0),
            preprocess_threads=(preprocess_threads, 1),
            shuffle=(shuffle, False),
            round_batch=(round_batch, True),
        )
        if len(shape) != 3 or shape[0] not in (1, 3, 4):
            raise UsageError("data_shape is (channels, height, width)", expected="1, 3 or 4 channels", found=shape)
        index = "" if self._detection else path_imgidx
        self._offsets = record_offsets(path_imgrec, index, num_parts, part_index)
        self._listed = listed_labels(path_imglist) if path_imglist else None
        self._path, self._label_width = path_imgrec, label_width
        self._shuffled, self._seed, self._epoch = shuffle, seed, 0
        augmenting = seed if seed_aug is None else seed_aug
        kind = numeric_type(dtype, self._type)
        recipe = Recipe(path_imgrec, shape, kind, self._options, augmenting, self._detection)
        count = min(preprocess_threads, os.cpu_count() or 1)
        self._workers = Workers(recipe, count if count > 1 else 0, shape, kind, batch_size)
        self._asked: Any = None
        self._mix()
        super().__init__(len(self._offsets), batch_size, bool(round_batch), data_name=data_name, label_name=label_name)

    def _mix(self) -> None:
        self._order = self._offsets
        if self._shuffled:
            self._order = np.random.default_rng((self._seed & 0xFFFFFFFF, self._epoch)).permutation(self._offsets)

    def _restart(self) -> None:
        super()._restart()
        if self._asked is not None:
            self._workers.drop()
            self._asked = None
        self._epoch += 1
        self._mix()

    def close(self) -> None:
        """End the worker processes; dropping the iterator does it too."""
        self._workers.close()

    def _ask(self, at: int) -> None:
        """Ask for the batch that starts at an example, its filling included."""
        rows = np.arange(at, min(at + self._size, self._count))
        if self._round and len(rows) < self._size:
            rows = np.concatenate([rows, np.arange(self._size - len(rows)) % self._count])
        self._workers.submit([(int(self._order[r]), self._epoch) for r in rows])
        self._asked = at

    def _batch(self, rows: np.ndarray, pad: int) -> DataBatch:
        at = int(rows[0])
        if self._asked != at:
            self._ask(at)
        # the next batch is made while this one is used
        later = self._at if self._at < self._count and self._workers.processes else None
        if later is not None:
            self._ask(later)
        self._asked = later
        images, found = self._workers.take()
        labels = self._labels(found)
        if len(found) < self._size:
            images, labels = (_filled(x, self._size) for x in (images, labels))
        data = nd.from_numpy(images)  # nobody else has this memory
        return DataBatch([data], [nd.array(labels)], pad, np.zeros(self._size, np.uint64))

    def _labels(self, found: list[Any]) -> np.ndarray:
        labels = []
        for inside, key in found:
            label = inside if self._listed is None else self._listed.get(key, np.empty(0, np.float32))
            if len(label) != self._label_width:
                raise DamagedError(
                    "an image has another number of labels",
                    where=f"{printable(self._path)}, image {key}",
                    expected=f"label_width={self._label_width}",
                    found=len(label),
                )
            labels.append(label)
        stacked = np.stack(labels)
        return stacked[:, 0] if self._label_width == 1 else stacked


def _filled(values: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([values, np.zeros((count - len(values), *values.shape[1:]), values.dtype)])


class ImageRecordUInt8Iter(ImageRecordIter):
    """Batches of the images of a record file as uint8, not normalized; arguments as of ImageRecordIter."""

    _type = "uint8"


class ImageRecordInt8Iter(ImageRecordIter):
    """Batches of the images of a record file as int8, cut off at 127; arguments as of ImageRecordIter."""

    _type = "int8"


class ImageDetRecordIter(ImageRecordIter):
    """Batches of images with boxes: a label is channels, height, width, its length, the record's label, and padding.

    A record's label is: width of this header, width of an object (at least 5), the rest of the header, then for each
    object its class, left, top, right, bottom as fractions of the image's sides, and anything more. The numbers of a
    shrunk or fitted image's height and width say how much of the array it fills; the rest is zero.

    Args:
        *args: as of ImageRecordIter.
        label_width: how long every label is; -1 for any length. Parts are of equal numbers of bytes, whatever
            path_imgidx says, as MXNet's are.
        **options: as of ImageRecordIter, and MXNet's augmenter parameters: resize, resize_mode (force, shrink, fit),
            inter_method, fill_value, rand_mirror_prob, rand_pad_prob and max_pad_scale, rand_crop_prob with
            num_crop_sampler, min_crop_scales and its kin, max_crop_trials, crop_emit_mode and emit_overlap_thresh,
            random_hue_prob and max_random_hue and likewise saturation, illumination and contrast, mean_img, mean_r to
            mean_a, std_r to std_a, scale, label_pad_width (0 or -1: the longest label of the part), label_pad_value.
    """

    _known, _detection = DETECTION, True

    def __init__(self, *args: Any, label_width: int = -1, **options: Any) -> None:
        super().__init__(*args, label_width=label_width, **options)

    def _labels(self, found: list[Any]) -> np.ndarray:
        labels = np.full((len(found), self._width + 4), self._options["label_pad_value"], np.float32)
        for row, (label, _) in zip(labels, found, strict=True):
            row[: len(label)] = label
        return labels

    @functools.cached_property
    def _width(self) -> int:
        """Room for the part's longest label, read from the records' headers."""
        lengths = set()
        with open(self._path, "rb") as file:
            for offset in self._offsets:
                file.seek(int(offset) + 8)
                lengths.add(int.from_bytes(file.read(4), "little"))
        asked, longest = self._options["label_pad_width"], max(lengths)
        wrong = []
        if self._label_width > 0 and lengths != {self._label_width}:
            wrong.append(f"label_width={self._label_width}, and labels have {sorted(lengths)} numbers")
        if 0 < asked < longest:
            wrong.append(f"label_pad_width={asked}, and the longest label has {longest} numbers")
        if wrong:
            raise UsageError("the labels do not fit", where=printable(self._path), details=wrong)
        return max(asked, longest)


ImageRecordIter_v1 = ImageRecordIter
ImageRecordUInt8Iter_v1 = ImageRecordUInt8Iter
register(ImageRecordIter, IMAGES)
