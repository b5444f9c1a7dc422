"""Datasets: rows of named arrays, and what is done to them; each step makes a new dataset."""

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from evergraph.errors import DamagedError, ShapeError, StoreError, UsageError, printable
from evergraph.mindspore.common import seed
from evergraph.mindspore.common.tensor import Tensor

__all__ = ["Dataset", "GeneratorDataset", "ImageFolderDataset", "MnistDataset", "NumpySlicesDataset", "zip"]

Row = tuple[Any, ...]


class Dataset:
    """Rows of named columns.

    Args:
        columns: the names.
        rows: called for each epoch; gives its rows.
        size: how many rows an epoch has, or a function that counts them.
    """

    def __init__(self, columns: Any, rows: Callable[[], Iterator[Row]], size: Any) -> None:
        self._size: Any = size
        self.columns, self._rows = list(columns), rows
        self._batch_size, self._repeats = 1, 1

    # what it is

    def get_dataset_size(self) -> int:
        """How many rows an epoch has: batches, after `batch`."""
        if isinstance(self._size, int):
            return self._size
        return self._size()

    def __len__(self) -> int:
        return self.get_dataset_size()

    def get_col_names(self) -> list[str]:
        """The names of the columns."""
        return list(self.columns)

    def get_batch_size(self) -> int:
        """How many rows a batch has."""
        return self._batch_size

    def get_repeat_count(self) -> int:
        """How often the rows are repeated."""
        return self._repeats

    def output_shapes(self) -> list[list[int]]:
        """The shapes of the first row."""
        return [list(np.shape(v)) for v in next(self._rows())]

    # iterating

    def create_tuple_iterator(
        self, columns: Any = None, num_epochs: int = -1, output_numpy: bool = False, do_copy: bool = True
    ) -> Iterator[list[Any]]:
        """The rows of an epoch as lists, each time that it is iterated."""
        names = self.columns if columns is None else [columns] if isinstance(columns, str) else list(columns)
        return _Epochs(self.project(names), output_numpy, None)  # type: ignore[return-value]

    def create_dict_iterator(
        self, num_epochs: int = -1, output_numpy: bool = False, do_copy: bool = True
    ) -> Iterator[dict[str, Any]]:
        """The rows of an epoch as dicts, each time that it is iterated."""
        return _Epochs(self, output_numpy, self.columns)  # type: ignore[return-value]

    def __iter__(self) -> Iterator[list[Any]]:
        return iter(self.create_tuple_iterator())

    # what is done to it

    def map(
        self,
        operations: Any,
        input_columns: Any = None,
        output_columns: Any = None,
        num_parallel_workers: int | None = None,
        **_: Any,
    ) -> "Dataset":
        """Apply operations, one after the other, to the input columns; their results take those columns' places."""
        steps = list(operations) if isinstance(operations, (list, tuple)) else [operations]
        taken = [self.columns[0]] if input_columns is None else _names(input_columns)
        given = taken if output_columns is None else _names(output_columns)
        places = self._places(taken)
        rest = [i for i in range(len(self.columns)) if i not in places]
        same = len(taken) == len(given)
        names = list(self.columns)
        if same:
            for place, name in _zip(places, given):
                names[place] = name
        else:
            names = [*given, *(self.columns[i] for i in rest)]

        def rows() -> Iterator[Row]:
            for row in self._rows():
                values: tuple[Any, ...] = tuple(row[p] for p in places)
                for step in steps:
                    found = step(*values)
                    values = found if isinstance(found, tuple) else (found,)
                if same:
                    held = list(row)
                    for place, value in _zip(places, values):
                        held[place] = value
                    yield tuple(held)
                else:
                    yield (*values, *(row[i] for i in rest))

        return self._next(rows, columns=names)

    def batch(self, batch_size: int, drop_remainder: bool = False, **_: Any) -> "Dataset":
        """So many rows as one, stacked."""
        if not isinstance(batch_size, int) or batch_size < 1:
            raise UsageError("batch_size is a whole number above 0", found=printable(batch_size))

        def rows() -> Iterator[Row]:
            held: list[Row] = []
            for row in self._rows():
                held.append(row)
                if len(held) == batch_size:
                    yield _stacked(held, self.columns)
                    held = []
            if held and not drop_remainder:
                yield _stacked(held, self.columns)

        size = lambda: (self.get_dataset_size() + (0 if drop_remainder else batch_size - 1)) // batch_size
        made = self._next(rows, size)
        made._batch_size = batch_size
        return made

    def shuffle(self, buffer_size: int) -> "Dataset":
        """In random order, drawn from a buffer of so many rows; it follows `ms.set_seed`."""
        if not isinstance(buffer_size, int) or buffer_size < 1:
            raise UsageError("buffer_size is a whole number above 0", found=printable(buffer_size))

        def rows() -> Iterator[Row]:
            draw, held = seed.generator(), []
            for row in self._rows():
                held.append(row)
                if len(held) >= buffer_size:
                    yield held.pop(int(draw.integers(len(held))))
            while held:
                yield held.pop(int(draw.integers(len(held))))

        return self._next(rows)

    def repeat(self, count: int | None = None) -> "Dataset":
        """The rows so many times in one epoch; -1 or None is once, epochs repeat by themselves."""
        times = 1 if count in (None, -1) else count
        if not isinstance(times, int) or times < 1:
            raise UsageError("count is a whole number above 0, or -1", found=printable(count))
        made = self._next(
            lambda: (row for _ in range(times) for row in self._rows()), lambda: self.get_dataset_size() * times
        )
        made._repeats = times
        return made

    def take(self, count: int = -1) -> "Dataset":
        """The first rows."""
        if count == -1:
            return self
        size = lambda: min(self.get_dataset_size(), count)
        return self._next(lambda: (row for _, row in _zip_short(range(count), self._rows())), size)

    def skip(self, count: int) -> "Dataset":
        """All but the first rows."""
        size = lambda: max(self.get_dataset_size() - count, 0)
        return self._next(lambda: (row for i, row in enumerate(self._rows()) if i >= count), size)

    def project(self, columns: Any) -> "Dataset":
        """These columns, in this order."""
        names = _names(columns)
        places = self._places(names)
        return self._next(lambda: (tuple(row[p] for p in places) for row in self._rows()), columns=names)

    def rename(self, input_columns: Any, output_columns: Any) -> "Dataset":
        """Other names for columns."""
        places, names = self._places(_names(input_columns)), list(self.columns)
        for place, name in _zip(places, _names(output_columns)):
            names[place] = name
        return self._next(self._rows, columns=names)

    def filter(self, predicate: Callable[..., Any], input_columns: Any = None, **_: Any) -> "Dataset":
        """The rows for which `predicate` holds."""
        places = self._places(self.columns if input_columns is None else _names(input_columns))
        rows = lambda: (row for row in self._rows() if predicate(*(row[p] for p in places)))
        return self._next(rows, lambda: sum(1 for _ in rows()))

    def zip(self, datasets: Any) -> "Dataset":
        """The columns of this and others side by side."""
        return zip((self, *(datasets if isinstance(datasets, tuple) else (datasets,))))

    def _next(self, rows: Callable[[], Iterator[Row]], size: Any = None, columns: Any = None) -> "Dataset":
        made = Dataset(self.columns if columns is None else columns, rows, self._size if size is None else size)
        made._batch_size, made._repeats = self._batch_size, self._repeats
        return made

    def _places(self, names: list[str]) -> list[int]:
        missing = [printable(n) for n in names if n not in self.columns]
        if missing:
            raise UsageError("no such columns", expected=", ".join(self.columns), details=missing)
        return [self.columns.index(n) for n in names]


