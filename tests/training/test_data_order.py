"""Where iterators stand: told, and gone back to by an iterator of another process."""

import io
import random

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet.io.positions import differences, move, position
from evergraph.mxnet.ndarray.pickling import to_tensor
from evergraph.saving.background import Snapshot
from evergraph.saving.values import Packer, Stored, unpack

ROWS = np.random.default_rng(0).normal(size=(10, 3)).astype("f")


@pytest.fixture
def files(tmp_path):
    from PIL import Image

    np.savetxt(tmp_path / "rows.csv", ROWS, delimiter=",")
    np.savetxt(tmp_path / "labels.csv", np.arange(10), delimiter=",")
    (tmp_path / "rows.libsvm").write_text("".join(f"{i} {i % 4}:{i}.5\n" for i in range(10)))
    (tmp_path / "images").write_bytes(b"\0\0\x08\x03" + np.array([10, 4, 4], ">i4").tobytes() + bytes(range(160)))
    (tmp_path / "labels").write_bytes(b"\0\0\x08\x01" + np.array([10], ">i4").tobytes() + bytes(range(10)))
    with_index = mx.recordio.MXIndexedRecordIO(str(tmp_path / "a.idx"), str(tmp_path / "a.rec"), "w")
    for i in range(10):
        held = io.BytesIO()
        Image.fromarray(np.random.default_rng(i).integers(0, 255, (12, 12, 3), np.uint8)).save(held, "png")
        with_index.write_idx(i, mx.recordio.pack(mx.recordio.IRHeader(0, float(i), i, 0), held.getvalue()))
    with_index.close()
    return tmp_path


def pictures(folder, threads=2, **options):
    found = {"path_imgrec": str(folder / "a.rec"), "data_shape": (3, 8, 8), "batch_size": 3}
    return mx.io.ImageRecordIter(
        **found, preprocess_threads=threads, shuffle=True, rand_crop=True, rand_mirror=True, seed=5, **options
    )


def arrays(handling="pad", **options):
    return mx.io.NDArrayIter(ROWS, np.arange(10), 4, shuffle=True, last_batch_handle=handling, **options)


SENTENCES = [[i] * (2 + i % 3) for i in range(1, 25)]
MAKERS = {
    "arrays-pad": lambda _: arrays(),
    "arrays-discard": lambda _: arrays("discard"),
    "arrays-roll-over": lambda _: arrays("roll_over"),
    "arrays-named": lambda _: mx.io.NDArrayIter({"a": ROWS, "b": ROWS * 2}, None, 3, shuffle=True),
    "csv": lambda f: mx.io.CSVIter(str(f / "rows.csv"), (3,), 4, str(f / "labels.csv")),
    "csv-not-round": lambda f: mx.io.CSVIter(str(f / "rows.csv"), (3,), 4, str(f / "labels.csv"), round_batch=False),
    "libsvm": lambda f: mx.io.LibSVMIter(str(f / "rows.libsvm"), (4,), 4),
    "digits": lambda f: mx.io.MNISTIter(str(f / "images"), str(f / "labels"), 3, seed=2),
    "records": lambda f: pictures(f, 1),
    "records-by-workers": lambda f: pictures(f, 2),
    "records-not-round": lambda f: pictures(f, 1, round_batch=False),
    "image-list": lambda f: mx.image.ImageIter(
        3, (3, 8, 8), path_imgrec=str(f / "a.rec"), shuffle=True, rand_crop=True
    ),
    "resized": lambda _: mx.io.ResizeIter(arrays(), 7),
    "fetched-ahead": lambda _: mx.io.PrefetchingIter(arrays()),
    "two-fetched-ahead": lambda _: mx.io.PrefetchingIter([arrays(), mx.io.NDArrayIter(ROWS, None, 4, data_name="b")]),
    "sentences": lambda _: mx.rnn.BucketSentenceIter(SENTENCES, 2, buckets=[2, 3, 4]),
}


def seed(number):
    random.seed(number)
    np.random.seed(number)


