"""`MNISTIter`: batches of the images of idx files, compressed or not."""

import gzip
import struct
import zlib
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from evergraph.errors import DamagedError, StoreError, UsageError, collect, printable
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.io.batch import DataBatch
from evergraph.mxnet.io.native import MXDataIter, numeric_type, taken
from evergraph.mxnet.io.positions import DIGITS, register

__all__ = ["MNISTIter", "read_idx"]

_UNUSED = ("silent", "prefetch_buffer", "ctx", "input_flat", "input_shape")


def read_idx(path: str, axes: int) -> np.ndarray:
    """The bytes of an idx file as an array.

    Args:
        path: the file; the same with `.gz` where it does not exist.
        axes: how many axes the array has.

    Raises:
        StoreError: the file cannot be read.
        DamagedError: it is no idx file of bytes, or breaks off.
    """
    try:
        found = Path(path)
        data = (found if found.exists() else Path(f"{path}.gz")).read_bytes()
        data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
    except (OSError, EOFError, zlib.error) as error:
        raise StoreError("the idx file cannot be read", where=printable(path), found=str(error)) from error
    head = 4 + 4 * axes
    magic = struct.pack(">I", 0x800 + axes)
    shape = struct.unpack_from(f">{axes}I", data, 4) if len(data) >= head else ()
    if data[:4] != magic or len(data) < head + prod(shape):
        raise DamagedError(
            "the file is no whole idx file of bytes",
            where=printable(path),
            expected=f"the magic {magic.hex(' ')} and {prod(shape) + head if shape else head:,} bytes",
            found=f"{data[:4].hex(' ')} and {len(data):,} bytes",
        )
    return np.frombuffer(data, np.uint8, prod(shape), head).reshape(shape)


class MNISTIter(MXDataIter):
    """Batches of an idx file's images, divided by 256; examples that fill no batch are left out.

    Args:
        image: path of the images; the same with `.gz` where it does not exist.
        label: path of the labels.
        batch_size: examples in a batch.
        shuffle: whether to draw one order at the start, by seed; the order is not MXNet's.
        flat: whether an image is one row of pixels; otherwise (1, height, width).
        seed: of the order.
        num_parts: how many parts the examples are divided into.
        part_index: which part to read.
        dtype: the type; None gives float32.
        data_name: the name of the data.
        label_name: the name of the labels.
        **rest: silent, ctx and prefetch_buffer change nothing, nor do input_shape and input_flat of 2015.

    Raises:
        StoreError: a file cannot be read.
        DamagedError: a file is no idx file or breaks off.
    """

    def __init__(
        self,
        image: str = "./train-images-idx3-ubyte",
        label: str = "./train-labels-idx1-ubyte",
        batch_size: int = 128,
        shuffle: bool = True,
        flat: bool = False,
        seed: int = 0,
        num_parts: int = 1,
        part_index: int = 0,
        dtype: Any = None,
        data_name: str = "data",
        label_name: str = "softmax_label",
        **rest: Any,
    ) -> None:
        batch_size, shuffle, flat, seed, num_parts, part_index = taken(
            "MNISTIter",
            batch_size=(batch_size, 1),
            shuffle=(shuffle, True),
            flat=(flat, True),
            seed=(seed, 0),
            num_parts=(num_parts, 1),
            part_index=(part_index, 0),
        )
        wrong = [f"{printable(k)}: there is no such parameter" for k in rest if k not in _UNUSED]
        if not 0 <= part_index < num_parts:
            wrong.append(f"part_index: {part_index}, of {num_parts} parts")
        if batch_size < 1:
            wrong.append(f"batch_size: {batch_size}, where at least 1 is needed")
        collect(UsageError, "MNISTIter cannot take these parameters", wrong)
        images, labels = read_idx(image, 3), read_idx(label, 1)
        if len(images) != len(labels):
            raise DamagedError("there are not as many labels as images", expected=len(images), found=len(labels))
        begin, end = (int(len(images) / num_parts * i) for i in (part_index, part_index + 1))
        order = np.arange(begin, end)
        if shuffle:
            np.random.RandomState(seed & 0xFFFFFFFF).shuffle(order)
        self._order, self._at, self._size = order, 0, batch_size
        self._kind = numeric_type(dtype)
        self._images = images.reshape(len(images), -1) if flat else images[:, None]
        self._labels = labels
        super().__init__(data_name, label_name)

    def _restart(self) -> None:
        self._at = 0

    def _fetch(self) -> DataBatch | None:
        if self._at + self._size > len(self._order):
            return None
        chosen = self._order[self._at : self._at + self._size]
        self._at += self._size
        pixels = self._images[chosen].astype(np.float32) * np.float32(1 / 256)
        data = nd.array(pixels.astype(self._kind), dtype=self._kind)
        label = nd.array(self._labels[chosen], dtype=self._kind)
        return DataBatch([data], [label], 0, np.zeros(self._size, np.uint64))


register(MNISTIter, DIGITS)
