"""TensorFlow's checkpoints cross to PyTorch and MindSpore: layers of theirs give the numbers that Keras gave."""

import numpy as np
import torch

import evergraph as eg
import evergraph.mindspore as ms
from evergraph.crossing import cross
from evergraph.mindspore import nn
from tests.goldens import DATA

FOLDER = DATA / "tensorflow"


def state(path):
    return torch.load(path, weights_only=True)  # noqa: TID251 - PyTorch's own reader must take what was written


def tensorflow(**arrays):
    given = {n.replace("__", "/"): np.asarray(a, "float32") for n, a in arrays.items()}
    return eg.Checkpoint(given, format="tensorflow-bundle")


def test_a_keras_network_in_pytorch_gives_its_numbers(tmp_path):
    eg.convert(FOLDER / "keras", tmp_path / "net.pth")
    layers = {"conv": torch.nn.Conv2d(3, 4, 3), "bn": torch.nn.BatchNorm2d(4, eps=1e-3)}
    layers |= {"dw": torch.nn.Conv2d(4, 8, 3, groups=4), "act": torch.nn.PReLU(8)}
    net = torch.nn.ModuleDict(layers | {"fc": torch.nn.Linear(8, 5), "ln": torch.nn.LayerNorm(5, eps=1e-3)}).eval()
    net.load_state_dict(state(tmp_path / "net.pth"))
    io = np.load(FOLDER / "keras-io.npz")
    x = torch.from_numpy(io["x"]).permute(0, 3, 1, 2)
    for name in layers:
        x = net[name](x)
    found = net["ln"](net["fc"](x.mean((2, 3)))).detach().numpy()
    np.testing.assert_allclose(found, io["y"], rtol=1e-5, atol=1e-5)


def test_a_keras_network_in_mindspore_gives_its_numbers(tmp_path):
    class Net(nn.Cell):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3, pad_mode="valid", has_bias=True)
            self.bn = nn.BatchNorm2d(4, eps=1e-3)
            self.dw = nn.Conv2d(4, 8, 3, pad_mode="valid", group=4, has_bias=True)
            self.act = nn.PReLU(8)
            self.fc = nn.Dense(8, 5)
            self.ln = nn.LayerNorm((5,), epsilon=1e-3)

        def construct(self, x):
            return self.ln(self.fc(self.act(self.dw(self.bn(self.conv(x)))).mean((2, 3))))

    eg.convert(FOLDER / "keras", tmp_path / "net.ckpt")
    net = Net()
    net.set_train(False)
    assert ms.load_param_into_net(net, ms.load_checkpoint(str(tmp_path / "net.ckpt"))) == ([], [])
    io = np.load(FOLDER / "keras-io.npz")
    found = net(ms.Tensor(io["x"].transpose(0, 3, 1, 2))).asnumpy()
    np.testing.assert_allclose(found, io["y"], rtol=1e-5, atol=1e-5)


def test_kerass_recurrent_layers_in_pytorch_give_their_numbers(tmp_path):
    done = eg.convert(FOLDER / "rnn", tmp_path / "net.pth")
    added = [r for r in done.crossing.rows if not r.source]
    assert [(r.target, r.changed.split(":")[0]) for r in added] == [("lstm.bias_hh_l0", "added, all 0")]
    layers = {"conv": torch.nn.Conv1d(5, 4, 3), "lstm": torch.nn.LSTM(4, 3, batch_first=True)}
    layers |= {"bi": torch.nn.GRU(3, 2, batch_first=True, bidirectional=True), "fc": torch.nn.Linear(4, 4)}
    net = torch.nn.ModuleDict(layers)
    net.load_state_dict(state(tmp_path / "net.pth"))
    io = np.load(FOLDER / "rnn-io.npz")
    x = net["conv"](torch.from_numpy(io["x"]).permute(0, 2, 1)).permute(0, 2, 1)
    for name in ("lstm", "bi"):
        x = net[name](x)[0]
        np.testing.assert_allclose(x.detach().numpy(), io[name], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(net["fc"](x).detach().numpy(), io["y"], rtol=1e-5, atol=1e-5)


def test_variables_of_optimizers_are_left_out_and_networks_kept(tmp_path):
    done = eg.convert(FOLDER / "tf1.ckpt-7", tmp_path / "net.pth")
    left = [r.source[0] for r in done.crossing.left_out]
    assert left == ["conv1/weights/Momentum", "global_step"]
    found, source = eg.open(tmp_path / "net.pth"), eg.open(FOLDER / "tf1.ckpt-7")
    assert found["conv1.weight"].numpy().tolist() == source["conv1/weights"].numpy().transpose(3, 2, 0, 1).tolist()
    assert found["fc.weight"].numpy().tolist() == source["fc/kernel"].numpy().T.tolist()
    assert set(found) >= {"conv1.BatchNorm.running_var", "conv1.BatchNorm.weight", "emb.table"}


def test_a_normalization_without_scale_gets_ones():
    new, table = cross(tensorflow(bn__moving_mean=[1, 2], bn__beta=[3, 4]), "tensorflow", "torch")
    assert new["bn.weight"].numpy().tolist() == [1, 1]
    assert [r.target for r in table.rows if not r.source] == ["bn.weight"]


def test_embeddings_and_separable_convolutions():
    given = tensorflow(
        bert__embeddings__word_embeddings=np.ones((9, 4)),
        emb__embeddings=np.ones((5, 2)),
        sep__depthwise_kernel=np.arange(24).reshape(2, 2, 3, 2),
        sep__pointwise_kernel=np.ones((1, 1, 6, 4)),
        sep__bias=np.ones(4),
    )
    new, _ = cross(given, "tensorflow", "mindspore")
    assert {n: t.shape for n, t in new.items()} == {
        "bert.embeddings.word_embeddings.embedding_table": (9, 4),
        "emb.embedding_table": (5, 2),
        "sep.depthwise.weight": (6, 1, 2, 2),
        "sep.pointwise.weight": (4, 6, 1, 1),
        "sep.pointwise.bias": (4,),
    }
    # output channel 2 * c + m looks at input channel c
    assert new["sep.depthwise.weight"].numpy()[3, 0].tolist() == [[3, 9], [15, 21]]


def test_cells_of_tensorflow_1_are_kept_and_marked():
    given = tensorflow(rnn__basic_lstm_cell__kernel=np.ones((7, 12)), rnn__basic_lstm_cell__bias=np.ones(12))
    _, table = cross(given, "tensorflow", "torch")
    row = next(r for r in table.rows if r.source == ("rnn/basic_lstm_cell/kernel",))
    assert (row.target, row.guessed) == ("rnn.basic_lstm_cell.kernel", True)


def test_a_rule_tells_a_depthwise_kernel():
    given = tensorflow(dw__kernel=np.ones((3, 3, 8, 1)))
    assert cross(given, "tensorflow", "torch")[0]["dw.weight"].shape == (1, 8, 3, 3)
    new, _ = cross(given, "tensorflow", "torch", rules={"kinds": {"^dw$": "depthwise"}})
    assert new["dw.weight"].shape == (8, 1, 3, 3)


def test_names_stay_where_no_framework_is_asked_for(tmp_path):
    eg.convert(FOLDER / "merged", tmp_path / "a.npz")
    assert eg.diff(eg.open(FOLDER / "merged"), eg.open(tmp_path / "a.npz")).same
