"""Gluon's recurrent cells: graphs (SHA-256 of their JSON), values, names and texts that MXNet 1.9.1 recorded."""

import hashlib
import json

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet.gluon import rnn
from tests.goldens import MXNET

RECORDED = json.loads((MXNET / "gluon-cells" / "1.9.1.json").read_text())
ARRAYS = np.load(MXNET / "gluon-cells" / "1.9.1.npz")
FORMS = {"None": None, "True": True, "False": False}


def row(*cells, kind="SequentialRNNCell"):
    found = getattr(rnn, kind)(prefix="s_")
    for each in cells:
        found.add(each)
    return found


def hrow(*cells):
    return row(*cells, kind="HybridSequentialRNNCell")


def made(name):
    return eval(RECORDED[name]["cell"], {"rnn": rnn, "row": row, "hrow": hrow})


@pytest.mark.parametrize("name", sorted(RECORDED))
def test_unrolls_into_the_releases_graphs(name):
    wrong = []
    for key, wanted in RECORDED[name]["graphs"].items():
        merge, layout, valid = key.split("-")
        with mx.name.NameManager():
            cell = made(name)
            length = mx.sym.var("valid") if valid == "True" else None
            outputs, states = cell.unroll(
                3, mx.sym.var("data"), layout=layout, merge_outputs=FORMS[merge], valid_length=length
            )
            listed = list(outputs) if isinstance(outputs, list) else [outputs]
            text = mx.sym.Group(listed + list(states)).tojson()
        if hashlib.sha256(text.encode()).hexdigest() != wanted:
            wrong.append(key)
    assert not wrong


@pytest.mark.parametrize("name", sorted(RECORDED))
@pytest.mark.parametrize("hybrid", [False, True])
def test_gives_the_releases_values(name, hybrid):
    cell, recorded = made(name), RECORDED[name]
    cell.initialize()
    x = mx.nd.array(ARRAYS[f"{name}:x"])
    cell.unroll(3, x)
    for key, each in cell.collect_params().items():
        each.set_data(mx.nd.array(ARRAYS[f"{name}:p:{key}"]))
    assert sorted(cell._collect_params_with_prefix()) == recorded["structure"]
    assert list(cell.collect_params()) == recorded["params"]
    assert repr(cell) == recorded["repr"]
    if hybrid:
        cell.hybridize()
    lengths = [None] if recorded.get("no_valid") else [None, mx.nd.array(ARRAYS[f"{name}:valid"])]
    for length, mark in zip(lengths, ("", "v"), strict=False):
        outputs, states = cell.unroll(3, x, merge_outputs=True, valid_length=length)
        np.testing.assert_allclose(outputs.asnumpy(), ARRAYS[f"{name}:{mark}o"], rtol=1e-5, atol=1e-6)
        for i, state in enumerate(states):
            np.testing.assert_allclose(state.asnumpy(), ARRAYS[f"{name}:{mark}s{i}"], rtol=1e-5, atol=1e-6)


def test_drops_and_keeps_by_chance_in_training_only():
    mx.random.seed(3)
    cell = rnn.ZoneoutCell(rnn.RNNCell(64, input_size=64), zoneout_outputs=0.5)
    cell.initialize(mx.init.Normal(1))
    x = mx.nd.ones((4, 2, 64))
    plain, _ = cell.unroll(2, x, merge_outputs=True)
    with mx.autograd.record():
        chosen, _ = cell.unroll(2, x, merge_outputs=True)
    changed = (plain.asnumpy()[:, 0] != chosen.asnumpy()[:, 0]).mean()
    assert 0.4 < changed < 0.6


def test_refuses_what_cells_cannot_do():
    both = rnn.BidirectionalCell(rnn.RNNCell(2), rnn.RNNCell(2))
    with pytest.raises(mx.MXNetError, match="cannot be stepped"):
        both(mx.nd.ones((1, 2)), [])
    with pytest.raises(AssertionError, match="zoneout"):
        rnn.ZoneoutCell(both)
    inner = rnn.RNNCell(2)
    rnn.ResidualCell(inner)
    with pytest.raises(AssertionError, match="modifier"):
        inner.begin_state(1)
    with pytest.raises(AssertionError, match="twice"):
        rnn.ResidualCell(inner)
    with pytest.raises(ValueError, match=r"(?s)length.*5.*3"):
        rnn.RNNCell(2).unroll(5, mx.nd.ones((1, 3, 2)))
