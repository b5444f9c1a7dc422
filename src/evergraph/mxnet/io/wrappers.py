"""Iterators over other iterators: epochs of another length, and batches fetched ahead."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from evergraph.errors import UsageError
from evergraph.mxnet.base import InputTypeError
from evergraph.mxnet.io.batch import DataBatch, DataDesc, HeldBatchIter
from evergraph.mxnet.io.positions import PREFETCHED, RESIZED, position, register

__all__ = ["PrefetchingIter", "ResizeIter"]


class ResizeIter(HeldBatchIter):
    """Another iterator's batches, a fixed number of them an epoch; at its end it starts again.

    Args:
        data_iter: where batches come from.
        size: batches an epoch.
        reset_internal: whether `reset` resets data_iter too.

    >>> from evergraph.mxnet import io, nd
    >>> len(list(ResizeIter(io.NDArrayIter(nd.ones((6, 2)), batch_size=3), 5)))
    5
    """

    def __init__(self, data_iter: Any, size: int, reset_internal: bool = True) -> None:
        super().__init__(data_iter.batch_size)
        self.data_iter = data_iter
        self.size = size
        self.reset_internal = reset_internal
        self.cur = 0
        self.provide_data = data_iter.provide_data
        self.provide_label = data_iter.provide_label
        if hasattr(data_iter, "default_bucket_key"):
            self.default_bucket_key = data_iter.default_bucket_key

    def reset(self) -> None:
        """Count from zero again, and reset the inner iterator unless told otherwise."""
        self.cur = 0
        if self.reset_internal:
            self.data_iter.reset()

    def iter_next(self) -> bool:
        """Go to the next batch, around the inner iterator's end; whether the epoch has one."""
        if self.cur == self.size:
            return False
        try:
            self.current_batch = self.data_iter.next()
        except StopIteration:
            self.data_iter.reset()
            self.current_batch = self.data_iter.next()
        self.cur += 1
        return True


def _fetch(source: Any) -> tuple[DataBatch | None, Any]:
    """The next batch, and where the iterator stood before it."""
    before = position(source)
    try:
        return source.next(), before
    except StopIteration:
        return None, before


class PrefetchingIter(HeldBatchIter):
    """One or several iterators, each read one batch ahead in a thread of its own.

    An error inside an iterator is raised by the `next` that would have given its batch.

    Args:
        iters: an iterator or a list of them; their batches are joined.
        rename_data: for each iterator a dict from its data names to new ones.
        rename_label: the same for labels.
    """

    def __init__(self, iters: Any, rename_data: Any = None, rename_label: Any = None) -> None:
        self.iters = iters if isinstance(iters, list) else [iters]
        self.n_iter = len(self.iters)
        if not self.iters:
            raise InputTypeError("PrefetchingIter needs at least one iterator", found="an empty list")
        self.rename_data = rename_data
        self.rename_label = rename_label
        super().__init__(self.provide_data[0][1][0])
        # a pool holds no reference to this object: threads end when it is dropped
        self._pools = [ThreadPoolExecutor(1, "prefetch") for _ in self.iters]
        self._ahead: list[Future[tuple[DataBatch | None, Any]]] = []
        self._submit()

    def _submit(self) -> None:
        self._ahead = [pool.submit(_fetch, source) for pool, source in zip(self._pools, self.iters, strict=True)]

    def _described(self, attribute: str, renamings: Any) -> list[Any]:
        lists = [getattr(source, attribute) for source in self.iters]
        if renamings is None:
            return [d for one in lists for d in one]
        return [
            DataDesc(names[d.name], d.shape, d.dtype) if isinstance(d, DataDesc) else DataDesc(*d)
            for names, one in zip(renamings, lists, strict=False)
            for d in one
        ]

    @property
    def provide_data(self) -> list[Any]:
        """Descriptions of all iterators' data, renamed."""
        return self._described("provide_data", self.rename_data)

    @property
    def provide_label(self) -> list[Any]:
        """Descriptions of all iterators' labels, renamed."""
        return self._described("provide_label", self.rename_label)

    def reset(self) -> None:
        """Reset every iterator, and fetch its first batch ahead."""
        for future in self._ahead:
            future.exception()  # wait: an iterator is not reset while it is read
        for source in self.iters:
            source.reset()
        self._submit()

    def iter_next(self) -> bool:
        """Take the batches that were fetched; whether there were any."""
        batches = [future.result()[0] for future in self._ahead]
        present = [b for b in batches if b is not None]
        if not present:
            return False
        if len(present) < len(batches) or len({b.pad for b in present}) > 1:
            raise _Uneven(
                "the iterators have different numbers of examples",
                found=", ".join("its end" if b is None else f"a batch with pad {b.pad}" for b in batches),
            )
        self.current_batch = DataBatch(
            [array for b in present for array in b.data],
            [array for b in present for array in b.label or ()],
            present[0].pad,
            present[0].index,
            provide_data=self.provide_data,
            provide_label=self.provide_label,
        )
        self._submit()
        return True

    def next(self) -> DataBatch:
        """The next batch; StopIteration at the end of the data."""
        if not self.iter_next():
            raise StopIteration
        return self.current_batch


class _Uneven(UsageError, AssertionError):
    """Iterators read side by side do not end together."""


register(ResizeIter, RESIZED)
register(PrefetchingIter, PREFETCHED)
