"""Inference programs made into calls, on the engine that was asked for and takes them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch

from evergraph.engine.lowering import lower
from evergraph.engine.lowering.batches import in_pieces, settle_allocator, split_batch
from evergraph.engine.lowering.rewriting import redirect
from evergraph.engine.openvino import accelerate, split
from evergraph.engine.plan import Plan
from evergraph.engine.program import Program
from evergraph.engine.routine import Routine
from evergraph.engine.settings import has_openvino
from evergraph.errors import ConversionError, printable

__all__ = ["Compiled", "compile_program", "freeze"]

Compiled: TypeAlias = Callable[[Sequence[Any]], list[Any]]
"""From the values of a program's inputs to its outputs, both in order."""


def freeze(plan: Plan, constants: Mapping[str, Any], inputs: Sequence[str]) -> Program:
    """A plan's program with some of its variables as constants.

    Args:
        plan: an inference plan, made with `infer=True`.
        constants: values by name; a name that stands for several variables gives them all the same one.
        inputs: names of the variables that each run is given, in order.
    """
    program = plan.program.copy()
    names = dict(zip(program.inputs, (*plan.arguments, *plan.auxiliary), strict=True))
    program.constants |= {v: constants[n] for v, n in names.items() if n in constants}
    places = {n: v for v, n in names.items()}
    program.inputs = [places[n] for n in inputs]
    redirect(program, {v: places[n] for v, n in names.items() if n in inputs and v != places[n]})
    program.prune()
    return program


def compile_program(
    program: Program,
    values: Sequence[torch.Tensor],
    *,
    engine: str,
    precision: str,
    device: torch.device,
    tell: Callable[[str], None],
) -> Compiled:
    """Make a frozen program into a call.

    Args:
        program: used up: a weight is let go as soon as its lowered form is there, unless the caller holds it too.
        values: inputs, in order; the call holds for their shapes and types.
        engine: "auto", "torch" or "openvino".
        precision: "float32" or "bfloat16".
        device: where it runs.
        tell: is told why the program, or a part of it, does not run on the engine that was asked for.
    """
    if engine != "torch" and device.type == "cpu" and has_openvino():
        try:
            return _on_openvino(program.copy(), values, engine, precision, tell)
        except ConversionError as error:
            tell(f"{error.what}; it runs on torch")
    return _on_torch(program, precision, device)


def _on_torch(program: Program, precision: str, device: torch.device) -> Compiled:
    half = precision == "bfloat16"
    if device.type == "cpu" and not half:
        found = _in_single_precision(program)
        settle_allocator()  # after lowering, whose large blocks go back to the system
        return found
    routine = _lowered(program, fuse=False)
    if not half:
        return routine

    def call(values: Sequence[Any]) -> list[Any]:
        with torch.autocast(device.type, torch.bfloat16):
            return [o.float() if o.dtype == torch.bfloat16 else o for o in routine(values)]

    return call


def _in_single_precision(program: Program) -> Compiled:
    pieces = split_batch(program)
    if pieces is None:
        return _lowered(program, fuse=True)
    program.constants.clear()
    return in_pieces(pieces, _lowered(pieces.first, fuse=True), _lowered(pieces.rest, fuse=True))


def _lowered(program: Program, *, fuse: bool) -> Routine:
    lower(program, fuse=fuse)
    return Routine(program)


def _on_openvino(
    program: Program, values: Sequence[torch.Tensor], engine: str, precision: str, tell: Callable[[str], None]
) -> Compiled:
    lower(program, fuse=False)
    first, forced = split(program, fastest=False)
    if not first.steps:
        raise ConversionError("OpenVINO can take no part of this graph")
    if forced.steps:
        kinds = ", ".join(sorted({printable(s.kind) for s in forced.steps if s.kind}))
        tell(f"a part of the graph runs on torch ({len(forced.steps)} nodes: {kinds})")
    first, rest = split(program, fastest=engine == "auto")
    if not first.steps:
        return _on_torch(program, precision, torch.device("cpu"))
    compiled = accelerate(first, values, precision)
    lower(rest)
    routine = Routine(rest)
    return lambda given: routine([*compiled(given), *given])
