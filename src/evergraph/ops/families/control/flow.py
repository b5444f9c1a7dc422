"""Control flow over subgraphs: loops over an axis, loops while a condition holds, branches.

A subgraph is called with its inputs, in its own order, and returns the list of its outputs.
"""

from collections.abc import Callable, Sequence
from typing import Any

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.schema import Subgraphs
from evergraph.ops.types import Longs

__all__ = ["cond", "foreach", "while_loop"]


def _names(subgraphs: int) -> Callable[[Any, int | None], list[str]]:
    """Names of the inputs; num_args counts the subgraphs too, except in MXNet 2.0's own spellings."""

    def listed(p: Any, count: int | None) -> list[str]:
        return [f"data{i}" for i in range(p.num_args - subgraphs if count is None else count)]

    return listed


def _pick(inputs: Sequence[Any], places: Sequence[int], what: str) -> list[Any]:
    """Inputs at the places where a subgraph reads them."""
    if any(not 0 <= i < len(inputs) for i in places):
        raise OperatorError(f"{what} reads inputs that are not there", expected=f"0 to {len(inputs) - 1}", found=places)
    return [inputs[i] for i in places]


def _holds(value: Any, what: str) -> bool:
    if value.numel() != 1:
        raise ShapeError(f"{what} is no single number", expected=(1,), found=tuple(value.shape))
    return bool(value)


def _rows(data: Any) -> Sequence[Any]:
    """The rows of an array; those of a vector have the shape (1,)."""
    return (data.unsqueeze(1) if data.ndim == 1 else data).unbind(0)


@operator(
    "_foreach",
    aliases=("_npx_foreach",),
    outputs=lambda p: p.num_outputs,
    names=_names(1),
    count="",
    description={"fn": "Symbol"},
    documented=(
        "fn",
        "data",
        "num_args",
        "num_outputs",
        "num_out_data",
        "in_state_locs",
        "in_data_locs",
        "remain_locs",
    ),
)
def foreach(
    *data,
    num_args: int,
    num_outputs: int,
    num_out_data: int,
    in_state_locs: Longs,
    in_data_locs: Longs,
    remain_locs: Longs,
    in_state_index: Longs = (),
    subgraphs: Subgraphs,
):
    """Runs a subgraph for each row of the data: the outputs of all rows stacked, then the last states.

    Inputs are the data, the first states, and what stays the same; the locs say which input of the subgraph each of
    them is. The subgraph gives num_out_data outputs and the next states. Rows of a vector have the shape (1,).
    """
    states = len(in_data_locs)
    walked, carried, fixed = data[:states], list(data[states : states + len(in_state_locs)]), data[states:]
    fixed = fixed[len(in_state_locs) :]
    places = (*in_data_locs, *in_state_locs, *remain_locs)
    if sorted(places) != list(range(len(data))):
        raise OperatorError("the places of foreach's inputs do not fit", expected=f"{len(data)} of them", found=places)
    lengths = {len(d) for d in walked}
    if len(lengths) != 1:
        raise ShapeError("foreach walks over arrays of one length", found=sorted(lengths))
    (length,) = lengths
    ordered: list[Any] = [None] * len(data)
    for place, value in zip(remain_locs, fixed, strict=True):
        ordered[place] = value
    index = in_state_index or range(len(in_state_locs))
    rows: list[list[Any]] = []
    last: list[Any] = []
    for row in zip(*(_rows(d) for d in walked), strict=True):
        outs = _step(subgraphs[0], ordered, (in_data_locs, row), (in_state_locs, carried))
        rows.append(outs[:num_out_data])
        last = outs[num_out_data:]
        carried = [last[i] for i in index]
    if not length:
        return _no_rows(subgraphs[0], ordered, (in_data_locs, walked), (in_state_locs, carried), num_out_data)
    return [torch.stack([r[i] for r in rows]) for i in range(num_out_data)] + last


def _step(subgraph: Any, ordered: list[Any], *parts: tuple[Sequence[int], Sequence[Any]]) -> list[Any]:
    for places, values in parts:
        for place, value in zip(places, values, strict=True):
            ordered[place] = value
    return list(subgraph(*ordered))


