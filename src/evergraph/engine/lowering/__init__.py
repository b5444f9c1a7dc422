"""Lowering for inference: steps from program to program, each of which leaves the outputs as they are."""

from collections.abc import Callable, Collection

import torch

from evergraph.engine.lowering.constants import fold_constants
from evergraph.engine.lowering.fusion import fuse_layers
from evergraph.engine.lowering.identities import drop_identities
from evergraph.engine.lowering.inplace import overwrite_inputs
from evergraph.engine.lowering.recurrence import fuse_recurrences, pack_recurrences
from evergraph.engine.lowering.scaling import fold_scalings
from evergraph.engine.program import Program

__all__ = ["FOLDING", "FUSING", "lower"]

FOLDING: dict[str, Callable[[Program], list[str]]] = {
    "identities": drop_identities,
    # before constants are folded: a first cell, whose old states are constants, is a cell like the others
    "recurrences": fuse_recurrences,
    "constants": fold_constants,
    "scalings": fold_scalings,
}
"""Steps that hold on every device, and for an accelerator that takes the lowered module."""

FUSING: dict[str, Callable[[Program], list[str]]] = {
    "layers": fuse_layers,
    "recurrent weights": pack_recurrences,
    "overwriting": overwrite_inputs,
}
"""Steps for PyTorch on a CPU, after the folding ones."""


def lower(program: Program, *, fuse: bool = True, without: Collection[str] = ()) -> dict[str, list[str]]:
    """Lower an inference program whose parameters are constants.

    Args:
        program: changed in place.
        fuse: also for PyTorch on this CPU: fused layers of oneDNN, where PyTorch has them, and values overwritten.
        without: names of steps that are left out.

    Returns:
        For each step that ran, the names of the nodes that it took away or changed.
    """
    steps = {**FOLDING, **(FUSING if fuse else {})}
    with torch.no_grad():
        return {name: step(program) for name, step in steps.items() if name not in without}
