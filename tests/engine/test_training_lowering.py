"""Lowering for training: outputs, gradients and states stay what they are, in the usual order of memory."""

import numpy as np
import pytest
import torch

import evergraph.mxnet as mx
from evergraph.engine.lowering.training import keep_channels_last, reuse_values
from evergraph.engine.lowering.weights import turn_weights
from evergraph.engine.plan import make_plan
from evergraph.ops.run import Moving, carry_out
from tests.goldens import near


def convolved(data, name, filters=4, **settings):
    return mx.sym.Convolution(data, kernel=(3, 3), pad=(1, 1), num_filter=filters, name=name, **settings)


def residual(x):
    y = mx.sym.BatchNorm(convolved(x, "a"), fix_gamma=False, name="n")
    y = mx.sym.Activation(y, act_type="relu")
    return mx.sym.Activation(convolved(y, "b") + convolved(x, "c"), act_type="tanh")


def read_twice(x):
    y = convolved(x, "a")
    return mx.sym.Activation(y, act_type="relu") * y + mx.sym.sigmoid(y)


def joined(x):
    y = mx.sym.Concat(convolved(x, "a"), mx.sym.Pooling(x, kernel=(3, 3), pad=(1, 1), pool_type="max"), dim=1)
    return mx.sym.Pooling(y, kernel=(2, 2), stride=(2, 2), pool_type="avg")


def reshaped(x):
    y = mx.sym.Reshape(mx.sym.Activation(convolved(x, "a"), act_type="relu"), shape=(0, -1))
    return mx.sym.FullyConnected(y, num_hidden=3, name="fc")


def sliced(x):
    y = mx.sym.transpose(convolved(x, "a", num_group=2, filters=6), axes=(0, 2, 3, 1))
    return mx.sym.slice_axis(y, axis=3, begin=1, end=4)


def normalised_elsewhere(x):
    y = mx.sym.Activation(mx.sym.BatchNorm(convolved(x, "a"), axis=3, fix_gamma=False, name="n"), act_type="relu")
    return mx.sym.broadcast_add(y, mx.sym.sum(y, axis=1, keepdims=True))


def summed_with_itself(x):
    y = convolved(x, "a")
    return y + y


def deep(x):
    shared = mx.sym.Variable("shared_weight")
    for name in ("a", "b", "c"):
        x = mx.sym.Activation(convolved(x, name, filters=6), act_type="relu")
    y = convolved(x, "d", filters=6, weight=shared) + convolved(x, "e", filters=6, weight=shared)
    total = mx.sym.Reshape(mx.sym.sum(shared), shape=(1, 1, 1, 1))
    return mx.sym.broadcast_add(convolved(y, "f", num_group=2), total)


NETWORKS = [deep, residual, read_twice, joined, reshaped, sliced, normalised_elsewhere, summed_with_itself]


def trained(network, watch):
    """Outputs, gradients and states of one step; a monitor keeps the plan as it is."""
    net = network(mx.sym.Variable("data"))
    run = net.simple_bind(mx.cpu(), data=(2, 6, 8, 8), grad_req="write")
    rng = np.random.default_rng(0)
    for array in run.arg_arrays:
        array[:] = rng.uniform(-1, 1, array.shape)
    if watch:
        run.set_monitor_callback(lambda name, array: None)
    (out,) = run.forward(is_train=True)
    run.backward(mx.nd.array(rng.uniform(-1, 1, out.shape)))
    return out, [out, *run.grad_arrays, *run.aux_arrays, *run.arg_arrays]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda f: f.__name__)
def test_a_lowered_step_trains_as_the_plain_one(network):
    out, got = trained(network, False)
    plain, wanted = trained(network, True)
    assert out._data.stride() == plain._data.stride()
    for i, (a, b) in enumerate(zip(got, wanted, strict=True)):
        near(a._data, b._data, 1e-5, 1e-5 * max(1.0, float(b._data.abs().max())), f"array {i}")


def program_of(network):
    return make_plan(network(mx.sym.Variable("data")).graph, training=True).program


def test_layers_between_convolutions_stay_channels_last():
    program = program_of(residual)
    keep_channels_last(program)
    seen = {}
    rng = torch.Generator().manual_seed(0)
    shapes = {"data": (2, 6, 8, 8), "a": (4, 6, 3, 3), "b": (4, 4, 3, 3), "c": (4, 6, 3, 3)}
    given = [torch.randn(shapes["data"], generator=rng), torch.randn(shapes["a"], generator=rng), torch.zeros(4)]
    given += [torch.ones(4), torch.zeros(4), torch.randn(shapes["b"], generator=rng), torch.zeros(4)]
    given += [torch.randn(shapes["c"], generator=rng), torch.zeros(4), torch.zeros(4), torch.ones(4)]
    values = dict(zip(program.inputs, given, strict=True))
    for step in program.steps:
        found = step.call(*[values[v] for v in step.inputs])
        values[step.outputs[0]] = found[0] if isinstance(found, (tuple, list)) else found
        seen[step.kind] = values[step.outputs[0]].is_contiguous(memory_format=torch.channels_last)
    assert seen.pop("usual order") is False
    assert all(seen.values()), seen
    assert [s.kind for s in program.steps][-1] == "usual order"


