"""Samplers, portions and joined datasets give the rows that MindSpore 2.10 gives; what is not here is refused."""

from typing import Any

import numpy as np
import pytest

import evergraph.mindspore as ms
import evergraph.mindspore.dataset as ds
from evergraph.mindspore import nn


def numbers(data):
    return [int(row[0]) for row in data]


def ten(**given):
    return ds.NumpySlicesDataset(np.arange(10), **given)


# what MindSpore 2.10 gives for the same calls
ORDERS = {
    "portion": (lambda: ten(num_shards=3, shard_id=1, shuffle=False), [1, 4, 7, 0]),
    "list": (lambda: ten(sampler=[3, 1, 2]), [3, 1, 2]),
    "sequential": (lambda: ten(sampler=ds.SequentialSampler(2, 3)), [2, 3, 4]),
    "subset": (lambda: ten(sampler=ds.SubsetSampler([4, 2])), [4, 2]),
    "distributed": (lambda: ten(sampler=ds.DistributedSampler(3, 2, shuffle=False)), [2, 5, 8, 1]),
    "few of a portion": (lambda: ten(sampler=ds.DistributedSampler(4, 3, shuffle=False, num_samples=2)), [3, 7]),
    "repeated by rows": (
        lambda: ten(sampler=[0, 1]).flat_map(lambda x: ds.NumpySlicesDataset([int(x)] * 2, shuffle=False)),
        [0, 0, 1, 1],
    ),
}


@pytest.mark.parametrize("name", ORDERS)
def test_rows_come_in_mindspores_order(name):
    make, wanted = ORDERS[name]
    data = make()
    assert numbers(data) == wanted
    assert data.get_dataset_size() == len(wanted)


def test_splits_and_joins_as_mindspore():
    parts = ten(shuffle=False).split([0.7, 0.3], randomize=False)
    assert [numbers(p) for p in parts] == [[0, 1, 2, 3, 4, 5, 6], [7, 8, 9]]
    assert [p.get_dataset_size() for p in parts] == [7, 3]
    parts = ten(shuffle=False).split([4, 6])
    assert sorted(numbers(parts[0]) + numbers(parts[1])) == list(range(10))
    assert numbers(parts[0]) == numbers(parts[0])
    joined = ten(sampler=[1]) + ten(sampler=[5, 6])
    assert numbers(joined) == [1, 5, 6]
    assert joined.get_dataset_size() == 3
    with pytest.raises(ValueError, match="add up"):
        ten().split([4, 4])
    with pytest.raises(ValueError, match="other columns"):
        ten().concat(ds.NumpySlicesDataset([1], ["other"]))


def test_random_samplers_follow_the_seed_and_draw_what_they_may():
    ms.set_seed(3)
    first = numbers(ten(sampler=ds.RandomSampler(num_samples=4)))
    ms.set_seed(3)
    assert numbers(ten(sampler=ds.RandomSampler(num_samples=4))) == first
    assert len(set(first)) == 4
    assert sorted(numbers(ten(sampler=ds.SubsetRandomSampler([7, 8, 9])))) == [7, 8, 9]
    drawn = numbers(ten(sampler=ds.WeightedRandomSampler([0, 1, 0, 0, 1, 0, 0, 0, 0, 0], 50)))
    assert len(drawn) == 50
    assert set(drawn) <= {1, 4}
    assert set(numbers(ten(sampler=ds.RandomSampler(True, 200)))) == set(range(10))

    class Even(ds.Sampler):
        def __iter__(self):
            return iter(range(0, self.dataset_size, 2))

    assert numbers(ten(sampler=Even())) == [0, 2, 4, 6, 8]


def test_all_portions_together_hold_every_row():
    for given in ({"shuffle": False}, {"shuffle": True}):
        held = []
        for shard in range(3):
            ms.set_seed(5)
            held += numbers(ten(num_shards=3, shard_id=shard, **given))
        assert set(held) == set(range(10))


def test_batches_are_padded_and_mapped():
    rows = ds.GeneratorDataset(lambda: ((np.ones(i + 1, "f4"),) for i in range(4)), ["x"])
    assert [row[0].shape for row in rows.padded_batch(2, pad_info={"x": ([5], 7)})] == [(2, 5), (2, 5)]
    assert next(iter(rows.padded_batch(2, pad_info={"x": ([5], 7)})))[0].asnumpy().tolist()[0] == [1, 7, 7, 7, 7]
    assert [row[0].shape for row in rows.padded_batch(2)] == [(2, 2), (2, 4)]
    add = lambda column, info: ([v + 100 * info.get_batch_num() for v in column],)
    mapped = ten(shuffle=False).batch(5, per_batch_map=add, input_columns=["column_0"])
    assert [row[0].asnumpy().tolist() for row in mapped] == [[0, 1, 2, 3, 4], [105, 106, 107, 108, 109]]


UNKNOWN: Any = {"unknown": 1}
REFUSED = {
    "unknown argument": (TypeError, lambda: ten(unknown=1)),
    "unknown argument of batch": (TypeError, lambda: ten().batch(2, **UNKNOWN)),
    "unknown argument of map": (TypeError, lambda: ten().map(lambda v: v, **UNKNOWN)),
    "half a portion": (ValueError, lambda: ten(num_shards=2)),
    "no such portion": (ValueError, lambda: ten(num_shards=2, shard_id=2)),
    "sampler and shuffle": (ValueError, lambda: ten(sampler=[1], shuffle=True)),
    "rows that are not there": (ValueError, lambda: numbers(ten(sampler=[10]))),
    "a cache": (ValueError, lambda: ten().map(lambda v: v, cache=object())),
    "portions of a stream": (
        ValueError,
        lambda: ds.GeneratorDataset(lambda: iter([(1,)]), ["x"], num_shards=2, shard_id=0),
    ),
    "a level that is not there": (ValueError, lambda: ms.Model(nn.Dense(2, 2), amp_level="O9")),
    "an argument of Model": (ValueError, lambda: ms.Model(nn.Dense(2, 2), unknown=1)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refuses_what_it_cannot_honour(name):
    kind, call = REFUSED[name]
    with pytest.raises(kind):
        call()


def test_what_changes_nothing_is_told():
    net = nn.Dense(2, 2)
    with pytest.warns(UserWarning, match="amp_level='O2' computes in Float32 here"):
        ms.Model(net, amp_level="O2")
    with pytest.warns(UserWarning, match="grad_centralization changes nothing"):
        nn.Momentum([{"params": net.trainable_params(), "grad_centralization": True}], 0.1, 0.9)
