"""Layers with parameters drawn at random, against what MXNet 1.9.1 computed for them."""

import json
import zipfile

import numpy as np
import pytest
import torch

from evergraph import ops
from evergraph.ops.run import Run
from tests.goldens import MXNET, near
from tests.ops.harness import check_shapes, check_training, compute

_ARCHIVE = MXNET / "layers-random.npz"


def _array(archive, name):
    with archive.open(name) as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _cases():
    with zipfile.ZipFile(_ARCHIVE) as archive:
        return {row["id"]: row for row in json.loads(bytes(_array(archive, "index.npy")))}


def _values(ident):
    with zipfile.ZipFile(_ARCHIVE) as archive:
        names = [n for n in archive.namelist() if n.startswith(f"{ident}/")]
        return {n[len(ident) + 1 : -4]: _array(archive, n) for n in names}


@pytest.mark.parametrize("ident", sorted(_cases()))
def test_layer_with_random_parameters(ident):
    case, values = _cases()[ident], _values(ident)
    op = ops.get(case["op"])
    params = op.parse(case["params"])
    rtol, atol = (1e-2, 5e-3) if case["half"] else (1e-3, 1e-4) if case["loose"] else (1e-4, 1e-5)
    wanted = {k[5:] for k in values if k.startswith("grad:")}

    def fresh(training):
        found = {f"in{i}": torch.from_numpy(values[f"in:in{i}"].copy()) for i in range(case["inputs"])}
        return {n: t.requires_grad_() if training and n in wanted else t for n, t in found.items()}

    tensors = fresh(False)
    with torch.no_grad():
        outs = compute(op, params, list(tensors.values()), Run())
    for i, out in enumerate(outs):
        near(out.numpy(), values[f"out:{i}"], rtol, atol, f"output {i}")
    check_shapes(op, params, [values[f"in:{n}"] for n in tensors], outs)
    for key in (k for k in values if k.startswith("after:")):
        near(tensors[key[6:]].numpy(), values[key], rtol, atol, key)
    if wanted:
        tensors = fresh(True)
        check_training(values, tensors, compute(op, params, list(tensors.values()), Run(training=True)), rtol, atol)
        for key in (k for k in values if k.startswith("auxafter:")):
            near(tensors[key[9:]].detach().numpy(), values[key], rtol, atol, key)
