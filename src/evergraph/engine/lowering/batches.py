"""Large batches in pieces: layers that treat each example by itself run on as many as the allocator keeps memory for.

Linux's allocator takes blocks of 32 MB and more from the system for each call and gives them back after it: a page
fault for every 4 KB. Measured on one core: MobileNet at batch 32 took 0.78 s whole and 0.48 s in four pieces.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from evergraph.engine.program import NOTHING, Program, Step

__all__ = ["Pieces", "in_pieces", "settle_allocator", "split_batch"]

# just below the size from which glibc never reuses a block
_LARGEST = (32 << 20) - (64 << 10)

_ELEMENTWISE = frozenset(
    ("Activation", "LeakyReLU", "relu", "sigmoid", "tanh", "clip", "exp", "sqrt", "square", "abs", "_copy", "BlockGrad",
     "elemwise_add", "elemwise_sub", "elemwise_mul", "elemwise_div", "_mul_scalar", "_div_scalar", "_plus_scalar",
     "_minus_scalar", "_rminus_scalar", "_power_scalar", "_maximum_scalar", "_minimum_scalar", "add_n", "hard_sigmoid",
     "broadcast_add", "broadcast_sub", "broadcast_mul", "broadcast_div", "broadcast_maximum", "broadcast_minimum")
)  # fmt: skip
# these keep examples apart whatever their parameters are
_ALWAYS = frozenset(
    ("Convolution", "Deconvolution", "FullyConnected", "Pooling", "Flatten", "LRN", "UpSampling", "L2Normalization",
     "InstanceNorm", "SoftmaxActivation")
)  # fmt: skip


def _off_first(p: Any, rank: int) -> bool:
    """Whether a parameter names an axis, and not the first one."""
    axis = p.get("axis", p.get("dim"))
    return isinstance(axis, int) and axis % rank != 0


# for each operator: (parameters, rank of the result) -> whether it keeps examples apart
_SOMETIMES: dict[str, Callable[[Any, int], bool]] = {
    "BatchNorm": lambda p, rank: _off_first(p, rank) and not p.output_mean_var,
    "Concat": _off_first,
    "SliceChannel": lambda p, rank: _off_first(p, rank) and not p.squeeze_axis,
    "slice_axis": _off_first,
    "softmax": lambda p, rank: _off_first(p, rank) and not p.use_length,
    "LayerNorm": lambda p, rank: _off_first(p, rank) and not p.output_mean_var,
    "Dropout": lambda p, _: p.mode == "training",
    "Reshape": lambda p, _: p.shape[:1] == (0,) and not p.reverse,
    "transpose": lambda p, _: p.axes[:1] == (0,),
    "Pad": lambda p, _: p.pad_width[:2] == (0, 0),
}


class Pieces(NamedTuple):
    """A program in two parts: `first` on `size` examples at a time, then `rest` on the whole batch.

    The outputs of `first`, put together, are the first inputs of `rest`; the program's own inputs follow them.
    """

    size: int
    first: Program
    rest: Program


def split_batch(program: Program) -> Pieces | None:
    """The part of a program that should run in pieces, with all that leads to it; None where there is none.

    That part makes or reads values as large as the allocator gives back. What comes after it stays whole: large
    matrices of dense layers are read once for all examples.

    Args:
        program: an inference program in which the shapes of values are known, before it is lowered.
    """
    made = {v: s for s in program.steps for v in s.outputs}
    bytes_of = {v: 4 * math.prod(program.shapes.get(v, (0,))) for v in made}
    large = {v for v, n in bytes_of.items() if n > _LARGEST}
    steps = _leading_to(program, made, [s for s in program.steps if not large.isdisjoint((*s.inputs, *s.outputs))])
    batch = _batch_of(program, steps) if steps else None
    if batch is None or not all(_keeps_apart(program, s) for s in steps):
        return None
    most = max(bytes_of[v] for s in steps for v in s.outputs[:1])
    size = max((n for n in range(1, batch) if batch % n == 0 and most // batch * n <= _LARGEST), default=None)
    return None if size is None else Pieces(size, *_halves(program, steps, size))


def _leading_to(program: Program, made: Mapping[int, Step], steps: Sequence[Step]) -> list[Step]:
    """Steps with all that they depend on, in the program's order."""
    found, pending = set(), list(steps)
    while pending:
        step = pending.pop()
        if id(step) not in found:
            found.add(id(step))
            pending += [made[v] for v in step.inputs if v in made]
    return [s for s in program.steps if id(s) in found]


