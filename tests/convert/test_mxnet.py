"""MXNet's checkpoints cross to PyTorch and MindSpore: layers of theirs give the numbers that MXNet recorded."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import evergraph as eg
import evergraph.mindspore as ms
from evergraph.errors import UsageError
from evergraph.mindspore import nn
from tests.goldens import MXNET

FOLDER = MXNET / "1.9.1" / "checkpoints"


def state(path):
    return torch.load(path, weights_only=True)  # noqa: TID251 - PyTorch's own reader must take what was written


def recorded(name):
    return np.load(FOLDER / f"{name}-io.npz")


class LeNet(torch.nn.Module):
    """The recorded network, in PyTorch's layers."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.BatchNorm2d(4, eps=1e-3)
        self.conv2, self.bn2 = torch.nn.Conv2d(4, 6, 3, 2), torch.nn.BatchNorm2d(6, eps=1e-3)
        self.fc = torch.nn.Linear(6, 5)

    def forward(self, x):
        x = F.max_pool2d(torch.tanh(self.bn1(self.conv1(x))), 2, 2)
        x = F.local_response_norm(x, 3, k=2)
        x = F.avg_pool2d(F.relu(self.bn2(self.conv2(x))), 2, 1)
        return torch.softmax(self.fc(x.flatten(1)), 1)


def test_a_network_in_pytorch_gives_mxnets_numbers(tmp_path):
    done = eg.convert(FOLDER / "lenet", tmp_path / "net.pth")
    assert [r.target for r in done.crossing.rows if "fix_gamma" in r.changed] == ["bn1.weight"]
    net = LeNet().eval()
    net.load_state_dict(state(tmp_path / "net.pth"))
    io = recorded("lenet")
    found = net(torch.from_numpy(io["in:data"])).detach().numpy()
    np.testing.assert_allclose(found, io["out:0"], rtol=1e-5, atol=1e-6)


def test_without_the_graph_it_is_said_that_fix_gamma_is_unknown(tmp_path):
    done = eg.convert(eg.open(FOLDER / "lenet-0001.params"), tmp_path / "net.pth")
    assert any("fix_gamma" in line for line in done.lines())
    again = eg.convert(eg.open(FOLDER / "lenet-0001.params"), tmp_path / "g.pth", model=FOLDER / "lenet-symbol.json")
    assert any(r.changed.startswith("fix_gamma") for r in again.crossing.rows)


@pytest.mark.parametrize("middle", ["net.ckpt", "net.pth"])
def test_a_checkpoint_comes_back_to_the_same_bytes(middle, tmp_path):
    # without its graph nothing makes a gamma count as 1, so that no value changes
    eg.convert(FOLDER / "lenet-0001.params", tmp_path / middle)
    assert not any(n.startswith(("arg:", "aux:")) for n in eg.open(tmp_path / middle, carried=False))
    eg.convert(tmp_path / middle, tmp_path / "back.params")
    assert (tmp_path / "back.params").read_bytes() == (FOLDER / "lenet-0001.params").read_bytes()


@pytest.mark.parametrize("middle", ["net.ckpt", "net.pth"])
def test_a_checkpoint_with_its_graph_comes_back_with_the_scales_that_count_as_1(middle, tmp_path):
    eg.convert(FOLDER / "resnet", tmp_path / middle)
    found = eg.open(tmp_path / middle)
    assert next(t for n, t in found.items() if n.startswith("bn_data.")).numpy().tolist() == [1, 1, 1]
    eg.convert(tmp_path / middle, tmp_path / "back")
    assert eg.diff(FOLDER / "resnet", tmp_path / "back").same


@pytest.mark.parametrize("middle", ["net.ckpt", "net.pth"])
def test_fused_recurrent_vectors_come_back_to_the_bit(middle, tmp_path):
    eg.convert(FOLDER / "fused_rnn", tmp_path / middle)
    eg.convert(tmp_path / middle, tmp_path / "back")
    one, two = eg.open(FOLDER / "fused_rnn"), eg.open(tmp_path / "back")
    assert eg.diff(one, two).same
    assert (tmp_path / "back-symbol.json").read_bytes() == (FOLDER / "fused_rnn-symbol.json").read_bytes()


