"""Datasets that begin a pipeline: functions, arrays, and files of folders."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from evergraph.errors import DamagedError, ShapeError, StoreError, UsageError, printable
from evergraph.mindspore.common import dtype as mstype
from evergraph.mindspore.dataset.datasets import Dataset, Row, columns_of, refused
from evergraph.mindspore.dataset.samplers import Order

__all__ = [
    "Cifar10Dataset",
    "Cifar100Dataset",
    "FashionMnistDataset",
    "GeneratorDataset",
    "ImageFolderDataset",
    "MnistDataset",
    "NumpySlicesDataset",
]


class GeneratorDataset(Dataset):
    """Rows of a generator function, an iterable, or an object with `__getitem__` and `__len__`.

    Args:
        source: where rows come from.
        column_names: the columns' names.
        column_types: element types that values are cast to.
        schema: not here.
        num_samples: at most so many rows.
        num_parallel_workers: taken; changes no value.
        shuffle: whether an object's rows come in random order; None is True for them.
        sampler: which rows of an object, and in what order: a Sampler or a list of numbers.
        num_shards: how many portions an object's rows are divided into.
        shard_id: which portion.
        python_multiprocessing: taken; changes no value.
        max_rowsize: taken.
        batch_sampler: not here.
        collate_fn: not here.

    Raises:
        UsageError: arguments that exclude each other, or ask for what is not here.
    """

    def __init__(
        self,
        source: Any,
        column_names: Any = None,
        column_types: Any = None,
        schema: Any = None,
        num_samples: int | None = None,
        num_parallel_workers: int = 1,
        shuffle: Any = None,
        sampler: Any = None,
        num_shards: int | None = None,
        shard_id: int | None = None,
        python_multiprocessing: bool = True,
        max_rowsize: Any = None,
        batch_sampler: Any = None,
        collate_fn: Any = None,
    ) -> None:
        refused(batch_sampler=batch_sampler, collate_fn=collate_fn, schema=schema)
        random_access = hasattr(source, "__getitem__") and hasattr(source, "__len__")
        if not random_access and (sampler is not None or num_shards is not None):
            raise UsageError("samplers and shards need a source with __getitem__ and __len__", where="GeneratorDataset")
        order = Order(shuffle if random_access else False, sampler, num_samples, num_shards, shard_id)
        kinds = None if column_types is None else [mstype.dtype_to_nptype(mstype.of(k)) for k in column_types]

        def as_row(found: Any) -> Row:
            row = found if isinstance(found, tuple) else (found,)
            return row if kinds is None else tuple(np.asarray(v, k) for v, k in zip(row, kinds, strict=True))

        def rows() -> Iterator[Row]:
            if random_access:
                return (as_row(source[i]) for i in order.of(len(source)))
            found: Any = source() if callable(source) else iter(source)
            return (as_row(v) for i, v in enumerate(found) if num_samples is None or i < num_samples)

        size = (lambda: order.size(len(source))) if random_access else lambda: sum(1 for _ in rows())
        super().__init__(columns_of(column_names), rows, size)


class NumpySlicesDataset(Dataset):
    """The rows of arrays: one, a tuple of them, or a dict of them by column.

    Args:
        data: the arrays.
        column_names: the columns' names.
        num_samples: at most so many rows.
        num_parallel_workers: taken; changes no value.
        shuffle: whether rows come in random order; None is True.
        sampler: which rows, and in what order: a Sampler or a list of numbers.
        num_shards: how many portions the rows are divided into.
        shard_id: which portion.

    Raises:
        ShapeError: columns of unlike lengths.
        UsageError: arguments that exclude each other.

    >>> [int(row[0]) for row in NumpySlicesDataset([5, 6, 7, 8], shuffle=False, num_shards=2, shard_id=1)]
    [6, 8]
    """

    def __init__(
        self,
        data: Any,
        column_names: Any = None,
        num_samples: int | None = None,
        num_parallel_workers: int | None = 1,
        shuffle: Any = None,
        sampler: Any = None,
        num_shards: int | None = None,
        shard_id: int | None = None,
    ) -> None:
        order = Order(shuffle, sampler, num_samples, num_shards, shard_id)
        arrays = list(data.values()) if isinstance(data, dict) else list(data) if isinstance(data, tuple) else [data]
        lengths = {len(a) for a in arrays}
        if len(lengths) != 1:
            raise ShapeError("the columns differ in length", found=[len(a) for a in arrays])
        default = list(data) if isinstance(data, dict) else [f"column_{i}" for i in range(len(arrays))]
        count = lengths.pop()
        rows = lambda: (tuple(np.asarray(a[i]) for a in arrays) for i in order.of(count))
        super().__init__(default if column_names is None else columns_of(column_names), rows, lambda: order.size(count))


def _idx(path: Path) -> Any:
    """The array of an idx file, checked against its size."""
    try:
        found = path.read_bytes()
    except OSError as error:
        raise StoreError("the file cannot be read", where=path, found=error) from error
    dims = found[3] if len(found) >= 4 else 0
    head = 4 + 4 * dims
    if len(found) < head or found[:3] != b"\0\0\x08":
        raise DamagedError("it is no idx file of bytes", where=path, found=printable(found[:4].hex()))
    shape = struct.unpack(f">{dims}I", found[4:head])
    expected = head + int(np.prod(shape, dtype=object))
    if len(found) != expected:
        raise DamagedError("the file's size is not what it says", where=path, expected=expected, found=len(found))
    return np.frombuffer(found, np.uint8, offset=head).reshape(shape)


def _parts(usage: str | None) -> list[str]:
    """The parts of a dataset that `usage` asks for."""
    if usage not in (None, "all", "train", "test"):
        raise UsageError("usage is train, test or all", found=printable(usage))
    return ["train", "test"] if usage in (None, "all") else [usage]


class MnistDataset(Dataset):
    """The images (28, 28, 1) and labels of MNIST's idx files in a folder.

    Raises:
        StoreError: a file is not there.
        DamagedError: a file is no idx file, or cut short.
    """

    def __init__(
        self,
        dataset_dir: Any,
        usage: str | None = None,
        num_samples: int | None = None,
        num_parallel_workers: int | None = None,
        shuffle: Any = None,
        sampler: Any = None,
        num_shards: int | None = None,
        shard_id: int | None = None,
        cache: Any = None,
    ) -> None:
        refused(cache=cache)
        order = Order(shuffle, sampler, num_samples, num_shards, shard_id)
        wanted = [{"train": "train", "test": "t10k"}[part] for part in _parts(usage)]
        folder = Path(dataset_dir)
        kinds = [k for k in wanted if len(wanted) == 1 or (folder / f"{k}-images-idx3-ubyte").exists()]
        if not kinds:
            raise StoreError("the folder holds no MNIST files", where=folder, expected="train-images-idx3-ubyte, ...")
        images = np.concatenate([_idx(folder / f"{k}-images-idx3-ubyte") for k in kinds])
        labels = np.concatenate([_idx(folder / f"{k}-labels-idx1-ubyte") for k in kinds]).astype(np.uint32)
        if len(images) != len(labels):
            raise DamagedError("images and labels differ in number", where=folder, found=(len(images), len(labels)))
        rows = lambda: ((images[i][..., None], labels[i]) for i in order.of(len(images)))
        super().__init__(["image", "label"], rows, lambda: order.size(len(images)))


class FashionMnistDataset(MnistDataset):
    """The images (28, 28, 1) and labels of Fashion-MNIST's idx files in a folder."""


