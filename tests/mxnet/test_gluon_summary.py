"""What gluon tells of a network: its table of layers, its structure on disk, its operators' outputs; as MXNet 1.9.1."""

import json

import numpy as np
import pytest

import evergraph.mxnet as mx
from evergraph.mxnet import gluon
from evergraph.mxnet.gluon import nn

TABLE = """\
--------------------------------------------------------------------------------
        Layer (type)                                Output Shape         Param #
================================================================================
               Input                                (2, 3, 8, 8)               0
        Activation-1                   <Symbol n_conv0_relu_fwd>               0
        Activation-2                                (2, 4, 6, 6)               0
            Conv2D-3                                (2, 4, 6, 6)             112
         BatchNorm-4                                (2, 4, 6, 6)              16
         MaxPool2D-5                                (2, 4, 3, 3)               0
           Flatten-6                                     (2, 36)               0
             Dense-7                                      (2, 5)             185
           Dropout-8                                      (2, 5)               0
             Dense-9                                      (2, 5)              30
================================================================================
Parameters in forward computation graph, duplicate included
   Total params: 343
   Trainable params: 335
   Non-trainable params: 8
Shared params in forward computation graph: 0
Unique parameters in model: 343
--------------------------------------------------------------------------------
"""
STRUCTURE = (
    '{"hybridsequential0": {"orig_name": "n", "hybridized": false, "children": {"n_conv0": "0", "n_batchnorm0": "1", '
    '"n_pool0": "2", "n_flatten0": "3", "n_dense0": "4", "n_dropout0": "5", "n_dense1": "6"}, "conv2d1": {"orig_name":'
    ' "n_conv0", "hybridized": false, "children": {"n_conv0_relu": "act"}, "activation2": {"orig_name": "n_conv0_relu"'
    ', "hybridized": false, "children": {}}}, "batchnorm3": {"orig_name": "n_batchnorm0", "hybridized": false, '
    '"children": {}}, "maxpool2d4": {"orig_name": "n_pool0", "hybridized": false, "children": {}}, "flatten5": '
    '{"orig_name": "n_flatten0", "hybridized": false, "children": {}}, "dense6": {"orig_name": "n_dense0", '
    '"hybridized": false, "children": {}}, "dropout7": {"orig_name": "n_dropout0", "hybridized": false, "children": {}'
    '}, "dense8": {"orig_name": "n_dense1", "hybridized": false, "children": {}}}}'
)


def network():
    net = nn.HybridSequential(prefix="n_")
    with net.name_scope():
        net.add(nn.Conv2D(4, 3, activation="relu"), nn.BatchNorm(), nn.MaxPool2D(), nn.Flatten(), nn.Dense(5))
        net.add(nn.Dropout(0.5), nn.Dense(5))
    return net


class Shared(gluon.Block):
    def __init__(self):
        super().__init__(prefix="blk_")
        with self.name_scope():
            self.a = nn.Dense(3, in_units=3)
            self.b = nn.Dense(3, in_units=3, params=self.a.params)
            self.emb = nn.Embedding(10, 4)

    def forward(self, *args):
        x = args[0]
        return self.b(self.a(x)), [self.emb(x), x]


def test_prints_the_releases_table(capsys):
    net = network()
    net.initialize()
    net.summary(mx.nd.ones((2, 3, 8, 8)))
    assert capsys.readouterr().out == TABLE


def test_counts_shared_parameters_once_and_shows_nested_shapes(capsys):
    net = Shared()
    net.initialize()
    net.summary(mx.nd.ones((1, 3)), None)
    lines = capsys.readouterr().out.splitlines()
    assert lines[3] == "               Input                                (1, 3), None               0"
    assert lines[7] == "            Shared-4                 (1, 3), [(1, 3, 4), (1, 3)]               0"
    assert lines[10:15] == [
        "   Total params: 64",
        "   Trainable params: 64",
        "   Non-trainable params: 0",
        "Shared params in forward computation graph: 12",
        "Unique parameters in model: 52",
    ]


def test_refuses_to_tell_layers_of_a_graph_apart_and_leaves_no_hooks():
    net = network()
    net.initialize()
    net(mx.nd.ones((2, 3, 8, 8)))
    net.hybridize()
    with pytest.raises(AssertionError, match='"n_conv0_relu" must not be hybridized to print summary'):
        net.summary(mx.nd.ones((2, 3, 8, 8)))
    assert not net[0]._forward_hooks


def test_saves_the_structure_as_the_release_and_loads_it(tmp_path):
    net, x = network(), mx.nd.random.uniform(shape=(2, 3, 8, 8))
    net.initialize()
    wanted = net(x).asnumpy()
    net.save(str(tmp_path / "pre"))
    assert (tmp_path / "pre-model.json").read_text() == STRUCTURE
    again = network()
    again.load(str(tmp_path / "pre"))
    np.testing.assert_array_equal(again(x).asnumpy(), wanted)


def test_rejects_a_structure_that_differs_and_hybridizes_what_was(tmp_path):
    net = network()
    net.initialize()
    net(mx.nd.ones((2, 3, 8, 8)))
    net.hybridize()
    net.save(str(tmp_path / "pre"))
    assert json.loads((tmp_path / "pre-model.json").read_text())["hybridsequential0"]["hybridized"] is True
    again = network()
    again.load(str(tmp_path / "pre"))
    assert again._active
    again.add(nn.Dense(1))
    with pytest.raises(ValueError, match="not built as the saved one"):
        again.load(str(tmp_path / "pre"))
    (tmp_path / "pre-model.json").write_text("[]")
    with pytest.raises(ValueError, match="describes no block"):
        again.load(str(tmp_path / "pre"))


def test_shows_operators_outputs_of_graphs_by_the_releases_names():
    seen = []
    net = nn.HybridSequential(prefix="n_")
    with net.name_scope():
        net.add(nn.Conv2D(4, 3, activation="relu"), nn.Dense(5))
    net.initialize()
    x = mx.nd.ones((2, 3, 8, 8))
    net.hybridize()
    net.register_op_hook(lambda name, operator, array: seen.append((name, operator, array.shape)))
    net(x)
    assert seen == [
        (b"n_conv0_fwd_output", b"Convolution", (2, 4, 6, 6)),
        (b"n_conv0_relu_fwd_output", b"Activation", (2, 4, 6, 6)),
        (b"n_dense0_fwd_output", b"FullyConnected", (2, 5)),
    ]
    seen.clear()
    net.register_op_hook(lambda name, *_: seen.append(name), monitor_all=True)
    net(x)
    assert seen[:4] == [b"n_conv0_fwd_data", b"n_conv0_fwd_weight", b"n_conv0_fwd_bias", b"n_conv0_fwd_output"]


def test_batch_normalization_is_cut_off_at_zero():
    block = nn.BatchNormReLU(in_channels=4, prefix="bb_")
    block.initialize()
    assert (block(mx.nd.array([[-1, 2, 0, 3]])).asnumpy() >= 0).all()
    wanted = "BatchNormReLU(axis=1, eps=1e-05, momentum=0.9, fix_gamma=False, use_global_stats=False, in_channels=4)"
    assert repr(block) == wanted
