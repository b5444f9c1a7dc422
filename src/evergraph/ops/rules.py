"""Shape and type rules without tensors: in microseconds, with unknown sizes, in both directions.

A shape is a tuple whose unknown sizes are None; a wholly unknown shape is None. A rule takes the parameters, the
inputs' and the outputs' shapes, and returns both, with whatever follows from the rest filled in.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, overload

from evergraph.errors import ShapeError

__all__ = [
    "Dims",
    "DtypeRule",
    "ShapeRule",
    "Sizes",
    "broadcast",
    "broadcast_shapes",
    "concat",
    "dtype_from",
    "elementwise",
    "first_dtype",
    "fixed_dtype",
    "forward",
    "known",
    "like",
    "mapped",
    "normalize_axes",
    "reduce",
    "reduced_axes",
    "same_dtype",
    "unify",
    "window_size",
]

Sizes: TypeAlias = tuple[int | None, ...]
Dims: TypeAlias = Sizes | None
ShapeRule: TypeAlias = Callable[[Any, list[Dims], list[Dims]], tuple[list[Dims], list[Dims]]]
DtypeRule: TypeAlias = Callable[[Any, list[str | None], list[str | None]], tuple[list[str | None], list[str | None]]]


def known(shape: Dims) -> bool:
    """Whether every size of a shape is known."""
    return shape is not None and None not in shape


@overload
def unify(a: Sizes, b: Dims, what: str = "shape") -> Sizes: ...
@overload
def unify(a: Dims, b: Sizes, what: str = "shape") -> Sizes: ...
@overload
def unify(a: Dims, b: Dims, what: str = "shape") -> Dims: ...
def unify(a: Dims, b: Dims, what: str = "shape") -> Dims:
    """The shape that both descriptions allow.

    Raises:
        ShapeError: they contradict each other.

    >>> unify((2, None), (None, 3))
    (2, 3)
    """
    if a is None or a == b:
        return b
    if b is None:
        return a
    if len(a) != len(b) or any(x != y for x, y in zip(a, b, strict=True) if x is not None and y is not None):
        raise ShapeError(f"{what} does not fit", expected=_show(b), found=_show(a))
    return tuple(y if x is None else x for x, y in zip(a, b, strict=True))


def _show(shape: Dims) -> str:
    return "unknown" if shape is None else "(" + ", ".join("?" if d is None else str(d) for d in shape) + ")"


def normalize_axes(axes: Any, rank: int) -> tuple[int, ...]:
    """Axes as positive numbers, sorted; None means all of them.

    Raises:
        ShapeError: an axis outside the rank.

    >>> normalize_axes(-1, 3)
    (2,)
    """
    if axes is None:
        return tuple(range(rank))
    if axes.__class__ is int and -rank <= axes < rank:
        return (axes % rank,)
    found = (axes,) if isinstance(axes, int) else tuple(axes)
    for axis in found:
        if not -rank <= axis < max(rank, 1):
            raise ShapeError("an axis is outside the array", expected=f"-{rank} to {rank - 1}", found=axis)
    return tuple(sorted({a % rank if rank else 0 for a in found}))


def elementwise(_: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    """All inputs and outputs have one shape."""
    shape: Dims = None
    for each in (*ins, *outs):
        shape = unify(shape, each, "an element-wise operand")
    return [shape] * len(ins), [shape] * len(outs)


def like(index: int) -> ShapeRule:
    """The first output has the shape of one input, and that input the output's."""

    def rule(_: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
        shape = unify(ins[index], outs[0])
        ins[index] = outs[0] = shape
        return ins, outs

    return rule


def forward(function: Callable[..., Any]) -> ShapeRule:
    """A rule from a function (params, *input shapes) -> output shape, or a list of them.

    It is called once every input's shape is known; unknown inputs leave the outputs unknown.
    """

    def rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
        if all(known(s) for s in ins):
            found = function(p, *ins)
            shapes = list(found) if isinstance(found, list) else [found]
            shapes += [None] * (len(outs) - len(shapes))
            outs = [unify(o, s, "an output") for o, s in zip(outs, shapes, strict=False)]
        return ins, outs

    rule.__doc__ = function.__doc__
    return rule


def mapped(
    forward: Callable[[Any, Any], Dims], backward: Callable[[Any, Any], Dims] | None = None, what: str = "an output"
) -> ShapeRule:
    """A rule for one input and one output, from functions (params, shape with None for unknown sizes) -> the other.

    Args:
        forward: the output's shape from the input's.
        backward: the input's shape from the output's, where it follows.
        what: name of the output in errors.
    """

    def rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
        if ins[0] is not None:
            outs[0] = unify(outs[0], forward(p, ins[0]), what)
        if backward is not None and outs[0] is not None:
            ins[0] = unify(ins[0], backward(p, outs[0]), "an input")
        return ins, outs

    rule.__doc__ = forward.__doc__
    return rule


def concat(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    """Inputs joined along axis `dim`: all sizes but that one are equal; one unknown part follows from the rest."""
    whole = next((s for s in (*ins, *outs) if s is not None), None)
    if whole is None:
        return ins, outs
    rank = len(whole)
    axis = normalize_axes(p.dim, rank)[0]
    rest: Dims = None
    for each in (*ins, *outs):
        if each is not None:
            rest = unify(rest, (*each[:axis], None, *each[axis + 1 :]), "a joined array")
    sizes = [None if s is None else s[axis] for s in ins]
    total = None if outs[0] is None else outs[0][axis]
    known_sizes = [d for d in sizes if d is not None]
    if len(known_sizes) == len(sizes):
        total = sum(known_sizes)
    elif total is not None and len(known_sizes) == len(sizes) - 1:
        sizes[sizes.index(None)] = total - sum(known_sizes)
    shapes: list[Dims] = [_with_size(rest, axis, d) for d in (*sizes, total)]
    return shapes[:-1], [unify(outs[0], shapes[-1], "a joined output")]


def _with_size(shape: Dims, axis: int, size: int | None) -> Dims:
    return None if shape is None else (*shape[:axis], size, *shape[axis + 1 :])


def broadcast_shapes(shapes: Sequence[Dims]) -> Dims:
    """The shape that NumPy's broadcasting gives; unknown where an operand's rank is.

    >>> broadcast_shapes([(2, 1, 3), (4, 1)])
    (2, 4, 3)
    """
    if any(s is None for s in shapes):
        return None
    known_shapes = [s for s in shapes if s is not None]
    rank = max((len(s) for s in known_shapes), default=0)
    columns = [[s[i - rank + len(s)] for s in known_shapes if i - rank + len(s) >= 0] for i in range(rank)]
    return tuple(_broadcast_size(column, shapes) for column in columns)


def _broadcast_size(sizes: list[int | None], shapes: Sequence[Dims]) -> int | None:
    wide = {d for d in sizes if d not in (None, 1)}
    if len(wide) > 1:
        raise ShapeError("operands do not broadcast", found=" and ".join(map(_show, shapes)))
    return wide.pop() if wide else None if None in sizes else 1


def broadcast(_: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    """The output has the broadcast shape of all inputs."""
    found = broadcast_shapes(ins)
    return ins, [unify(o, found, "a broadcast output") for o in outs]


def reduced_axes(axis: Any, exclude: bool, rank: int) -> tuple[int, ...]:
    """The axes that a reduction removes: those named, all where none is, the others where `exclude` says so.

    Raises:
        ShapeError: an axis outside the rank, or named twice.

    >>> reduced_axes((0, -1), False, 3), reduced_axes(1, True, 3), reduced_axes((), True, 2)
    ((0, 2), (0, 2), (0, 1))
    """
    if axis is None or axis == ():
        return tuple(range(rank))
    if axis.__class__ is int and not exclude and -rank <= axis < rank:  # by far the most frequent
        return (axis % rank,)
    axes = normalize_axes(axis, rank)
    if not isinstance(axis, int) and len(axes) != len(axis):
        raise ShapeError("an axis is named twice", found=axis)
    return tuple(i for i in range(rank) if i not in axes) if exclude else axes


def reduce(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    """Reduction over `axis`, with `keepdims` and `exclude` where the operator has them; nothing left gives (1,)."""
    shape = ins[0]
    if shape is not None:
        axes = reduced_axes(p.get("axis"), bool(p.get("exclude")), len(shape))
        if p.get("keepdims"):
            found: Dims = tuple(1 if i in axes else d for i, d in enumerate(shape))
        else:
            found = tuple(d for i, d in enumerate(shape) if i not in axes) or (1,)
        outs = [unify(o, found, "a reduced output") for o in outs]
    return ins, outs


def same_dtype(_: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    """All inputs and outputs have one type, the first that is known."""
    found = next((d for d in (*ins, *outs) if d is not None), None)
    return [found if d is None else d for d in ins], [found] * len(outs)


def first_dtype(_: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    """The outputs and the first input have one type; other inputs, such as positions, have their own."""
    found = ins[0] if ins[0] is not None else outs[0]
    return [found, *ins[1:]], [found] * len(outs)


def fixed_dtype(*names: str) -> DtypeRule:
    """Outputs of fixed types (the last name serves the rest); inputs as they are."""

    def rule(_: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
        return ins, [names[min(i, len(names) - 1)] for i in range(len(outs))]

    return rule


def dtype_from(parameter: str, default: str | None = None) -> DtypeRule:
    """Outputs of the type that a parameter names; None or 'None' means `default`, or the first input's type."""

    def rule(p: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
        name = p.get(parameter)
        if name in (None, "None"):
            name = default or (ins[0] if ins else None)
        return ins, [name] * len(outs)

    return rule


def window_size(size: int, kernel: int, stride: int, pad: int, dilate: int = 1, full: bool = False) -> int:
    """Output length of a sliding window over one axis ('full' rounds up, 'valid' down).

    >>> window_size(7, 3, 2, 0), window_size(8, 3, 2, 0, full=True)
    (3, 4)
    """
    reach = size + 2 * pad - dilate * (kernel - 1) - 1
    return (math.ceil(reach / stride) if full else reach // stride) + 1
