"""`ImageIter`: batches of images of a record file, a list file or a list, changed by augmenters."""

import os
import random
from pathlib import Path
from typing import Any

import numpy as np

from evergraph.errors import DamagedError, EvergraphError, StoreError, UsageError, printable
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet import recordio
from evergraph.mxnet._state import STATE
from evergraph.mxnet.base import InputTypeError
from evergraph.mxnet.image.augmenters import CreateAugmenter
from evergraph.mxnet.image.transforms import imdecode
from evergraph.mxnet.io.batch import DataBatch, DataDesc, DataIter
from evergraph.mxnet.io.positions import LISTED, register
from evergraph.mxnet.io.records import listed_labels, record_offsets

__all__ = ["ImageIter"]

_LABELS = ("int32", "float32", "int64", "float64")


class ImageIter(DataIter):
    """Batches of images, decoded and augmented in this process.

    Args:
        batch_size: images in a batch.
        data_shape: (3, height, width) of an image.
        label_width: labels of an image.
        path_imgrec: path of a record file.
        path_imglist: path of a list file: key, labels and path below path_root, between tabs.
        path_root: folder of the listed images.
        path_imgidx: path of the record file's index.
        shuffle: whether each epoch has a new order, by Python's `random`.
        part_index: which part to read.
        num_parts: how many equal parts the images are divided into; what is left over belongs to none.
        aug_list: augmenters; None takes CreateAugmenter(data_shape, **kwargs).
        imglist: a list of [label or labels, path].
        data_name: the name of the data.
        label_name: the name of the labels.
        dtype: the labels' type.
        last_batch_handle: `pad` fills the last batch from the start, `discard` drops it, `roll_over` keeps its images
            for the next epoch's first batch, whose pad then counts the images that were added to them.
        **kwargs: as of CreateAugmenter.

    Raises:
        InputTypeError: no source, or parameters that do not fit, all at once.
        DamagedError: an image that cannot be decoded.
    """

    def __init__(
        self,
        batch_size: int,
        data_shape: tuple[int, int, int],
        label_width: int = 1,
        path_imgrec: str | None = None,
        path_imglist: str | None = None,
        path_root: str | None = None,
        path_imgidx: str | None = None,
        shuffle: bool = False,
        part_index: int = 0,
        num_parts: int = 1,
        aug_list: list[Any] | None = None,
        imglist: list[Any] | None = None,
        data_name: str = "data",
        label_name: str = "softmax_label",
        dtype: str = "float32",
        last_batch_handle: str = "pad",
        **kwargs: Any,
    ) -> None:
        super().__init__(batch_size)
        wrong = [] if path_imgrec or path_imglist or imglist else ["no path_imgrec, path_imglist or imglist"]
        wrong += [] if _is_colour(data_shape) else [f"data_shape {data_shape} is not (3, H, W)"]
        wrong += [] if dtype in _LABELS else [f"dtype {dtype!r} of the labels is none of {_LABELS}"]
        wrong += [] if 0 <= part_index < num_parts else [f"no part {part_index} of {num_parts}"]
        known = ("pad", "discard", "roll_over")
        wrong += [] if last_batch_handle in known else [f"last_batch_handle {last_batch_handle!r} is none of {known}"]
        if wrong:
            raise InputTypeError("ImageIter cannot take these parameters", details=wrong)
        self.data_shape, self.label_width, self.shuffle = tuple(data_shape), label_width, shuffle
        self.dtype, self.last_batch_handle = dtype, last_batch_handle
        self._records = recordio.MXRecordIO(path_imgrec, "r") if path_imgrec else None
        self._labels = listed_labels(path_imglist) if path_imglist and path_imgrec else None
        if path_imgrec:
            self.seq: list[Any] = record_offsets(path_imgrec, path_imgidx or "").tolist()
        else:
            self.seq = _listed(path_imglist, imglist, path_root or "")
        share = len(self.seq) // num_parts
        self.seq = self.seq[share * part_index : share * (part_index + 1)] if num_parts > 1 else self.seq
        self.num_image = len(self.seq)
        self._arranged = list(range(self.num_image))  # which image stands where
        self.auglist = CreateAugmenter(data_shape, **kwargs) if aug_list is None else aug_list
        labels = (batch_size, label_width) if label_width > 1 else (batch_size,)
        self.provide_data = [DataDesc(data_name, (batch_size, *data_shape))]
        self.provide_label = [DataDesc(label_name, labels, dtype)]
        self._allow_read = True
        self._held: list[tuple[Any, Any]] = []  # images and labels that roll over into the next epoch
        self.reset()

    def reset(self) -> None:
        """Go back to the start, in a new order where the iterator shuffles."""
        if self.shuffle:
            order = list(range(len(self.seq)))
            random.shuffle(order)  # as `seq` itself would be: the same draws
            self.seq = [self.seq[i] for i in order]
            self._arranged = [self._arranged[i] for i in order]
        self.cur, self._allow_read = 0, True

    def hard_reset(self) -> None:
        """Go back to the start, and forget what rolled over."""
        self._held = []
        self.reset()

    def read_image(self, fname: str) -> bytes:
        """The compressed bytes of a listed image.

        Raises:
            StoreError: it cannot be read.
        """
        try:
            return Path(fname).read_bytes()
        except OSError as error:
            raise StoreError("an image cannot be read", where=printable(fname), found=error.strerror) from error

    def next_sample(self) -> tuple[Any, bytes]:
        """The next image's label and compressed bytes; StopIteration at the end of the images."""
        if not self._allow_read or self.cur >= len(self.seq):
            raise StopIteration
        source = self.seq[self.cur]
        self.cur += 1
        if self._records is None:
            return source[0], self.read_image(source[1])
        self._records._at = self._records.handle.seek(source)
        header, data = recordio.unpack(self._records.read() or b"")
        return (header.label if self._labels is None else self._labels[header.id]), data

    def _where(self) -> str:
        """The image that was read last, in words."""
        source = self.seq[self.cur - 1]
        return f"record at byte {source:,}" if self._records else printable(source[1])

    def imdecode(self, s: bytes) -> Any:
        """The image of compressed bytes, uint8 (height, width, 3).

        Raises:
            DamagedError: they are no image.
        """
        try:
            return imdecode(s)
        except EvergraphError as error:
            details = str(error).splitlines()
            raise DamagedError("an image cannot be decoded", where=self._where(), details=details) from error

    def check_data_shape(self, data_shape: Any) -> None:
        """Raise unless data_shape is (3, height, width)."""
        if not _is_colour(data_shape):
            raise UsageError("images have three channels", expected="data_shape (3, height, width)", found=data_shape)

    def check_valid_image(self, data: Any) -> None:
        """Raise unless the first array of a list has axes."""
        if not data[0].shape:
            raise UsageError("an image has axes", found=data[0].shape)

    def augmentation_transform(self, data: Any) -> Any:
        """An image through all augmenters."""
        for augment in self.auglist:
            data = augment(data)
        return data

    def postprocess_data(self, datum: Any) -> Any:
        """An image (height, width, channels) as a batch holds it: (channels, height, width)."""
        return nd.transpose(datum, axes=(2, 0, 1))

    def _sample(self) -> tuple[Any, Any]:
        """The next image, augmented, as a batch holds it, and its label."""
        label, data = self.next_sample()
        image = self.imdecode(data)
        self.check_valid_image([image])
        return self._plain(self.augmentation_transform(image)), label

    def _plain(self, image: Any) -> np.ndarray:
        found = self.postprocess_data(image).asnumpy().astype(np.float32, copy=False)
        if found.shape != self.data_shape:
            raise UsageError(
                "an augmented image has another shape than the iterator's",
                where=self._where(),
                expected=self.data_shape,
                found=found.shape,
                fix="let the augmenters crop or resize to data_shape",
            )
        return found

    def _gather(self, samples: list[tuple[Any, Any]]) -> None:
        """Add samples until the batch is full or the images end."""
        while len(samples) < self.batch_size:
            try:
                samples.append(self._sample())
            except StopIteration:
                return

    def next(self) -> DataBatch:
        """The next batch; StopIteration at the end of the images."""
        samples, self._held = self._held, []
        rolled = len(samples)
        if not rolled:
            self._gather(samples)
            if not samples:
                raise StopIteration
        pad = self.batch_size - len(samples)
        if pad and not rolled:
            if self.last_batch_handle == "discard":
                raise StopIteration
            if self.last_batch_handle == "roll_over":
                self._held, self.cur = samples, 0
                raise StopIteration
        if pad:
            self._fill(samples, ends=not rolled)
        images, labels = zip(*samples, strict=True)
        made = [nd.array(np.stack(images)), self._label_array(labels)]
        data, label = [a.as_np_ndarray() for a in made] if STATE.np_array else made
        return DataBatch([data], [label], pad)

    def _fill(self, samples: list[tuple[Any, Any]], ends: bool) -> None:
        """Fill a batch from the start of the images, which ends the epoch where it is the last."""
        while len(samples) < self.batch_size:
            self.cur = 0 if ends or self.cur >= len(self.seq) else self.cur
            before = len(samples)
            self._gather(samples)
            if len(samples) == before:
                raise DamagedError("no image can fill the batch", where=type(self).__name__)
        self._allow_read = not ends

    def _label_array(self, labels: Any) -> Any:
        values = np.array(labels, self.dtype).reshape(self.provide_label[0].shape)
        return nd.array(values, dtype=self.dtype)


def _is_colour(shape: Any) -> bool:
    return len(shape) == 3 and shape[0] == 3


def _listed(path: str | None, given: list[Any] | None, root: str) -> list[tuple[Any, str]]:
    """Labels and paths of a list file or a list."""
    if path is None:
        entries = given or []
        return [(e[0] if len(e) == 2 else e[:-1], os.path.join(root, e[-1])) for e in entries]
    labels = listed_labels(path).values()
    names = [line.rstrip("\n").rpartition("\t")[2] for line in Path(path).read_text().splitlines()]
    return [(label, os.path.join(root, name)) for label, name in zip(labels, names, strict=True)]


register(ImageIter, LISTED)
