"""Whatever gives batches, in MXNet's form."""

import itertools
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from evergraph.errors import UsageError, collect, printable
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.io import DataBatch, DataDesc
from evergraph.mxnet.io.positions import Position, move, position, register

__all__ = ["DataError", "batches", "present", "shapes_of"]


class DataError(UsageError, ValueError):
    """Data that no module takes."""


def _no_batch(found: Any) -> DataError:
    return DataError(
        "the data gives what is no batch",
        expected="mx.io.DataBatch(data=[...], label=[...])",
        found=printable(type(found).__name__),
        fix="let the iterator give these, or hand over an iterable of (data, label) pairs itself",
    )


def present(rows: Iterable[Any]) -> Iterator[Any]:
    """Batches as they come; None among them is refused: it is no end of the data.

    Raises:
        ValueError: None is given as a batch.
    """
    for each in rows:
        if each is None:
            raise _no_batch(each)
        yield each


def shapes_of(batch: Any, data: Sequence[Any], labels: Sequence[Any] | None) -> list[tuple[int, ...]]:
    """Shapes of a batch's data, once its arrays are found to be those that a module is bound for.

    Args:
        batch: the batch; without labels it is for prediction.
        data: descriptions of the data.
        labels: descriptions of the labels.

    Raises:
        ValueError: arrays are missing, too many, none, or not of one number of samples; all is listed.
    """
    if not hasattr(batch, "data"):
        raise _no_batch(batch)
    given, targets = batch.data, getattr(batch, "label", None) or []
    try:
        shapes = [tuple(x.shape) for x in given]
        after = [tuple(x.shape) for x in targets]
    except (AttributeError, TypeError):
        shapes = after = []
    wanted = [tuple(d.shape) for d in data]
    if shapes == wanted and after == [tuple(d.shape) for d in labels or ()][: len(after)]:
        return shapes
    wrong = [f"{n}: {type(x).__name__}, no array" for n, x in _numbered(given, targets) if not hasattr(x, "shape")]
    collect(DataError, "a batch holds what is no array", wrong, fix="give NDArrays: mx.nd.array(values)")
    if len(shapes) != len(wanted):
        wrong.append(f"data: {len(shapes)} arrays for {', '.join(printable(d.name) for d in data)}")
    elif shapes == wanted:
        rows = zip(labels or [], after, strict=False)
        wrong += [f"{printable(d.name)}: {s} for {tuple(d.shape)}" for d, s in rows if s != tuple(d.shape)]
    else:
        wrong += _uneven(shapes, after, data, labels or [])
    told = ", ".join(f"{d.name} {tuple(d.shape)}" for d in (*data, *(labels or ())))
    collect(DataError, "a batch does not fit the module; nothing was changed", wrong, expected=told)
    return shapes


def _numbered(data: Any, labels: Any) -> list[tuple[str, Any]]:
    pairs = (("data", data if isinstance(data, (list, tuple)) else [data]), ("label", labels))
    return [(f"{kind}[{i}]", x) for kind, part in pairs for i, x in enumerate(part)]


def _uneven(shapes: list[Any], after: list[Any], data: Sequence[Any], labels: Sequence[Any]) -> list[str]:
    """Inputs of a batch of another size than bound for whose number of samples is not that of the first."""
    rows = [*zip(data, shapes, strict=True), *zip(labels, after, strict=False)]
    axes = [DataDesc.get_batch_axis(d.layout) for d, _ in rows]
    counts = [s[axis] if 0 <= axis < len(s) else None for axis, (_, s) in zip(axes, rows, strict=True)]
    bound = [d.shape[axis] if 0 <= axis < len(d.shape) else None for axis, (d, _) in zip(axes, rows, strict=True)]
    return [
        f"{printable(d.name)}: {count} samples, where {printable(data[0].name)} has {counts[0]}"
        for (d, _), count, size in zip(rows, counts, bound, strict=True)
        if count != counts[0] and None not in (count, counts[0]) and size == bound[0]
    ]