class _Epochs:
    """Iterates an epoch each time anew."""

    def __init__(self, data: Dataset, as_numpy: bool, names: list[str] | None) -> None:
        self._data, self._as_numpy, self._names, self._running = data, as_numpy, names, None

    def __iter__(self) -> Iterator[Any]:
        for row in self._data._rows():
            values = [np.asarray(v) if self._as_numpy else Tensor(np.asarray(v)) for v in row]
            yield values if self._names is None else dict(_zip(self._names, values))

    def __next__(self) -> Any:
        if self._running is None:
            self._running = iter(self)
        try:
            return next(self._running)
        except StopIteration:
            self._running = None
            raise


_python_zip = zip


def _zip(*columns: Any) -> Iterator[Any]:
    return _python_zip(*columns, strict=True)


def _zip_short(*columns: Any) -> Iterator[Any]:
    return _python_zip(*columns, strict=False)


def _names(columns: Any) -> list[str]:
    return [columns] if isinstance(columns, str) else list(columns)


def _stacked(rows: list[Row], names: list[str]) -> Row:
    found = []
    for name, column in _zip(names, _zip(*rows)):
        shapes = {np.shape(v) for v in column}
        if len(shapes) > 1:
            raise ShapeError("the rows of a batch differ in shape", where=printable(name), found=sorted(shapes))
        found.append(np.stack([np.asarray(v) for v in column]))
    return tuple(found)


