"""Layers, cells and samplers of gluon.contrib against MXNet 1.9.1."""

import hashlib
import zipfile

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.errors import EvergraphError
from evergraph.mxnet.gluon.contrib import cnn, data, rnn

# options; then the sum of the outputs and their shape, as MXNet 1.9.1 gave them
BENT = [
    ("DeformableConvolution", {}, 1.15, (2, 4, 5, 5)),
    ("DeformableConvolution", {"use_bias": False, "offset_use_bias": False, "strides": 2}, 0.76, (2, 4, 3, 3)),
    ("DeformableConvolution", {"activation": "relu", "num_deformable_group": 2, "in_channels": 4}, 25.35, (2, 4, 5, 5)),
    ("ModulatedDeformableConvolution", {}, 2.52, (2, 4, 5, 5)),
    ("ModulatedDeformableConvolution", {"use_bias": False, "offset_use_bias": False, "strides": 2}, 0.28, (2, 4, 3, 3)),
    (
        "ModulatedDeformableConvolution",
        {"activation": "relu", "num_deformable_group": 2, "in_channels": 4},
        25.64,
        (2, 4, 5, 5),
    ),
]
PROJECTED = [0.0856, -0.2296, 0.1241, -0.0059, -0.0223, 0.0953, 0.1029, -0.2062, 0.2002]
PROJECTED += [0.0053, -0.0125, 0.0446, -0.0405, 0.0776, 0.0198, 0.0102, 0.0071, -0.0370]

# SHA-256 of the unrolled graph's JSON, and the sum of the outputs' sizes, as MXNet 1.9.1 gave them
CONVOLVED = {
    "1RNN": ("851821577878eef6ca4b917ba2e7fbf9cd517af34df479d28c385a4fd1f2a544", 42.647),
    "1LSTM": ("c029dceb48be3b83ad0dab1cd83ab1a63fd60614bd32b99c3da034d378318ba4", 12.784),
    "1GRU": ("88b0b3f63dde66f213e34ae884aeab59c1afdc8254925f3fc6be081908fc6093", 20.051),
    "2RNN": ("5867e06f284a43bc2844e3f7187baef459646e32635fe58b6ae23cc2abeacc8d", 238.396),
    "2LSTM": ("11e4ccd7a16408e76036260406911e9340ec031dd2f9c8e4a73f7b505bd239f0", 60.022),
    "2GRU": ("b48c296ca919693c49e80f605548efa07717c035d08365acadb282c908b99d97", 104.206),
    "3RNN": ("0c767f42b02b57bc9c0db699732c63e30e5d2814049d97a7b5134acf6fe9bc4a", 1095.703),
    "3LSTM": ("5a5ebfe82d4bb48a997315a1c68ab4d2f80f2c6f1396927482a585c2bdf5480d", 264.739),
    "3GRU": ("1b7df00ea5ca90cdf01dc30afbb70d759672543f8575c002f439b4e2eaf29d0b", 521.235),
}


def fill(block, scale):
    for name, each in sorted(block.collect_params().items()):
        values = np.random.RandomState(sum(map(ord, name))).randn(*each.shape)
        each.set_data(mx.nd.array(values * scale))


@pytest.mark.parametrize(("kind", "options", "total", "shape"), BENT, ids=[f"{c[0]}-{i}" for i, c in enumerate(BENT)])
def test_bent_windows_give_the_releases_values(kind, options, total, shape):
    layer = getattr(cnn, kind)(4, kernel_size=(3, 3), prefix="d_", **options)
    layer.initialize()
    x = mx.nd.array(np.random.RandomState(0).randn(2, 4, 7, 7))
    layer(x)
    fill(layer, 0.1)
    found = layer(x)
    assert found.shape == shape
    assert float(found.asnumpy().sum()) == pytest.approx(total, abs=0.006)
    layer.hybridize()
    np.testing.assert_allclose(layer(x).asnumpy(), found.asnumpy(), rtol=1e-4, atol=1e-5)
    biased = {n.removeprefix("d_") for n in layer.collect_params() if n.endswith("bias")}
    assert biased == (set() if "use_bias" in options else {"deformable_conv_bias", "offset_bias"})


