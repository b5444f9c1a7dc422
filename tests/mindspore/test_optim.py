"""Training as MindSpore 2.10 trained: losses, and every entry of the file that it wrote, in its order."""

import json

import numpy as np
import pytest

import evergraph
import evergraph.mindspore as ms
from evergraph.errors import UsageError
from evergraph.mindspore import Tensor, nn
from tests.goldens import MINDSPORE, near

CKPT = MINDSPORE / "ckpt"
LOSSES = json.loads((CKPT / "tiny_losses.json").read_text())
DATA = dict(np.load(CKPT / "tiny_data.npz"))


class Tiny(nn.Cell):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5, pad_mode="valid")
        self.conv2 = nn.Conv2d(6, 16, 5, pad_mode="valid")
        self.fc1 = nn.Dense(400, 24)
        self.fc2 = nn.Dense(24, 16)
        self.fc3 = nn.Dense(16, 10)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2, 2)
        self.flatten = nn.Flatten()

    def construct(self, x):
        x = self.pool(self.relu(self.conv1(x)))
        x = self.flatten(self.pool(self.relu(self.conv2(x))))
        return self.fc3(self.relu(self.fc2(self.relu(self.fc1(x)))))


def load(cell, checkpoint):
    for param in cell.get_parameters():
        if param.name in checkpoint:
            param.set_data(Tensor(checkpoint[param.name].numpy()), slice_shape=True)


def trainer(name, net):
    told = dict(LOSSES[name]["opt"])
    kind, sens = told.pop("cls"), told.pop("sens_of_TrainOneStepCell", None)
    params = net.trainable_params()
    if told.pop("groups", None):
        convolutions = [p for p in params if "conv" in p.name]
        rest = [p for p in params if "conv" not in p.name]
        params = [{"params": convolutions, "lr": 0.05, "weight_decay": 0.01}, {"params": rest}]
    optimizer = getattr(nn, kind)(params, **told)
    loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
    return nn.TrainOneStepCell(nn.WithLossCell(net, loss), optimizer, sens)


def steps(train, numbers):
    return [float(train(Tensor(DATA[f"x{i % 3}"]), Tensor(DATA[f"y{i % 3}"]))) for i in numbers]


RECORDED = [n for n, row in LOSSES.items() if "opt" in row]


@pytest.mark.parametrize("name", RECORDED)
def test_trains_to_the_recorded_losses_and_files(name):
    net = Tiny()
    load(net, evergraph.open(CKPT / "tiny_net.ckpt"))
    train = trainer(name, net)
    train.set_train()
    near(steps(train, range(6)), LOSSES[name]["losses"], 0, 1e-5, "losses")
    assert [p.name for p in train.trainable_params()] == LOSSES[name]["trainable_params_of_TrainOneStepCell"]
    written = evergraph.open(CKPT / f"tiny_{name}.ckpt")
    assert [p.name for p in train.get_parameters()] == list(written)
    for param in train.get_parameters():
        near(param.asnumpy(), written[param.name].numpy(), 1e-4, 2e-6, param.name)
        assert param.asnumpy().dtype == written[param.name].numpy().dtype


@pytest.mark.parametrize("name", ["momentum", "adam", "sgd_momentum", "rmsprop"])
def test_goes_on_from_a_file_as_if_never_stopped(name):
    whole, first, second = Tiny(), Tiny(), Tiny()
    start = evergraph.open(CKPT / "tiny_net.ckpt")
    for net in (whole, first):
        load(net, start)
    unbroken = steps(trainer(name, whole), range(6))
    before = trainer(name, first)
    steps(before, range(3))
    saved = {p.name: p.asnumpy().copy() for p in before.get_parameters()}
    after = trainer(name, second)
    for param in after.get_parameters():
        param.set_data(Tensor(saved[param.name]))
    assert steps(after, range(3, 6)) == unbroken[3:]


@pytest.mark.parametrize("name", ["tiny_fixls", "tiny_dynls"])
def test_loss_scale_cells_hold_the_recorded_parameters(name):
    net = Tiny()
    optimizer = nn.Momentum(net.trainable_params(), 0.01, 0.9)
    update = ms.DynamicLossScaleManager(1024, 2, 3) if name == "tiny_dynls" else ms.FixedLossScaleManager(128.0)
    loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
    train = nn.TrainOneStepWithLossScaleCell(nn.WithLossCell(net, loss), optimizer, update.get_update_cell())
    written = evergraph.open(CKPT / f"{name}.ckpt")
    assert [(p.name, p.shape) for p in train.get_parameters()] == [
        (n, tuple(t.shape or ())) for n, t in written.items()
    ]


