"""Steps that change nothing in inference fall away."""

from collections.abc import Callable

from evergraph.engine.lowering.rewriting import redirect
from evergraph.engine.program import Program, Step

__all__ = ["drop_identities"]

_ALWAYS: Callable[[Step], bool] = lambda _: True

# for each operator: whether a step of it passes its first input on as it is
_PASSES = {
    "_copy": _ALWAYS,
    "BlockGrad": _ALWAYS,
    "make_loss": _ALWAYS,
    "MakeLoss": _ALWAYS,
    "IdentityAttachKLSparseReg": _ALWAYS,
    "_identity_with_attr_like_rhs": _ALWAYS,
    "Dropout": lambda s: s.params.mode == "training",
    "SliceChannel": lambda s: s.params.num_outputs == 1 and not s.params.squeeze_axis,
    "Concat": lambda s: len(s.inputs) == 1,
    "add_n": lambda s: len(s.inputs) == 1,
}


def drop_identities(program: Program) -> list[str]:
    """Let the readers of steps that change nothing read what those read.

    Args:
        program: an inference program, changed in place.

    Returns:
        Names of the nodes that fell away.
    """
    read = {v for s in program.steps for v in s.inputs} | set(program.outputs)
    same, names = {}, []
    for step in program.steps:
        passes = _PASSES.get(step.kind)
        if passes is not None and passes(step) and not any(v in read for v in step.outputs[1:]):
            same[step.outputs[0]] = step.inputs[0]
            names.append(step.name)
    redirect(program, same)
    return names
