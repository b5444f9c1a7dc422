"""Iterators over arrays: the batches that MXNet 1.9.1 gave for the same data and seed."""

import json
from pathlib import Path

import numpy as np
import pytest

import evergraph.mxnet as mx

RECORDED = json.loads((Path(__file__).parents[1] / "data/mxnet/recorded/io_arrays.json").read_text())


def _iterator(name):
    """The iterator that a recording's name describes: its handling, examples, batch size and order."""
    n, size, handle, shuffle, label = 7, 3, "pad", True, True
    kind = name
    if name[:3] in ("pad", "dis", "rol"):
        kind, (handle, n, size, shuffle) = "np", name.split()
        n, size, shuffle = int(n), int(size), shuffle == "True"
    elif name.endswith("roll"):
        kind, handle, label = name[:-4], "roll_over", False
    elif name == "csr0":
        kind, handle, shuffle = "csr", "discard", False
    x = np.arange(n * 2).reshape(n, 2).astype("float32")
    data = {"np": x, "list": [x, x + 1], "dict": {"b": x, "a": x * 2}}
    data |= {"csr": mx.nd.array(x).tostype("csr"), "i": mx.nd.array(x, dtype="int32")}
    y = np.arange(n).astype("float32") if label else None
    np.random.seed(7)
    return mx.io.NDArrayIter(data[kind], y, size, shuffle, handle)


@pytest.mark.parametrize("name", RECORDED)
def test_gives_the_batches_of_mxnet_in_three_epochs(name):
    batches = _iterator(name)
    found = []
    for _ in range(3):
        found.append(
            [
                [[d.asnumpy().tolist() for d in part] for part in (b.data, b.label)] + [b.pad, str(b.data[0].dtype)]
                for b in batches
            ]
        )
        batches.reset()
    assert found == RECORDED[name]


def test_describes_batches():
    batches = mx.io.NDArrayIter({"b": np.zeros((4, 3)), "a": np.zeros((4, 2, 5))}, batch_size=2, layout="NTC")
    assert batches.provide_data == [("a", (2, 2, 5)), ("b", (2, 3))]
    assert [d.layout for d in batches.provide_data] == ["NTC", "NTC"]
    assert batches.provide_label == []


@pytest.mark.parametrize("data", [None, [], "text", {"a": object()}])
def test_rejects_what_is_no_array(data):
    with pytest.raises(mx.MXNetError) as caught:
        mx.io.NDArrayIter(data)
    assert isinstance(caught.value, (TypeError, AssertionError))


def test_rejects_padding_of_sparse_arrays():
    with pytest.raises(NotImplementedError, match="discard"):
        mx.io.NDArrayIter(mx.nd.ones((4, 2)).tostype("csr"), batch_size=3)


def test_rejects_a_batch_of_a_bare_array():
    with pytest.raises(AssertionError, match="label"):
        mx.io.DataBatch([mx.nd.ones((2,))], label=mx.nd.ones((2,)))


def test_resized_epochs_go_around_the_end():
    inner = mx.io.NDArrayIter(np.arange(4), batch_size=2)
    resized = mx.io.ResizeIter(inner, 3)
    firsts = [b.data[0].asnumpy()[0] for b in resized]
    assert firsts == [0, 2, 0]
    resized.reset()
    assert [b.data[0].asnumpy()[0] for b in resized] == [0, 2, 0]


def test_prefetched_batches_are_joined_and_renamed():
    sources = [mx.io.NDArrayIter({"data": np.arange(5) + i}, np.arange(5), 2) for i in (0, 10)]
    ahead = mx.io.PrefetchingIter(sources, [{"data": "left"}, {"data": "right"}])
    assert [d.name for d in ahead.provide_data] == ["left", "right"]
    for _ in range(2):
        found = [([d.asnumpy().tolist() for d in b.data], b.pad, len(b.label)) for b in ahead]
        assert found == [([[0, 1], [10, 11]], 0, 2), ([[2, 3], [12, 13]], 0, 2), ([[4, 0], [14, 10]], 1, 2)]
        ahead.reset()


def test_prefetching_raises_what_its_iterator_raised():
    class Broken(mx.io.NDArrayIter):
        def next(self):
            raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk"):
        mx.io.PrefetchingIter(Broken(np.zeros(4), batch_size=2)).next()


def test_prefetching_rejects_iterators_of_different_lengths():
    ahead = mx.io.PrefetchingIter([mx.io.NDArrayIter(np.zeros(n), batch_size=2) for n in (2, 4)])
    ahead.next()
    with pytest.raises(AssertionError, match="different numbers"):
        ahead.next()


def test_refuses_labels_of_fewer_examples():
    with pytest.raises(mx.MXNetError, match="extra: 3 examples") as caught:
        mx.io.NDArrayIter(np.ones((5, 2)), {"extra": np.ones(3), "label": np.ones(4), "whole": np.ones(5)}, 2)
    assert "label: 4 examples" in str(caught.value)
    assert "whole" not in str(caught.value)
