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


def can_overwrite(uses: Uses, value: int, step: Step) -> bool:
    """Whether a step, which reads a value last, may overwrite it: nobody else holds its memory.

    Args:
        uses: who makes and reads the program's values, in the order in which its steps will run.
        value: what is to be overwritten.
        step: who would overwrite it.
    """
    maker, readers = uses.makers.get(value), uses.readers.get(value, ())
    if maker is None or maker.kind not in _FRESH or None in readers:
        return False
    # every other reader must have read it by then, and hold no view of it
    return all(r is step or (r.kind in _FRESH and uses.order[id(r)] < uses.order[id(step)]) for r in readers)


def overwrite_inputs(program: Program) -> list[str]:
    """Let activations and sums overwrite an input that nobody else holds: new memory costs as much as they do.

    Args:
        program: an inference program, changed in place; its steps stay in this order.

    Returns:
        Names of the nodes that overwrite an input.
    """
    uses, names = Uses(program), []
    for index, step in enumerate(program.steps):
        found = _overwriting(program, uses, step)
        if found is not None:
            names.append(step.name)
            program.steps[index] = found
    return names


def _overwriting(program: Program, uses: Uses, step: Step) -> Step | None:
    """The step in its form that overwrites an input, if there is one and it may."""
    act = activation_of(step)
    if act is not None and can_overwrite(uses, step.inputs[0], step):
        return engine_step(step.name, "activation", act.plain, step.inputs[:1], step.outputs[0])
    if step.kind in SUMS and (first := _summand(program, uses, step)) is not None:
        inputs = (first, *(v for v in step.inputs if v != first))
        return engine_step(step.name, "activation", torch.Tensor.add_, inputs, step.outputs[0])
    if "over" in step.params:
        data, other = step.inputs  # a layer reads its data while it writes
        return step.replace(call=step.params.over) if data != other and can_overwrite(uses, other, step) else None
    return None


def _summand(program: Program, uses: Uses, step: Step) -> int | None:
    """The summand that a sum of two different values of one shape may overwrite."""
    shapes = {program.shapes.get(v) for v in step.inputs}
    if len(set(step.inputs)) != 2 or len(shapes) != 1 or None in shapes:
        return None
    return next((v for v in step.inputs if can_overwrite(uses, v, step)), None)