def test_a_fused_lstm_gives_mxnets_numbers_in_pytorch_and_mindspore(tmp_path):
    io = recorded("fused_rnn")
    eg.convert(FOLDER / "fused_rnn", tmp_path / "net.pth")
    net = torch.nn.ModuleDict({"lstm": torch.nn.LSTM(5, 3, 2, bidirectional=True)})
    net.load_state_dict(state(tmp_path / "net.pth"))
    out, (h, c) = net["lstm"](torch.from_numpy(io["in:data"]))
    for name, value in (("out:0", out), ("out:1", h), ("out:2", c)):
        np.testing.assert_allclose(value.detach().numpy(), io[name], rtol=1e-5, atol=1e-6)

    class Net(nn.Cell):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(5, 3, 2, bidirectional=True)

        def construct(self, x):
            return self.lstm(x)[0]

    eg.convert(FOLDER / "fused_rnn", tmp_path / "net.ckpt")
    cell = Net()
    assert ms.load_param_into_net(cell, ms.load_checkpoint(str(tmp_path / "net.ckpt")))[0] == []
    np.testing.assert_allclose(cell(ms.Tensor(io["in:data"])).asnumpy(), io["out:0"], rtol=1e-5, atol=1e-6)


def test_a_fused_gru_gives_mxnets_numbers_in_pytorch(tmp_path):
    io = recorded("fused_gru")
    eg.convert(FOLDER / "fused_gru", tmp_path / "net.pth")
    net = torch.nn.ModuleDict({"gru": torch.nn.GRU(3, 4)})
    net.load_state_dict(state(tmp_path / "net.pth"))
    out, h = net["gru"](torch.from_numpy(io["in:data"]), torch.from_numpy(io["in:gru_state"]))
    np.testing.assert_allclose(out.detach().numpy(), io["out:0"], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(h.detach().numpy(), io["out:1"], rtol=1e-5, atol=1e-6)


def test_recurrent_cells_cross_by_their_names(tmp_path):
    io = recorded("gru_unroll")
    eg.convert(FOLDER / "gru_unroll-0001.params", tmp_path / "net.pth")
    net = torch.nn.ModuleDict({"l": torch.nn.GRUCell(3, 4), "r": torch.nn.RNNCell(3, 4)})
    net.load_state_dict(state(tmp_path / "net.pth"))
    data, left, right, zero = torch.from_numpy(io["in:data"]), [], [], torch.zeros(2, 4)
    for t in range(3):
        left.append(net["l"](data[:, t], left[-1] if left else zero))
        right.append(net["r"](data[:, 2 - t], right[-1] if right else zero))
    found = torch.cat([v for t in range(3) for v in (left[t], right[2 - t])], 1).detach().numpy()
    np.testing.assert_allclose(found, io["out:0"], rtol=1e-5, atol=1e-6)


def test_gates_that_stand_apart_are_joined_and_come_back(tmp_path):
    whole = {"lstm": torch.nn.LSTM(5, 3, 2, bidirectional=True), "gru": torch.nn.GRU(4, 2)}
    net = torch.nn.ModuleDict(whole)
    given = {}
    for name, value in net.state_dict().items():
        owner, leaf = name.split(".")
        word, way, layer, *reverse = leaf.split("_")
        stem = f"{owner}_{'r' if reverse else 'l'}{layer[1:]}_{ {'ih': 'i2h', 'hh': 'h2h'}[way] }"
        gates = {"lstm": "ifco", "gru": "rzo"}[owner]
        for gate, part in zip(gates, value.chunk(len(gates)), strict=True):
            given[f"arg:{stem}_{gate}_{word}"] = part.clone()
    # as mx.rnn.save_rnn_checkpoint leaves them
    eg.save(given, tmp_path / "net-0001.params")
    done = eg.convert(tmp_path / "net-0001.params", tmp_path / "net.pth")
    assert {r.changed for r in done.crossing.rows} == {"gates joined"}
    found = state(tmp_path / "net.pth")
    assert set(found) == set(net.state_dict())
    assert all(torch.equal(found[n], t) for n, t in net.state_dict().items())
    eg.convert(tmp_path / "net.pth", tmp_path / "back.params")
    assert (tmp_path / "back.params").read_bytes() == (tmp_path / "net-0001.params").read_bytes()


def test_a_gate_without_the_others_is_kept_as_it_is(tmp_path):
    eg.save({"arg:l0_i2h_i_weight": np.ones((3, 2), "f4")}, tmp_path / "net.params")
    eg.convert(tmp_path / "net.params", tmp_path / "net.pth")
    assert [t.shape for t in eg.open(tmp_path / "net.pth").values()] == [(3, 2)]


def test_weights_of_a_pytorch_network_go_where_a_graph_asks_for_them(tmp_path):
    torch.manual_seed(3)
    net = torch.nn.ModuleDict({"lstm": torch.nn.LSTM(5, 3, 2, bidirectional=True)})
    eg.convert(net, tmp_path / "net-0001.params", model=FOLDER / "fused_rnn-symbol.json")
    found = eg.open(tmp_path / "net-0001.params")
    assert {n: t.shape for n, t in found.items()} == {"arg:lstm_parameters": (504,)}
    crossed = eg.convert(found, tmp_path / "back.pth", model=FOLDER / "fused_rnn-symbol.json")
    assert crossed.tensors == 16
    assert all(torch.equal(state(tmp_path / "back.pth")[n], t) for n, t in net.state_dict().items())


def test_a_pytorch_network_goes_into_the_names_and_roles_of_a_graph(tmp_path):
    eg.convert(FOLDER / "lenet", tmp_path / "net.pth")
    net = LeNet()
    # saved by PyTorch itself, without a record
    net.load_state_dict(state(tmp_path / "net.pth"))
    eg.convert(net, tmp_path / "net-0001.params", model=FOLDER / "lenet-symbol.json")
    found, wanted = eg.open(tmp_path / "net-0001.params"), eg.open(FOLDER / "lenet-0001.params")
    assert set(found) == set(wanted)
    changed = [n for n, t in wanted.items() if t.numpy().tobytes() != found[n].numpy().tobytes()]
    assert changed == ["arg:bn1_gamma"]  # fix_gamma


def test_modules_names_come_from_flat_networks_and_gluons_from_nested_ones(tmp_path):
    flat = {"conv1.weight": np.ones((2, 3, 3, 3), "f4"), "bn1.weight": np.ones(2, "f4"), "bn1.bias": np.ones(2, "f4")}
    flat |= {"bn1.running_mean": np.ones(2, "f4"), "bn1.running_var": np.ones(2, "f4")}
    eg.convert(eg.Checkpoint(flat, format="torch"), tmp_path / "flat.params")
    names = ["arg:conv1_weight", "arg:bn1_gamma", "arg:bn1_beta", "aux:bn1_moving_mean", "aux:bn1_moving_var"]
    assert list(eg.open(tmp_path / "flat.params")) == names
    deep = {f"features.{n}": a for n, a in flat.items()}
    eg.convert(eg.Checkpoint(deep, format="torch"), tmp_path / "deep.params")
    names = ["conv1.weight", "bn1.gamma", "bn1.beta", "bn1.running_mean", "bn1.running_var"]
    assert list(eg.open(tmp_path / "deep.params")) == [f"features.{n}" for n in names]


def test_rejects_a_model_without_structure(tmp_path):
    with pytest.raises(UsageError, match="no structure"):
        eg.convert(eg.open(FOLDER / "lenet-0001.params"), tmp_path / "x.pth", model=FOLDER / "lenet-0001.params")
