"""Calls of NumPy-style operators on arrays, for the tests of that family."""

import numpy as np
import torch

from evergraph import ops
from evergraph.ops.run import Run


def call(name, *inputs, **attributes):
    """The outputs of an operator, as a list of NumPy arrays."""
    return [o.numpy() for o in tensors(name, *[torch.from_numpy(np.array(i)) for i in inputs], **attributes)]


def tensors(name, *inputs, **attributes):
    """The outputs of an operator on tensors, as a list of tensors."""
    op = ops.get(name)
    params = op.parse({k: str(v) for k, v in attributes.items()})
    extra = {"run": Run()} if op.wants_run else {}
    found = op.body(*op.arrange(params, list(inputs)), **params, **extra)
    return list(found) if isinstance(found, (tuple, list)) else [found]


def one(name, *inputs, **attributes):
    """The only output of an operator, as a NumPy array."""
    (found,) = call(name, *inputs, **attributes)
    return found


def shapes(name, inputs, outputs=(None,), **attributes):
    """The shapes that an operator's rule infers."""
    op = ops.get(name)
    return op.infer_shapes(op.parse({k: str(v) for k, v in attributes.items()}), list(inputs), list(outputs))


def dtypes(name, *inputs, **attributes):
    """The output types that an operator's rule infers."""
    op = ops.get(name)
    params = op.parse({k: str(v) for k, v in attributes.items()})
    return op.dtype(params, list(inputs), [None] * len(op.output_names(params)))[1]
