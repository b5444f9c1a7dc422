"""Whole networks cross from PyTorch to MindSpore's layers and compute the same; their weights come back bit for bit."""

import re

import numpy as np
import pytest
import torch

import evergraph as eg
import evergraph.mindspore as ms
from evergraph.errors import ConversionError
from tests.convert import networks

NETWORKS = {
    "resnet50": (networks.resnet, {"base": 8, "classes": 10}, (2, 3, 64, 64)),
    "vgg16": (networks.vgg, {"plan": (8, 8, 0, 16, 16, 0, 24, 24, 24, 0), "hidden": 32, "side": 4}, (2, 3, 32, 32)),
    "mobilenet_v2": (networks.mobilenet, {"width": 8}, (2, 3, 64, 64)),
    "bert": (networks.bert, {"width": 48, "heads": 4, "depth": 3, "words": 99, "inner": 96}, (2, 7)),
    "lstm": (networks.lstm, {"words": 50, "width": 8, "hidden": 12}, (3, 11)),
}


def random_network(define, sizes):
    torch.manual_seed(7)
    made = define(networks.Torch, **sizes).eval()
    for name, value in (*made.named_parameters(), *made.named_buffers()):
        if name.endswith("num_batches_tracked"):
            value.fill_(17)
        elif value.dim() == 1:
            value.data = torch.rand(value.shape) + 0.5
    return made


def inputs(shape):
    generator = np.random.default_rng(3)
    return generator.integers(0, 40, shape) if len(shape) == 2 else generator.normal(size=shape).astype("float32")


def state(path):
    return torch.load(path, weights_only=True)  # noqa: TID251 - PyTorch's own reader must take what was written


def equal(one, two):
    return list(one) == list(two) and all(
        one[n].dtype == two[n].dtype and one[n].numpy().tobytes() == two[n].numpy().tobytes() for n in one
    )


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_computes_the_same_after_crossing(name, tmp_path):
    define, sizes, shape = NETWORKS[name]
    source = random_network(define, sizes)
    torch.save(source.state_dict(), tmp_path / "net.pth")
    done = eg.convert(tmp_path / "net.pth", tmp_path / "net.ckpt")
    assert done.crossing is not None
    assert {r.source[0].rpartition(".")[2] for r in done.crossing.left_out} <= {"num_batches_tracked"}

    target = define(networks.MindSpore, **sizes)
    target.set_train(False)
    left, unused = ms.load_param_into_net(target, ms.load_checkpoint(str(tmp_path / "net.ckpt")))
    assert left == []
    assert [n for n in unused if n != "evergraph"] == []
    array = inputs(shape)
    wanted = source(torch.from_numpy(array)).detach().numpy()
    found = target(ms.Tensor(array)).asnumpy()
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_come_back_to_the_bit(name, tmp_path):
    define, sizes, _ = NETWORKS[name]
    source = random_network(define, sizes)
    torch.save(source.state_dict(), tmp_path / "net.pth")
    eg.convert(tmp_path / "net.pth", tmp_path / "net.ckpt")
    eg.convert(tmp_path / "net.ckpt", tmp_path / "back.pth")
    assert equal(source.state_dict(), state(tmp_path / "back.pth"))


@pytest.mark.parametrize("name", NETWORKS)
def test_weights_that_mindspore_saved_again_come_back_by_their_names(name, tmp_path):
    define, sizes, _ = NETWORKS[name]
    source = random_network(define, sizes)
    eg.convert(source, tmp_path / "net.ckpt")
    target = define(networks.MindSpore, **sizes)
    ms.load_param_into_net(target, ms.load_checkpoint(str(tmp_path / "net.ckpt")))
    # a file of MindSpore's own, which has no record of what the names were
    ms.save_checkpoint(target, str(tmp_path / "trained.ckpt"))
    done = eg.convert(tmp_path / "trained.ckpt", tmp_path / "back.pth")
    assert done.crossing is not None
    assert not done.crossing.left_out
    found = state(tmp_path / "back.pth")
    kept = {n: t for n, t in source.state_dict().items() if not n.endswith("num_batches_tracked")}
    assert set(found) == set(kept)
    assert all(found[n].shape == t.shape and torch.equal(found[n], t) for n, t in kept.items())
    again = define(networks.Torch, **sizes)
    again.load_state_dict(found)


def called_otherwise(name):
    """As another author calls the same layers."""
    name = re.sub(r"^layer(\d)\.(\d)\.", r"stage\1.block\2.", name)
    return name.replace("downsample", "down_sample_layer").replace("fc.", "end_point.")


def test_layers_with_other_names_are_fitted_by_their_order_and_come_back(tmp_path):
    source = random_network(*NETWORKS["resnet50"][:2])
    eg.convert(source, tmp_path / "own.ckpt")
    own = eg.open(tmp_path / "own.ckpt")
    eg.save({called_otherwise(n): np.zeros(t.shape, "f4") for n, t in own.items()}, tmp_path / "like.ckpt")
    torch.save(source.state_dict(), tmp_path / "net.pth")
    done = eg.convert(tmp_path / "net.pth", tmp_path / "net.ckpt", like=tmp_path / "like.ckpt")
    assert done.crossing is not None
    assert any("fitted by structure" in r.why for r in done.crossing.rows)
    found = eg.open(tmp_path / "net.ckpt")
    assert set(found) == set(eg.open(tmp_path / "like.ckpt"))
    assert all(found[called_otherwise(n)].numpy().tobytes() == t.numpy().tobytes() for n, t in own.items())
    eg.convert(tmp_path / "net.ckpt", tmp_path / "back.pth")
    assert equal(source.state_dict(), state(tmp_path / "back.pth"))


def test_names_of_another_author_within_one_framework(tmp_path):
    source = random_network(*NETWORKS["mobilenet_v2"][:2])
    names = {n: n.replace("features.", "body.").replace("classifier.", "head.") for n in source.state_dict()}
    like = {names[n]: torch.zeros_like(t) for n, t in source.state_dict().items()}
    eg.convert(source, tmp_path / "net.pth", like=like)
    found = state(tmp_path / "net.pth")
    assert list(found) == list(like)
    assert all(torch.equal(found[names[n]], t) for n, t in source.state_dict().items())


def test_rejects_a_network_of_another_structure_to_take_names_from(tmp_path):
    source = random_network(*NETWORKS["vgg16"][:2])
    with pytest.raises(ConversionError, match="do not fit") as caught:
        eg.convert(source, tmp_path / "net.ckpt", like=random_network(*NETWORKS["lstm"][:2]))
    assert "missing: embedding.weight" in str(caught.value)


def test_a_network_in_memory_crosses_without_a_file(tmp_path):
    source = random_network(networks.lstm, {"words": 50, "width": 8, "hidden": 12})
    eg.convert(source, tmp_path / "a.ckpt")
    eg.convert(source.state_dict(), tmp_path / "b.ckpt", model=source)
    one, two = eg.open(tmp_path / "a.ckpt"), eg.open(tmp_path / "b.ckpt")
    assert eg.diff(one, two).same
    target = networks.lstm(networks.MindSpore, words=50, width=8, hidden=12)
    ms.load_param_into_net(target, ms.load_checkpoint(str(tmp_path / "a.ckpt")))
    eg.convert(target, tmp_path / "back.pth")
    found = state(tmp_path / "back.pth")
    assert set(found) == set(source.state_dict())
    assert all(torch.equal(found[n], t) for n, t in source.state_dict().items())
