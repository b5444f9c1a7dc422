"""The order in which samples are read."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from evergraph.mxnet.gluon.errors import BlockValueError

__all__ = ["BatchSampler", "FilterSampler", "RandomSampler", "Sampler", "SequentialSampler"]


class Sampler:
    """Numbers of samples, in an order; subclasses define `__iter__` and `__len__`."""

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__")

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} does not define __len__")


class SequentialSampler(Sampler):
    """Numbers in order, from `start`."""

    def __init__(self, length: int, start: int = 0) -> None:
        self._length, self._start = length, start

    def __iter__(self) -> Iterator[int]:
        return iter(range(self._start, self._start + self._length))

    def __len__(self) -> int:
        return self._length


class RandomSampler(Sampler):
    """Numbers in a new random order each time, drawn from NumPy's stream, as MXNet's."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __iter__(self) -> Iterator[int]:
        # NumPy's own stream on purpose: programs seed it
        return iter(np.random.permutation(self._length).tolist())

    def __len__(self) -> int:
        return self._length


class FilterSampler(Sampler):
    """The numbers of the samples for which a function holds."""

    def __init__(self, fn: Callable[[Any], bool], dataset: Any) -> None:
        self._places = [i for i in range(len(dataset)) if fn(dataset[i])]

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class BatchSampler(Sampler):
    """Numbers in batches.

    Args:
        sampler: the numbers.
        batch_size: how many make a batch.
        last_batch: "keep" a smaller last one, "discard" it, or "rollover" it to the next time.

    Raises:
        ValueError: another word for the last batch.

    >>> list(BatchSampler(SequentialSampler(5), 2, "keep"))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Sampler, batch_size: int, last_batch: str = "keep") -> None:
        if last_batch not in ("keep", "discard", "rollover"):
            raise BlockValueError("last_batch must be one of 'keep', 'discard', or 'rollover'", found=last_batch)
        self._sampler, self._batch_size, self._last_batch = sampler, batch_size, last_batch
        self._left: list[int] = []

    def __iter__(self) -> Iterator[list[int]]:
        batch, self._left = self._left, []
        for each in self._sampler:
            batch.append(each)
            if len(batch) == self._batch_size:
                yield batch
                batch = []
        if batch and self._last_batch == "keep":
            yield batch
        elif batch and self._last_batch == "rollover":
            self._left = batch

    def __len__(self) -> int:
        count = len(self._sampler)
        if self._last_batch == "keep":
            return (count + self._batch_size - 1) // self._batch_size
        return (count + (len(self._left) if self._last_batch == "rollover" else 0)) // self._batch_size
