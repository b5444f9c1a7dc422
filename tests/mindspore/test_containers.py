"""Lists of cells that are changed after they were named: the names that MindSpore 2.10 gives, which its files hold."""

from collections import OrderedDict

import pytest

import evergraph.mindspore as ms
from evergraph.errors import UsageError
from evergraph.mindspore import Parameter, Tensor, nn, ops


class Net(nn.Cell):
    def __init__(self):
        super().__init__()
        self.layers = nn.CellList([nn.Dense(1, 1), nn.ReLU(), nn.Dense(1, 2)])
        self.seq = nn.SequentialCell(nn.Dense(1, 1), nn.SequentialCell(nn.Dense(1, 1), nn.Dense(1, 1)))
        self.layers.append(nn.Dense(2, 2))
        self.seq.append(nn.Dense(2, 2))


def weights(cell):
    return " ".join(p.name.removesuffix(".weight") for p in cell.get_parameters() if p.name.endswith("weight"))


STEPS = [
    (lambda net: None, "layers.0 layers.2 layers.3 seq.0 seq.1.0 seq.1.1 seq.2"),
    (
        lambda net: net.layers.insert(0, nn.Dense(3, 3)),
        "layers.0 layers.1 layers.3 layers.4 seq.0 seq.1.0 seq.1.1 seq.2",
    ),
    (lambda net: net.layers.__delitem__(0), "layers.0 layers.2 layers.3 seq.0 seq.1.0 seq.1.1 seq.2"),
    (
        lambda net: net.layers.__setitem__(1, nn.Dense(4, 4)),
        "layers.0 layers.1 layers.2 layers.3 seq.0 seq.1.0 seq.1.1 seq.2",
    ),
    (lambda net: net.seq.__delitem__(0), "layers.0 layers.1 layers.2 layers.3 seq.0.0 seq.0.1 seq.1"),
    (
        lambda net: net.seq[0].append(nn.Dense(1, 1)),
        "layers.0 layers.1 layers.2 layers.3 seq.0.0 seq.0.1 seq.0.2 seq.1",
    ),
    (
        lambda net: net.layers.extend([nn.Dense(1, 1)]),
        "layers.0 layers.1 layers.2 layers.3 layers.4 seq.0.0 seq.0.1 seq.0.2 seq.1",
    ),
]


def test_names_follow_changes_within_a_network():
    net = Net()
    for change, wanted in STEPS:
        change(net)
        assert weights(net) == wanted


def test_named_cells_keep_their_names():
    named = nn.SequentialCell(OrderedDict(a=nn.Dense(1, 1), b=nn.Dense(1, 1), c=nn.ReLU()))
    del named[0]
    assert (weights(named), list(named.name_cells())) == ("b", ["b", "c"])
    named[0] = nn.Dense(3, 3)
    named.append(nn.Dense(1, 1))
    assert (weights(named), list(named.name_cells())) == ("b 2", ["b", "c", "2"])
    mapped = nn.CellDict({"x": nn.Dense(1, 1), "y": nn.Dense(1, 1)})
    del mapped["x"]
    mapped["z"] = nn.Dense(1, 1)
    assert (weights(mapped), list(mapped.keys())) == ("y z", ["y", "z"])


@pytest.mark.parametrize(("value", "kind"), [(3, ms.int32), (3.5, ms.float32), ([1, 2], ms.int64), ([1.5], ms.float32)])
def test_parameters_of_numbers_have_mindspores_types(value, kind):
    assert Parameter(value, name="p").dtype == kind


def test_prints_values_as_mindspore(capsys):
    ops.print_("x", Tensor([1, 2]), 3)
    ops.Print()(Tensor(True))
    assert capsys.readouterr().out.splitlines() == [
        "x",
        "Tensor(shape=[2], dtype=Int64, value= [1, 2])",
        "3",
        "Tensor(shape=[], dtype=Bool, value= True)",
    ]
    assert repr(Tensor([])) == "Tensor(shape=[0], dtype=Float32, value= )"
    assert repr(Tensor([1 + 2j, 3.5 - 1j])) == "Tensor(shape=[2], dtype=Complex128, value= [1+2j, 3.5-1j])"
    assert repr(Tensor(1j)) == "Tensor(shape=[], dtype=Complex128, value= 0+1j)"
    assert repr(ms.bool_) == "mindspore.bool"
    assert ms.pytype_to_dtype(float) == ms.float64


# what MindSpore 2.10 prints
PRINTED = {
    "nn.LSTM(3, 4)": "LSTM(\n  (rnn): _DynamicLSTMCPUGPU()\n  (dropout_op): Dropout(p=0.0)\n)",
    "nn.GRU(3, 4, 2, dropout=0.5)": "GRU(\n  (rnn): _DynamicGRUCPUGPU()\n  (dropout_op): Dropout(p=0.5)\n)",
    "nn.RNN(2, 3)": "RNN(\n  (rnn): _DynamicRNNTanh()\n  (dropout_op): Dropout(p=0.0)\n)",
    "nn.MaxPool1d(3, 2, 'same')": "MaxPool1d(kernel_size=(1, 3), stride=(1, 2), pad_mode=SAME)",
    "nn.Dropout2d(0.25)": "Dropout2d(p=0.75)",
    "nn.Conv1d(1, 2, 3, 2, 'pad', 1, 2, weight_init='ones')": "Conv1d(input_channels=1, output_channels=2, "
    "kernel_size=(1, 3), stride=(1, 2), pad_mode=pad, padding=(0, 0, 1, 1), dilation=(1, 2), group=1, has_bias=False, "
    "weight_init=ones, bias_init=None, format=NCHW)",
}


@pytest.mark.parametrize("text", PRINTED)
def test_cells_print_as_mindspores(text):
    assert repr(eval(text)) == PRINTED[text]


@pytest.mark.parametrize("text", ["nn.Dense(3, 0)", "nn.Dense('a', 3)", "nn.MaxPool2d(0)", "nn.AvgPool1d(2, 0)"])
def test_refuses_sizes_that_are_none(text):
    with pytest.raises(UsageError):
        eval(text)
