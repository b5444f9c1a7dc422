"""Runs a recorded operator case on its definition: forward, training, gradients, states, in-place effects."""

import json

import numpy as np
import torch

from evergraph import ops
from evergraph.ops.run import Run
from tests.goldens import near, operator_values


def single_node(text):
    """The one operator node of a recorded graph, and the names of its inputs in order."""
    graph = json.loads(text)
    node = next(n for n in graph["nodes"] if n["op"] != "null")
    return node["op"], node.get("attrs", {}), [graph["nodes"][i[0]]["name"] for i in node["inputs"]]


def tolerances(values):
    half = any(v.dtype == np.float16 for k, v in values.items() if k.startswith(("in:", "out:")))
    return (1e-2, 1e-2) if half else (1e-4, 1e-5)


def compute(op, params, tensors, run):
    extra = {"run": run} if op.wants_run else {}
    found = op.body(*op.arrange(params, tensors), **params, **extra)
    return list(found) if isinstance(found, (tuple, list)) else [found]


def check_case(case):
    """Hold an operator's definition against one recorded case."""
    values = operator_values(case)
    if "json" not in values:
        return  # a multi-tensor update: no graph was recorded
    name, attributes, inputs = single_node(bytes(values["json"]).decode())
    op = ops.get(name)
    params = op.parse(attributes)
    rtol, atol = tolerances(values)
    wanted = {k.split(":", 1)[1] for k in values if k.startswith("grad:")}

    def fresh(training):
        found = {n: torch.from_numpy(values[f"in:{n}"].copy()) for n in inputs}
        return {n: t.requires_grad_() if training and n in wanted else t for n, t in found.items()}

    tensors = fresh(False)
    with torch.no_grad():
        outs = compute(op, params, [tensors[n] for n in inputs], Run())
    for i, out in enumerate(outs):
        if f"out:{i}" in values:
            near(out.numpy(), values[f"out:{i}"], rtol, atol, f"output {i}")
    check_shapes(op, params, [values[f"in:{n}"] for n in inputs], outs)
    if wanted:
        tensors = fresh(True)
        outs = compute(op, params, [tensors[n] for n in inputs], Run(training=True))
        check_training(values, tensors, outs, rtol, atol)
    for key, value in values.items():
        if key.startswith(("auxafter:", "after:")):
            near(tensors[key.split(":", 1)[1]].detach().numpy(), value, rtol, atol, key)


def check_training(values, tensors, outs, rtol, atol):
    visible = [o for i, o in enumerate(outs) if f"out:{i}" in values]
    for i, out in enumerate(visible):
        near(out.detach().numpy(), values.get(f"trainout:{i}", values[f"out:{i}"]), rtol, atol, f"training output {i}")
    heads = [torch.from_numpy(values.get(f"head:{i}", np.ones_like(values[f"out:{i}"]))) for i in range(len(visible))]
    pairs = [(o, h) for o, h in zip(visible, heads, strict=True) if o.requires_grad]
    if pairs:
        torch.autograd.backward([o for o, _ in pairs], [h.to(o.dtype) for o, h in pairs])
    for key, value in values.items():
        if key.startswith("grad:"):
            tensor = tensors[key[5:]]
            grad = tensor.grad if tensor.grad is not None else torch.zeros_like(tensor)
            near(grad.numpy(), value, 10 * rtol, 10 * atol, f"gradient of {key[5:]}")


def check_shapes(op, params, arrays, outs):
    """An operator with a shape rule must agree with what it computes, and with its own inputs."""
    if op.shape is None:
        return
    ins = [tuple(a.shape) for a in arrays]
    found, results = op.infer_shapes(params, ins, [None] * len(op.output_names(params)))
    assert found == ins, f"shape rule changed the inputs: {found} for {ins}"
    for out, shape in zip(outs, results, strict=False):
        # a size that depends on the values is None
        sizes = None if shape is None else [t if d is None else d for d, t in zip(shape, out.shape, strict=True)]
        assert sizes in (None, [*out.shape]), f"shape rule says {shape} for {tuple(out.shape)}"
    if op._parameter_shapes is not None:
        found, _ = op.infer_shapes(params, ins[:1] + [None] * (len(ins) - 1), [None] * len(results))
        assert all(f is None or f == i for f, i in zip(found, ins, strict=True)), f"{found} for {ins}"
