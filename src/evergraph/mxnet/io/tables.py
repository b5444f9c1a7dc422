"""`CSVIter` and `LibSVMIter`: batches of the rows of text files."""

from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from evergraph.errors import DamagedError, StoreError, UsageError, printable
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.io.batch import DataBatch
from evergraph.mxnet.io.native import RowIter, numeric_type, taken
from evergraph.mxnet.io.positions import ROWS, register

__all__ = ["CSVIter", "LibSVMIter"]

_UNUSED = ("prefetch_buffer", "ctx", "verbose", "data_name", "label_name")


def _names(rest: dict[str, Any], owner: str) -> dict[str, Any]:
    unknown = [k for k in rest if k not in _UNUSED]
    if unknown:
        raise UsageError(f"{owner} has no such parameters", found=", ".join(unknown))
    return {k: v for k, v in rest.items() if k in ("data_name", "label_name")}


def _text(path: str) -> bytes:
    """The bytes of a file, of `;`-separated files or of a folder's files in the order of their names."""
    try:
        places = [Path(p) for p in path.removeprefix("file://").split(";") if p]
        files = [f for p in places for f in (sorted(p.iterdir()) if p.is_dir() else [p])]
        return b"\n".join(f.read_bytes().rstrip(b"\n") for f in files) + b"\n"
    except OSError as error:
        raise StoreError("the data file cannot be read", where=printable(path), found=error.strerror) from error


