"""Which values a step may overwrite, and the activations and sums that do."""

import torch

from evergraph.engine.lowering.activations import SUMS, activation_of
from evergraph.engine.lowering.rewriting import Uses, engine_step
from evergraph.engine.program import Program, Step

__all__ = ["can_overwrite", "overwrite_inputs"]

# these give memory of their own, that neither their inputs nor anybody else holds
_FRESH = frozenset(
    ("convolution", "dense", "scaling", "Convolution", "Deconvolution", "FullyConnected", "Pooling", "Concat",
     "Activation", "LeakyReLU", "relu", "sigmoid", "tanh", "elemwise_add", "elemwise_mul", "elemwise_sub",
     "broadcast_add", "broadcast_mul", "broadcast_sub", "broadcast_div", "LRN", "L2Normalization", "InstanceNorm",
     "LayerNorm", "_mul_scalar", "_div_scalar", "_plus_scalar", "_minus_scalar", "clip", "exp", "softmax", "activation")
)  # fmt: skip


def can_overwrite(program: Program, uses: Uses, value: int, step: Step) -> bool:
    """Whether a step, which reads a value last, may overwrite it: nobody else holds its memory.

    Args:
        program: what the value belongs to.
        uses: its makers and readers; steps that were fused count by what they were.
        value: what is to be overwritten.
        step: who would overwrite it.
    """
    maker, readers = uses.makers.get(value), uses.readers.get(value, ())
    if maker is None or maker.kind not in _FRESH or None in readers:
        return False
    # every other reader must have read it by then, and hold no view of it
    order = {id(s): i for i, s in enumerate(program.steps)}
    return all(r is step or (r.kind in _FRESH and order.get(id(r), -1) < order[id(step)]) for r in readers)


def overwrite_inputs(program: Program) -> list[str]:
    """Let activations and sums overwrite an input that nobody else holds: new memory costs as much as they do.

    Args:
        program: an inference program, changed in place.

    Returns:
        Names of the nodes that overwrite an input.
    """
    uses, names = Uses(program), []
    for index, step in enumerate(program.steps):
        act = activation_of(step)
        if act is not None and can_overwrite(program, uses, step.inputs[0], step):
            found, inputs = act.plain, step.inputs[:1]
        elif step.kind in SUMS and (first := _summand(program, uses, step)) is not None:
            found, inputs = torch.Tensor.add_, (first, *(v for v in step.inputs if v != first))
        else:
            continue
        names.append(step.name)
        program.steps[index] = engine_step(step.name, "activation", found, inputs, step.outputs[0])
    return names


def _summand(program: Program, uses: Uses, step: Step) -> int | None:
    """The summand that a sum of two different values of one shape may overwrite."""
    shapes = {program.shapes.get(v) for v in step.inputs}
    if len(set(step.inputs)) != 2 or len(shapes) != 1 or None in shapes:
        return None
    return next((v for v in step.inputs if can_overwrite(program, uses, v, step)), None)
