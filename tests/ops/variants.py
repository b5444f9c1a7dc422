"""Operator cases beyond the op-oracle that MXNet 1.9.1 computed: more types, ranks, axes, empty arrays, sparse storage.

`op-variants.json.gz` has three lists. `dense`: op, attrs, np_shape, inputs, outs, and where a gradient was asked for
heads and grads (by input). `sparse`: also the storage of each input (kinds) and of the result (stype), and the rows
that a row_sparse result stores. `shapes`: what `infer_shape_partial` found from ins and out (0: unknown size).
An array is [type, shape, base64 of its bytes].
"""

import base64
import functools
import gzip
import json

import numpy as np
import torch

from evergraph import ops
from evergraph.ops.run import Run
from evergraph.ops.sparse import csr_from_dense, rows_from_dense
from tests.goldens import MXNET, near


@functools.cache
def recorded():
    return json.loads(gzip.decompress((MXNET / "op-variants.json.gz").read_bytes()))


def array(item):
    dtype, shape, data = item
    return np.frombuffer(base64.b64decode(data), dtype).reshape(shape).copy()


@functools.cache
def dense_cases(family):
    """The cases of the operators that one package below `ops.families` defines, by operator."""
    found = {}
    for case in recorded()["dense"]:
        if f".families.{family}." in ops.get(case["op"]).body.__module__:
            found.setdefault(case["op"], []).append(case)
    return found


def tolerances(arrays):
    kinds = {a.dtype.name for a in arrays}
    if "float16" in kinds:
        return 2e-2, 1e-2
    return (1e-4, 1e-5) if "float32" in kinds else (1e-6, 1e-7)


def computed(op, params, tensors, training=False):
    extra = {"run": Run(training)} if op.wants_run else {}
    found = op.body(*op.arrange(params, tensors), **params, **extra)
    return list(found) if isinstance(found, (tuple, list)) else [found]


def check_dense(case):
    op = ops.get(case["op"])
    params = op.parse(case["attrs"])
    arrays, wanted = [array(a) for a in case["inputs"]], [array(a) for a in case["outs"]]
    rtol, atol = tolerances(arrays + wanted)
    what = f"{case['op']} {case['attrs']} of {[(a.dtype.name, a.shape) for a in arrays]}"
    with torch.no_grad():
        outs = computed(op, params, [torch.from_numpy(a.copy()) for a in arrays])
    for i, want in enumerate(wanted):
        assert str(outs[i].dtype) == f"torch.{want.dtype}", f"{what}: output {i} is {outs[i].dtype} for {want.dtype}"
        near(outs[i].numpy(), want, rtol, atol, f"{what}: output {i}")
    check_types(op, params, arrays, wanted, what)
    if case["grads"]:
        check_gradients(case, op, params, arrays, 10 * rtol, 10 * atol, what)


def check_types(op, params, arrays, wanted, what):
    names = op.output_names(params)
    _, types = op.dtype(params, [a.dtype.name for a in arrays], [None] * len(names))
    assert types[: len(wanted)] == [w.dtype.name for w in wanted], f"{what}: type rule says {types}"


def check_gradients(case, op, params, arrays, rtol, atol, what):
    tensors = [torch.from_numpy(a.copy()) for a in arrays]
    for i in case["grads"]:
        tensors[int(i)].requires_grad_()
    outs = computed(op, params, tensors, training=True)
    heads = [torch.from_numpy(array(h)) for h in case["heads"]]
    pairs = [(o, h) for o, h in zip(outs, heads, strict=False) if o.requires_grad]
    if pairs:
        torch.autograd.backward([o for o, _ in pairs], [h for _, h in pairs])
    for i, item in case["grads"].items():
        found = tensors[int(i)].grad
        found = torch.zeros_like(tensors[int(i)]) if found is None else found
        near(found.numpy(), array(item), rtol, atol, f"{what}: gradient of input {i}")


def stored(kind, values, requires_grad=False):
    """An array in one of MXNet's storages."""
    tensor = torch.from_numpy(values.copy())
    if kind == "default":
        return tensor.requires_grad_(requires_grad)
    found = rows_from_dense(tensor) if kind == "row_sparse" else csr_from_dense(tensor)
    found.data.requires_grad_(requires_grad)
    return found
