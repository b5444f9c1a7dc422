"""Samplers beside the main ones."""

from collections.abc import Iterator

from evergraph.mxnet.gluon.data.sampler import Sampler
from evergraph.mxnet.gluon.errors import ParameterFitError

__all__ = ["IntervalSampler"]


class IntervalSampler(Sampler):
    """Every so manieth number, then again from the next one.

    Args:
        length: how many samples there are.
        interval: the distance.
        rollover: whether it begins again until all are taken.

    Raises:
        AssertionError: an interval that is longer than the data set.

    >>> list(IntervalSampler(7, interval=3))
    [0, 3, 6, 1, 4, 2, 5]
    >>> list(IntervalSampler(7, interval=3, rollover=False))
    [0, 3, 6]
    """

    def __init__(self, length: int, interval: int, rollover: bool = True) -> None:
        if interval > length:
            raise ParameterFitError(f"Interval {interval} must be <= length {length}", expected=length, found=interval)
        self._length, self._interval, self._rollover = length, interval, rollover

    def __iter__(self) -> Iterator[int]:
        for first in range(self._interval if self._rollover else 1):
            yield from range(first, self._length, self._interval)

    def __len__(self) -> int:
        return self._length
