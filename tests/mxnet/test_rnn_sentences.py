"""Sentences in buckets, as MXNet 1.9.1 batched them (by digest), and checkpoints of recurrent networks."""

import hashlib
import json
import random

import numpy as np
import pytest

import evergraph.mxnet as mx


def test_batches_sentences_as_mxnet(capsys):
    rng = random.Random(2)
    words = [[f"w{rng.randrange(9)}" for _ in range(rng.randrange(1, 8))] for _ in range(30)]
    coded, known = mx.rnn.encode_sentences(words, start_label=1, invalid_label=3)
    found = [[coded, sorted(known.items())]]
    for options in ({}, {"buckets": [7, 4], "layout": "TN", "invalid_label": 0, "dtype": "int32"}):
        random.seed(1)
        np.random.seed(1)
        batches = mx.rnn.BucketSentenceIter(coded, 3, **options)
        found.append([list(map(list, batches.provide_data)), batches.default_bucket_key])
        for _ in range(2):
            found.append([[b.data[0].asnumpy().tolist(), b.label[0].asnumpy().tolist(), b.bucket_key] for b in batches])
            batches.reset()
    # of the batches that MXNet 1.9.1 gave
    digest = hashlib.sha256(json.dumps(found).encode()).hexdigest()
    assert digest == "166d23ac90b40bdaf3b1244975a3a7a58f364827f3ffde09b4cf49346743afd6"
    assert "discarded 0 sentences" in capsys.readouterr().out


def test_rejects_a_token_that_the_vocabulary_lacks():
    with pytest.raises(AssertionError, match="vocabulary"):
        mx.rnn.encode_sentences([["b"]], vocab={"a": 0})


def test_a_checkpoint_of_a_fused_cell_loads_into_plain_ones(tmp_path):
    fused = mx.rnn.FusedRNNCell(4, 1, "lstm", prefix="n_")
    outputs, _ = fused.unroll(2, mx.sym.Variable("data"), layout="TNC", merge_outputs=True)
    weights = {"n_parameters": mx.nd.arange(4 * 4 * (3 + 4 + 2))}
    mx.rnn.do_rnn_checkpoint(fused, str(tmp_path / "m"))(0, outputs, weights, {})
    _, plain, _ = mx.rnn.load_rnn_checkpoint(fused.unfuse(), str(tmp_path / "m"), 1)
    assert plain["n_l0_i2h_weight"].shape == (16, 3)
    _, again, _ = mx.rnn.load_rnn_checkpoint(fused, str(tmp_path / "m"), 1)
    assert np.array_equal(again["n_parameters"].asnumpy(), weights["n_parameters"].asnumpy())
