"""Sentences as numbers, and batches of sentences of like length."""

import bisect
import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from evergraph.errors import UsageError
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.io import DataBatch, DataDesc, DataIter
from evergraph.mxnet.io.positions import SENTENCES, register

__all__ = ["BucketSentenceIter", "encode_sentences"]


class _UnknownTokenError(UsageError, AssertionError):
    """A token that the vocabulary does not hold."""


def encode_sentences(
    sentences: Sequence[Sequence[Any]],
    vocab: dict[Any, int] | None = None,
    invalid_label: int = -1,
    invalid_key: Any = "\n",
    start_label: int = 0,
    unknown_token: Any = None,
) -> tuple[list[list[int]], dict[Any, int]]:
    r"""Sentences as lists of numbers, and the vocabulary; without one given, it is made on the way.

    Args:
        sentences: lists of tokens.
        vocab: number of each token; unknown ones are refused unless unknown_token is given.
        invalid_label: the number that no token gets.
        invalid_key: the token of invalid_label.
        start_label: the first new number.
        unknown_token: what stands for tokens that vocab does not hold.

    Raises:
        UsageError: a token is not in the given vocabulary (an AssertionError too).

    >>> encode_sentences([["a", "b"], ["b"]])
    ([[0, 1], [1]], {'\n': -1, 'a': 0, 'b': 1})
    """
    growing = vocab is None
    known = {invalid_key: invalid_label} if vocab is None else vocab
    number, coded = start_label, []
    for sentence in sentences:
        line = []
        for word in sentence:
            if word not in known:
                if not growing and not unknown_token:
                    raise _UnknownTokenError("a token is not in the vocabulary", found=repr(word))
                number += number == invalid_label
                word = unknown_token or word
                known[word] = number
                number += 1
            line.append(known[word])
        coded.append(line)
    return coded, known


class BucketSentenceIter(DataIter):
    """Batches of sentences, each filled up to its bucket's length; the label of a token is the next one.

    Orders come from Python's and NumPy's global generators.

    Args:
        sentences: lists of numbers.
        batch_size: sentences in a batch.
        buckets: lengths; by default each length with enough sentences for a batch.
        invalid_label: what fills sentences up.
        data_name: name of the data.
        label_name: name of the label.
        dtype: type of both.
        layout: `NT`, or `TN` for steps first.

    Raises:
        UsageError: another layout, or no bucket.
    """

    def __init__(
        self,
        sentences: Sequence[Sequence[int]],
        batch_size: int,
        buckets: list[int] | None = None,
        invalid_label: int = -1,
        data_name: str = "data",
        label_name: str = "softmax_label",
        dtype: str = "float32",
        layout: str = "NT",
    ) -> None:
        super().__init__(batch_size)
        if layout not in ("NT", "TN"):
            raise UsageError("unknown layout of sentences", expected="NT or TN", found=repr(layout))
        if not buckets:
            buckets = [n for n, count in enumerate(np.bincount([len(s) for s in sentences])) if count >= batch_size]
        self.dtype, self.invalid_label = dtype, invalid_label
        self.data_name, self.label_name = data_name, label_name
        self.layout, self.major_axis = layout, layout.find("N")
        self._fill(sentences, sorted(buckets))
        self._arranged = [np.arange(len(rows)) for rows in self.data]  # which sentence stands where
        self.default_bucket_key = max(self.buckets)
        shape = (batch_size, self.default_bucket_key)[:: -1 if self.major_axis else 1]
        self.provide_data = [DataDesc(name=data_name, shape=shape, layout=layout)]
        self.provide_label = [DataDesc(name=label_name, shape=shape, layout=layout)]
        self.idx = [
            (i, j) for i, rows in enumerate(self.data) for j in range(0, len(rows) - batch_size + 1, batch_size)
        ]
        self.reset()

    def _fill(self, sentences: Sequence[Sequence[int]], lengths: list[int]) -> None:
        rows: list[list[np.ndarray]] = [[] for _ in lengths]
        discarded = 0
        for sentence in sentences:
            bucket = bisect.bisect_left(lengths, len(sentence))
            if bucket == len(lengths):
                discarded += 1
                continue
            row = np.full(lengths[bucket], self.invalid_label, self.dtype)
            row[: len(sentence)] = sentence
            rows[bucket].append(row)
        self.data = [np.asarray(r, self.dtype) for r in rows if r]
        self.buckets = [n for n, r in zip(lengths, rows, strict=True) if r]
        if not self.buckets:
            raise UsageError("no sentence fits a bucket", expected="a bucket as long as a sentence", found=lengths)
        print(f"WARNING: discarded {discarded} sentences longer than the largest bucket.")

    def reset(self) -> None:
        """Draw new orders, of batches and inside buckets."""
        self.curr_idx = 0
        random.shuffle(self.idx)
        for rows, arranged in zip(self.data, self._arranged, strict=True):
            order = np.arange(len(rows))
            np.random.shuffle(order)  # as the rows themselves would be: the same draws
            rows[:], arranged[:] = rows[order], arranged[order]
        self._make_arrays()

    def _make_arrays(self) -> None:
        self.nddata, self.ndlabel = [], []
        for rows in self.data:
            label = np.full_like(rows, self.invalid_label)
            label[:, :-1] = rows[:, 1:]
            self.nddata.append(nd.array(rows, dtype=self.dtype))
            self.ndlabel.append(nd.array(label, dtype=self.dtype))

    def _arrange(self, wanted: list[np.ndarray]) -> None:
        """Put sentences where they stood in an earlier process."""
        for rows, arranged, target in zip(self.data, self._arranged, wanted, strict=True):
            places = np.argsort(arranged)[target]
            rows[:], arranged[:] = rows[places], target
        self._make_arrays()

    def next(self) -> DataBatch:
        """The next batch; its bucket_key is its bucket's length."""
        if self.curr_idx == len(self.idx):
            raise StopIteration
        i, j = self.idx[self.curr_idx]
        self.curr_idx += 1
        data, label = (source[i][j : j + self.batch_size] for source in (self.nddata, self.ndlabel))
        if self.major_axis == 1:
            data, label = data.T, label.T
        return DataBatch(
            [data],
            [label],
            pad=0,
            bucket_key=self.buckets[i],
            provide_data=[DataDesc(name=self.data_name, shape=data.shape, layout=self.layout)],
            provide_label=[DataDesc(name=self.label_name, shape=label.shape, layout=self.layout)],
        )


register(BucketSentenceIter, SENTENCES)