class Cifar10Dataset(Dataset):
    """The images (32, 32, 3) and labels of CIFAR-10's binary files in a folder.

    Raises:
        StoreError: the folder holds none of them, or one cannot be read.
        DamagedError: a file is cut short.
    """

    _labels: tuple[str, ...] = ("label",)
    _files = {"train": [f"data_batch_{n}.bin" for n in range(1, 6)], "test": ["test_batch.bin"]}

    def __init__(
        self,
        dataset_dir: Any,
        usage: str | None = None,
        num_samples: int | None = None,
        num_parallel_workers: int | None = None,
        shuffle: Any = None,
        sampler: Any = None,
        num_shards: int | None = None,
        shard_id: int | None = None,
        cache: Any = None,
    ) -> None:
        refused(cache=cache)
        order = Order(shuffle, sampler, num_samples, num_shards, shard_id)
        folder = Path(dataset_dir)
        wanted = [name for part in _parts(usage) for name in self._files[part]]
        files = [folder / name for name in sorted(wanted) if (folder / name).exists()]
        if not files:
            raise StoreError("the folder holds no CIFAR files", where=folder, expected=", ".join(wanted))
        records = [self._records(path) for path in files]
        starts = np.cumsum([0, *map(len, records)])
        count, width = int(starts[-1]), len(self._labels)

        def row(place: int) -> tuple[Any, ...]:
            file = int(np.searchsorted(starts, place, "right")) - 1
            record = records[file][place - int(starts[file])]
            image = np.ascontiguousarray(record[width:].reshape(3, 32, 32).transpose(1, 2, 0))
            return image, *(np.uint32(n) for n in record[:width])

        rows = lambda: (row(i) for i in order.of(count))
        super().__init__(["image", *self._labels], rows, lambda: order.size(count))

    def _records(self, path: Path) -> Any:
        """The records of a file, which stay there until they are used."""
        width = len(self._labels) + 3 * 32 * 32
        size = path.stat().st_size
        if not size or size % width:
            raise DamagedError(
                "the file holds no whole number of records", where=path, expected=f"{width} bytes each", found=size
            )
        return np.memmap(path, np.uint8, "r").reshape(-1, width)


