"""`NDArrayIter`: batches of arrays in memory (or in an HDF5 file)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from evergraph.errors import UsageError
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.base import InputTypeError
from evergraph.mxnet.io.batch import DataBatch, DataDesc, DataIter
from evergraph.mxnet.io.positions import ARRAYS, register

__all__ = ["NDArrayIter"]

Source = list[tuple[str, Any]]


class _SparseBatches(UsageError, NotImplementedError):
    """A way to fill the last batch that sparse arrays do not have."""


def _in_file(value: Any) -> bool:
    """Whether a value is a data set of an HDF5 file: told by its class's module, so that h5py need not be there."""
    return type(value).__module__.partition(".")[0] == "h5py"


def named_arrays(data: Any, allow_empty: bool, default_name: str) -> Source:
    """Arrays, a list of them or a dict as pairs (name, array), sorted by name.

    Raises:
        InputTypeError: there is none where one is needed, or a value is no array.
    """
    if data is None or (isinstance(data, list) and not data):
        if allow_empty:
            return []
        raise InputTypeError("an iterator needs data", expected="an array, a list or a dict of arrays", found=data)
    if isinstance(data, (np.ndarray, nd.NDArray)) or _in_file(data):
        data = [data]
    if isinstance(data, list):
        several = len(data) > 1
        data = {f"_{i}_{default_name}" if several else default_name: d for i, d in enumerate(data)}
    if not isinstance(data, Mapping):
        raise InputTypeError(
            "data of an iterator must be arrays",
            expected="NDArray, numpy.ndarray, h5py.Dataset, a list of them, or a dict with them as values",
            found=type(data).__name__,
        )
    return sorted((str(name), _array(name, value)) for name, value in data.items())


