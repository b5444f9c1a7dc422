"""`ImageIter`: batches of images of a record file, a list file or a list, changed by augmenters."""

import os
import random
from pathlib import Path
from typing import Any

import numpy as np

from evergraph.errors import DamagedError, EvergraphError, StoreError, printable
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet import recordio
from evergraph.mxnet.base import InputTypeError
from evergraph.mxnet.image.augmenters import CreateAugmenter
from evergraph.mxnet.image.transforms import imdecode
from evergraph.mxnet.io.batch import DataBatch, DataDesc, DataIter
from evergraph.mxnet.io.positions import LISTED, register
from evergraph.mxnet.io.records import listed_labels, record_offsets

__all__ = ["ImageIter"]


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
        last_batch_handle: `pad` fills the last batch from the start, `discard` drops it.
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
        wrong += [] if len(data_shape) == 3 and data_shape[0] == 3 else [f"data_shape {data_shape} is not (3, H, W)"]
        wrong += [] if 0 <= part_index < num_parts else [f"no part {part_index} of {num_parts}"]
        wrong += [] if last_batch_handle in ("pad", "discard") else [f"last_batch_handle {last_batch_handle!r}"]
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
        self._arranged = list(range(len(self.seq)))  # which image stands where
        self.auglist = CreateAugmenter(data_shape, **kwargs) if aug_list is None else aug_list
        labels = (batch_size, label_width) if label_width > 1 else (batch_size,)
        self.provide_data = [DataDesc(data_name, (batch_size, *data_shape))]
        self.provide_label = [DataDesc(label_name, labels, dtype)]
        self.reset()

    def reset(self) -> None:
        """Go back to the start, in a new order where the iterator shuffles."""
        if self.shuffle:
            order = list(range(len(self.seq)))
            random.shuffle(order)  # as `seq` itself would be: the same draws
            self.seq = [self.seq[i] for i in order]
            self._arranged = [self._arranged[i] for i in order]
        self.cur = 0

    def _read(self, source: Any) -> tuple[Any, bytes]:
        """The label and the compressed image of an entry of `seq`."""
        if self._records is None:
            label, path = source
            try:
                return label, Path(path).read_bytes()
            except OSError as error:
                raise StoreError("an image cannot be read", where=printable(path), found=error.strerror) from error
        self._records._at = self._records.handle.seek(source)
        header, data = recordio.unpack(self._records.read() or b"")
        return (header.label if self._labels is None else self._labels[header.id]), data

    def _sample(self, source: Any) -> tuple[np.ndarray, Any]:
        label, data = self._read(source)
        try:
            image = imdecode(data)
        except EvergraphError as error:
            where = f"record at byte {source:,}" if self._records else printable(source[1])
            raise DamagedError("an image cannot be decoded", where=where, details=str(error).splitlines()) from error
        for augment in self.auglist:
            image = augment(image)
        return image.asnumpy().astype(np.float32).transpose(2, 0, 1), label

    def next(self) -> DataBatch:
        """The next batch; StopIteration at the end of the images."""
        chosen = self.seq[self.cur : self.cur + self.batch_size]
        pad = self.batch_size - len(chosen)
        if not chosen or (pad and self.last_batch_handle == "discard"):
            raise StopIteration
        self.cur += self.batch_size
        chosen = chosen + [self.seq[i % len(self.seq)] for i in range(pad)]
        images, labels = zip(*(self._sample(source) for source in chosen), strict=True)
        values = np.array(labels, self.dtype).reshape(self.provide_label[0].shape)
        return DataBatch([nd.array(np.stack(images))], [nd.array(values, dtype=self.dtype)], pad)


def _listed(path: str | None, given: list[Any] | None, root: str) -> list[tuple[Any, str]]:
    """Labels and paths of a list file or a list."""
    if path is None:
        entries = given or []
        return [(e[0] if len(e) == 2 else e[:-1], os.path.join(root, e[-1])) for e in entries]
    labels = listed_labels(path).values()
    names = [line.rstrip("\n").rpartition("\t")[2] for line in Path(path).read_text().splitlines()]
    return [(label, os.path.join(root, name)) for label, name in zip(labels, names, strict=True)]


register(ImageIter, LISTED)
