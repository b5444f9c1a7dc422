"""What does not depend on the inputs' values is computed once."""

from typing import Any

import torch

from evergraph.engine.lowering.rewriting import call_of
from evergraph.engine.program import NOTHING, Program, Step

__all__ = ["fold_constants"]

# results larger by more than this than what they come from are computed in each run: memory is worth more
_GROWTH = 64 << 20

# these read the shape of their input only
_SHAPE_ONLY = frozenset(
    ("zeros_like", "ones_like", "shape_array", "size_array", "_contrib_MultiBoxPrior", "_contrib_arange_like",
     "_npi_full_like", "_rnn_param_concat_shape")
)  # fmt: skip


def fold_constants(program: Program) -> list[str]:
    """Compute the steps whose inputs are known, or of whose inputs they read the shape only.

    Random operators, and those that behave by the run, stay as they are.

    Args:
        program: changed in place.

    Returns:
        Names of the nodes that were computed.
    """
    kept, names = [], []
    for step in program.steps:
        found = _evaluate(program, step)
        if found is None:
            kept.append(step)
        else:
            program.constants |= dict(zip(step.outputs, found, strict=False))
            names.append(step.name)
    program.steps = kept
    if names:
        program.prune()
    return names


def _evaluate(program: Program, step: Step) -> list[Any] | None:
    if step.op is None or step.op.wants_run or step.op.wants_subgraphs or any(i.kind != "data" for i in step.op.inputs):
        return None
    inputs = [_known(program, step, v) for v in step.inputs]
    if any(v is _UNKNOWN for v in inputs):
        return None
    with torch.no_grad():
        found = call_of(step)(*inputs)
    results = list(found) if isinstance(found, (tuple, list)) else [found]
    grown = sum(map(_size, results)) - sum(map(_size, inputs))
    return results if grown <= _GROWTH else None


_UNKNOWN = object()


def _known(program: Program, step: Step, value: int) -> Any:
    if value == NOTHING:
        return None
    if value in program.constants:
        return program.constants[value]
    if step.kind in _SHAPE_ONLY and value in program.shapes:
        return torch.zeros((), dtype=torch.float32).expand(program.shapes[value])
    return _UNKNOWN


def _size(value: Any) -> int:
    return value.numel() * value.element_size() if isinstance(value, torch.Tensor) else 0