def test_bent_windows_are_shown_and_named_as_the_release_does():
    layer = cnn.DeformableConvolution(4, kernel_size=(3, 3), strides=2, use_bias=False, in_channels=4)
    assert repr(layer) == "DeformableConvolution(4 -> 4, kernel_size=(3, 3), stride=(2, 2), bias=False)"
    assert layer.prefix.startswith("deformable_conv")
    assert cnn.ModulatedDeformableConvolution(4).prefix.startswith("modulated_deformable_conv")


def inputs():
    return mx.nd.array(np.random.RandomState(0).randn(2, 3, 4))


def test_projected_memory_gives_the_releases_values():
    cell = rnn.LSTMPCell(5, 3, prefix="p_", input_size=4)
    cell.initialize()
    fill(cell, 0.3)
    outputs, states = cell.unroll(3, inputs(), merge_outputs=True)
    np.testing.assert_allclose(outputs.asnumpy().ravel(), PROJECTED, atol=6e-5)
    assert [s.shape for s in states] == [(2, 3), (2, 5)]
    assert repr(cell) == "LSTMPCell(4 -> 20 -> 3)"
    names = cell.unroll(1, mx.sym.var("d"), merge_outputs=True)[0].get_internals().list_outputs()
    assert {"p_t0_slice_output3", "p_t0_hidden_output", "p_t0_out_output", "p_h2r_weight"} <= set(names)


def dropped(*rates):
    base = mx.gluon.rnn.LSTMCell(5, prefix="l_", input_size=4)
    cell = rnn.VariationalDropoutCell(base, *rates)
    cell.initialize()
    fill(cell, 0.3)
    return cell


def test_one_dropout_serves_a_whole_sequence():
    cell = dropped(0.3, 0.3, 0.3)
    assert repr(cell) == "VariationalDropoutCell(p_out = 0.3, p_state = 0.3)"
    assert cell.prefix == "l_vardrop"
    plain = cell.unroll(3, inputs(), merge_outputs=True)[0]
    assert float(plain.asnumpy().sum()) == pytest.approx(4.8798, abs=1e-3)
    for rates in ((0.0, 0.5, 0.5), (0.5, 0.0, 0.5)):
        cell = dropped(*rates)
        patterns = set()
        for _ in range(4):
            with mx.autograd.record():
                outputs, _ = cell.unroll(3, inputs(), merge_outputs=True)
            left_out = outputs.asnumpy() == 0
            assert (left_out == left_out[:, :1]).all()
            patterns.add(left_out.tobytes())
        assert len(patterns) > 1
    assert len(dropped(0.5, 0.0, 0.5).unroll(3, inputs(), merge_outputs=False)[0]) == 3


def test_rejects_dropout_of_states_of_cells_in_both_directions():
    cells = [mx.gluon.rnn.LSTMCell(5) for _ in range(2)]
    with pytest.raises(AssertionError, match="doesn't support variational state dropout"):
        rnn.VariationalDropoutCell(mx.gluon.rnn.BidirectionalCell(*cells), 0, 0.5)


def test_samples_at_a_distance():
    assert list(data.IntervalSampler(7, 3)) == [0, 3, 6, 1, 4, 2, 5]
    assert list(data.IntervalSampler(7, 3, rollover=False)) == [0, 3, 6]
    with pytest.raises(AssertionError, match="must be <= length"):
        data.IntervalSampler(2, 3)


