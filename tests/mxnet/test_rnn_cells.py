"""Recurrent cells: the graphs that MXNet 1.9.1 unrolled (by digest), and how it cuts packed weights."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet import rnn

RECORDED = json.loads((Path(__file__).parents[1] / "data/mxnet/recorded/rnn_cells.json").read_text())


def _stacked(*cells):
    stack = rnn.SequentialRNNCell()
    for cell in cells:
        stack.add(cell)
    return stack


IMAGES = (2, 3, 6, 5)

CELLS = {
    "rnn": lambda: rnn.RNNCell(5, activation="relu"),
    "lstm": lambda: rnn.LSTMCell(5, forget_bias=2.0),
    "gru": lambda: rnn.GRUCell(5, prefix="g_"),
    "stack": lambda: _stacked(
        rnn.LSTMCell(5, prefix="a_"), rnn.DropoutCell(0.3), rnn.ResidualCell(rnn.GRUCell(5, prefix="b_"))
    ),
    "zone": lambda: rnn.ZoneoutCell(rnn.LSTMCell(5), 0.2, 0.3),
    "bi": lambda: rnn.BidirectionalCell(rnn.LSTMCell(5, prefix="l_"), rnn.GRUCell(5, prefix="r_")),
    "fused": lambda: rnn.FusedRNNCell(5, 2, "lstm", bidirectional=True, dropout=0.2, get_next_state=True),
    "fusedgru": lambda: rnn.FusedRNNCell(5, 1, "gru"),
    "unfused": lambda: rnn.FusedRNNCell(5, 2, "lstm", bidirectional=True, dropout=0.2).unfuse(),
    "unfusedrelu": lambda: rnn.FusedRNNCell(5, 2, "rnn_relu", dropout=0.2).unfuse(),
    "convrnn": lambda: rnn.ConvRNNCell(IMAGES, 4),
    "convlstm": lambda: rnn.ConvLSTMCell(
        IMAGES, 4, h2h_kernel=(3, 5), h2h_dilate=(2, 1), i2h_stride=(2, 1), activation="tanh"
    ),
    "convgru": lambda: rnn.ConvGRUCell(IMAGES, 4, activation="relu", i2h_kernel=(5, 3), i2h_pad=(2, 1), prefix="q_"),
}


def _group(outputs, states):
    heads = list(outputs) if isinstance(outputs, list) else [outputs]
    for state in states:
        heads += state if isinstance(state, list) else [state]
    return mx.sym.Group(heads)


@pytest.mark.filterwarnings("ignore:layout NTC")
@pytest.mark.parametrize("name", RECORDED["graphs"])
def test_unrolls_the_graph_of_mxnet(name):
    cell, layout, merge = name.split()
    merged = {"None": None, "True": True, "False": False}[merge]
    with mx.name.NameManager():
        outputs, states = CELLS[cell]().unroll(3, mx.sym.Variable("data"), layout=layout, merge_outputs=merged)
    graph = json.loads(_group(outputs, states).tojson())
    nodes = [[n["op"], n["name"], n.get("attrs", {}), n["inputs"]] for n in graph["nodes"]]
    digest = hashlib.sha256(json.dumps([nodes, graph["heads"]], sort_keys=True).encode()).hexdigest()[:16]
    assert digest == RECORDED["graphs"][name]


@pytest.mark.filterwarnings("ignore:layout NTC")
@pytest.mark.parametrize("name", RECORDED["values"])
def test_gives_the_outputs_and_states_of_mxnet(name):
    layout, shape = ("NTCHW", (2, 3, *IMAGES[1:])) if name.startswith("conv") else ("NTC", (2, 3, 5))
    net = _group(*CELLS[name]().unroll(3, mx.sym.Variable("data"), layout=layout, merge_outputs=True))
    sizes = zip(net.list_arguments(), net.infer_shape(data=shape)[0], strict=True)
    args = {k: mx.nd.array(np.random.RandomState(len(k)).rand(*s) - 0.5) for k, s in sizes}
    for found, (size, first, total) in zip(net.bind(mx.cpu(), args).forward(), RECORDED["values"][name], strict=True):
        assert list(found.shape) == size
        np.testing.assert_allclose(found.asnumpy().ravel()[:12], first, atol=2e-6)
        np.testing.assert_allclose(np.abs(found.asnumpy()).sum(), total, rtol=1e-5, atol=1e-4)


def test_cells_of_convolutions_keep_their_gates_apart():
    cell = rnn.ConvLSTMCell(IMAGES, 4, h2h_kernel=(1, 1))
    assert cell.state_shape == [(0, 4, 6, 5)] * 2
    parts = cell.unpack_weights(
        {f"ConvLSTM_{k}": mx.nd.ones(s) for k, s in (("i2h_weight", (16, 3, 3, 3)), ("h2h_weight", (16, 4, 1, 1)))}
        | {f"ConvLSTM_{k}_bias": mx.nd.arange(16) for k in ("i2h", "h2h")}
    )
    assert parts["ConvLSTM_i2h_c_bias"].asnumpy().tolist() == [8, 9, 10, 11]
    assert cell.pack_weights(parts)["ConvLSTM_h2h_weight"].shape == (16, 4, 1, 1)


@pytest.mark.parametrize(("mode", "size"), [("lstm", 1080), ("gru", 810)])
def test_cuts_and_joins_packed_weights_as_mxnet(mode, size):
    cell = rnn.FusedRNNCell(5, 2, mode, bidirectional=True)
    parts = cell.unpack_weights({f"{mode}_parameters": mx.nd.arange(size)})
    found = {k: [list(v.shape), float(v.reshape(-1)[0].asscalar())] for k, v in parts.items()}
    assert found == RECORDED["unpacked"][mode]
    assert np.array_equal(cell.pack_weights(parts)[f"{mode}_parameters"].asnumpy(), np.arange(size))
    stack = cell.unfuse()
    plain = stack.pack_weights(parts)
    assert all(np.array_equal(stack.unpack_weights(plain)[k].asnumpy(), v.asnumpy()) for k, v in parts.items())


@pytest.mark.parametrize(
    "call",
    [
        lambda: rnn.LSTMCell(5).unroll(3, None),
        lambda: rnn.LSTMCell(5).unroll(3, [mx.sym.Variable("a")]),
        lambda: rnn.FusedRNNCell(5)(mx.sym.Variable("a"), []),
        lambda: rnn.ZoneoutCell(rnn.FusedRNNCell(5), 0.1),
        lambda: rnn.ResidualCell(rnn.GRUCell(5)).base_cell.begin_state(mx.sym.zeros),
        lambda: rnn.DropoutCell(dropout="much"),  # type: ignore[arg-type]
        lambda: rnn.ConvRNNCell(IMAGES, 4, h2h_kernel=(2, 3)),
        lambda: rnn.FusedRNNCell(5).unpack_weights({"lstm_parameters": mx.nd.zeros((211,))}),
    ],
)
def test_rejects_what_a_cell_cannot_do(call):
    with pytest.raises(mx.MXNetError) as caught:
        call()
    assert isinstance(caught.value, AssertionError)
