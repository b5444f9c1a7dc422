"""Further operator cases that MXNet 1.9.1 recorded, a file for each family, and how they are held against ours."""

import functools
import io
import json

import numpy as np
import torch

from evergraph import ops
from evergraph.ops.run import Run
from evergraph.ops.sparse import RowSparse
from tests.goldens import MXNET, near


@functools.cache
def _archive(family):
    return np.load(io.BytesIO((MXNET / "op-extra" / f"{family}.npz").read_bytes()), allow_pickle=False)


@functools.cache
def cases(family):
    """Name -> description of each case of a family."""
    rows = json.loads(bytes(_archive(family)["cases"]))
    return {f"{row['op']}-{i}": row | {"at": i, "family": family} for i, row in enumerate(rows)}


def stored(case, kind, count):
    """The arrays of one kind (in, out, grad, head, after), by position."""
    archive, at = _archive(case["family"]), case["at"]
    return {k: archive[f"{at}:{kind}:{k}"] for k in range(count) if f"{at}:{kind}:{k}" in archive}


def inputs_of(case):
    archive, at = _archive(case["family"]), case["at"]
    dense = stored(case, "in", case["inputs"])
    found = []
    for k in range(case["inputs"]):
        if k in dense:
            found.append(torch.from_numpy(dense[k].copy()))
        else:
            rows, indices, shape = (archive[f"{at}:{name}:{k}"] for name in ("rows", "indices", "shape"))
            found.append(RowSparse(torch.from_numpy(rows), torch.from_numpy(indices), tuple(shape.tolist())))
    return found


def compute(op, params, tensors, training):
    extra = {"run": Run(training)} if op.wants_run else {}
    kinds = tuple("row_sparse" if isinstance(t, RowSparse) else "default" for t in tensors)
    body = op.body if set(kinds) <= {"default"} else op.sparse_bodies[kinds]
    found = body(*op.arrange(params, tensors), **params, **extra)
    return list(found) if isinstance(found, (tuple, list)) else [found]


def check(case, rtol=1e-4, atol=1e-5):
    """Hold one case against its operator: outputs, gradients, effects on inputs, and the shape rule."""
    op = ops.get(case["op"])
    params = op.parse(case["params"])
    tensors = inputs_of(case)
    shapes = [tuple(t.shape) for t in tensors]
    for k in case["grads"]:
        tensors[k].requires_grad_()
    with torch.set_grad_enabled(bool(case["grads"])):
        outs = compute(op, params, tensors, bool(case["grads"]))
    if op.shape is not None:
        _, found = op.infer_shapes(params, shapes, [None] * len(op.output_names(params)))
        assert [f or tuple(o.shape) for f, o in zip(found, outs, strict=False)] == [tuple(o.shape) for o in outs]
    for k, want in stored(case, "out", case["outputs"]).items():
        assert dense(outs[k]).dtype == torch.from_numpy(want[:0].copy()).dtype, f"output {k} is {outs[k].dtype}"
        near(dense(outs[k]), want, rtol, atol, f"output {k}")
    heads = stored(case, "head", len(outs))
    pairs = [(o, torch.from_numpy(heads[k])) for k, o in enumerate(outs) if k in heads and o.requires_grad]
    if pairs:
        torch.autograd.backward([o for o, _ in pairs], [h for _, h in pairs])
    for k, want in stored(case, "grad", case["inputs"]).items():
        grad = tensors[k].grad if tensors[k].grad is not None else torch.zeros_like(tensors[k])
        near(grad.numpy(), want, 10 * rtol, 10 * atol, f"gradient of input {k}")
    check_effects(case, tensors, outs, rtol, atol)


def check_effects(case, tensors, outs, rtol, atol):
    """Inputs afterwards: those that changed, and those that must not have; outputs go where MXNet wrote them."""
    for k, out in zip(case["out_to"] or [], outs, strict=False):
        if out is not tensors[k]:
            tensors[k].copy_(out)
    before, after = inputs_of(case), stored(case, "after", case["inputs"])
    for k, tensor in enumerate(tensors):
        want = after.get(k, before[k])
        near(dense(tensor), dense(want), rtol, atol, f"input {k} afterwards")


def dense(value):
    return value.dense() if isinstance(value, RowSparse) else value.detach() if torch.is_tensor(value) else value
