"""Data to calibrate by: an iterator of `mx.io`, or anything that gives arrays, such as a gluon data loader."""

from collections.abc import Iterable, Iterator
from typing import Any

from evergraph.errors import UsageError
from evergraph.mxnet.gluon.errors import BlockValueError
from evergraph.mxnet.io import DataBatch, DataDesc, DataIter

__all__ = ["Batches", "as_iterator"]

_REFUSALS = (TypeError, BlockValueError)


class Batches(DataIter):
    """Lists of arrays as batches of an iterator; the arrays beyond the wanted ones are labels, and passed over.

    Args:
        source: gives an array, or a list of arrays, for each batch; gone through once for each reset.
        wanted: how many of them are data.

    >>> from evergraph.mxnet import nd
    >>> [b.data[0].shape for b in Batches([(nd.ones((2, 3)), nd.ones((2,)))], 1)]
    [(2, 3)]
    """

    def __init__(self, source: Iterable[Any], wanted: int) -> None:
        first = _first(source)
        super().__init__(first[0].shape[0])
        self._source, self._wanted = source, wanted
        names = ["data"] if wanted == 1 else [f"data{i}" for i in range(wanted)]
        self.provide_data = [DataDesc(n, a.shape, a.dtype) for n, a in zip(names, first, strict=False)]
        self.reset()

    def reset(self) -> None:
        """Begin anew."""
        self._left = _lists(self._source)

    def next(self) -> DataBatch:
        """The next batch."""
        return DataBatch(next(self._left)[: self._wanted])


def _lists(source: Iterable[Any]) -> Iterator[list[Any]]:
    for each in source:
        yield list(each) if isinstance(each, (list, tuple)) else [each]


def _first(source: Iterable[Any]) -> list[Any]:
    found = next(_lists(source), None)
    if found is None:
        raise UsageError("there is no data to calibrate by", found="an iterator without batches")
    return found


def _taken(network: Any, arrays: list[Any]) -> int:
    """How many of a batch's arrays a network takes: those after them are labels."""
    for count in range(len(arrays), 1, -1):
        try:
            network(*arrays[:count])
        except _REFUSALS:
            continue
        return count
    return 1


def as_iterator(source: Any, network: Any) -> Any:
    """An iterator of batches as `mx.io` has them, of what the network takes.

    Raises:
        UsageError: nothing that can be gone through, or nothing in it.
    """
    if hasattr(source, "provide_data"):
        return source
    if not isinstance(source, Iterable):
        raise UsageError(
            "calib_data is not a valid iterator",
            expected="an iterator of mx.io, a gluon DataLoader, or lists of arrays",
            found=type(source).__name__,
        )
    return Batches(source, _taken(network, _first(source)))
