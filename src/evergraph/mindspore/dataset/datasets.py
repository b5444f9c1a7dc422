"""Datasets: rows of named arrays, and what is done to them; each step makes a new dataset."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from evergraph.errors import ShapeError, UsageError, printable
from evergraph.mindspore.common import seed
from evergraph.mindspore.common.tensor import Tensor

__all__ = ["Dataset", "Row", "columns_of", "refused", "zip"]

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

    @property
    def column_names(self) -> list[str]:
        """The names of the columns."""
        return list(self.columns)

    @property
    def dataset_size(self) -> int:
        """How many rows an epoch has."""
        return self.get_dataset_size()

    def reset(self) -> None:
        """Nothing: each iteration begins anew."""

    def num_classes(self) -> int | None:
        """How many classes the labels have, where the dataset knows it."""
        return None

    def get_batch_size(self) -> int:
        """How many rows a batch has."""
        return self._batch_size

    def get_repeat_count(self) -> int:
        """How often the rows are repeated."""
        return self._repeats

    def output_shapes(self) -> list[list[int]]:
        """The shapes of the first row."""
        return [list(np.shape(v)) for v in next(self._rows())]

    def output_types(self) -> list[Any]:
        """The NumPy types of the first row."""
        return [np.asarray(v).dtype for v in next(self._rows())]

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
        python_multiprocessing: bool = False,
        cache: Any = None,
        callbacks: Any = None,
        max_rowsize: Any = None,
        offload: Any = None,
    ) -> "Dataset":
        """Apply operations, one after the other, to the input columns; their results take those columns' places.

        Workers, processes and offloading are taken and change no value.

        Raises:
            UsageError: a cache or callbacks, which are not here; columns that are not there.
        """
        refused(cache=cache, callbacks=callbacks)
        steps = list(operations) if isinstance(operations, (list, tuple)) else [operations]
        taken = [self.columns[0]] if input_columns is None else columns_of(input_columns)
        given = taken if output_columns is None else columns_of(output_columns)
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

    def batch(
        self,
        batch_size: Any,
        drop_remainder: bool = False,
        num_parallel_workers: int | None = None,
        *,
        per_batch_map: Callable[..., Any] | None = None,
        input_columns: Any = None,
        output_columns: Any = None,
        python_multiprocessing: bool = False,
        max_rowsize: Any = None,
    ) -> "Dataset":
        """So many rows as one, stacked.

        Args:
            batch_size: how many.
            drop_remainder: whether an incomplete last batch is left out.
            num_parallel_workers: taken; changes no value.
            per_batch_map: takes the lists of rows of each input column, and what is known of the batch
                (`get_batch_num`, `get_epoch_num`); gives the lists of the output columns.
            input_columns: the columns that it takes; all where not given.
            output_columns: their new names, as many.
            python_multiprocessing: taken; changes no value.
            max_rowsize: taken.
        """
        if not isinstance(batch_size, int) or batch_size < 1:
            raise UsageError("batch_size is a whole number above 0", found=printable(batch_size))
        places = self._places(self.columns if input_columns is None else columns_of(input_columns))
        names = list(self.columns)
        for place, name in _zip(places, columns_of(output_columns)) if output_columns is not None else ():
            names[place] = name
        mapped = lambda held, number: held if per_batch_map is None else _mapped(held, per_batch_map, places, number)

        def rows() -> Iterator[Row]:
            held: list[Row] = []
            number = 0
            for row in self._rows():
                held.append(row)
                if len(held) == batch_size:
                    yield _stacked(mapped(held, number), names)
                    held, number = [], number + 1
            if held and not drop_remainder:
                yield _stacked(mapped(held, number), names)

        size = lambda: (self.get_dataset_size() + (0 if drop_remainder else batch_size - 1)) // batch_size
        made = self._next(rows, size, names)
        made._batch_size = batch_size
        return made

    def padded_batch(
        self,
        batch_size: int,
        drop_remainder: bool = False,
        num_parallel_workers: int | None = None,
        pad_info: Any = None,
    ) -> "Dataset":
        """So many rows as one, each padded to the largest of its batch, or to a given shape.

        Args:
            batch_size: how many.
            drop_remainder: whether an incomplete last batch is left out.
            num_parallel_workers: taken; changes no value.
            pad_info: column -> (shape, value); None in a shape is the batch's largest; 0 fills where not given.
        """
        asked = dict.fromkeys(self.columns, (None, 0)) if pad_info is None else dict(pad_info)
        self._places(list(asked))

        def filled(columns: list[list[Any]], _: Any) -> tuple[list[Any], ...]:
            named = _zip(self.columns, columns)
            return tuple(_padded(held, *asked[n]) if n in asked else held for n, held in named)

        return self.batch(batch_size, drop_remainder, per_batch_map=lambda *a: filled(list(a[:-1]), a[-1]))

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
        names = columns_of(columns)
        places = self._places(names)
        return self._next(lambda: (tuple(row[p] for p in places) for row in self._rows()), columns=names)

    def rename(self, input_columns: Any, output_columns: Any) -> "Dataset":
        """Other names for columns."""
        places, names = self._places(columns_of(input_columns)), list(self.columns)
        for place, name in _zip(places, columns_of(output_columns)):
            names[place] = name
        return self._next(self._rows, columns=names)

    def filter(
        self, predicate: Callable[..., Any], input_columns: Any = None, num_parallel_workers: int | None = None
    ) -> "Dataset":
        """The rows for which `predicate` holds."""
        places = self._places(self.columns if input_columns is None else columns_of(input_columns))
        rows = lambda: (row for row in self._rows() if predicate(*(row[p] for p in places)))
        return self._next(rows, lambda: sum(1 for _ in rows()))

    def zip(self, datasets: Any) -> "Dataset":
        """The columns of this and others side by side."""
        return zip((self, *(datasets if isinstance(datasets, tuple) else (datasets,))))

    def concat(self, datasets: Any) -> "Dataset":
        """The rows of this, then those of others with the same columns."""
        others = list(datasets) if isinstance(datasets, (list, tuple)) else [datasets]
        wrong = [", ".join(d.columns) for d in others if d.columns != self.columns]
        if wrong:
            raise UsageError("datasets have other columns", expected=", ".join(self.columns), details=wrong)
        parts = [self, *others]
        rows = lambda: (row for part in parts for row in part._rows())
        return self._next(rows, lambda: sum(part.get_dataset_size() for part in parts))

    def __add__(self, datasets: Any) -> "Dataset":
        return self.concat(datasets)

    def split(self, sizes: Any, randomize: bool = True) -> tuple["Dataset", ...]:
        """Datasets of so many rows each, or of such shares.

        Args:
            sizes: numbers that add up to all rows, or shares that add up to 1.
            randomize: whether rows are put in random order first, once for all parts.

        Raises:
            UsageError: sizes that do not add up.
        """
        count = self.get_dataset_size()
        counts = _part_sizes(list(sizes), count)
        order = seed.generator().permutation(count) if randomize else np.arange(count)
        ends = np.cumsum([0, *counts]).tolist()

        def part(first: int, last: int) -> "Dataset":
            def rows() -> Iterator[Row]:
                held = list(self._rows())
                return (held[i] for i in order[first:last].tolist())

            return self._next(rows, last - first)

        return tuple(part(a, b) for a, b in _zip(ends[:-1], ends[1:]))

    def apply(self, apply_func: Callable[["Dataset"], "Dataset"]) -> "Dataset":
        """What a function makes of it."""
        found = apply_func(self)
        if not isinstance(found, Dataset):
            raise UsageError("the function gives a Dataset", found=printable(type(found).__name__))
        return found

    def flat_map(self, func: Callable[..., "Dataset"]) -> "Dataset":
        """The rows of the datasets that a function makes of each row."""
        first = next((func(*row) for row in self._rows()), None)
        rows = lambda: (row for given in self._rows() for row in func(*given)._rows())
        return self._next(rows, lambda: sum(1 for _ in rows()), first.columns if first is not None else None)

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


def columns_of(columns: Any) -> list[str]:
    """The names that a string or a list gives."""
    return [columns] if isinstance(columns, str) else list(columns)


def refused(**arguments: Any) -> None:
    """Raise for arguments that ask for what is not here.

    Raises:
        UsageError: naming them.
    """
    asked = [n for n, v in arguments.items() if v is not None]
    if asked:
        raise UsageError("nothing here does what these arguments ask for", found=", ".join(asked), fix="leave them out")


class _BatchInfo:
    """What a function of `batch` is told."""

    def __init__(self, number: int) -> None:
        self._number = number

    def get_batch_num(self) -> int:
        """The batch's number in its epoch, from 0."""
        return self._number

    def get_epoch_num(self) -> int:
        """The epoch's number: each iteration is an epoch of its own here."""
        return 0


