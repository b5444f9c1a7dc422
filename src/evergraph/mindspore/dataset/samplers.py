"""Which rows of a dataset are taken, and in what order."""

import enum
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from evergraph.errors import UsageError, printable
from evergraph.mindspore.common import seed

__all__ = [
    "DistributedSampler",
    "Order",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Shuffle",
    "SubsetRandomSampler",
    "SubsetSampler",
    "WeightedRandomSampler",
]

Numbers = np.ndarray[Any, Any]


class Shuffle(enum.StrEnum):
    """How much is shuffled; rows of arrays and folders are shuffled as a whole."""

    GLOBAL = "global"
    FILES = "files"
    INFILE = "infile"


class Sampler:
    """Chooses rows: a subclass gives their numbers from `__iter__`, or defines `order`.

    Args:
        num_samples: at most so many.

    Attributes:
        dataset_size: how many rows there are, for a subclass's `__iter__`.
    """

    def __init__(self, num_samples: int | None = None) -> None:
        if num_samples is not None and (not isinstance(num_samples, int) or num_samples < 0):
            raise UsageError("num_samples is a whole number, 0 or more", found=printable(num_samples))
        self.num_samples = num_samples or None
        self.dataset_size = 0

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.dataset_size))

    def order(self, count: int) -> Numbers:
        """The numbers of the rows, of so many that there are."""
        self.dataset_size = count
        return np.fromiter((int(i) for i in self), np.int64)

    def chosen(self, count: int) -> Numbers:
        """The first `num_samples` of them, checked."""
        found = self.order(count)[: self.num_samples]
        wrong = found[(found < 0) | (found >= count)]
        if len(wrong):
            raise UsageError("a sampler chose rows that are not there", expected=f"0 to {count - 1}", found=wrong[:5])
        return found


class SequentialSampler(Sampler):
    """Rows in their order.

    Args:
        start_index: the first.
        num_samples: at most so many.
    """

    def __init__(self, start_index: int | None = None, num_samples: int | None = None) -> None:
        super().__init__(num_samples)
        self.start_index = start_index or 0

    def order(self, count: int) -> Numbers:
        """From the first one on."""
        return np.arange(self.start_index, count)


class RandomSampler(Sampler):
    """Rows in random order, which follows `ms.set_seed`.

    Args:
        replacement: whether one may be taken several times.
        num_samples: at most so many.
    """

    def __init__(self, replacement: bool = False, num_samples: int | None = None) -> None:
        super().__init__(num_samples)
        self.replacement = replacement

    def order(self, count: int) -> Numbers:
        """A permutation, or as many draws."""
        draw = seed.generator()
        return draw.integers(count, size=self.num_samples or count) if self.replacement else draw.permutation(count)


class SubsetSampler(Sampler):
    """Rows of these numbers, in this order.

    Args:
        indices: the numbers.
        num_samples: at most so many.
    """

    def __init__(self, indices: Any, num_samples: int | None = None) -> None:
        super().__init__(num_samples)
        self.indices = np.asarray(list(indices) if not isinstance(indices, int) else [indices], np.int64)

    def order(self, count: int) -> Numbers:
        """The numbers."""
        return self.indices


class SubsetRandomSampler(SubsetSampler):
    """Rows of these numbers, in random order, which follows `ms.set_seed`."""

    def order(self, count: int) -> Numbers:
        """A permutation of the numbers."""
        return seed.generator().permutation(self.indices)


class WeightedRandomSampler(Sampler):
    """Rows drawn by weight.

    Args:
        weights: one for each row.
        num_samples: how many; as many as there are weights where not given.
        replacement: whether one may be taken several times.
    """

    def __init__(self, weights: Sequence[float], num_samples: int | None = None, replacement: bool = True) -> None:
        super().__init__(num_samples)
        self.weights, self.replacement = np.asarray(weights, np.float64), replacement
        if not len(self.weights) or (self.weights < 0).any() or not self.weights.sum():
            raise UsageError("weights are at least 0, and one of them above", found=printable(weights))

    def order(self, count: int) -> Numbers:
        """Draws."""
        share = self.weights / self.weights.sum()
        size = self.num_samples or len(share)
        return seed.generator().choice(len(share), size, replace=self.replacement, p=share)


class DistributedSampler(Sampler):
    """One of several equal portions: every `num_shards`-th row, the first ones again where they do not come out even.

    Args:
        num_shards: how many portions there are.
        shard_id: which one.
        shuffle: whether rows are put in random order first, for all portions alike where a seed is set.
        num_samples: at most so many.
        offset: the portion that begins with the first row; -1 for the first portion.
    """

    def __init__(
        self,
        num_shards: int,
        shard_id: int,
        shuffle: bool = True,
        num_samples: int | None = None,
        offset: int = -1,
    ) -> None:
        super().__init__(num_samples)
        if not isinstance(num_shards, int) or num_shards < 1 or not 0 <= shard_id < num_shards or offset >= num_shards:
            raise UsageError(
                "shard_id is at least 0 and below num_shards, offset below it too",
                found=printable((num_shards, shard_id, offset)),
            )
        self.num_shards, self.shard_id, self.shuffle, self.offset = num_shards, shard_id, shuffle, max(offset, 0)

    def order(self, count: int) -> Numbers:
        """The portion."""
        rows = seed.generator().permutation(count) if self.shuffle else np.arange(count)
        each = -(-count // self.num_shards)
        return rows[(np.arange(each) * self.num_shards + self.shard_id - self.offset) % count] if count else rows


class Order:
    """The order of a dataset's rows, from the arguments that datasets take.

    Args:
        shuffle: True or None for random order.
        sampler: a Sampler, or a list of numbers.
        num_samples: at most so many.
        num_shards: how many portions the rows are divided into.
        shard_id: which portion.

    Raises:
        UsageError: arguments that exclude each other, or stand alone.
    """

    def __init__(self, shuffle: Any, sampler: Any, num_samples: Any, num_shards: Any, shard_id: Any) -> None:
        if (num_shards is None) != (shard_id is None):
            raise UsageError("num_shards and shard_id need to be passed in together")
        if sampler is not None and (shuffle is not None or num_shards is not None or num_samples is not None):
            raise UsageError("a sampler excludes shuffle, num_samples, num_shards and shard_id")
        if isinstance(sampler, (list, tuple, np.ndarray)):
            sampler = SubsetSampler(sampler)
        if sampler is None and num_shards is not None:
            sampler = DistributedSampler(num_shards, shard_id, shuffle is None or bool(shuffle), num_samples)
        if sampler is None:
            drawn = shuffle or shuffle is None
            sampler = RandomSampler(num_samples=num_samples) if drawn else SequentialSampler(0, num_samples)
        if not isinstance(sampler, Sampler):
            raise UsageError("a sampler is a Sampler or a list of numbers", found=printable(type(sampler).__name__))
        self._sampler = sampler

    def of(self, count: int) -> Iterator[int]:
        """The numbers of an epoch's rows."""
        return iter(self._sampler.chosen(count).tolist())

    def size(self, count: int) -> int:
        """How many an epoch has; draws nothing where that is known without."""
        sampler = self._sampler
        if type(sampler) is RandomSampler and not sampler.replacement:
            return min(count, sampler.num_samples or count)
        if type(sampler) is DistributedSampler:
            each = -(-count // sampler.num_shards)
            return min(each, sampler.num_samples or each)
        return len(sampler.chosen(count))
