"""The guide's network, dataset and training, as MindSpore 2.10 ran them."""

import json
import subprocess
import sys

import numpy as np
import pytest

import evergraph
import evergraph.mindspore as ms
import evergraph.mindspore.dataset as ds
import evergraph.mindspore.dataset.transforms.c_transforms as C
import evergraph.mindspore.dataset.vision.c_transforms as CV
from evergraph.mindspore import Model, Tensor, nn
from evergraph.mindspore.common.initializer import Normal
from evergraph.mindspore.dataset.vision import Inter
from evergraph.mindspore.train.callback import LossMonitor
from tests.goldens import MINDSPORE, near

SEED = MINDSPORE / "seed004"
LOG = {row["step"]: row for row in json.loads((SEED / "LOG.json").read_text())}
PIPELINE = dict(np.load(SEED / "pipeline.npz"))


class LeNet5(nn.Cell):
    def __init__(self, num_class=10, num_channel=1):
        super().__init__()
        self.conv1 = nn.Conv2d(num_channel, 6, 5, pad_mode="valid")
        self.conv2 = nn.Conv2d(6, 16, 5, pad_mode="valid")
        self.fc1 = nn.Dense(16 * 5 * 5, 120, weight_init=Normal(0.02))
        self.fc2 = nn.Dense(120, 84, weight_init=Normal(0.02))
        self.fc3 = nn.Dense(84, num_class, weight_init=Normal(0.02))
        self.relu = nn.ReLU()
        self.max_pool2d = nn.MaxPool2d(kernel_size=2, stride=2)
        self.flatten = nn.Flatten()

    def construct(self, x):
        x = self.max_pool2d(self.relu(self.conv1(x)))
        x = self.max_pool2d(self.relu(self.conv2(x)))
        x = self.flatten(x)
        return self.fc3(self.relu(self.fc2(self.relu(self.fc1(x)))))


def create_dataset(path, batch_size=2):
    data = ds.MnistDataset(path, shuffle=False)
    data = data.map(operations=C.TypeCast(ms.int32), input_columns="label", num_parallel_workers=1)
    data = data.map(operations=CV.Resize((32, 32), interpolation=Inter.LINEAR), input_columns="image")
    data = data.map(operations=CV.Rescale(1 / 255.0, 0.0), input_columns="image")
    data = data.map(operations=CV.Rescale(1 / 0.3081, -1 * 0.1307 / 0.3081), input_columns="image")
    return data.map(operations=CV.HWC2CHW(), input_columns="image").batch(batch_size, drop_remainder=True).repeat(1)


def initial():
    net, held = LeNet5(), evergraph.open(SEED / "initial.ckpt")
    for param in net.get_parameters():
        param.set_data(Tensor(held[param.name].numpy()))
    return net


def loss():
    return nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")


def test_the_dataset_gives_the_recorded_values():
    data = create_dataset(SEED / "datasets/MNIST_Data/train")
    assert data.get_dataset_size() == 125
    rows = list(data.create_dict_iterator(output_numpy=True))
    near(np.stack([r["image"] for r in rows[:3]]), PIPELINE["first_batches"], 1e-6, 1e-6, "image")
    np.testing.assert_array_equal(np.concatenate([r["label"] for r in rows]), PIPELINE["labels"])


def test_resizing_gives_the_recorded_bytes():
    data = ds.MnistDataset(SEED / "datasets/MNIST_Data/train", shuffle=False)
    resized = [CV.Resize((32, 32))(row[0]) for row in data.create_tuple_iterator(output_numpy=True)]
    np.testing.assert_array_equal(np.stack(resized)[..., 0], PIPELINE["resized_u8"])


def test_trains_to_the_recorded_losses_and_lines(capsys):
    class Recorder(ms.train.Callback):
        def step_end(self, run_context):
            losses.append(float(run_context.original_args().net_outputs))

    losses, net = [], initial()
    model = Model(net, loss(), nn.Momentum(net.trainable_params(), 0.01, 0.9))
    model.train(1, create_dataset(SEED / "datasets/MNIST_Data/train"), callbacks=[LossMonitor(25), Recorder()])
    row = LOG["pretrain Momentum 1 epoch"]
    near(losses, row["losses"], 1e-4, 1e-5, "losses")
    told, wanted = capsys.readouterr().out.split("\n"), row["stdout"].split("\n")
    strip = lambda lines: [line.rpartition(" ")[0] for line in lines if line]
    assert strip(told) == strip(wanted)
    written = evergraph.open(SEED / "checkpoint_lenet-1_125.ckpt")
    assert [p.name for p in model.train_network.get_parameters()] == list(written)


RUNS = {
    "SGD_lr0.01": lambda p: nn.SGD(p, 0.01),
    "SGD_lr0.01_m0.9_wd1e-4": lambda p: nn.SGD(p, 0.01, 0.9, weight_decay=1e-4),
    "Adam_1e-3": lambda p: nn.Adam(p, 1e-3),
}


@pytest.mark.parametrize("name", RUNS)
def test_each_optimizer_trains_to_the_recorded_losses(name):
    # Adam divides small gradients by their own size: roundings grow to 5e-4 by step 60
    count = 30 if "Adam" in name else 60
    net = initial()
    train = nn.TrainOneStepCell(nn.WithLossCell(net, loss()), RUNS[name](net.trainable_params())).set_train()
    data = create_dataset(SEED / "datasets/MNIST_Data/train")
    got = [float(train(row["image"], row["label"])) for row in data.take(count).create_dict_iterator()]
    near(got, LOG[f"optimizer run {name}"]["losses"][:count], 1e-4, 1e-5, name)


def test_runs_an_unchanged_script(tmp_path):
    script = tmp_path / "program.py"
    script.write_text(
        "import mindspore.nn as nn\nfrom mindspore import Tensor, context\nimport mindspore as ms, sys\n"
        "from mindspore.common.initializer import Normal\nfrom mindspore.train.callback import LossMonitor\n"
        "context.set_context(mode=context.GRAPH_MODE, device_target='CPU')\n"
        "print(nn.Dense(2, 1, weight_init=Normal(0.02))(Tensor([[1.0, 2.0]])).shape, sys.argv[1:])\n"
    )
    ran = subprocess.run(
        [sys.executable, "-m", "evergraph.mindspore", str(script), "a"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stdout) == (0, "(1, 1) ['a']\n"), ran.stderr
