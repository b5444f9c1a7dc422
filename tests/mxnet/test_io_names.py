"""The modules' old names lead to the same objects."""

import importlib

import pytest

import evergraph.mxnet as mx

NAMES = {
    "io.io": ("io", "NDArrayIter DataDesc DataBatch DataIter PrefetchingIter ResizeIter"),
    "image.image": ("image", "imdecode imresize Augmenter CreateAugmenter"),
    "rnn.rnn_cell": ("rnn", "LSTMCell FusedRNNCell BidirectionalCell"),
    "rnn.rnn": ("rnn", "save_rnn_checkpoint do_rnn_checkpoint"),
    "rnn.io": ("rnn", "BucketSentenceIter encode_sentences"),
}


@pytest.mark.parametrize("name", NAMES)
def test_finds_the_same_objects_by_a_modules_old_name(name):
    package, members = NAMES[name]
    old = importlib.import_module(f"evergraph.mxnet.{name}")
    assert getattr(getattr(mx, package), name.partition(".")[2]) is old
    for member in members.split():
        assert getattr(old, member) is getattr(getattr(mx, package), member)


def test_names_arrays_as_the_utilities_did():
    assert [n for n, _ in mx.io.utils._init_data({"b": [1.0], "a": [2.0]}, False, "data")] == ["a", "b"]