def test_a_scaled_step_is_the_plain_step_and_an_overflow_changes_nothing():
    plain, scaled = Tiny(), Tiny()
    for net in (plain, scaled):
        load(net, evergraph.open(CKPT / "tiny_net.ckpt"))
    loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
    optimizer = nn.Momentum(scaled.trainable_params(), 0.01, 0.9)
    cell = nn.DynamicLossScaleUpdateCell(1024.0, 2, 3)
    train = nn.TrainOneStepWithLossScaleCell(nn.WithLossCell(scaled, loss), optimizer, cell)
    value, overflow, scale = train(Tensor(DATA["x0"]), Tensor(DATA["y0"]))
    assert (float(value), bool(overflow), float(scale)) == (pytest.approx(LOSSES["momentum"]["losses"][0]), False, 1024)
    steps(trainer("momentum", plain), [0])
    near(scaled.fc1.weight.asnumpy(), plain.fc1.weight.asnumpy(), 0, 1e-7, "weight")
    held = scaled.fc1.weight.asnumpy().copy()
    _, overflow, _ = train(Tensor(np.full_like(DATA["x0"], np.inf)), Tensor(DATA["y0"]))
    assert bool(overflow)
    assert float(train.scale_sense) == 512
    np.testing.assert_array_equal(scaled.fc1.weight.asnumpy(), held)


SCALES = json.loads((MINDSPORE / "loss_scale.json").read_text())


@pytest.mark.parametrize("row", SCALES.values(), ids=SCALES)
def test_loss_scales_follow_the_recorded_sequences(row):
    manager = ms.DynamicLossScaleManager(row["init"], row["factor"], row["window"])
    cell = nn.DynamicLossScaleUpdateCell(row["init"], row["factor"], row["window"])
    scale = ms.Parameter(Tensor(float(row["init"])), name="scale_sense")
    by_manager, by_cell = [], []
    for overflow in row["overflow"]:
        manager.update_loss_scale(overflow)
        cell(scale, overflow)
        by_manager.append(manager.get_loss_scale())
        by_cell.append([float(scale), int(cell.cur_iter), int(cell.last_overflow_iter)])
    assert by_manager == row["manager_scale_after"]
    assert by_cell == row["update_cell_scale_iter_lastovf"]


def test_a_list_of_rates_that_ends_too_soon_is_an_error():
    net = Tiny()
    optimizer = nn.Momentum(net.trainable_params(), [0.1], 0.9)
    loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
    with pytest.raises(UsageError, match="at its end"):
        steps(nn.TrainOneStepCell(nn.WithLossCell(net, loss), optimizer), range(2))


def test_follows_mindspore_with_ftrl():
    class Square(nn.Cell):
        def __init__(self):
            super().__init__()
            self.w = ms.Parameter(Tensor([1.0, 2.0, 3.0]), name="w")

        def construct(self):
            return (self.w**2).sum()

    # three steps of MindSpore 2.10.0
    wanted = [
        [0.7450532913208008, 1.7426890134811401, 2.742243766784668],
        [0.6857819557189941, 1.6771111488342285, 2.67482590675354],
        [0.637889564037323, 1.623740792274475, 2.6198811531066895],
    ]
    net = Square()
    train = nn.TrainOneStepCell(net, nn.FTRL(net.trainable_params(), learning_rate=0.1))
    for row in wanted:
        train()
        near(net.w.asnumpy(), np.array(row, "f4"), 1e-5, 1e-6, "w")
    assert [p.name for p in train.get_parameters()] == ["w", "global_step", "learning_rate", "moments.w", "linear.w"]


def test_lists_trained_parameters_before_moving_statistics():
    class Normed(nn.Cell):
        def __init__(self):
            super().__init__()
            self.fc, self.bn = nn.Dense(3, 4), nn.BatchNorm1d(4)

        def construct(self, x):
            return self.bn(self.fc(x))

    net = Normed()
    optimizer = nn.Momentum(net.trainable_params(), [0.1, 0.2], 0.9)
    train = nn.TrainOneStepCell(nn.WithLossCell(net, nn.MSELoss()), optimizer)
    names = "fc.weight fc.bias bn.gamma bn.beta bn.moving_mean bn.moving_variance global_step momentum "
    names += "moments.fc.weight moments.fc.bias moments.bn.gamma moments.bn.beta learning_rate"
    assert [p.name for p in train.get_parameters()] == names.split()


