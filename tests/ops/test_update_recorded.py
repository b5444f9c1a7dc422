"""Optimizer updates against random parameters and inputs that MXNet 1.9.1 ran."""

import numpy as np
import pytest
import torch

from evergraph import ops
from evergraph.errors import OperatorError
from evergraph.ops.families.update.sgd import nesterov_in_place
from evergraph.ops.sparse import RowSparse
from tests.goldens import near, operator_cases, operator_values
from tests.ops.recorded import cases, check


@pytest.mark.parametrize("name", cases("update"))
def test_recorded_update(name):
    half = "mp_" in name  # weights in float16: one more rounding
    check(cases("update")[name], *((2e-3, 1e-4) if half else (1e-4, 1e-5)))


@pytest.mark.parametrize(
    "ident", sorted(i for i, c in operator_cases().items() if c.get("imperative") and "update" in c["op"])
)
def test_recorded_update_of_many_weights(ident):
    case = operator_cases()[ident]
    values = operator_values(case)
    op = ops.get(case["op"])
    tensors = [torch.from_numpy(values[f"in:in{i}"].copy()) for i in range(len(case["in_shapes"]))]
    outs = op.body(*tensors, **op.parse(case["params"]))
    for i, out in enumerate(outs):
        near(out, values[f"out:{i}"], 1e-5, 1e-6, f"output {i}")
    step = (len(tensors) - 2 * case["op"].startswith("preloaded")) // len(outs)
    weights = range(0, step * len(outs), step)  # MXNet wrote the outputs over them
    for key, value in values.items():
        if key.startswith("after:") and int(key[8:]) not in weights:
            near(tensors[int(key[8:])], value, 1e-5, 1e-6, key)


def test_nesterov_momentum_in_place_keeps_the_new_weights_decay():
    # what MXNet 1.9.1 leaves in weight and momentum where nag_mom_update writes to the weight
    rng = np.random.RandomState(0)
    weight, grad, mom = (torch.from_numpy(rng.randn(4).astype("f")) for _ in range(3))
    found = nesterov_in_place(weight, grad, mom, lr=0.2, momentum=0.7, wd=0.3)
    assert found is weight
    near(weight, np.array([0.898572, 0.892809, 0.626458, 2.7763777], "f"), 1e-5, 1e-6, "weight")
    near(mom, np.array([-0.49967912, 0.429306, -0.12677468, 0.8816802], "f"), 1e-5, 1e-6, "momentum")


def test_sparse_step_leaves_the_other_rows_untouched():
    op = ops.get("sgd_mom_update")
    weight, mom = torch.full((4, 2), float("nan")), torch.full((4, 2), float("nan"))
    weight[1], mom[1] = 1.0, 0.0
    grad = RowSparse(torch.ones(1, 2), torch.tensor([1]), (4, 2))
    body = op.sparse_bodies[("default", "row_sparse", "default")]
    found = body(weight, grad, mom, **op.convert({"lr": 0.5, "momentum": 0.9}))
    assert found is weight
    assert weight[1].tolist() == [0.5, 0.5]
    assert mom[1].tolist() == [-0.5, -0.5]
    assert weight[[0, 2, 3]].isnan().all()


def test_empty_sparse_state_is_filled_with_zeros_first():
    op = ops.get("adam_update")
    states = [RowSparse(torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64), (3, 2)) for _ in range(2)]
    grad = RowSparse(torch.ones(1, 2), torch.tensor([2]), (3, 2))
    weight = torch.ones(3, 2)
    body = op.sparse_bodies[("default", "row_sparse", "row_sparse", "row_sparse")]
    body(weight, grad, *states, **op.convert({"lr": 0.5}))
    assert states[0].data.shape == (3, 2)
    assert states[0].indices.tolist() == [0, 1, 2]
    near(states[0].data[2], np.array([0.1, 0.1], "f"), 1e-5, 1e-6, "mean")


def test_rejects_decay_in_sparse_adagrad():
    op = ops.get("_sparse_adagrad_update")
    with pytest.raises(OperatorError, match="no weight decay"):
        op.body(torch.ones(1), torch.ones(1), torch.ones(1), **op.convert({"lr": 0.1, "wd": 0.1}))


def test_rejects_a_gradient_of_other_rows_than_its_weight():
    op = ops.get("sgd_update")
    grad = RowSparse(torch.ones(1, 2), torch.tensor([2]), (5, 2))
    with pytest.raises(OperatorError, match="does not fit its weight"):
        op.sparse_bodies[("default", "row_sparse")](torch.ones(3, 2), grad, **op.convert({"lr": 0.1}))


def test_rejects_inputs_that_do_not_make_up_the_weights():
    op = ops.get("multi_sgd_update")
    params = op.convert({"lrs": (0.1, 0.1), "wds": (0.0, 0.0), "num_weights": 2})
    with pytest.raises(OperatorError, match="update of many weights"):
        op.infer_shapes(params, [(2,)] * 3, [None, None])


def test_scaled_step_is_skipped_after_an_overflow():
    op = ops.get("_mp_adamw_update")
    weight, grad = torch.ones(2).half(), torch.ones(2).half()
    mean, var, master = torch.zeros(2), torch.zeros(2), torch.ones(2)
    found = op.body(
        weight, grad, mean, var, master, torch.tensor([float("inf")]), **op.convert({"lr": 1.0, "eta": 1.0})
    )
    assert torch.equal(found, weight)
    assert not mean.any()
    assert torch.equal(master, torch.ones(2))


def test_reset_arrays_sets_every_array_to_zero():
    arrays = [torch.ones(2), torch.ones(1, 3)]
    assert ops.get("reset_arrays").body(*arrays, num_arrays=2) == []
    assert not any(a.any() for a in arrays)
