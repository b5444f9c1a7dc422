"""Inference in executors: what stays the same is folded in, and every change is seen."""

from typing import Any

import pytest
import torch

from evergraph.engine import Executor, use
from evergraph.engine.executor import compile_program
from tests.engine.graphs import chain, seeded

GRAPH = chain(
    ("Convolution", "conv", "data weight", {"kernel": "(3, 3)", "num_filter": 4, "no_bias": True}),
    ("BatchNorm", "bn", "conv gamma beta mean var", {"fix_gamma": True}),
    ("Activation", "act", "bn", {"act_type": "relu"}),
    ("FullyConnected", "fc", "act fc_weight fc_bias", {"num_hidden": 3}),
    ("SoftmaxOutput", "softmax", "fc label"),
)
SHAPES = {"data": (2, 3, 5, 5), "weight": (4, 3, 3, 3), "fc_weight": (3, 36), "fc_bias": (3,), "label": (2,)}
SHAPES |= dict.fromkeys(("gamma", "beta", "mean", "var"), (4,))


@pytest.fixture
def compiled(monkeypatch):
    made = []

    def watch(program, values, **options):
        made.append(program)
        return compile_program(program, values, **options)

    monkeypatch.setattr("evergraph.engine.executor.compile_program", watch)
    return made


def bound(inputs=None, requests: Any = "null"):
    values = seeded(GRAPH, SHAPES)
    run = Executor(GRAPH, values, {n: values[n] for n in ("mean", "var")}, inputs=inputs, requests=requests)
    return run, dict(zip((*run.argument_names, *run.auxiliary_names), (*run.arguments, *run.auxiliary), strict=True))


def check(run):
    """A run, against a new executor of the same arrays, which has nothing to go by."""
    (found,) = run.forward()
    (wanted,) = Executor(GRAPH, run.arguments, run.auxiliary).forward()
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-6)
    return found


def feed(run, arrays, times, compiled=None):
    for k in range(times):
        arrays["data"].normal_(generator=torch.Generator().manual_seed(k))
        check(run)


@pytest.mark.parametrize("inputs", [["data", "label"], None])
def test_parameters_that_stay_are_folded_in_after_a_few_runs(inputs, compiled):
    run, arrays = bound(inputs)
    feed(run, arrays, 8)
    assert len(compiled) == 1
    assert len(compiled[0].inputs) == 1  # a prediction needs no label


@pytest.mark.parametrize("inputs", [["data", "label"], None])
@pytest.mark.parametrize("name", ["weight", "beta", "fc_bias", "mean", "var"])
def test_a_parameter_that_is_written_counts_at_once(name, inputs, compiled):
    run, arrays = bound(inputs)
    feed(run, arrays, 6)
    for _ in range(3):
        arrays[name].add_(0.5)
        feed(run, arrays, 4)
    assert len(compiled) >= 1


def test_an_array_that_is_replaced_counts_at_once(compiled):
    run, arrays = bound(["data", "label"])
    feed(run, arrays, 5)
    place = run.argument_names.index("fc_weight")
    run.arguments[place] = torch.ones(3, 36)
    feed(run, arrays, 5)
    assert len(compiled) >= 1


def test_other_parameters_all_at_once_are_no_inputs(compiled):
    run, arrays = bound(None)
    feed(run, arrays, 6)
    for name, array in arrays.items():
        if name not in ("data", "label"):
            array.mul_(0.5)
    feed(run, arrays, 20)
    assert [len(p.inputs) for p in compiled] == [1, 1]


def test_the_same_inputs_again_and_again_are_computed_each_time(compiled):
    run, arrays = bound(None)
    for _ in range(6):
        check(run)
    assert compiled == []  # nothing shows which of the arrays is the input
    run, arrays = bound(["data", "label"])
    first = [check(run) for _ in range(6)][-1].clone()
    arrays["data"].neg_()
    assert not torch.equal(check(run), first)


def test_training_between_predictions_is_seen(compiled):
    run, arrays = bound(["data", "label"], requests={"weight": "write", "fc_weight": "write", "beta": "write"})
    for _ in range(3):
        feed(run, arrays, 25)
        run.forward(training=True)
        run.backward()
        for name, gradient in zip(run.argument_names, run.gradients, strict=True):
            if gradient is not None:
                arrays[name].sub_(gradient, alpha=0.1)
    feed(run, arrays, 5)
    assert len(compiled) == 4


def test_a_prediction_after_each_training_step_is_never_lowered(compiled):
    run, _ = bound(["data", "label"], requests={"weight": "write"})
    for _ in range(6):
        run.forward(training=True)
        run.backward()
        check(run)
    assert compiled == []


def test_what_is_written_unseen_can_be_said():
    run, arrays = bound(["data", "label"])
    feed(run, arrays, 5)
    arrays["fc_bias"].numpy()[:] = 3
    run.changed()
    check(run)


def test_outputs_of_earlier_runs_stay_as_they_were():
    run, arrays = bound(["data", "label"])
    feed(run, arrays, 5)
    (kept,) = run.forward()
    copy = kept.clone()
    feed(run, arrays, 2)
    assert torch.equal(kept, copy)


def test_the_chosen_engine_serves_executors_too(compiled):
    pytest.importorskip("openvino")
    run, arrays = bound(["data", "label"])
    with use("openvino"):
        feed(run, arrays, 5)
    assert len(compiled) == 1


def test_operators_that_write_their_inputs_are_not_folded(compiled):
    graph = chain(("sgd_mom_update", "step", "weight grad mom", {"lr": 0.5, "momentum": 0.5}))
    weight, grad, mom = torch.ones(2), torch.ones(2), torch.zeros(2)
    run = Executor(graph, [weight, grad], [mom], inputs=["grad"])
    for _ in range(5):
        run.forward()
    assert compiled == []
    # mom: -0.5, -0.75, -0.875, ...; MXNet's operator gives the new weight and changes mom in place
    assert mom.tolist() == [pytest.approx(-1 + 0.5**5)] * 2