@pytest.mark.parametrize(
    ("groups", "wanted"),
    [
        ("[{'params': [a]}, {'params': [b], 'lr': 0.5}]", "learning_rate learning_rate_group_1 a b momentum moments.a"),
        ("[{'params': [a], 'lr': 0.2}, {'params': [b]}]", "learning_rate_group_0 learning_rate a b momentum moments.a"),
        ("[{'params': [a]}, {'params': [b], 'lr': [0.1]}]", "moments.b learning_rate learning_rate_group_1"),
        (
            "[{'params': [a]}, {'params': [b], 'lr': 0.5}, {'order_params': [b, a]}]",
            "learning_rate_group_1 learning_rate b a momentum moments.b",
        ),
        (
            "[{'params': [a], 'lr': [0.1]}, {'params': [b]}, {'order_params': [b, a]}]",
            "moments.a learning_rate learning_rate_group_0",
        ),
    ],
)
def test_learning_rates_stand_where_mindspore_puts_them(groups, wanted):
    a, b = (ms.Parameter(ms.Tensor([1.0]), name=n) for n in "ab")
    optimizer = ms.nn.Momentum(eval(groups, {"a": a, "b": b}), 0.1, 0.9)
    assert wanted in " ".join(p.name for p in optimizer.get_parameters())


# MindSpore 2.10 on a CPU: one step from a = [1, 2] and gamma = [3] with a decay of 0.5, and in groups with 0.25 and 0.5
DECAYS = {
    "SGD": ([0.94, 1.89, 2.99], [0.965, 1.94, 2.84]),
    "Momentum": ([0.94, 1.89, 2.99], [0.965, 1.94, 2.84]),
    "Adagrad": ([0.91153485, 1.9038925, 2.9698489], [0.92580014, 1.9115348, 2.9018977]),
    "Adam": ([0.90000004, 1.9, 2.9000003], [0.9000001, 1.9000001, 2.9]),
    "RMSProp": ([0.9379826, 1.8911371, 2.989465], [0.9633553, 1.9379827, 2.851187]),
}


@pytest.mark.parametrize("name", DECAYS)
def test_decays_alike_whatever_the_loss_scale_is(name):
    def stepped(scale, grouped):
        a, gamma = ms.Parameter(ms.Tensor([1.0, 2.0]), name="a"), ms.Parameter(ms.Tensor([3.0]), name="gamma")
        params = [{"params": [a], "weight_decay": 0.25}, {"params": [gamma]}] if grouped else [a, gamma]
        more = {"momentum": 0.0} if name == "Momentum" else {}
        optimizer = getattr(ms.nn, name)(params, learning_rate=0.1, weight_decay=0.5, loss_scale=scale, **more)
        optimizer((ms.Tensor([0.1, 0.1]) * scale, ms.Tensor([0.1]) * scale))
        return [*a.asnumpy(), *gamma.asnumpy()]

    for scale in (1.0, 8.0):
        for grouped in (False, True):
            np.testing.assert_allclose(stepped(scale, grouped), DECAYS[name][grouped], rtol=2e-7)


def test_lists_what_it_trains_among_its_own_parameters():
    class Both(nn.Cell):
        def __init__(self, net, optimizer):
            super().__init__()
            self.net, self.opt = net, optimizer

    net = nn.Dense(2, 1)
    optimizer = nn.Momentum(net.trainable_params(), 0.1, 0.9)
    own = ["global_step", "learning_rate", "weight", "bias", "momentum", "moments.weight", "moments.bias"]
    assert [n for n, _ in optimizer.parameters_and_names()] == own
    assert list(optimizer.parameters_dict()) == own
    # MindSpore 2.10: a cell that holds both gives the weights the optimizer's name
    assert [(n, p.name) for n, p in Both(net, optimizer).parameters_and_names()][:2] == [
        ("net.weight", "opt.weight"),
        ("net.bias", "opt.bias"),
    ]


def test_names_parameters_without_names_as_mindspore():
    params = [ms.Parameter(ms.Tensor([1.0])) for _ in range(2)]
    optimizer = nn.Momentum(params, 0.1, 0.9)
    own = "global_step learning_rate Parameter$1 Parameter$2 momentum moments.Parameter$1 moments.Parameter$2"
    assert [p.name for p in optimizer.get_parameters()] == own.split()
    assert optimizer.get_lr() is optimizer.learning_rate