@pytest.mark.parametrize("name", CONVOLVED)
def test_cells_of_convolutions_have_the_releases_graphs_and_values(name):
    rank, kind, space = int(name[0]), f"Conv{name[0]}D{name[1:]}Cell", (6, 5, 4)[: int(name[0])]
    with mx.name.NameManager():
        cell = getattr(rnn, kind)((2, *space), 3, (3,) * rank, (3,) * rank, i2h_pad=(1,) * rank, prefix="c_")
        states = [mx.sym.var(f"s{i}") for i in range(len(cell.state_info()))]
        outputs, after = cell.unroll(2, [mx.sym.var("x0"), mx.sym.var("x1")], begin_state=states)
        text = mx.sym.Group([*outputs, *after]).tojson()
    graph, total = CONVOLVED[name]
    assert hashlib.sha256(text.encode()).hexdigest() == graph
    cell.initialize()
    fill(cell, 0.3)
    steps = [mx.nd.array(np.random.RandomState(i).randn(2, 2, *space)) for i in range(2)]
    outputs, _ = cell.unroll(2, steps)
    assert sum(np.abs(o.asnumpy()).sum() for o in outputs) == pytest.approx(total, rel=1e-4)


def test_cells_of_convolutions_are_shown_and_keep_their_states_size():
    cell = rnn.Conv2DLSTMCell((2, 6, 5), 3, 3, 3)
    assert repr(cell) == "Conv2DLSTMCell(2 -> 12, tanh, NCHW)"
    assert cell.state_info(2) == [{"shape": (2, 3, 4, 3), "__layout__": "NCHW"}] * 2
    assert cell.prefix.startswith("conv_lstm")
    with pytest.raises(AssertionError, match="Only support odd number"):
        rnn.Conv1DGRUCell((2, 6), 3, 3, 2)


WORDS = [
    "",
    " = Valkyria = ",
    "",
    " The cat sat on the mat . The dog <unk> sat ",
    " café naïve The end of it , and more words ",
]


@pytest.fixture
def wiki(tmp_path):
    text = " \n".join(WORDS * 2) + "\n"
    (tmp_path / "wiki.train.tokens").write_text(text, encoding="utf-8")
    (tmp_path / "wiki.valid.tokens").write_text(" \n".join(WORDS[3:]) + "\n", encoding="utf-8")
    return tmp_path


def test_reads_a_language_models_text_as_1_9_1_does(wiki):
    rows = data.text.WikiText2(str(wiki), seq_len=5)
    # recorded from MXNet 1.9.1
    assert rows.vocabulary.idx_to_token[:9] == ["<unk>", "<eos>", "The", "=", "sat", ",", ".", "Valkyria", "and"]
    assert rows.frequencies.most_common(3) == [("The", 6), ("=", 4), ("sat", 4)]
    assert [part.asnumpy().tolist() for part in rows[0]] == [[3, 7, 3, 1, 2], [7, 3, 1, 2, 10]]
    assert (len(rows), rows[0][0].dtype) == (10, np.int32)
    other = data.text.WikiText2(str(wiki), "validation", rows.vocabulary, 5)
    assert other.vocabulary is rows.vocabulary
    wanted = [[2, 10, 4, 18, 19], [14, 6, 2, 11, 0], [4, 1, 9, 16, 2], [12, 17, 13, 5, 8]]
    assert [row[0].asnumpy().tolist() for row in other] == wanted
    assert len(list(mx.gluon.data.DataLoader(rows, batch_size=4, last_batch="discard"))) == 2


def test_reads_the_published_archive(wiki):
    with zipfile.ZipFile(wiki / "wikitext-103-v1.zip", "w") as archive:
        archive.write(wiki / "wiki.valid.tokens", "wikitext-103/wiki.test.tokens")
    assert len(data.text.WikiText103(str(wiki), "test", seq_len=7)) == 3


def test_says_which_texts_are_missing_or_damaged(tmp_path):
    with pytest.raises(EvergraphError, match="are not downloaded") as caught:
        data.text.WikiText2(str(tmp_path), "test")
    assert "wiki.test.tokens" in str(caught.value)
    (tmp_path / "wikitext-2-v1.zip").write_bytes(b"PK")
    with pytest.raises(EvergraphError, match="archive cannot be read"):
        data.text.WikiText2(str(tmp_path))
    with pytest.raises(ValueError, match="unknown segment"):
        data.text.WikiText2(str(tmp_path), "valid")