def _batch_of(program: Program, steps: Sequence[Step]) -> int | None:
    """The number of examples, if the first axis of everything that steps take and make counts them."""
    given = {v for s in steps for v in s.inputs} & set(program.inputs)
    values = given | {s.outputs[0] for s in steps}
    shapes = [program.shapes.get(v, ()) for v in values]
    others = {v for s in steps for v in s.outputs[1:] if s.kind != "SliceChannel"}
    read = {v for s in program.steps for v in s.inputs} | set(program.outputs)
    batches = {s[0] if len(s) > 1 else 0 for s in shapes}
    if not given or len(batches) != 1 or not others.isdisjoint(read):
        return None
    return batches.pop()


def _halves(program: Program, steps: Sequence[Step], size: int) -> tuple[Program, Program]:
    first, rest, inside = program.copy(), program.copy(), {id(s) for s in steps}
    first.steps, rest.steps = list(steps), [s for s in program.steps if id(s) not in inside]
    made = {v for s in steps for v in s.outputs}
    wanted = [v for s in rest.steps for v in s.inputs] + program.outputs
    first.outputs = list(dict.fromkeys(v for v in wanted if v in made))
    rest.inputs = first.outputs + program.inputs
    varying = made | set(program.inputs)
    first.shapes = {v: (size, *s[1:]) if v in varying and s else s for v, s in program.shapes.items()}
    first.prune()
    rest.prune()
    return first, rest


def _keeps_apart(program: Program, step: Step) -> bool:
    """Whether each example of a step's result comes from that example alone."""
    kind, known, rank = step.kind, program.constants, len(program.shapes[step.outputs[0]])
    if kind in _ELEMENTWISE:
        # broadcasting must meet examples with examples, and no constant row by row
        return all(
            known[v].ndim < rank or known[v].shape[0] == 1 if v in known else len(program.shapes.get(v, ())) == rank
            for v in step.inputs
            if v != NOTHING
        )
    if kind not in _ALWAYS and not (kind in _SOMETIMES and _SOMETIMES[kind](step.params, rank)):
        return False
    first, *others = (v for v in step.inputs if v != NOTHING)
    apart = kind in ("Concat", "UpSampling")
    return first not in known and all((v not in known) if apart else (v in known) for v in others)


def in_pieces(pieces: Pieces, first: Callable[..., list[Any]], rest: Callable[..., list[Any]]) -> Callable[..., Any]:
    """A call on whole batches.

    Args:
        pieces: how the batch is split.
        first: what computes its first part.
        rest: what computes its second one.
    """
    varying = [v in {i for s in pieces.first.steps for i in s.inputs} for v in pieces.first.inputs]

    def call(values: Sequence[Any]) -> list[Any]:
        count = len(values[varying.index(True)]) // pieces.size
        split = [v.split(pieces.size) if used else (v,) * count for v, used in zip(values, varying, strict=True)]
        found = [first(part) for part in zip(*split, strict=True)]
        return rest([*(torch.cat(each) for each in zip(*found, strict=True)), *values])

    return call


def settle_allocator() -> None:
    """Let the C library keep freed blocks of up to 32 MB, as it does by itself after the first large one was freed.

    Before that it may give memory back after every call (7 ms of page faults in each 40 ms of an SSD at batch 1).
    """
    torch.empty(_LARGEST, dtype=torch.uint8)  # its pages are never touched