def zip(datasets: Any) -> Dataset:
    """The columns of datasets side by side, as long as the shortest.

    Raises:
        UsageError: a column's name is there twice.
    """
    names = [n for d in datasets for n in d.columns]
    if len(set(names)) != len(names):
        raise UsageError("columns share names", found=", ".join(names), fix="rename them first")
    rows = lambda: (tuple(v for row in found for v in row) for found in _zip_short(*(d._rows() for d in datasets)))
    return Dataset(names, rows, lambda: min(d.get_dataset_size() for d in datasets))


def _chosen(count: int, shuffle: Any, num_samples: int | None) -> Iterator[int]:
    order = seed.generator().permutation(count) if shuffle or shuffle is None else np.arange(count)
    return iter(order[:num_samples].tolist())


def _count(count: int, num_samples: int | None) -> int:
    return count if num_samples is None else min(count, num_samples)


class GeneratorDataset(Dataset):
    """Rows of a generator function, an iterable, or an object with `__getitem__` and `__len__`.

    Args:
        source: where rows come from.
        column_names: the columns' names.
        shuffle: whether an object's rows come in random order; None is True for them.
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
        **_: Any,
    ) -> None:
        random_access = hasattr(source, "__getitem__") and hasattr(source, "__len__")
        as_row = lambda v: v if isinstance(v, tuple) else (v,)

        def rows() -> Iterator[Row]:
            if random_access:
                return (as_row(source[i]) for i in _chosen(len(source), shuffle, num_samples))
            found: Any = source() if callable(source) else iter(source)
            return (as_row(v) for i, v in enumerate(found) if num_samples is None or i < num_samples)

        size = (lambda: _count(len(source), num_samples)) if random_access else lambda: sum(1 for _ in rows())
        super().__init__(_names(column_names), rows, size)


class NumpySlicesDataset(Dataset):
    """The rows of arrays: one, a tuple of them, or a dict of them by column."""

    def __init__(
        self, data: Any, column_names: Any = None, num_samples: int | None = None, shuffle: Any = None, **_: Any
    ) -> None:
        arrays = list(data.values()) if isinstance(data, dict) else list(data) if isinstance(data, tuple) else [data]
        lengths = {len(a) for a in arrays}
        if len(lengths) != 1:
            raise ShapeError("the columns differ in length", found=[len(a) for a in arrays])
        default = list(data) if isinstance(data, dict) else [f"column_{i}" for i in range(len(arrays))]
        count = lengths.pop()
        rows = lambda: (tuple(np.asarray(a[i]) for a in arrays) for i in _chosen(count, shuffle, num_samples))
        super().__init__(default if column_names is None else _names(column_names), rows, _count(count, num_samples))


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
        **_: Any,
    ) -> None:
        if usage not in (None, "all", "train", "test"):
            raise UsageError("usage is train, test or all", found=printable(usage))
        wanted = {"train": ["train"], "test": ["t10k"]}.get(usage or "all", ["train", "t10k"])
        folder = Path(dataset_dir)
        kinds = [k for k in wanted if usage not in (None, "all") or (folder / f"{k}-images-idx3-ubyte").exists()]
        if not kinds:
            raise StoreError("the folder holds no MNIST files", where=folder, expected="train-images-idx3-ubyte, ...")
        images = np.concatenate([_idx(folder / f"{k}-images-idx3-ubyte") for k in kinds])
        labels = np.concatenate([_idx(folder / f"{k}-labels-idx1-ubyte") for k in kinds]).astype(np.uint32)
        if len(images) != len(labels):
            raise DamagedError("images and labels differ in number", where=folder, found=(len(images), len(labels)))
        rows = lambda: ((images[i][..., None], labels[i]) for i in _chosen(len(images), shuffle, num_samples))
        super().__init__(["image", "label"], rows, _count(len(images), num_samples))


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
        **_: Any,
    ) -> None:
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

        rows = lambda: (row(i) for i in _chosen(len(found), shuffle, num_samples))
        super().__init__(["image", "label"], rows, _count(len(found), num_samples))
