"""Weights that are read from a file are let go as they are lowered: a network's memory is that of one set of them."""

import weakref

import pytest
import torch

from evergraph.engine import predictor
from evergraph.engine.lowering import FUSING, batches, onednn, scaling
from tests.engine.graphs import chain, seeded

LAYERS = chain(
    ("Convolution", "conv", "data conv_weight conv_bias", {"kernel": (3, 3), "num_filter": 4, "pad": (1, 1)}),
    ("BatchNorm", "bn", "conv bn_gamma bn_beta bn_moving_mean bn_moving_var"),
    ("Activation", "relu", "bn", {"act_type": "relu"}),
    ("Convolution", "last", "relu last_weight", {"kernel": (1, 1), "num_filter": 3, "no_bias": True}),
    ("_mul_scalar", "out", "last", {"scalar": 0.5}),
)
SHAPES = {"data": (4, 2, 8, 8), "conv_weight": (4, 2, 3, 3), "conv_bias": (4,), "last_weight": (3, 4, 1, 1)}
SHAPES |= dict.fromkeys(("bn_gamma", "bn_beta", "bn_moving_mean", "bn_moving_var"), (4,))


class Filed:
    """What is read anew each time that it is asked for, as a file's tensors are."""

    def __init__(self, values):
        self._values, self._read = values.numpy(), []

    def torch(self):
        found = self._values.copy()
        self._read.append(weakref.ref(found))
        return torch.from_numpy(found)

    def held(self):
        return any(r() is not None for r in self._read)


def filed(graph, shapes):
    values = seeded(graph, shapes)
    return {n: Filed(v) for n, v in values.items() if n != "data"}, [values["data"]]


def held(tensors):
    return sorted(n for n, t in tensors.items() if t.held() and n.endswith(("weight", "parameters")))


@pytest.mark.parametrize("most", [1 << 25, 1024], ids=["whole", "in pieces"])
def test_a_weight_goes_as_soon_as_its_folded_form_is_there(most, monkeypatch):
    tensors, given = filed(LAYERS, SHAPES)
    seen, fold, fuse = [], scaling._folded, FUSING["layers"]
    monkeypatch.setattr(batches, "_LARGEST", most)
    monkeypatch.setattr(scaling, "_folded", lambda *layer: seen.append(held(tensors)) or fold(*layer))
    monkeypatch.setitem(FUSING, "layers", lambda program: seen.append(held(tensors)) or fuse(program))
    predict = predictor(LAYERS, tensors, engine="torch")
    predict.run(given)
    assert seen == [["conv_weight", "last_weight"], ["last_weight"], []] + [[]] * (most == 1024)


@pytest.mark.skipif(onednn.recurrent() is None, reason="this PyTorch packs no recurrent weights")
def test_packed_recurrent_layers_hold_nothing_of_the_vector_of_all_parameters():
    size, inputs = 8, 5
    graph = chain(
        ("RNN", "lstm", "data lstm_parameters state cell", {"mode": "lstm", "state_size": size, "num_layers": 1}),
    )
    count = 4 * size * (inputs + size + 2)
    state = (1, 2, size)
    shapes = {"data": (3, 2, inputs), "lstm_parameters": (count,), "state": state, "cell": state}
    tensors, given = filed(graph, shapes)
    predict = predictor(graph, tensors, engine="torch")
    predict.run(given)
    assert held(tensors) == []