def values(batch):
    return [x.asnumpy() for x in (*batch.data, *(batch.label or ()))], batch.pad


def following(iterator, epochs=3):
    """The rest of this epoch and the next ones."""
    found = []
    for _ in range(epochs):
        found += [values(b) for b in iterator]
        iterator.reset()
    return found


def carried(state):
    """A position as another process reads it."""
    packer = Packer(lambda v: Stored(to_tensor(v), "nd") if isinstance(v, mx.nd.NDArray) else None)
    tree = packer.pack(state, "data")
    assert not packer.unknown

    def back(value):
        if isinstance(value, Stored):
            return mx.nd.array(value.tensor.numpy()) if value.kind == "nd" else value.tensor.numpy()
        if isinstance(value, dict):
            return {k: back(v) for k, v in value.items()}
        return type(value)(back(v) for v in value) if isinstance(value, (list, tuple)) else value

    return back(unpack(tree, Snapshot().take(packer.tensors)))


# starting workers takes seconds
CASES = [(name, taken) for name in MAKERS for taken in (0, 2, 5) if taken == 2 or name != "records-by-workers"]


@pytest.mark.parametrize(("name", "taken"), CASES)
def test_an_iterator_of_another_process_goes_on_from_there(files, name, taken):
    seed(1)
    first = MAKERS[name](files)
    for _ in range(taken):
        try:
            first.next()
        except StopIteration:
            first.reset()
    state = position(first)
    kept = carried(state)
    seed(2)
    wanted = following(first)
    seed(3)
    second = MAKERS[name](files)
    second.next()
    assert differences(second, kept) == []
    move(second, kept)
    seed(2)
    found = following(second)
    assert len(found) == len(wanted) > 2
    for (mine, pad), (theirs, other) in zip(found, wanted, strict=True):
        assert pad == other
        for a, b in zip(mine, theirs, strict=True):
            np.testing.assert_array_equal(a, b)


def test_rejects_a_position_of_other_data():
    state = carried(position(arrays()))
    other = mx.io.NDArrayIter(np.zeros((11, 3), "f"), np.zeros(11), 5, shuffle=True)
    found = differences(other, state)
    assert len(found) == 2
    assert "number of examples: 11, and 10 in the state" in found[0]
    assert "batch_size: 5, and 4 in the state" in found[1]
    assert differences(mx.io.ResizeIter(arrays(), 3), state) == [
        "the data comes from ResizeIter, and came from NDArrayIter"
    ]
    inside = carried(position(mx.io.ResizeIter(arrays(), 3)))
    assert "number of examples" in differences(mx.io.ResizeIter(other, 3), inside)[0]


class OwnWay(mx.io.NDArrayIter):
    def next(self):
        return super().next()


class Tells(mx.io.DataIter):
    at = 0

    def state_dict(self):
        return {"at": self.at}

    def load_state_dict(self, state):
        self.at = state["at"]


def test_an_iterator_that_goes_its_own_way_tells_nothing_unless_it_says_how():
    assert position(OwnWay(ROWS)) is None
    assert position(mx.io.ResizeIter(OwnWay(ROWS), 3)) is None
    assert position(iter([])) is None
    teller, other = Tells(), Tells()
    teller.at = 5
    move(other, position(teller))
    assert other.at == 5


def test_orders_are_those_that_the_same_seeds_gave_before():
    seed(4)
    found = mx.rnn.BucketSentenceIter(SENTENCES, 2, buckets=[2, 3, 4])
    seed(4)
    order = [(i, j) for i, rows in enumerate(found.data) for j in range(0, len(rows) - 1, 2)]
    random.shuffle(order)
    rows = [np.array([s for s in SENTENCES if len(s) == n]) for n in (2, 3, 4)]
    for each in rows:
        np.random.shuffle(each)
    assert order == found.idx
    for mine, theirs in zip(found.data, rows, strict=True):
        np.testing.assert_array_equal(mine, theirs)
