"""`MXDataIter`: the base of iterators over files, which knows its shapes from its first batch."""

from typing import Any

import numpy as np

from evergraph.errors import UsageError, collect, printable
from evergraph.mxnet.io.batch import DataBatch, DataDesc, HeldBatchIter

__all__ = ["MXDataIter", "RowIter", "kind_of", "numeric_type", "taken", "typed"]


def numeric_type(name: Any, default: str = "float32") -> np.dtype[Any]:
    """The type of an iterator's `dtype`; None gives the default.

    Raises:
        UsageError: the name is no type.
    """
    try:
        return np.dtype(default if name in (None, "None") else name)
    except TypeError as error:
        raise UsageError("unknown type of an iterator's data", expected="float32, uint8, ...", found=name) from error


_TRUTH = {"true": True, "1": True, "false": False, "0": False}


def typed(value: Any, usual: Any) -> Any:
    """A value as the type of its default; MXNet's parameters are texts, so texts of values are taken too.

    Raises:
        ValueError: it is none.
        TypeError: likewise.
        KeyError: likewise, of a truth value.

    >>> typed("(3, 8)", (1,)), typed("0", True), typed("7", 1)
    ((3, 8), False, 7)
    """
    if isinstance(usual, bool):
        return _TRUTH[str(value).lower()]
    if isinstance(usual, tuple):
        if isinstance(value, str):
            value = [part for part in value.strip("()[] ").split(",") if part.strip()]
        items = value if hasattr(value, "__iter__") else (value,)
        return tuple(type(usual[0])(item) for item in items)
    if usual is None:
        return None if value in (None, "None") else float(value)
    if isinstance(usual, int) and int(value) != float(value):
        raise ValueError
    return type(usual)(value)


def taken(owner: str, **given: tuple[Any, Any]) -> list[Any]:
    """Parameters of an iterator, each of the type of its default.

    Args:
        owner: the iterator's name, for the message.
        given: for each parameter what a program passed, and a value of its type.

    Raises:
        UsageError: values of other types, all at once.
    """
    found, wrong = [], []
    for name, (value, usual) in given.items():
        try:
            found.append(typed(value, usual))
        except (ValueError, TypeError, KeyError):
            wrong.append(f"{name}={printable(repr(value))}: expected {kind_of(usual)}")
    collect(UsageError, f"{owner} cannot take these parameters", wrong)
    return found


def kind_of(usual: Any) -> str:
    """The name of a parameter's type."""
    return "float or None" if usual is None else type(usual).__name__


class MXDataIter(HeldBatchIter):
    """The base of iterators over files; a subclass gives `_fetch` and `_restart`.

    Args:
        data_name: the name of the data.
        label_name: the name of the labels.
    """

    def __init__(self, data_name: str = "data", label_name: str = "softmax_label") -> None:
        self._ahead: DataBatch | None = self._fetch()
        if self._ahead is None:
            raise UsageError("the data fills no batch", where=type(self).__name__, fix="choose a smaller batch_size")
        data, label = self._ahead.data[0], self._ahead.label[0]
        super().__init__(data.shape[0])
        self.provide_data = [DataDesc(data_name, data.shape, data.dtype)]
        self.provide_label = [DataDesc(label_name, label.shape, label.dtype)]

    def _fetch(self) -> DataBatch | None:
        raise UsageError(f"{type(self).__name__} does not say where its batches come from", fix="define _fetch(self)")

    def _restart(self) -> None:
        """Go back to the start of an epoch."""

    def reset(self) -> None:
        """Go to the next epoch's first batch."""
        self._ahead = None
        self._restart()

    def iter_next(self) -> bool:
        """Go to the next batch; whether there is one."""
        found = self._ahead if self._ahead is not None else self._fetch()
        self._ahead = None
        self.current_batch = found
        return found is not None

    def getdata(self) -> Any:
        """The data of the current batch, one array."""
        return self.current_batch.data[0]

    def getlabel(self) -> Any:
        """The labels of the current batch, one array."""
        return self.current_batch.label[0]

    def next(self) -> DataBatch:
        """The next batch; StopIteration at the end of the epoch."""
        if not self.iter_next():
            raise StopIteration
        return self.current_batch


class RowIter(MXDataIter):
    """Batches of rows in order; a subclass gives `_batch`.

    Args:
        count: how many rows there are.
        batch_size: rows in a batch.
        round_batch: whether the last batch is filled from the start, where the next epoch then goes on; otherwise
            rows of the batch before stay in it.
        **names: data_name and label_name.
    """

    def __init__(self, count: int, batch_size: int, round_batch: bool = True, **names: str) -> None:
        if batch_size < 1:
            raise UsageError("a batch needs an example", expected="batch_size of at least 1", found=batch_size)
        self._count, self._size, self._round = count, batch_size, round_batch
        self._at = self._carried = 0
        self._last = np.zeros(batch_size, np.int64)
        super().__init__(**names)

    def _batch(self, rows: np.ndarray, pad: int) -> DataBatch:
        raise UsageError(f"{type(self).__name__} does not say what a row is", fix="define _batch(self, rows, pad)")

    def _restart(self) -> None:
        self._at, self._carried = self._carried, 0

    def _fetch(self) -> DataBatch | None:
        if self._at >= self._count:
            return None
        rows = np.arange(self._at, min(self._at + self._size, self._count))
        self._at += self._size
        pad = self._size - len(rows)
        if pad:
            filling = np.arange(pad) % self._count if self._round else self._last[len(rows) :]
            self._carried = pad % self._count if self._round else 0
            rows = np.concatenate([rows, filling])
        self._last = rows
        return self._batch(rows, pad)