class Batches:
    """Any iterable of batches, or of pairs (data, label) such as a torch DataLoader gives, in MXNet's form.

    Args:
        source: the iterable.
        module: whose inputs are described.
    """

    def __init__(self, source: Any, module: Any) -> None:
        self.source = source
        self._begun: Iterator[Any] | None = None
        self._names = list(module.data_names), list(getattr(module, "label_names", None) or [])
        rows = iter(self)
        first = next(rows, None)
        if first is None:
            raise DataError("the data gives no batch", found=f"an empty {type(source).__name__}")
        if hasattr(source, "__next__"):
            self._begun = itertools.chain([first], rows)  # it gives each batch but once
        self.provide_data = self._described(self._names[0], first.data)
        self.provide_label = self._described(self._names[1], first.label)

    def _described(self, names: Sequence[str], arrays: Sequence[Any]) -> list[Any]:
        return [DataDesc(n, a.shape, a.dtype) for n, a in zip(names, arrays, strict=False)]

    def reset(self) -> None:
        """Nothing: every pass begins anew."""

    def __iter__(self) -> Iterator[Any]:
        begun, self._begun = self._begun, None
        if begun is not None:
            yield from begun
            return
        for row in self.source:
            if isinstance(row, DataBatch):
                yield row
                continue
            data, label = self._parts(row)
            yield DataBatch(data, label)

    def _parts(self, row: Any) -> tuple[list[Any], list[Any]]:
        """Arrays for data and labels of a row: a pair, inputs by name, or data alone."""
        data_names, label_names = self._names
        if isinstance(row, Mapping):
            missing = [f"{printable(n)}: not in the batch" for n in (*data_names, *label_names) if n not in row]
            names = ", ".join(printable(n) for n in row)
            collect(DataError, "a batch lacks inputs of the module", missing, found=names)
            return [_array(row[n], n) for n in data_names], [_array(row[n], n) for n in label_names]
        pair = isinstance(row, (list, tuple)) and len(row) == 2 and (bool(label_names) or len(data_names) != 2)
        data, label = (_row(part) for part in (row if pair else (row, [])))
        wrong = [] if len(data) == len(data_names) else [f"data: {len(data)} arrays for {data_names}"]
        if label and label_names and len(label) != len(label_names):
            wrong.append(f"labels: {len(label)} arrays for {label_names}")
        collect(
            DataError,
            "a batch has other parts than the module has inputs",
            wrong,
            fix="give (data, label), each an array or a list of arrays, or a table of arrays by name",
        )
        found = [_array(v, n) for v, n in zip(data, data_names, strict=True)]
        return found, [_array(v, n) for v, n in zip(label, label_names or ["label"] * len(label), strict=False)]


register(
    Batches,
    Position(
        lambda it: position(it.source),
        lambda it, state: move(it.source, state),
        inner=lambda it, state: [(it.source, state)],
    ),
)


def _row(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _array(value: Any, name: str) -> Any:
    """An array of a batch.

    Raises:
        ValueError: it is none, or has no axis for the samples.
    """
    try:
        found = value if isinstance(value, nd.NDArray) else nd.array(value)
    except (TypeError, ValueError) as error:
        raise DataError("a batch holds what is no array", where=printable(name), found=printable(value)) from error
    if not found.shape:
        raise DataError("a batch's first axis is that of its samples", where=printable(name), found="a single number")
    return found


_SAMPLES = 128
"""How many samples of a data set make a batch where nothing says it: as many as MXNet's FeedForward takes of arrays."""


def batches(data: Any, module: Any) -> Any:
    """Data as an iterator of batches.

    Args:
        data: an iterator of `mx.io`, an iterable of batches, or a data set of samples (torch's, gluon's, or any object
            with `__getitem__` and `__len__`), of which as many make a batch as the module is bound for, else 128.
        module: whose inputs are described.

    Raises:
        ValueError: it gives no batches.
    """
    if hasattr(data, "provide_data") and hasattr(data, "reset"):
        return data
    if _is_dataset(data):
        data = _loader(data, module)
    array = isinstance(data, (nd.NDArray, np.ndarray)) or hasattr(data, "data_ptr")
    if array or isinstance(data, (str, bytes)) or not (hasattr(data, "__iter__") or hasattr(data, "__getitem__")):
        raise DataError(
            "eval_data must be of type NDArray or DataIter" if not array else "an array has neither batches nor labels",
            expected="an iterator of mx.io, any iterable of batches such as a torch DataLoader, or a data set",
            found=type(data).__name__,
            fix="give mx.io.NDArrayIter(data, label, batch_size)" if array else None,
        )
    return Batches(data, module)


def _is_dataset(data: Any) -> bool:
    import torch.utils.data

    by_number = hasattr(data, "__getitem__") and hasattr(data, "__len__") and not hasattr(data, "__iter__")
    return by_number or isinstance(data, torch.utils.data.IterableDataset)


def _loader(data: Any, module: Any) -> Any:
    """Batches of a data set's samples, in order."""
    import torch.utils.data

    size = _SAMPLES
    if module.binded:
        size = module.data_shapes[0].shape[DataDesc.get_batch_axis(module.data_shapes[0].layout)]
    else:
        logging.getLogger(__name__).info(
            "%s gives samples: %d make a batch; a torch DataLoader around it says another number",
            type(data).__name__,
            size,
        )
    if isinstance(data, torch.utils.data.Dataset):
        return torch.utils.data.DataLoader(data, batch_size=size)
    from evergraph.mxnet.gluon.data import DataLoader

    return DataLoader(data, batch_size=size)