def _array(name: str, value: Any) -> Any:
    if isinstance(value, nd.NDArray) or _in_file(value):
        return value
    try:
        return nd.array(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputTypeError(
            f"{name!r} cannot become an array",
            expected="NDArray, numpy.ndarray or h5py.Dataset",
            found=type(value).__name__,
            details=[str(error).partition("\n")[0]],
        ) from error


def _permuted(source: Source, order: np.ndarray) -> Source:
    def one(value: Any) -> Any:
        if _in_file(value):
            return value  # it stays in its file: batches are gathered by index
        if isinstance(value, nd.CSRNDArray):
            return nd.sparse.array(value.asscipy()[order], ctx=value.context)
        return nd.array(value.asnumpy()[order], ctx=value.context)

    return [(name, one(value)) for name, value in source]


class NDArrayIter(DataIter):
    """Batches of arrays, in order or shuffled each epoch by NumPy's global generator.

    Args:
        data: an NDArray, numpy.ndarray, h5py.Dataset, CSRNDArray or scipy csr_matrix, a list or a dict of them.
        label: the same, or None.
        batch_size: examples in a batch.
        shuffle: whether to draw a new order at the start and at each reset.
        last_batch_handle: `pad` fills the last batch up from the start (`getpad` says how many), `discard` drops it,
            `roll_over` keeps its examples for the start of the next epoch.
        data_name: the name of a single data array.
        label_name: the name of a single label array.
        layout: a letter for each axis; batches are cut along `N`.

    Raises:
        InputTypeError: data is empty or no array.
        UsageError: an array has fewer examples than the first.

    >>> from evergraph.mxnet import nd
    >>> batches = NDArrayIter(nd.arange(5), nd.arange(5), batch_size=2)
    >>> [(b.data[0].asnumpy().tolist(), b.pad) for b in batches]
    [([0.0, 1.0], 0), ([2.0, 3.0], 0), ([4.0, 0.0], 1)]
    >>> batches.provide_label
    [DataDesc[softmax_label,(2,),<class 'numpy.float32'>,NCHW]]
    """

    def __init__(
        self,
        data: Any,
        label: Any = None,
        batch_size: int = 1,
        shuffle: bool = False,
        last_batch_handle: str = "pad",
        data_name: str = "data",
        label_name: str = "softmax_label",
        layout: str = "NCHW",
    ) -> None:
        super().__init__(batch_size)
        self.data = named_arrays(data, allow_empty=False, default_name=data_name)
        self.label = named_arrays(label, allow_empty=True, default_name=label_name)
        sparse = [name for name, value in self.data + self.label if isinstance(value, nd.CSRNDArray)]
        if sparse and last_batch_handle != "discard":
            raise _SparseBatches(
                "sparse arrays cannot fill the last batch up",
                where=", ".join(sparse),
                expected="last_batch_handle='discard'",
                found=repr(last_batch_handle),
            )
        self.idx = np.arange(self.data[0][1].shape[0])
        short = [f"{n}: {v.shape[0]} examples" for n, v in self.data + self.label if v.shape[0] < len(self.idx)]
        if short:
            raise UsageError(
                "arrays of an iterator have fewer examples than the first",
                expected=f"{len(self.idx)} examples, as {self.data[0][0]} has",
                details=short,
            )
        self._arranged = self.idx.copy()  # which example stands where: a training that goes on arranges them so again
        self.shuffle = shuffle
        self.last_batch_handle = last_batch_handle
        self.num_data = self.idx.shape[0]
        self.layout = layout
        self.cursor = -batch_size
        self._cache_data: list[Any] | None = None
        self._cache_label: list[Any] | None = None
        self.reset()
        self.data_list = [value for _, value in self.data + self.label]
        self.num_source = len(self.data_list)

    def _described(self, source: Source) -> list[DataDesc]:
        axis = self.layout.find("N")
        return [
            DataDesc(name, (*v.shape[:axis], self.batch_size, *v.shape[axis + 1 :]), v.dtype, layout=self.layout)
            for name, v in source
        ]

    @property
    def provide_data(self) -> list[DataDesc]:
        """Descriptions of a batch's data."""
        return self._described(self.data)

    @property
    def provide_label(self) -> list[DataDesc]:
        """Descriptions of a batch's labels."""
        return self._described(self.label)

    def hard_reset(self) -> None:
        """Go back to the start, without the examples rolled over."""
        if self.shuffle:
            self._shuffle_data()
        self.cursor = -self.batch_size
        self._cache_data = self._cache_label = None

    def reset(self) -> None:
        """Go back to the start; with `roll_over`, the examples left over come first."""
        if self.shuffle:
            self._shuffle_data()
        unfinished = self.num_data - self.batch_size < self.cursor < self.num_data
        rolled = self.last_batch_handle == "roll_over" and unfinished
        self.cursor = self.cursor - self.num_data - self.batch_size if rolled else -self.batch_size

    def iter_next(self) -> bool:
        """Go to the next batch; whether any example is left for it."""
        self.cursor += self.batch_size
        return self.cursor < self.num_data

    def next(self) -> DataBatch:
        """The next batch; StopIteration at the end of the data."""
        if not self.iter_next():
            raise StopIteration
        data, label = self.getdata(), self.getlabel()
        if data[0].shape[self.layout.find("N")] != self.batch_size:
            self._cache_data, self._cache_label = data, label
            raise StopIteration
        return DataBatch(data=data, label=label, pad=self.getpad(), index=None)

    def _cut(self, source: Source, start: int, end: int) -> list[Any]:
        axis = self.layout.find("N")
        return [
            self._gather(value, self.idx[start:end])
            if _in_file(value)
            else value.slice_axis(axis=axis, begin=start, end=end)
            for _, value in source
        ]

    @staticmethod
    def _gather(value: Any, chosen: np.ndarray) -> Any:
        """Rows of a data set in a file, which takes indices in ascending order only."""
        order = np.argsort(chosen, kind="stable")
        return nd.array(value[chosen[order]][np.argsort(order)])

    def _joined(self, first: list[Any], second: list[Any]) -> list[Any]:
        axis = self.layout.find("N")
        return [nd.concat(a, b, dim=axis) for a, b in zip(first, second, strict=True)]

    def _filling(self, source: Source, count: int) -> list[Any]:
        """`count` examples from the start, around the end as often as needed."""
        whole, rest = divmod(count, self.num_data)
        if not whole or (whole == 1 and not rest):
            return self._cut(source, 0, count)
        pieces = [self._cut(source, 0, self.num_data)] * whole + ([self._cut(source, 0, rest)] if rest else [])
        axis = self.layout.find("N")
        return [nd.concat(*parts, dim=axis) for parts in zip(*pieces, strict=True)]

    def _batch(self, source: Source, cached: list[Any] | None) -> list[Any]:
        if self.cursor >= self.num_data:
            raise InputTypeError("the iterator is at its end", fix="call reset() before the next epoch")
        end = self.cursor + self.batch_size
        if self.last_batch_handle == "roll_over" and -self.batch_size < self.cursor < 0:
            if cached is None:
                raise InputTypeError("no examples of the last epoch are kept", fix="call hard_reset()")
            return self._joined(cached, self._cut(source, 0, end))
        if self.last_batch_handle == "pad" and end > self.num_data:
            rest = self._cut(source, self.cursor, self.num_data)
            return self._joined(rest, self._filling(source, end - self.num_data))
        return self._cut(source, self.cursor, min(end, self.num_data))

    def getdata(self) -> list[Any]:
        """The data of the current batch."""
        return self._batch(self.data, self._cache_data)

    def getlabel(self) -> list[Any]:
        """The labels of the current batch."""
        return self._batch(self.label, self._cache_label)

    def getpad(self) -> int:
        """How many examples fill the current batch up (`pad`) or come from the last epoch (`roll_over`)."""
        if self.last_batch_handle == "pad" and self.cursor + self.batch_size > self.num_data:
            return self.cursor + self.batch_size - self.num_data
        if self.last_batch_handle == "roll_over" and -self.batch_size < self.cursor < 0:
            return -self.cursor
        return 0

    def _shuffle_data(self) -> None:
        np.random.shuffle(self.idx)  # programs seed NumPy's global generator for their order
        self._rearrange(self.idx)

    def _rearrange(self, order: np.ndarray) -> None:
        self.data = _permuted(self.data, order)
        self.label = _permuted(self.label, order)
        self._arranged = self._arranged[order]


register(NDArrayIter, ARRAYS)
