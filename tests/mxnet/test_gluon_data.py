"""Gluon's data sets and batches."""

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet.gluon import data


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_hold_every_sample_in_order(workers):
    x, y = np.arange(10, dtype="float32").reshape(5, 2), np.arange(5)
    loader = data.DataLoader(data.ArrayDataset(x, y), 2, num_workers=workers)
    found = list(loader)
    assert len(found) == len(loader) == 3
    assert np.array_equal(np.concatenate([b[0].asnumpy() for b in found]), x)
    assert np.concatenate([b[1].asnumpy() for b in found]).tolist() == y.tolist()


def test_last_batches_are_kept_discarded_or_rolled_over():
    sizes = {}
    for word in ("keep", "discard", "rollover"):
        loader = data.DataLoader(np.ones((5, 1)), 2, last_batch=word)
        sizes[word] = [[len(b) for b in loader] for _ in range(2)]
    assert sizes == {"keep": [[2, 2, 1]] * 2, "discard": [[2, 2]] * 2, "rollover": [[2, 2], [2, 2, 2]]}


def test_shuffles_by_numpys_stream():
    orders = []
    for _ in range(2):
        np.random.seed(3)
        orders.append(next(iter(data.DataLoader(np.arange(6), 6, shuffle=True))).asnumpy().tolist())
    assert orders[0] == orders[1] != sorted(orders[0])
    assert sorted(orders[0]) == list(range(6))


def test_transforms_filters_takes_and_splits():
    whole = data.SimpleDataset(list(range(7)))
    assert [whole.transform(lambda v: v * 2)[i] for i in range(7)] == [0, 2, 4, 6, 8, 10, 12]
    assert len(whole.filter(lambda v: v % 2)) == 3
    assert len(whole.take(4)) == 4
    parts = [[s[i] for i in range(len(s))] for s in (whole.shard(3, k) for k in range(3))]
    assert parts == [[0, 1, 2], [3, 4], [5, 6]]
    pairs = data.ArrayDataset([1, 2], [3, 4]).transform_first(lambda v: v * 10)
    assert pairs[1] == (20, 4)


def test_an_error_in_a_worker_reaches_the_program():
    def broken(_):
        raise KeyError("lost")

    loader = data.DataLoader(data.SimpleDataset([1, 2]).transform(broken), 1, num_workers=1)
    with pytest.raises(KeyError, match="lost"):
        list(loader)


def test_stacks_arrays():
    found = next(iter(data.DataLoader(data.SimpleDataset([mx.nd.ones((2,)), mx.nd.zeros((2,))]), 2)))
    assert found.asnumpy().tolist() == [[1, 1], [0, 0]]


def test_refuses_options_that_contradict():
    with pytest.raises(ValueError, match="batch_size must be specified"):
        data.DataLoader([1])
    with pytest.raises(ValueError, match="must not be specified"):
        data.DataLoader([1], 1, shuffle=True, sampler=data.SequentialSampler(1))
    with pytest.raises(AssertionError, match="same length"):
        data.ArrayDataset([1], [1, 2])


@pytest.mark.parametrize(
    ("shape", "parts", "axis", "sizes"),
    [((10, 2), 3, 0, [4, 3, 3]), ((5, 2), 2, 0, [3, 2]), ((2, 7), 3, 1, [3, 2, 2]), ((11, 2), 4, 0, [3, 3, 3, 2])],
)
def test_gives_the_first_parts_of_an_uneven_batch_one_more(shape, parts, axis, sizes):
    values = mx.nd.array(np.arange(np.prod(shape)).reshape(shape))
    found = mx.gluon.utils.split_data(values, parts, batch_axis=axis, even_split=False)
    assert [p.shape[axis] for p in found] == sizes
    assert np.array_equal(np.concatenate([p.asnumpy() for p in found], axis), values.asnumpy())


def test_makes_lists_of_numbers_one_array():
    found = data.dataloader.default_batchify_fn([[1, 2], [3, 4]])
    assert found.asnumpy().tolist() == [[1, 2], [3, 4]]