def test_weights_are_turned_once_for_all_that_read_them():
    program = program_of(deep)
    makers = program.makers()
    turn_weights(program)
    first, *rest = program.steps
    assert (first.kind, len(first.inputs)) == ("weights, channels last", 4)
    read = [s.inputs[1] for s in rest if s.kind == "Convolution"]
    assert [v in first.outputs for v in read] == [True] * 5 + [False]
    assert makers.keys().isdisjoint(first.outputs)
    weights = [torch.ones(6, 6, 3, 3, requires_grad=i != 1) for i in range(5)]
    weights.append(torch.ones(1 << 9, 1 << 5, 3, 3, requires_grad=True))
    turned = first.call(*weights)
    assert [t.is_contiguous(memory_format=torch.channels_last) for t in turned] == [
        True,
        False,
        True,
        True,
        True,
        False,
    ]
    assert [t.requires_grad for t in turned] == [True, False, True, True, True, True]
    torch.stack([(t * t).sum() for t in turned[1:]]).sum().backward()
    assert [w.grad is not None and w.grad.is_contiguous() for w in weights] == [False, False, True, True, True, True]
    assert first.call(*weights[:3])[0] is weights[0]


def test_averages_move_together_as_they_do_one_by_one():
    def moves(states):
        values = [torch.arange(2.0) + i for i in range(6)]
        return [
            Moving(states[0:2], values[0:2], 0.5, (1.0, 0.75)),
            Moving(states[2:4], values[2:4], 0.5),
            Moving((states[0],), values[4:5], 0.5),  # a state that two layers share
            Moving((states[3],), values[5:6], 0.25),
        ]

    together, apart = ([torch.ones(2) * i for i in range(4)] for _ in range(2))
    seen = []
    updates: list = moves(together)
    updates.insert(2, lambda: seen.append([t.clone() for t in together]))
    carry_out(updates)
    carry_out(updates[:2])  # what has moved on does nothing
    for move in reversed(moves(apart)):
        move()
    assert [t.tolist() for t in together] == [t.tolist() for t in apart]
    assert [seen[0][i].tolist() for i in range(4)] != [t.tolist() for t in together]
    assert together[0].tolist() == [0.5 * (0.5 * 0 + 0.5 * 4) + 0.5 * 0, 0.5 * (0.5 * 0 + 0.5 * 5) + 0.5 * 1]


def test_only_values_that_nothing_else_reads_are_overwritten():
    for network, number in ((residual, 3), (read_twice, 0), (summed_with_itself, 0), (normalised_elsewhere, 0)):
        program = program_of(network)
        before = list(program.steps)
        reuse_values(program)
        assert sum(a is not b for a, b in zip(before, program.steps, strict=True)) == number, network.__name__


@pytest.mark.parametrize("width", [4, 3000])
def test_gradients_are_not_replaced_under_views_of_them(width):
    net = mx.sym.FullyConnected(mx.sym.Variable("x"), weight=mx.sym.Variable("w"), no_bias=True, num_hidden=3)
    run = net.simple_bind(mx.cpu(), x=(2, width), grad_req="write")
    for array in run.arg_arrays:
        array[:] = 1
    seen, other = run.grad_dict["w"], run.grad_dict["x"]
    view, exported = seen[0:1], torch.from_dlpack(other._data)
    places = [g._data.data_ptr() for g in run.grad_arrays]
    for factor in (1, 2):
        run.forward(is_train=True)
        run.backward(mx.nd.ones((2, 3)) * factor)
        assert view.asnumpy().tolist() == [[2 * factor] * width]
        assert exported.tolist() == [[3 * factor] * width] * 2
    assert [g._data.data_ptr() for g in run.grad_arrays] == places
    del view, exported
    run.forward(is_train=True)
    run.backward(mx.nd.ones((2, 3)) * 3)
    assert seen.asnumpy().tolist() == [[6] * width] * 3
    assert seen is run.grad_dict["w"]
    replaced = [g._data.data_ptr() for g in run.grad_arrays] != places
    assert replaced is (width > 4)  # where a copy costs next to nothing, nobody looks for views
