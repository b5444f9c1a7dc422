"""Data sets: samples by number."""

import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

from evergraph.mxnet import recordio
from evergraph.mxnet.gluon.data.sampler import Sampler
from evergraph.mxnet.gluon.errors import BlockTypeError, ParameterFitError
from evergraph.mxnet.ndarray import NDArray

__all__ = ["ArrayDataset", "Dataset", "RecordFileDataset", "SimpleDataset"]


class Dataset:
    """Samples by number; subclasses define `__getitem__` and `__len__`."""

    def __getitem__(self, idx: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} does not define __len__")

    def filter(self, fn: Callable[[Any], bool]) -> "Dataset":
        """The samples for which a function holds."""
        return SimpleDataset([self[i] for i in range(len(self)) if fn(self[i])])

    def shard(self, num_shards: int, index: int) -> "Dataset":
        """One of several parts of nearly equal size.

        Raises:
            AssertionError: there is no such part.
        """
        if not (num_shards > 0 and 0 <= index < num_shards):
            raise ParameterFitError("Shard index out of bound", expected=f"0 to {num_shards - 1}", found=index)
        size, rest = divmod(len(self), num_shards)
        start = size * index + min(index, rest)
        return SimpleDataset([self[i] for i in range(start, start + size + (index < rest))])

    def take(self, count: int | None) -> "Dataset":
        """The first samples."""
        return SimpleDataset([self[i] for i in range(len(self) if count is None else min(count, len(self)))])

    def sample(self, sampler: Any) -> "Dataset":
        """The samples that a sampler names, in its order.

        Raises:
            TypeError: it is no sampler.
        """
        if not isinstance(sampler, Sampler):
            raise BlockTypeError("Invalid sampler type: Expected a gluon.data.Sampler", found=type(sampler).__name__)
        return SimpleDataset([self[i] for i in sampler])

    def transform(self, fn: Callable[..., Any], lazy: bool = True) -> "Dataset":
        """What a function makes of each sample; when it is read, or at once."""
        found = _Transformed(self, fn)
        return found if lazy else SimpleDataset([found[i] for i in range(len(found))])

    def transform_first(self, fn: Callable[[Any], Any], lazy: bool = True) -> "Dataset":
        """What a function makes of each sample's first part."""

        def first(head: Any, *rest: Any) -> Any:
            return (fn(head), *rest) if rest else fn(head)

        return self.transform(first, lazy)


class _Transformed(Dataset):
    def __init__(self, data: Dataset, fn: Callable[..., Any]) -> None:
        self._data, self._fn = data, fn

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, idx: int) -> Any:
        item = self._data[idx]
        return self._fn(*item) if isinstance(item, tuple) else self._fn(item)


class SimpleDataset(Dataset):
    """A list as a data set."""

    def __init__(self, data: Sequence[Any]) -> None:
        self._data = data

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, idx: int) -> Any:
        return self._data[idx]


class ArrayDataset(Dataset):
    """Several arrays, or lists, of one length.

    Args:
        args: arrays or lists.

    Raises:
        AssertionError: they have other lengths, or there are none.

    >>> ArrayDataset([1, 2, 3], [4, 5, 6])[1]
    (2, 5)
    """

    def __init__(self, *args: Any) -> None:
        if not args or len({len(a) for a in args}) > 1:
            raise ParameterFitError("All arrays must have the same length", found=[len(a) for a in args])
        # numbers one by one are NumPy's, so that a batch of them has one axis
        self._data = [a.asnumpy() if isinstance(a, NDArray) and a.ndim == 1 else a for a in args]
        self._length = len(args[0])

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, idx: int) -> Any:
        return self._data[0][idx] if len(self._data) == 1 else tuple(each[idx] for each in self._data)


class RecordFileDataset(Dataset):
    """The records of a record file, as bytes.

    Args:
        filename: path of the .rec file; the .idx file lies beside it.
    """

    def __init__(self, filename: str) -> None:
        self.filename = filename
        self.idx_file = os.path.splitext(filename)[0] + ".idx"
        self._record = recordio.MXIndexedRecordIO(self.idx_file, filename, "r")
        self._reading = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k != "_reading"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = {**state, "_reading": threading.Lock()}

    def __getitem__(self, idx: int) -> Any:
        # batches are made by threads, which share the file's position
        with self._reading:
            return self._record.read_idx(self._record.keys[idx])

    def __len__(self) -> int:
        return len(self._record.keys)
