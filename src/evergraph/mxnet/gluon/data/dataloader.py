"""Batches of a data set, made in order or by several threads ahead."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from evergraph.mxnet import ndarray as nd
from evergraph.mxnet._state import STATE
from evergraph.mxnet.gluon.data.sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler
from evergraph.mxnet.gluon.errors import BlockValueError

__all__ = ["DataLoader", "default_batchify_fn"]


def default_batchify_fn(data: list[Any]) -> Any:
    """Samples as a batch: arrays stacked, the parts of tuples each for itself, numbers as one array.

    >>> default_batchify_fn([(1, 2.0), (3, 4.0)])[0].asnumpy()
    array([1, 3])
    """
    first = data[0]
    if isinstance(first, nd.NDArray):
        found = nd.stack(*data)
        return found.as_np_ndarray() if STATE.np_array else found
    if isinstance(first, tuple) or (isinstance(first, list) and any(isinstance(x, nd.NDArray) for x in first)):
        return [default_batchify_fn(list(part)) for part in zip(*data, strict=True)]
    values = np.asarray(data)
    found = nd.array(values, dtype=values.dtype)
    return found.as_np_ndarray() if STATE.np_array else found


def _follow(np_shape: bool, np_array: bool) -> None:
    """Let a worker's thread have the semantics of the thread that made the loader."""
    STATE.np_shape, STATE.np_array = np_shape, np_array


class DataLoader:
    """Batches of a data set.

    Args:
        dataset: samples by number: any object with `__getitem__` and `__len__`.
        batch_size: how many samples make a batch.
        shuffle: whether their order is random.
        sampler: their order, instead of `shuffle`.
        last_batch: "keep", "discard" or "rollover"; "keep" where it is not given.
        batch_sampler: whole batches of numbers, instead of all of these.
        batchify_fn: makes a batch of samples.
        num_workers: how many threads make batches ahead; 0 for none.
        pin_memory: kept for MXNet's signature.
        pin_device_id: kept for MXNet's signature.
        prefetch: how many batches are made ahead; twice the threads where it is not given.
        thread_pool: kept for MXNet's signature: workers are always threads here.
        timeout: how many seconds a batch may take.
        auto_reload: kept for MXNet's signature: each pass makes its own batches.
        try_nopython: kept for MXNet's signature.

    Raises:
        ValueError: contradicting options.

    >>> [batch.shape for batch in DataLoader(np.ones((5, 2)), 2)]
    [(2, 2), (2, 2), (1, 2)]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = None,
        shuffle: bool = False,
        sampler: Sampler | None = None,
        last_batch: str | None = None,
        batch_sampler: Any = None,
        batchify_fn: Callable[[list[Any]], Any] | None = None,
        num_workers: int = 0,
        pin_memory: bool = False,
        pin_device_id: int = 0,
        prefetch: int | None = None,
        thread_pool: bool = False,
        timeout: float = 120,
        auto_reload: bool = False,
        try_nopython: bool | None = None,
    ) -> None:
        self._dataset, self._timeout = dataset, timeout
        self._given = (pin_memory, pin_device_id, thread_pool, auto_reload, try_nopython)
        if batch_sampler is None:
            if batch_size is None:
                raise BlockValueError("batch_size must be specified unless batch_sampler is specified")
            if sampler is not None and shuffle:
                raise BlockValueError("shuffle must not be specified if sampler is specified")
            order = sampler or (RandomSampler if shuffle else SequentialSampler)(len(dataset))
            batch_sampler = BatchSampler(order, batch_size, last_batch or "keep")
        elif batch_size is not None or shuffle or sampler is not None or last_batch is not None:
            raise BlockValueError(
                "batch_size, shuffle, sampler and last_batch must not be specified if batch_sampler is specified."
            )
        self._batch_sampler = batch_sampler
        self._batchify_fn = batchify_fn or default_batchify_fn
        self._num_workers = max(num_workers, 0)
        self._prefetch = max(0, prefetch if prefetch is not None else 2 * self._num_workers)
        self._numpy = STATE.np_shape, STATE.np_array

    def __len__(self) -> int:
        return len(self._batch_sampler)

    def refresh(self) -> None:
        """Kept for MXNet's programs: each pass begins with new batches."""

    def clean(self) -> None:
        """Kept for MXNet's programs: threads end with the pass that they work for."""

    def _batch(self, places: list[int]) -> Any:
        return self._batchify_fn([self._dataset[i] for i in places])

    def __iter__(self) -> Iterator[Any]:
        if not self._num_workers:
            yield from map(self._batch, self._batch_sampler)
            return
        with ThreadPoolExecutor(self._num_workers, initializer=_follow, initargs=self._numpy) as pool:
            waiting: deque[Any] = deque()
            for places in self._batch_sampler:
                waiting.append(pool.submit(self._batch, places))
                if len(waiting) > self._prefetch:
                    yield waiting.popleft().result(self._timeout)
            while waiting:
                yield waiting.popleft().result(self._timeout)