class Cifar100Dataset(Cifar10Dataset):
    """The images (32, 32, 3), coarse and fine labels of CIFAR-100's binary files in a folder."""

    _labels = ("coarse_label", "fine_label")
    _files = {"train": ["train.bin"], "test": ["test.bin"]}


class ImageFolderDataset(Dataset):
    """The images of a folder's subfolders; a subfolder's number, in order of names, is the label."""

    def __init__(
        self,
        dataset_dir: Any,
        num_samples: int | None = None,
        num_parallel_workers: int | None = None,
        shuffle: Any = None,
        sampler: Any = None,
        extensions: Any = None,
        class_indexing: dict[str, int] | None = None,
        decode: bool = False,
        num_shards: int | None = None,
        shard_id: int | None = None,
        cache: Any = None,
        decrypt: Any = None,
    ) -> None:
        refused(cache=cache, decrypt=decrypt)
        order = Order(shuffle, sampler, num_samples, num_shards, shard_id)
        from evergraph.mindspore.dataset.vision import Decode

        folder = Path(dataset_dir)
        names = sorted(p.name for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
        numbers = class_indexing or {name: i for i, name in enumerate(names)}
        kinds = set(extensions or (".jpg", ".jpeg", ".png", ".bmp"))
        found = [
            (path, numbers[name])
            for name in names
            if name in numbers
            for path in sorted((folder / name).rglob("*"))
            if path.suffix.lower() in kinds
        ]
        if not found:
            raise StoreError("the folder holds no subfolders with images", where=folder)

        def row(place: int) -> Row:
            path, label = found[place]
            data = np.frombuffer(path.read_bytes(), np.uint8)
            return (Decode()(data) if decode else data), np.int32(label)

        rows = lambda: (row(i) for i in order.of(len(found)))
        super().__init__(["image", "label"], rows, lambda: order.size(len(found)))
