"""Optimizers on sparse weights and gradients, in float16 with and without float32 copies: weights of MXNet 1.9.1."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

import evergraph.mxnet as mx

DATA = np.load(Path(__file__).parents[1] / "data/mxnet/recorded/optimizer_kinds.npz")
RUNS = [(name, json.loads(settings), kind) for name, settings, kind in (r.split("|") for r in DATA["runs"])]
ROWS = [[0, 2], [2, 5], [0, 1, 2, 3, 4, 5], [4]]


def trained(name, settings, kind):
    halves = kind in ("mp", "half")
    settings = {"learning_rate": 0.05, **settings, **({"multi_precision": True} if kind == "mp" else {})}
    if kind == "sched":
        settings["lr_scheduler"] = mx.lr_scheduler.FactorScheduler(2, 0.5)
    names = {0: "a_weight", 1: "b_bias"}
    optimizer = mx.optimizer.create(name, param_idx2name=names, rescale_grad=0.5, **settings)
    if kind != "sched":
        optimizer.set_lr_mult({"b_bias": 0.5})
        optimizer.set_wd_mult({"b_bias": 2.0})
    updater = mx.optimizer.get_updater(optimizer)
    dtype = "float16" if halves else "float32"
    weight, bias = mx.nd.array(DATA["weight"], dtype=dtype), mx.nd.array(DATA["bias"], dtype=dtype)
    weight = weight.tostype("row_sparse") if kind == "sparse" else weight
    for grad, other, rows in zip(DATA["weight_grads"], DATA["bias_grads"], ROWS, strict=True):
        sparse = mx.nd.sparse.row_sparse_array((grad[rows], rows), shape=grad.shape)
        updater(0, sparse if kind.startswith("sparse") else mx.nd.array(grad, dtype=dtype), weight)
        updater(1, mx.nd.array(other, dtype=dtype), bias)
    assert weight.stype == ("row_sparse" if kind == "sparse" else "default")
    return np.concatenate([weight.asnumpy().ravel(), bias.asnumpy()]).astype("float32")


@pytest.mark.parametrize("name", sorted({name for name, _, _ in RUNS}))
def test_gives_the_weights_of_1_9_1_on_every_kind_of_array(name):
    different = {}
    for run, wanted in zip(RUNS, DATA["after"], strict=True):
        if run[0] != name:
            continue
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Accumulating with float16")
            found = trained(*run)
        # sums in float16 differ in their last places
        tolerance = 4e-3 if run[2] in ("mp", "half") else 3e-5
        if not np.allclose(found, wanted, rtol=tolerance, atol=tolerance, equal_nan=True):
            different[str(run[1:])] = np.abs(found - wanted).max()
    assert not different


def test_refuses_a_decay_that_the_sign_of_a_gradient_does_not_take():
    updater = mx.optimizer.get_updater(mx.optimizer.Signum(momentum=0.0, wd_lh=0.1))
    with pytest.raises(mx.base.MXNetError, match="wd_lh"):
        updater(0, mx.nd.ones(2), mx.nd.ones(2))