def _lines(path: str, num_parts: int = 1, part_index: int = 0) -> list[str]:
    """The lines of one of several parts, cut at the first line that starts in each equal share of the bytes."""
    if not 0 <= part_index < num_parts:
        raise UsageError("no such part", expected=f"part_index below num_parts={num_parts}", found=part_index)
    text = _text(path)
    step = -(-len(text) // num_parts)
    marks = [min(step * i, len(text)) for i in (part_index, part_index + 1)]
    begin, end = (text.find(b"\n", m - 1) + 1 if 0 < m < len(text) else m for m in marks)
    return [line for line in text[begin:end].decode("utf-8", "replace").splitlines() if line.strip()]


def _table(path: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> np.ndarray:
    width = prod(shape)
    lines, rows, wrong = _lines(path), [], []
    for number, line in enumerate(lines, 1):
        fields = line.split(",")
        try:
            row = (
                np.array(fields, np.float64).astype(dtype) if dtype.kind == "f" else np.array([int(f) for f in fields])
            )
        except ValueError:
            wrong.append(f"row {number}: {printable(line, 60)} is not all numbers of type {dtype}")
            continue
        if len(row) != width:
            wrong.append(f"row {number}: {len(row)} numbers")
        rows.append(row)
    if wrong or not rows:
        raise DamagedError(
            "rows of the table do not fit",
            where=printable(path),
            expected=f"rows of {width} numbers, for shape {shape}",
            found=None if rows else "no row",
            details=wrong[:20],
        )
    return np.stack(rows).astype(dtype).reshape(len(rows), *shape)


def _same_count(data: int, labels: int, where: str) -> None:
    if data != labels:
        raise DamagedError(
            "data and labels have different numbers of rows",
            where=printable(where),
            expected=f"{data} labels",
            found=labels,
        )


class CSVIter(RowIter):
    """Batches of the rows of CSV files.

    Args:
        data_csv: path of the data, or a folder.
        data_shape: the shape of one example.
        batch_size: examples in a batch.
        label_csv: path of the labels; `NULL` gives zeros.
        label_shape: the shape of one label.
        round_batch: whether the last batch is filled from the start, where the next epoch then goes on.
        dtype: the numbers' type; None gives float32.
        **rest: data_name, label_name; ctx and prefetch_buffer change nothing.

    Raises:
        DamagedError: rows that are no numbers or not as many as the shape says, all at once.
        StoreError: a file cannot be read.
    """

    def __init__(
        self,
        data_csv: str,
        data_shape: Any,
        batch_size: int,
        label_csv: str = "NULL",
        label_shape: Any = (1,),
        round_batch: bool = True,
        dtype: Any = None,
        **rest: Any,
    ) -> None:
        shape, batch_size, labels, round_batch = taken(
            "CSVIter",
            data_shape=(data_shape, (1,)),
            batch_size=(batch_size, 1),
            label_shape=(label_shape, (1,)),
            round_batch=(round_batch, True),
        )
        kind = numeric_type(dtype)
        self._data = _table(data_csv, shape, kind)
        given = None if label_csv == "NULL" else _table(label_csv, labels, kind)
        self._label = np.zeros((len(self._data), *labels), kind) if given is None else given
        _same_count(len(self._data), len(self._label), label_csv)
        if labels == (1,):
            self._label = self._label[:, 0]
        super().__init__(len(self._data), batch_size, round_batch, **_names(rest, "CSVIter"))

    def _batch(self, rows: np.ndarray, pad: int) -> DataBatch:
        data, label = (nd.array(x[rows], dtype=x.dtype) for x in (self._data, self._label))
        return DataBatch([data], [label], pad, rows.astype(np.uint64))


def _sparse(path: str, width: int, num_parts: int, part_index: int) -> tuple[np.ndarray, list[tuple[list, list]]]:
    """First numbers of all rows, and each row's (indices, values)."""
    firsts, rows, wrong = [], [], []
    for number, line in enumerate(_lines(path, num_parts, part_index), 1):
        first, *pairs = line.split()
        try:
            firsts.append(float(first))
            indices = [int(p.partition(":")[0]) for p in pairs]
            rows.append((indices, [float(p.partition(":")[2]) for p in pairs]))
        except ValueError:
            wrong.append(f"row {number}: {printable(line, 60)}")
            continue
        if any(not 0 <= i < width for i in indices):
            wrong.append(f"row {number}: index {max(indices)} outside 0 to {width - 1}")
    if wrong or not rows:
        raise DamagedError(
            "rows of the LibSVM file do not fit",
            where=printable(path),
            expected=f"a label and pairs index:value, indices from 0 to {width - 1}",
            found=None if rows else "no row",
            details=wrong[:20],
        )
    return np.array(firsts, np.float32), rows


def _csr(rows: list[tuple[list, list]], chosen: np.ndarray, width: int, dtype: np.dtype[Any]) -> Any:
    picked = [rows[i] for i in chosen]
    starts = np.cumsum([0] + [len(indices) for indices, _ in picked])
    indices = np.array([i for row, _ in picked for i in row], np.int64)
    values = np.array([v for _, row in picked for v in row], dtype)
    return nd.sparse.csr_matrix((values, indices, starts), shape=(len(picked), width), dtype=dtype)


class LibSVMIter(RowIter):
    """Batches of the rows of LibSVM files, data as csr; indices count from zero.

    Args:
        data_libsvm: path of the data, or a folder.
        data_shape: the shape of one example, one number.
        batch_size: examples in a batch.
        label_libsvm: path of labels in the same form, given as csr; `NULL` takes each row's first number.
        label_shape: the shape of one label.
        num_parts: how many parts the rows are divided into.
        part_index: which part to read.
        round_batch: must be True: sparse batches are always filled from the start.
        dtype: the numbers' type; None gives float32.
        **rest: data_name, label_name; ctx and prefetch_buffer change nothing.

    Raises:
        DamagedError: rows that are no pairs, or indices outside the shape, all at once.
        UsageError: round_batch is False.
    """

    def __init__(
        self,
        data_libsvm: str,
        data_shape: Any,
        batch_size: int,
        label_libsvm: str = "NULL",
        label_shape: Any = (1,),
        num_parts: int = 1,
        part_index: int = 0,
        round_batch: bool = True,
        dtype: Any = None,
        **rest: Any,
    ) -> None:
        shape, batch_size, labels, num_parts, part_index, round_batch = taken(
            "LibSVMIter",
            data_shape=(data_shape, (1,)),
            batch_size=(batch_size, 1),
            label_shape=(label_shape, (1,)),
            num_parts=(num_parts, 1),
            part_index=(part_index, 0),
            round_batch=(round_batch, True),
        )
        if not round_batch:
            raise UsageError("sparse batches are always filled from the start", fix="leave round_batch=True")
        self._kind = numeric_type(dtype)
        self._width, self._label_width = prod(shape), prod(labels)
        self._firsts, self._rows = _sparse(data_libsvm, self._width, num_parts, part_index)
        self._labels = None
        if label_libsvm != "NULL":
            self._labels = _sparse(label_libsvm, self._label_width, num_parts, part_index)[1]
            _same_count(len(self._rows), len(self._labels), label_libsvm)
        super().__init__(len(self._rows), batch_size, **_names(rest, "LibSVMIter"))

    def _batch(self, rows: np.ndarray, pad: int) -> DataBatch:
        if self._labels is None:
            label = nd.array(self._firsts[rows], dtype=self._kind)
        else:
            label = _csr(self._labels, rows, self._label_width, self._kind)
        return DataBatch([_csr(self._rows, rows, self._width, self._kind)], [label], pad, rows.astype(np.uint64))


register(CSVIter, ROWS)
register(LibSVMIter, ROWS)