def _no_rows(
    subgraph: Any, ordered: list[Any], walked: tuple[Any, Any], carried: tuple[Any, Any], count: int
) -> list[Any]:
    """What a loop over nothing gives: outputs without rows, in the shapes that a row of zeros would have."""
    zeros = [d.new_zeros(d.shape[1:] or (1,)) for d in walked[1]]
    with torch.no_grad():
        outs = _step(subgraph, ordered, (walked[0], zeros), carried)
    return [o.new_zeros(0, *o.shape) for o in outs[:count]] + list(carried[1])


@operator(
    "_while_loop",
    aliases=("_npx_while_loop",),
    outputs=lambda p: p.num_outputs,
    names=_names(2),
    count="",
    description={"cond": "Symbol", "func": "Symbol"},
    documented=(
        "cond",
        "func",
        "data",
        "num_args",
        "num_outputs",
        "num_out_data",
        "max_iterations",
        "cond_input_locs",
        "func_input_locs",
        "func_var_locs",
    ),
)
def while_loop(
    *data,
    num_args: int,
    num_outputs: int,
    num_out_data: int,
    max_iterations: int,
    cond_input_locs: Longs,
    func_input_locs: Longs,
    func_var_locs: Longs,
    subgraphs: Subgraphs,
):
    """Runs the second subgraph while the first gives a number other than 0: outputs of all steps, then the variables.

    The locs say which inputs each subgraph reads, func_var_locs which of the second one's inputs are the variables
    that its last outputs replace. Outputs have max_iterations rows; those past the last step are 0 (in MXNet they
    hold what the memory held).
    """
    if max_iterations <= 0:
        raise OperatorError(
            "while_loop needs a limit of steps", expected="max_iterations above 0", found=max_iterations
        )
    condition, body = subgraphs
    values = list(data)
    variables = _pick(func_input_locs, func_var_locs, "while_loop's body")
    rows: list[list[Any]] = []
    while len(rows) < max_iterations and _decides(condition, values, cond_input_locs, "while_loop"):
        outs = list(body(*_pick(values, func_input_locs, "while_loop's body")))
        rows.append(outs[:num_out_data])
        for place, value in zip(variables, outs[num_out_data:], strict=True):
            values[place] = value
    missing = max_iterations - len(rows)
    if not rows:
        with torch.no_grad():
            outs = list(body(*_pick(values, func_input_locs, "while_loop's body")))
        stacked = [o.new_zeros(missing, *o.shape) for o in outs[:num_out_data]]
    else:
        stacked = [torch.stack([r[i] for r in rows]) for i in range(num_out_data)]
        if missing:
            stacked = [torch.cat((s, s.new_zeros(missing, *s.shape[1:]))) for s in stacked]
    return stacked + [values[place] for place in variables]


def _decides(condition: Any, values: Sequence[Any], places: Sequence[int], what: str) -> bool:
    with torch.no_grad():
        (found,) = condition(*_pick(values, places, f"{what}'s condition"))
    return _holds(found, f"the condition of {what}")


@operator(
    "_cond",
    aliases=("_npx_cond",),
    outputs=lambda p: p.num_outputs,
    names=_names(3),
    count="",
    description={"cond": "Symbol", "then_branch": "Symbol", "else_branch": "Symbol"},
    documented=(
        "cond",
        "then_branch",
        "else_branch",
        "data",
        "num_args",
        "num_outputs",
        "cond_input_locs",
        "then_input_locs",
        "else_input_locs",
    ),
)
def cond(
    *data,
    num_args: int,
    num_outputs: int,
    cond_input_locs: Longs,
    then_input_locs: Longs,
    else_input_locs: Longs,
    subgraphs: Subgraphs,
):
    """Runs the second subgraph where the first gives a number other than 0, otherwise the third.

    The locs say which inputs each of them reads. Gradients flow through the branch that ran.
    """
    condition, then_branch, else_branch = subgraphs
    if _decides(condition, data, cond_input_locs, "cond"):
        return list(then_branch(*_pick(data, then_input_locs, "cond's first branch")))
    return list(else_branch(*_pick(data, else_input_locs, "cond's second branch")))
