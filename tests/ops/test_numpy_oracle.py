"""NumPy operators against immediate calls of MXNet 1.9.1: many types, ranks, axes and empty arrays of each."""

import functools
import gzip
import json

import numpy as np
import pytest
import torch

from evergraph import ops
from evergraph.ops.run import Run
from tests.goldens import MXNET, near

# badly conditioned matrices in float32 leave few digits
ILL = {"_npi_tensorinv", "_npi_tensorsolve", "_npi_solve", "_npi_svd", "_npi_cholesky", "_npi_eigh", "_npi_pinv"}
ILL |= {"_npi_pinv_scalar_rcond", "_npi_polyval", "_npi_norm"}


@functools.cache
def recorded():
    found = {}
    for case in json.loads(gzip.decompress((MXNET / "numpy-oracle.json.gz").read_bytes()))["cases"]:
        found.setdefault(case["op"], []).append(case)
    return found


def array(entry):
    dtype, shape, values = entry
    return np.array([float(v) if isinstance(v, str) else v for v in values]).astype(dtype).reshape(shape)


def tolerance(name, arrays):
    if any(a.dtype == np.float16 for a in arrays):
        return (2e-1, 2e-1) if name in ILL else (1e-2, 1e-2)
    return (2e-2, 2e-2) if name in ILL else (1e-4, 2e-5)


def check(case):
    op = ops.get(case["op"])
    params = op.parse(case["attrs"])
    inputs, wanted = [array(e) for e in case["in"]], [array(e) for e in case["out"]]
    grads = {int(i): array(e) for i, e in case.get("grad", {}).items()}
    tensors = [torch.from_numpy(a) for a in inputs]
    for i in grads:
        tensors[i].requires_grad_()
    found = op.body(*op.arrange(params, tensors), **params, **({"run": Run(training=True)} if op.wants_run else {}))
    found = list(found) if isinstance(found, (tuple, list)) else [found]
    check_rules(op, params, inputs, found)
    rtol, atol = tolerance(op.name, [*inputs, *wanted])
    for i, (got, want) in enumerate(zip(found, wanted, strict=False)):
        assert str(got.dtype) == f"torch.{want.dtype}", f"output {i}: {got.dtype} for {want.dtype}"
        near(got.detach().numpy(), want, rtol, atol, f"output {i}")
    heads = [torch.from_numpy(array(e)) for e in case.get("head", [])]
    pairs = [(o, h) for o, h in zip(found, heads, strict=False) if o.requires_grad]
    if pairs:
        torch.autograd.backward([o for o, _ in pairs], [h for _, h in pairs])
    for i, want in grads.items():
        held = tensors[i].grad
        grad = torch.zeros_like(tensors[i]) if held is None else held
        near(grad.numpy(), want, 10 * rtol, 10 * atol, f"gradient of input {i}")


def check_rules(op, params, inputs, found):
    empty = [None] * len(op.output_names(params))
    shapes, results = op.infer_shapes(params, [a.shape for a in inputs], empty)
    assert [tuple(s) for s in shapes] == [a.shape for a in inputs]
    for out, shape in zip(found, results, strict=False):
        assert shape is None or len(shape) == out.dim()
        assert all(d in (None, n) for d, n in zip(shape or (), out.shape, strict=False))
    for out, dtype in zip(found, op.dtype(params, [str(a.dtype) for a in inputs], empty)[1], strict=False):
        assert dtype is None or str(out.dtype) == f"torch.{dtype}"


@pytest.mark.parametrize("name", sorted(recorded()))
def test_gives_what_an_immediate_call_of_the_release_gives(name):
    for case in recorded()[name]:
        try:
            check(case)
        except AssertionError as error:
            raise AssertionError(f"{name} {case['attrs']} of {[e[:2] for e in case['in']]}: {error}") from None
