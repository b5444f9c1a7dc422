"""Recurrent layers beyond the recorded cases: dropout, projections, lengths and limits; attention in windows."""

import numpy as np
import pytest
import torch

from evergraph import ops
from evergraph.ops.families.nn.recurrence import clipped_lstm, packed
from evergraph.ops.families.nn.rnn import layer_weights, parameter_count
from evergraph.ops.run import Run

MODES = ("gru", "lstm", "rnn_relu", "rnn_tanh")


def rnn(mode, data, vector, states, training=False, run=None, **parameters):
    op = ops.get("RNN")
    p = op.parse({k: str(v) for k, v in ({"mode": mode, "state_outputs": True} | parameters).items()})
    return op.body(*op.arrange(p, [data, vector, *states]), **p, run=run or Run(training=training))


def layer(mode, layers=2, directions=2, inputs=3, hidden=4, time=5, batch=3):
    vector = torch.randn(parameter_count(mode, inputs, hidden, layers, directions)) * 0.4
    states = [torch.randn(layers * directions, batch, hidden) for _ in range(2 if mode == "lstm" else 1)]
    sizes = {"state_size": hidden, "num_layers": layers, "bidirectional": directions == 2}
    return torch.randn(time, batch, inputs), vector, states, sizes


def test_projection_is_that_of_torch_s_layer_with_the_same_weights():
    net = torch.nn.LSTM(3, 4, 2, proj_size=2)
    names = ["weight_ih_l{}", "weight_hh_l{}", "weight_hr_l{}"]
    weights = [getattr(net, n.format(i)).flatten() for i in range(2) for n in names]
    biases = [getattr(net, n.format(i)) for i in range(2) for n in ("bias_ih_l{}", "bias_hh_l{}")]
    vector = torch.cat(weights + biases).detach()
    assert len(vector) == parameter_count("lstm", 3, 4, 2, 1, 2)
    data, states = torch.randn(5, 2, 3), [torch.randn(2, 2, 2), torch.randn(2, 2, 4)]
    found = rnn("lstm", data, vector, states, state_size=4, num_layers=2, projection_size=2)
    out, (hidden, cell) = net(data, tuple(states))
    for got, want in zip(found, (out, hidden, cell), strict=True):
        assert torch.allclose(got, want.detach(), atol=1e-6)


def test_dropout_stands_between_layers_in_training_only():
    data, vector, states, sizes = layer("gru")
    plain = rnn("gru", data, vector, states, **sizes)[0]
    assert torch.equal(plain, rnn("gru", data, vector, states, p=0.5, **sizes)[0])
    assert not torch.allclose(plain, rnn("gru", data, vector, states, p=0.5, training=True, **sizes)[0])
    one = layer("gru", layers=1)
    assert torch.equal(rnn("gru", *one[:3], **one[3])[0], rnn("gru", *one[:3], p=0.5, training=True, **one[3])[0])


def test_certain_dropout_leaves_upper_layers_their_biases_alone():
    data, vector, states, sizes = layer("rnn_tanh", directions=1)
    out = rnn("rnn_tanh", data, vector, states, p=1.0, training=True, **sizes)[0]
    moved = rnn("rnn_tanh", data + 1, vector, states, p=1.0, training=True, **sizes)[0]
    assert torch.equal(out, moved)


@pytest.mark.parametrize("mode", MODES)
def test_lengths_give_each_sequence_what_it_gets_alone(mode):
    data, vector, states, sizes = layer(mode)
    lengths = torch.tensor([3, 5, 1])
    weights = layer_weights(vector, (mode, 3, 4, 2, 2, None))
    out, *finals = packed(mode, lengths, data, states, weights, 2)
    for i, length in enumerate(lengths.tolist()):
        alone = rnn(mode, data[:length, i : i + 1], vector, [s[:, i : i + 1] for s in states], **sizes)
        assert torch.allclose(out[:length, i], alone[0][:, 0], atol=1e-6)
        assert not out[length:, i].any()
        for final, want in zip(finals, alone[1:], strict=True):
            assert torch.allclose(final[:, i], want[:, 0], atol=1e-6)


