"""Modules made of graphs: names, modes, and what PyTorch does with them."""

import copy
import pickle

import pytest
import torch

from evergraph.engine import module
from evergraph.errors import UsageError
from tests.engine.checkpoints import Recorded
from tests.engine.graphs import chain
from tests.goldens import MXNET, near

NETS = ["mlp", "lenet", "resnet", "inception", "convzoo", "textcnn", "lstm_unroll", "fused_rnn", "heads"]


def recorded(name):
    net = Recorded(MXNET / "1.9.1" / "checkpoints" / name)
    made = module(net.graph, net.tensors)
    inputs = tuple(torch.from_numpy(net.inputs[n]) for n in made.inputs)
    wanted = net.outputs(made.outputs)
    return made, inputs, wanted


def unpickled(value):
    return pickle.loads(pickle.dumps(value))  # noqa: TID251 - its own bytes


def check(found, wanted):
    for i, (out, want) in enumerate(zip(found if isinstance(found, tuple) else (found,), wanted, strict=True)):
        near(out.detach(), want, 1e-5, 1e-5, f"output {i}")


@pytest.mark.parametrize("name", NETS)
def test_exports_copies_and_pickles(name):
    made, inputs, wanted = recorded(name)
    check(made(*inputs), wanted)
    check(torch.export.export(made, inputs).module()(*inputs), wanted)
    check(copy.deepcopy(made)(*inputs), wanted)
    check(unpickled(made)(*inputs), wanted)


@pytest.mark.filterwarnings("ignore:Guards may run slower:RuntimeWarning")  # torch's, on Python 3.13.0
@pytest.mark.parametrize("name", ["lenet", "resnet", "heads"])
def test_compiles_without_a_graph_break(name):
    made, inputs, wanted = recorded(name)
    with torch.no_grad():
        check(torch.compile(made, backend="eager", fullgraph=True)(*inputs), wanted)
    torch.compiler.reset()


@pytest.mark.parametrize("name", ["lenet", "resnet", "heads"])
def test_is_traced_by_fx_one_call_for_each_operator(name):
    made, inputs, wanted = recorded(name)
    traced = torch.fx.symbolic_trace(made)
    check(traced(*inputs), wanted)
    calls = [n for n in traced.graph.nodes if n.op == "call_function"]
    assert len(calls) == len([n for n in made.graph.nodes if not n.is_variable])
    assert dict(traced.state_dict()).keys() == dict(made.state_dict()).keys()
    check(unpickled(traced)(*inputs), wanted)


def test_a_traced_network_with_open_sizes_asks_for_shapes():
    net = Recorded(MXNET / "1.9.1" / "checkpoints" / "lstm_unroll")
    with pytest.raises(UsageError, match="leaves sizes open"):
        torch.fx.symbolic_trace(module(net.graph, net.tensors))
    made = module(net.graph, net.tensors, shapes={"data": net.inputs["data"].shape})
    check(torch.fx.symbolic_trace(made)(torch.from_numpy(net.inputs["data"])), net.outputs(made.outputs))


def test_states_are_named_as_in_the_graph_with_dots_as_submodules():
    graph = chain(
        ("FullyConnected", "a", "data features.0.weight features.0.bias", {"num_hidden": 2}),
        ("BatchNorm", "bn", "a features.1.gamma features.1.beta features.1.mean features.1.var"),
        ("FullyConnected", "b", "bn features .odd", {"num_hidden": 2}),
        ("FullyConnected", "c", "b training half_", {"num_hidden": 2}),
    )
    names = ["features.0.weight", "features.0.bias", "features.1.gamma", "features.1.beta", "features.1.mean"]
    names += ["features.1.var", "features", ".odd", "training", "half_"]
    sizes = {"features.0.weight": (2, 3), "features": (2, 2), "training": (2, 2)}
    made = module(graph, {n: torch.ones(sizes.get(n, (2,))) for n in names})
    renamed = {"features": "features_", ".odd": "_odd", "training": "training_"}
    assert made.names == {n: renamed.get(n, n) for n in names}
    assert set(made.state_dict()) == {renamed.get(n, n) for n in names}
    assert {n for n, _ in made.named_buffers()} == {"features.1.mean", "features.1.var"}
    assert made(torch.ones(4, 3)).shape == (4, 2)
    made.load_state_dict(made.state_dict())


def test_training_changes_moving_statistics_in_the_forward_pass():
    graph = chain(("BatchNorm", "bn", "x gamma beta mean var", {"momentum": 0.5, "fix_gamma": False}))
    ones = torch.ones(2)
    made = module(graph, {"gamma": ones, "beta": ones * 0, "mean": ones * 0, "var": ones})
    x = torch.arange(8.0).reshape(4, 2)
    made(x)
    assert made.get_buffer("mean").tolist() == [0.0, 0.0]
    made.train()
    made(x)
    assert made.get_buffer("mean").tolist() == [1.5, 2.0]
    other = copy.deepcopy(made)
    other.eval()
    made(x)
    assert made.get_buffer("mean").tolist() == [2.25, 3.0]
    before = other.get_buffer("mean").clone()
    other(x)
    assert torch.equal(other.get_buffer("mean"), before)


def test_learns_with_a_torch_optimizer_and_loss():
    graph = chain(
        ("FullyConnected", "fc", "data weight bias", {"num_hidden": 3}),
        ("SoftmaxOutput", "softmax", "fc softmax_label"),
    )
    made = module(graph, {"weight": torch.zeros(3, 4), "bias": torch.zeros(3)}).train()
    assert (made.inputs, made.labels) == (("data",), ("softmax_label",))
    optimizer = torch.optim.SGD(made.parameters(), 1.0)
    data, label = torch.eye(4)[:3], torch.tensor([0, 1, 2])
    for _ in range(20):
        optimizer.zero_grad()
        torch.nn.functional.nll_loss(made(data).log(), label).backward()
        optimizer.step()
    assert made(data).argmax(1).tolist() == [0, 1, 2]


def test_a_label_brings_the_loss_layers_own_gradient():
    graph = chain(
        ("FullyConnected", "fc", "data weight", {"num_hidden": 3, "no_bias": True}),
        ("SoftmaxOutput", "softmax", "fc softmax_label"),
    )
    made = module(graph, {"weight": torch.zeros(3, 2)}).train()
    out = made(torch.ones(1, 2), softmax_label=torch.tensor([1.0]))
    out.backward(torch.full_like(out, 100.0))
    want = torch.tensor([[1 / 3], [1 / 3 - 1], [1 / 3]]).expand(3, 2)
    torch.testing.assert_close(made.get_parameter("weight").grad, want)


def test_missing_and_foreign_tensors_are_all_named():
    graph = chain(("BatchNorm", "bn", "x gamma beta mean var"))
    with pytest.raises(UsageError) as caught:
        module(graph, {"gamma": torch.ones(2), "mean": torch.ones(2), "stranger": torch.ones(1)})
    assert "missing: auxiliary state var" in str(caught.value)
    assert "not in the graph: stranger" in str(caught.value)


def test_an_integer_tensor_is_a_buffer():
    graph = chain(("elemwise_add", "y", "x offset"))
    made = module(graph, {"offset": torch.tensor([1, 2])})
    assert list(made.parameters()) == []
    assert made(torch.tensor([1, 1])).tolist() == [2, 3]
