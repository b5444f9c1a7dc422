"""Whatever gives batches, in MXNet's form."""

from collections.abc import Iterator, Sequence
from typing import Any

from evergraph.errors import UsageError
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.io import DataBatch, DataDesc
from evergraph.mxnet.io.positions import Position, move, position, register

__all__ = ["DataError", "batches"]


class DataError(UsageError, ValueError):
    """Data that no module takes."""


class Batches:
    """Any iterable of batches, or of pairs (data, label) such as a torch DataLoader gives, in MXNet's form.

    Args:
        source: the iterable.
        module: whose inputs are described.
    """

    def __init__(self, source: Any, module: Any) -> None:
        self.source = source
        self._names = list(module.data_names), list(getattr(module, "label_names", None) or [])
        first = next(iter(self), None)
        self.provide_data = [] if first is None else self._described(self._names[0], first.data)
        self.provide_label = [] if first is None else self._described(self._names[1], first.label)

    def _described(self, names: Sequence[str], arrays: Sequence[Any]) -> list[Any]:
        return [DataDesc(n, a.shape, a.dtype) for n, a in zip(names, arrays, strict=False)]

    def reset(self) -> None:
        """Nothing: every pass begins anew."""

    def __iter__(self) -> Iterator[Any]:
        for row in self.source:
            if isinstance(row, DataBatch):
                yield row
                continue
            data, label = row if isinstance(row, (list, tuple)) and len(row) == 2 else (row, [])
            yield DataBatch(_arrays(data), _arrays(label))


register(
    Batches,
    Position(
        lambda it: position(it.source),
        lambda it, state: move(it.source, state),
        inner=lambda it, state: [(it.source, state)],
    ),
)


def _arrays(value: Any) -> list[Any]:
    several = value if isinstance(value, (list, tuple)) else [value]
    return [v if isinstance(v, nd.NDArray) else nd.array(v) for v in several]


def batches(data: Any, module: Any) -> Any:
    """Data as an iterator of batches.

    Raises:
        ValueError: it gives no batches.
    """
    if hasattr(data, "provide_data") and hasattr(data, "reset"):
        return data
    if not hasattr(data, "__iter__") and not hasattr(data, "__getitem__"):
        raise DataError("eval_data must be of type NDArray or DataIter", found=type(data).__name__)
    return Batches(data, module)
