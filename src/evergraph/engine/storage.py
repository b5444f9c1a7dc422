"""Sparse values on their way through a plan: to an operator's own sparse computation, or densified."""

from collections.abc import Callable, Iterable
from typing import Any

from evergraph.engine.program import NOTHING, Program, Step
from evergraph.ops.run import Run
from evergraph.ops.sparse import compute, dense_value, result_kind

__all__ = ["dispatch_sparse"]


def dispatch_sparse(program: Program, sparse: Iterable[tuple[int, str]], run: Run) -> None:
    """Let every step that may meet a sparse value choose its computation by what it meets.

    Which steps these are is found once: what no sparse value can reach keeps its plain call.

    Args:
        program: changed in place.
        sparse: the values that are given as sparse ones, each with its storage kind.
        run: what the operators know of the run.
    """
    kinds = dict(sparse)
    for step in program.steps:
        meets = bool(kinds) and not kinds.keys().isdisjoint(step.inputs)
        if step.op is None or not (meets or step.op.sparse_bodies):
            continue
        given = [kinds.get(v, "default") for v in step.inputs if v != NOTHING]
        kind = result_kind(step.op, step.params, given)
        if kind != "default":
            kinds[step.outputs[0]] = kind
        if meets:
            step.call = _chooser(step, run)


def _chooser(step: Step, run: Run) -> Callable[..., Any]:
    op, params, plain = step.op, step.params, step.call
    if op is None or op.wants_subgraphs:
        return lambda *values: plain(*map(dense_value, values))
    return lambda *values: compute(op, values, params, run)
