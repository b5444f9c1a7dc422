"""`mint`: PyTorch's layers and optimizers, with the names that MindSpore 2.10 lists, and PyTorch's values."""

import copy

import numpy as np
import pytest
import torch

import evergraph.mindspore as ms
from evergraph.errors import UsageError
from evergraph.mindspore import Tensor, mint

# names and shapes of MindSpore 2.10's layers
LAYERS = {
    "Linear(3, 4)": {"weight": (4, 3), "bias": (4,)},
    "Conv2d(3, 4, 3)": {"weight": (4, 3, 3, 3), "bias": (4,)},
    "BatchNorm2d(4)": {
        "weight": (4,),
        "bias": (4,),
        "running_mean": (4,),
        "running_var": (4,),
        "num_batches_tracked": (),
    },
    "LayerNorm(4)": {"weight": (4,), "bias": (4,)},
    "Embedding(5, 3)": {"weight": (5, 3)},
    "GroupNorm(2, 4)": {"weight": (4,), "bias": (4,)},
    "PReLU()": {"weight": (1,)},
    "ConvTranspose2d(1, 2, 3)": {"weight": (1, 2, 3, 3), "bias": (2,)},
    "Conv1d(1, 2, 3)": {"weight": (2, 1, 3), "bias": (2,)},
}


@pytest.mark.parametrize("text", LAYERS)
def test_layers_hold_mindspores_parameters(text):
    cell = eval(f"mint.nn.{text}")
    assert {p.name: p.shape for p in cell.get_parameters()} == LAYERS[text]
    frozen = {"running_mean", "running_var", "num_batches_tracked"}
    assert {p.name for p in cell.untrainable_params()} == frozen & LAYERS[text].keys()


def test_networks_train_as_torchs():
    class Net(ms.nn.Cell):
        def __init__(self):
            super().__init__()
            self.fc1, self.norm = mint.nn.Linear(3, 4), mint.nn.BatchNorm1d(4)
            self.fc2 = mint.nn.Linear(4, 1, bias=False)

        def construct(self, x):
            return self.fc2(mint.nn.functional.gelu(self.norm(self.fc1(x))))

    theirs = torch.nn.ModuleDict({"fc1": torch.nn.Linear(3, 4), "norm": torch.nn.BatchNorm1d(4)})
    theirs["fc2"] = torch.nn.Linear(4, 1, bias=False)
    net = copy.deepcopy(Net()).set_train()
    assert [p.name for p in net.get_parameters()] == list(theirs.state_dict())
    for param, value in zip(net.get_parameters(), theirs.state_dict().values(), strict=True):
        param.set_data(Tensor(value.clone()))
    x = np.random.default_rng(0).standard_normal((8, 3)).astype("float32")
    ours = mint.optim.AdamW(net.trainable_params(), lr=0.05, weight_decay=0.1)
    adam = torch.optim.AdamW(theirs.parameters(), lr=0.05, weight_decay=0.1)
    step = ms.value_and_grad(lambda x: (net(x) ** 2).mean(), None, net.trainable_params())
    for _ in range(3):
        loss, gradients = step(Tensor(x))
        ours(gradients)
        adam.zero_grad()
        hidden = torch.nn.functional.gelu(theirs["norm"](theirs["fc1"](torch.tensor(x))))
        wanted = (theirs["fc2"](hidden) ** 2).mean()
        wanted.backward()
        adam.step()
        assert float(loss) == pytest.approx(wanted.item(), rel=1e-5)
    for param, value in zip(net.get_parameters(), theirs.state_dict().values(), strict=True):
        np.testing.assert_allclose(param.asnumpy(), value.numpy(), rtol=1e-4, atol=1e-6)


def test_takes_initial_values_and_refuses_what_is_no_parameter():
    layer = mint.nn.Linear(2, 2, weight_init="ones", bias_init="zeros")
    assert layer(Tensor([[1.0, 2.0]])).asnumpy().tolist() == [[3, 3]]
    with pytest.raises(UsageError, match="Parameters are optimized"):
        mint.optim.SGD([Tensor([1.0])], lr=0.1)
    with pytest.raises(UsageError, match="a gradient for each"):
        mint.optim.SGD(layer.trainable_params(), lr=0.1)([Tensor([1.0])])
    with pytest.raises(AttributeError):
        mint.nn.NoSuchLayer  # noqa: B018