def test_wide_limits_change_nothing_and_narrow_ones_hold_the_cell():
    data, vector, states, sizes = layer("lstm")
    weights = layer_weights(vector, ("lstm", 3, 4, 2, 2, None))
    want = rnn("lstm", data, vector, states, **sizes)
    found = clipped_lstm((-1e6, 1e6, False), None, data, states, weights, 2)
    for got, expected in zip(found, want, strict=True):
        assert torch.allclose(got, expected, atol=1e-5)
    _, _, cell = clipped_lstm((-0.1, 0.1, False), None, data, states, weights, 2)
    assert cell.abs().max() <= 0.1


def test_limits_and_lengths_together_stop_at_each_length():
    data, vector, states, _ = layer("lstm", layers=1)
    weights = layer_weights(vector, ("lstm", 3, 4, 1, 2, None))
    lengths = torch.tensor([3, 5, 1])
    found = clipped_lstm((-1e6, 1e6, True), lengths, data, states, weights, 2)
    for got, want in zip(found, packed("lstm", lengths, data, states, weights, 2), strict=True):
        assert torch.allclose(got, want, atol=1e-5)


def naive_window(query, key, dilation, w, symmetric):
    n, time, heads, _ = query.shape
    width = 2 * w + 1 if symmetric else w + 1
    score, mask = np.zeros((n, time, heads, width), "f4"), np.zeros((time, heads, width), "f4")
    for t in range(time):
        for h in range(heads):
            for j in range(width):
                place = t + (j - w) * int(dilation[h])
                if 0 <= place < time:
                    mask[t, h, j] = 1
                    score[:, t, h, j] = (query[:, t, h] * key[:, place, h]).sum(-1)
    return score, mask


@pytest.mark.parametrize("symmetric", [True, False])
def test_windows_of_attention_reach_their_neighbours(symmetric):
    rng = np.random.default_rng(0)
    query, key = rng.normal(size=(2, 2, 7, 3, 4)).astype("f4")
    dilation = np.array([1, 2, 3], "i4")
    score, mask = naive_window(query, key, dilation, 2, symmetric)
    tensors = [torch.from_numpy(v) for v in (query, key, dilation)]
    options = {"w": 2, "symmetric": symmetric}
    got = ops.get("_contrib_sldwin_atten_score")(*tensors, **options)
    assert np.allclose(got, score, atol=1e-5)
    lengths = torch.full((2,), 7, dtype=torch.int32)
    inside = ops.get("_contrib_sldwin_atten_mask_like")(got, tensors[2], lengths, **options)
    assert np.array_equal(inside[0], mask)
    context = ops.get("_contrib_sldwin_atten_context")(got, tensors[1], tensors[2], **options)
    steps = np.arange(score.shape[3]) - 2
    places = np.arange(7)[:, None, None] + dilation[:, None] * steps
    values = key[:, places.clip(0, 6), np.arange(3)[:, None]] * mask[..., None]
    assert np.allclose(context, (score[..., None] * values).sum(3), atol=1e-4)


def test_masks_of_attention_end_with_each_sequence():
    score = torch.zeros(2, 4, 1, 3)
    lengths = torch.tensor([4, 2], dtype=torch.int32)
    mask = ops.get("_contrib_sldwin_atten_mask_like")(
        score, torch.ones(1, dtype=torch.int32), lengths, w=1, symmetric=True
    )
    assert mask[1, :, 0].tolist() == [[0, 1, 1], [1, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_masked_softmax_knows_only_what_the_mask_shows():
    data, mask = torch.randn(2, 3, 4), torch.tensor([True, True, False, True])
    soft = ops.get("masked_softmax")(data, mask.reshape(1, 1, 4))
    assert torch.allclose(soft[..., mask], torch.softmax(data[..., mask], -1))
    assert not soft[..., 2].any()
    logs = ops.get("_npx_masked_log_softmax")(data, mask.reshape(1, 1, 4), temperature=2.0)
    assert torch.allclose(logs[..., mask], torch.log_softmax(data[..., mask] / 2, -1), atol=1e-6)
    assert torch.isneginf(logs[..., 2]).all()
    assert not ops.get("masked_softmax")(data, torch.zeros(1, 1, 4)).any()
