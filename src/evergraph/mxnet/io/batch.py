"""What iterators give: descriptions of arrays, batches, and the interface of an iterator."""

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from evergraph.mxnet.base import InputTypeError, mx_real_t

__all__ = ["DataBatch", "DataDesc", "DataIter"]


class _NameAndShape(NamedTuple):
    name: str
    shape: tuple[int, ...]


class DataDesc(_NameAndShape):
    """Name and shape of an input, a pair, with its dtype and layout.

    Args:
        name: the input's name.
        shape: its shape, the batch included.
        dtype: its type.
        layout: a letter for each axis; `N` is the batch.

    >>> DataDesc("data", (32, 3, 28, 28)).layout
    'NCHW'
    >>> name, shape = DataDesc("data", (32, 10))
    >>> shape
    (32, 10)
    """

    dtype: Any
    layout: str | None

    def __new__(cls, name: str, shape: Any, dtype: Any = mx_real_t, layout: str | None = "NCHW") -> Self:  # noqa: D102
        made = super().__new__(cls, name, shape)
        made.dtype = dtype
        made.layout = layout
        return made

    def __repr__(self) -> str:
        return f"DataDesc[{self.name},{self.shape},{self.dtype},{self.layout}]"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.shape, self.dtype, self.layout)

    @staticmethod
    def get_batch_axis(layout: str | None) -> int:
        """The axis of the batch: where `N` stands; 0 without a layout, -1 without an `N`."""
        return 0 if layout is None else layout.find("N")

    @staticmethod
    def get_list(shapes: Sequence[Any], types: Sequence[Any] | None) -> list["DataDesc"]:
        """Descriptions from pairs (name, shape) and, where given, pairs (name, dtype)."""
        if types is None:
            return [DataDesc(s[0], s[1]) for s in shapes]
        known = dict(types)
        return [DataDesc(s[0], s[1], known[s[0]]) for s in shapes]


class DataBatch:
    """The arrays of one step.

    Args:
        data: a list of NDArrays, in the order of `provide_data`.
        label: a list of NDArrays, or None.
        pad: how many examples at the end only fill the batch up.
        index: the examples' indices.
        bucket_key: which bucket the batch is for (BucketingModule).
        provide_data: descriptions of data, where they differ from the iterator's.
        provide_label: descriptions of label.

    Raises:
        InputTypeError: data or label is no list (an AssertionError and a TypeError too).
    """

    def __init__(
        self,
        data: Any,
        label: Any = None,
        pad: int | None = None,
        index: Any = None,
        bucket_key: Any = None,
        provide_data: Any = None,
        provide_label: Any = None,
    ) -> None:
        for name, value in (("data", data), ("label", label)):
            if value is not None and not isinstance(value, (list, tuple)):
                raise InputTypeError(
                    f"{name} of a batch must be a list of NDArrays",
                    found=type(value).__name__,
                    fix=f"write DataBatch({name}=[x]) for one array x",
                )
        self.data = data
        self.label = label
        self.pad = pad
        self.index = index
        self.bucket_key = bucket_key
        self.provide_data = provide_data
        self.provide_label = provide_label

    def __str__(self) -> str:
        data = [d.shape for d in self.data]
        label = [d.shape for d in self.label] if self.label else None
        return f"{type(self).__name__}: data shapes: {data} label shapes: {label}"


class DataIter:
    """The interface of iterators over batches; a subclass gives `iter_next` and the getters, or `next`.

    Args:
        batch_size: examples in a batch.
    """

    def __init__(self, batch_size: int = 0) -> None:
        self.batch_size = batch_size

    def __iter__(self) -> Self:
        return self

    def reset(self) -> None:
        """Go back to the start of the data."""

    def next(self) -> DataBatch:
        """The next batch; StopIteration at the end of the data."""
        if not self.iter_next():
            raise StopIteration
        return DataBatch(data=self.getdata(), label=self.getlabel(), pad=self.getpad(), index=self.getindex())

    def __next__(self) -> DataBatch:
        return self.next()

    def iter_next(self) -> Any:
        """Go to the next batch; whether there is one."""

    def getdata(self) -> Any:
        """The data of the current batch, a list."""

    def getlabel(self) -> Any:
        """The labels of the current batch, a list."""

    def getindex(self) -> np.ndarray | None:
        """The indices of the current batch's examples, or None."""
        return None

    def getpad(self) -> Any:
        """How many examples only fill the current batch up."""


class HeldBatchIter(DataIter):
    """An iterator whose getters read one whole batch that it holds."""

    current_batch: Any = None

    def getdata(self) -> Any:
        """The data of the current batch."""
        return self.current_batch.data

    def getlabel(self) -> Any:
        """The labels of the current batch."""
        return self.current_batch.label

    def getindex(self) -> Any:
        """The indices of the current batch's examples, or None."""
        return self.current_batch.index

    def getpad(self) -> Any:
        """How many examples only fill the current batch up."""
        return self.current_batch.pad
