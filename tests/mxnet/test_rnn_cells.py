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
}


@pytest.mark.filterwarnings("ignore:layout NTC")
@pytest.mark.parametrize("name", RECORDED["graphs"])
def test_unrolls_the_graph_of_mxnet(name):
    cell, layout, merge = name.split()
    merged = {"None": None, "True": True, "False": False}[merge]
    with mx.name.NameManager():
        outputs, states = CELLS[cell]().unroll(3, mx.sym.Variable("data"), layout=layout, merge_outputs=merged)
    heads = list(outputs) if isinstance(outputs, list) else [outputs]
    for state in states:
        heads += state if isinstance(state, list) else [state]
    graph = json.loads(mx.sym.Group(heads).tojson())
    nodes = [[n["op"], n["name"], n.get("attrs", {}), n["inputs"]] for n in graph["nodes"]]
    digest = hashlib.sha256(json.dumps([nodes, graph["heads"]], sort_keys=True).encode()).hexdigest()[:16]
    assert digest == RECORDED["graphs"][name]


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
        lambda: rnn.DropoutCell("much"),
        lambda: rnn.FusedRNNCell(5).unpack_weights({"lstm_parameters": mx.nd.zeros((211,))}),
    ],
)
def test_rejects_what_a_cell_cannot_do(call):
    with pytest.raises(mx.MXNetError) as caught:
        call()
    assert isinstance(caught.value, AssertionError)