def _mapped(held: list[Row], function: Callable[..., Any], places: list[int], number: int) -> list[Row]:
    columns = [list(column) for column in _zip(*held)]
    found = function(*(columns[p] for p in places), _BatchInfo(number))
    found = found if isinstance(found, tuple) else (found,)
    for place, column in _zip(places, found):
        columns[place] = list(column)
    return list(_zip(*columns))


def _padded(rows: list[Any], shape: Any, value: Any) -> list[Any]:
    """Rows filled up to one shape."""
    arrays = [np.asarray(r) for r in rows]
    dims = arrays[0].ndim
    wanted = list(shape) if shape is not None else [None] * dims
    largest = [max(a.shape[i] for a in arrays) if n in (None, -1) else n for i, n in enumerate(wanted)]
    found = []
    for array in arrays:
        if array.ndim != len(largest) or any(n > w for n, w in _zip(array.shape, largest)):
            raise ShapeError("a row does not fit the shape to pad to", expected=largest, found=array.shape)
        whole = np.full(largest, value, array.dtype)
        whole[tuple(slice(n) for n in array.shape)] = array
        found.append(whole)
    return found


def _part_sizes(sizes: list[Any], count: int) -> list[int]:
    if all(isinstance(n, int) and n > 0 for n in sizes) and sum(sizes) == count:
        return sizes
    if all(isinstance(n, float) and 0 < n < 1 for n in sizes) and abs(sum(sizes) - 1) < 1e-9:
        counts = [round(n * count) for n in sizes]
        counts[-1] += count - sum(counts)
        if min(counts) > 0:
            return counts
    raise UsageError("sizes add up to all rows, shares to 1", expected=count, found=printable(sizes))


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
