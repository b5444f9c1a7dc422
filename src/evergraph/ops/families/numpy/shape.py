"""Arrays in another shape: reshaped, transposed, rolled, flipped, broadcast."""

import functools
import math
from collections.abc import Sequence
from typing import Any

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.gradients import with_gradient
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, elementwise, known, mapped, normalize_axes, unify
from evergraph.ops.schema import Operator, Params
from evergraph.ops.types import Axes, Shape

__all__ = ["atleast_1d", "atleast_2d", "atleast_3d", "coded_shape", "ordered_axis"]


def ordered_axis(axis: int, rank: int) -> int:
    """An axis as a number from 0.

    Raises:
        ShapeError: it is outside the rank.
    """
    return normalize_axes(axis, rank)[0]


def _filled(found: list[int | None], at: int | None, sizes: Sequence[int | None], asked: Any) -> tuple[Any, ...]:
    """The shape with its inferred size, where every other size is known; counts of values must agree."""
    if None in sizes:
        return tuple(found)
    total = math.prod(d for d in sizes if d is not None)
    rest = [d for i, d in enumerate(found) if i != at]
    if None in rest:
        return tuple(found)
    others = math.prod(d for d in rest if d is not None)
    if at is not None and others and total % others == 0:
        found[at] = total // others
    elif at is not None or others != total:
        raise ShapeError("an array cannot be reshaped so", expected=f"{total} values", found=f"shape {asked}")
    return tuple(found)


def _reshaped(sizes: Sequence[int | None], asked: Sequence[int]) -> tuple[Any, ...]:
    gaps = [i for i, d in enumerate(asked) if d == -1]
    if len(gaps) > 1 or any(d < -1 for d in asked):
        raise ShapeError("a new shape has sizes and at most one -1", found=tuple(asked))
    found: list[int | None] = [None if d == -1 else d for d in asked]
    return _filled(found, gaps[0] if gaps else None, sizes, tuple(asked))


def _reshape_rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if ins[0] is None:
        return ins, [unify(outs[0], tuple(None if d < 0 else d for d in p.newshape), "a reshaped array")]
    outs = [unify(outs[0], _reshaped(ins[0], p.newshape), "a reshaped array")]
    # a recurrent layer's weights get their sizes from the one array that all are joined to
    if known(outs[0]) and ins[0].count(None) == 1:
        others = math.prod(d for d in ins[0] if d is not None)
        if others:
            total = math.prod(d for d in outs[0] or () if d is not None)
            ins = [tuple(total // others if d is None else d for d in ins[0])]
    return ins, outs


@operator(shape=_reshape_rule)
def _np_reshape(a, *, newshape: Shape, order: str = "C"):
    """The values in another shape; one size may be -1 and is inferred, 0 is a size of 0."""
    try:
        return a.reshape(newshape)
    except RuntimeError:
        return a.reshape(_reshaped(a.shape, newshape))  # says what does not fit


class _Reader:
    """Reads the codes of a new shape against an old one."""

    def __init__(self, sizes: Sequence[int | None], codes: Sequence[int]) -> None:
        self.sizes, self.codes, self.at = sizes, list(codes), 0
        self.found: list[int | None] = []
        self.inferred: int | None = None

    def next(self) -> int | None:
        if self.at >= len(self.sizes):
            raise ShapeError("codes of a new shape ask for more axes than there are", found=tuple(self.codes))
        self.at += 1
        return self.sizes[self.at - 1]

    def gap(self) -> None:
        if self.inferred is not None:
            raise ShapeError("a new shape infers more than one size", found=tuple(self.codes))
        self.inferred = len(self.found)

    def split(self, left: int, right: int) -> None:
        whole = self.next()
        if left == right == -1:
            raise ShapeError("the sizes of a split axis cannot both be inferred", found=tuple(self.codes))
        first, second = (None if d == -1 else d for d in (left, right))
        if whole is not None:
            first = whole // right if first is None and right else first
            second = whole // left if second is None and left else second
            if first is None or second is None or first * second != whole:
                raise ShapeError("an axis cannot be split so", expected=whole, found=(left, right))
        self.found += [first, second]

    def read(self) -> None:
        codes = iter(self.codes)
        for code in codes:
            if code == -1:
                self.gap()
                self.found.append(None)
                self.at += 1
            elif code == -2:
                self.found.append(self.next())
            elif code == -3:
                if self.next() not in (1, None):
                    raise ShapeError("code -3 drops only an axis of length 1", found=self.sizes[self.at - 1])
            elif code == -4:
                self.found += self.sizes[self.at :]
                self.at = len(self.sizes)
            elif code == -5:
                pair = self.next(), self.next()
                self.found.append(None if None in pair else math.prod(d for d in pair if d is not None))
            elif code == -6:
                left, right = next(codes, None), next(codes, None)
                if left is None or right is None:
                    raise ShapeError("code -6 is followed by two sizes", found=tuple(self.codes))
                self.split(left, right)
            else:
                self.found.append(code)
                self.at += 1


def coded_shape(sizes: Sequence[int | None], codes: Sequence[int], reverse: bool = False) -> tuple[Any, ...]:
    """The shape that the codes of `_npx_reshape` stand for.

    Raises:
        ShapeError: a code that does not fit the array.

    >>> coded_shape((2, 3, 4), (-2, -5)), coded_shape((8, 3), (-6, 2, -1, -4)), coded_shape((1, 2), (-3, -1))
    ((2, 12), (2, 4, 3), (2,))
    """
    if any(c < -6 for c in codes):
        raise ShapeError("a new shape has an unknown code", expected="-6 or more", found=tuple(codes))
    turn = slice(None, None, -1) if reverse else slice(None)
    reader = _Reader(tuple(sizes)[turn], tuple(codes)[turn])
    reader.read()
    return _filled(reader.found, reader.inferred, sizes, tuple(codes))[turn]


_remembered_shape = functools.lru_cache(4096)(coded_shape)


def _coded_rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if ins[0] is None:
        if all(d >= -1 for d in p.newshape):
            outs = [unify(outs[0], tuple(None if d < 0 else d for d in p.newshape), "a reshaped array")]
        return ins, outs
    return ins, [unify(outs[0], coded_shape(ins[0], p.newshape, p.reverse), "a reshaped array")]


@operator(aliases=("_npi_reshape",), shape=_coded_rule)
def _npx_reshape(a, *, newshape: Shape, reverse: bool = False, order: str = "C"):
    """The values in another shape, given by sizes and codes.

    -1 infers a size, -2 keeps an axis, -3 drops an axis of length 1, -4 keeps all that are left, -5 merges two,
    -6 splits one into the two sizes that follow (one of them may be -1). `reverse` reads from the right.
    """
    known_shape = coded_shape if torch.compiler.is_compiling() else _remembered_shape
    return a.reshape(known_shape(a.shape, newshape, reverse))


@functools.lru_cache(1024)
def _order(axes: Sequence[int] | None, rank: int) -> tuple[int, ...]:
    if axes is None:
        return tuple(reversed(range(rank)))
    found = tuple(a + rank if a < 0 else a for a in axes)
    if sorted(found) != list(range(rank)):
        raise ShapeError(
            "transpose names each axis once", expected=f"a permutation of 0 to {rank - 1}", found=tuple(axes)
        )
    return found


def _transposed(p: Any, sizes: Any) -> Dims:
    return tuple(sizes[a] for a in _order(p.axes, len(sizes)))


def _transposed_back(p: Any, sizes: Any) -> Dims:
    order = _order(p.axes, len(sizes))
    return tuple(sizes[order.index(i)] for i in range(len(sizes)))


@operator(aliases=("_npi_transpose",), shape=mapped(_transposed, _transposed_back))
def _np_transpose(a, *, axes: Shape = None):  # type: ignore[assignment]
    """The axes in another order; without `axes`, reversed. MXNet 2.0 calls it _npi_transpose."""
    return a.permute(_order(axes, a.dim()))


def _squeezable(axis: Any, sizes: Any) -> tuple[int, ...]:
    axes = normalize_axes(axis, len(sizes))
    wrong = [i for i in axes if len(sizes) and sizes[i] not in (1, None)]
    if wrong or len(axes) != len(axis):
        raise ShapeError("squeeze removes axes of length 1, each once", found=f"axes {tuple(axis)} of {tuple(sizes)}")
    return axes


def _squeezed(p: Any, sizes: Any) -> Dims:
    if p.axis is None:
        return tuple(d for d in sizes if d != 1) if known(sizes) else None
    axes = _squeezable(p.axis, sizes)
    return tuple(d for i, d in enumerate(sizes) if i not in axes)


@operator(aliases=("_npi_squeeze",), shape=mapped(_squeezed))
def _np_squeeze(a, *, axis: Axes | None = None):
    """Axes of length 1 taken away: those named, or all. MXNet 2.0 calls it _npi_squeeze."""
    if axis is None:
        return a.reshape([d for d in a.shape if d != 1])
    axes = _squeezable(axis, a.shape)
    return a.reshape([d for i, d in enumerate(a.shape) if i not in axes])


def _moved(p: Any, rank: int) -> list[int]:
    source = [ordered_axis(a, rank) for a in p.source]
    target = [ordered_axis(a, rank) for a in p.destination]
    if len(source) != len(target) or len({*source}) != len(source) or len({*target}) != len(target):
        found = f"{tuple(p.source)} to {tuple(p.destination)}"
        raise ShapeError("moveaxis names as many axes as places, each once", found=found)
    order = [i for i in range(rank) if i not in source]
    for place, axis in sorted(zip(target, source, strict=True)):
        order.insert(place, axis)
    return order


def _moved_shape(p: Any, sizes: Any) -> Dims:
    return tuple(sizes[i] for i in _moved(p, len(sizes)))


def _moved_back(p: Any, sizes: Any) -> Dims:
    order = _moved(p, len(sizes))
    return tuple(sizes[order.index(i)] for i in range(len(sizes)))


@operator(aliases=("_npi_moveaxis",), shape=mapped(_moved_shape, _moved_back))
def _np_moveaxis(a, *, source: Shape, destination: Shape):
    """The axes named in `source` moved to `destination`; the others stay in order. MXNet 2.0: _npi_moveaxis."""
    if a.dim() == 0 and not source and not destination:
        return a.clone()
    return torch.movedim(a, source, destination)


def _rolled_place(p: Any, rank: int) -> Any:
    axis = ordered_axis(p.axis, rank)
    start = p.start + rank if p.start < 0 else p.start
    if not 0 <= start <= rank:
        raise ShapeError("rollaxis moves an axis before another, or to the end", expected=f"0 to {rank}", found=p.start)
    return axis, start - (axis < start)


def _rolled(p: Any, sizes: Any) -> Dims:
    axis, place = _rolled_place(p, len(sizes))
    rest = [*sizes[:axis], *sizes[axis + 1 :]]
    return (*rest[:place], sizes[axis], *rest[place:])


@operator(shape=mapped(_rolled))
def _npi_rollaxis(data, *, axis: int, start: int = 0):
    """One axis moved to stand before the axis `start`.

    MXNet 1.9.1 lacks it.
    """
    return torch.movedim(data, *_rolled_place(Params(axis=axis, start=start), data.dim()))


@operator(aliases=("_npi_roll",), shape=elementwise)
def _np_roll(data, *, shift: Axes | None = None, axis: Axes | None = None):
    """The values moved on along axes, those that fall off coming in again; without `axis`, as one long row.

    MXNet 2.0 calls it _npi_roll.
    """
    if shift is None or (len(shift) != 1 and axis is None):
        raise OperatorError("roll takes one shift, or one for each axis", found=shift)
    if axis is None:
        return torch.roll(data, shift)
    shifts = tuple(shift) * len(axis) if len(shift) == 1 else tuple(shift)
    if len(shifts) != len(axis) or len({a % max(data.dim(), 1) for a in axis}) != len(axis):
        raise OperatorError("roll takes one shift for each of its axes, each axis once", found=f"{shift} along {axis}")
    return torch.roll(data, shifts, axis) if data.dim() else data.clone()


@operator(shape=elementwise)
def _npi_flip(data, *, axis: Shape):
    """The order of the values along axes reversed; along all of them where `axis` is None."""
    return torch.flip(data, tuple(range(data.dim())) if axis is None else axis)


def _plane(p: Any, rank: int) -> tuple[int, int]:
    if p.axes is None or len(p.axes) != 2 or ordered_axis(p.axes[0], rank) == ordered_axis(p.axes[1], rank):
        raise OperatorError("rot90 turns in a plane of two axes", expected="two axes", found=p.axes)
    return ordered_axis(p.axes[0], rank), ordered_axis(p.axes[1], rank)


def _turned(p: Any, sizes: Any) -> Dims:
    first, second = _plane(p, len(sizes))
    found = list(sizes)
    if p.k % 2:
        found[first], found[second] = sizes[second], sizes[first]
    return tuple(found)


# MXNet turns the gradient on instead of back
@with_gradient(lambda saved, grad: torch.rot90(grad, saved.args[1], saved.args[2]))
def _rotated(data: Any, k: int, axes: tuple[int, ...]) -> Any:
    return torch.rot90(data, k, axes)


@operator(shape=mapped(_turned, _turned))
def _npi_rot90(data, *, k: int = 1, axes: Axes | None = None):
    """The array turned `k` times by 90 degrees, from the first of two axes towards the second.

    MXNet turns the gradient on in the same direction, not back, and so does this.
    """
    if axes is None or len(axes) != 2:
        raise OperatorError("rot90 turns in a plane of two axes", expected="two axes", found=axes)
    return _rotated(data, k % 4, axes)


def _target(sizes: Sequence[int | None], asked: Sequence[int]) -> tuple[Any, ...]:
    ahead = len(asked) - len(sizes)
    found = tuple(sizes[i - ahead] if d == -2 and i >= ahead else d for i, d in enumerate(asked))
    fits = all(s in (1, None) or f in (s, None) for s, f in zip(sizes, found[max(ahead, 0) :], strict=False))
    if ahead < 0 or not fits or any(d is not None and d < 0 for d in found):
        raise ShapeError("an array cannot be broadcast so", expected=f"to {tuple(asked)}", found=tuple(sizes))
    return found


def _broadcast_rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if ins[0] is not None:
        outs = [unify(outs[0], _target(ins[0], p.shape), "a broadcast array")]
    elif all(d >= 0 for d in p.shape):
        outs = [unify(outs[0], p.shape, "a broadcast array")]
    return ins, outs


@operator(aliases=("_np_broadcast_to",), shape=_broadcast_rule)
def _npi_broadcast_to(array, *, shape: Shape = ()):
    """The array repeated along axes of length 1, and along new ones in front; -2 keeps a size."""
    return array.expand(_target(array.shape, shape)).clone()


def atleast_1d(sizes: Any) -> tuple[Any, ...]:
    """A shape of one axis or more."""
    return tuple(sizes) or (1,)


def atleast_2d(sizes: Any) -> tuple[Any, ...]:
    """A shape of two axes or more: new ones come first."""
    return (1,) * (2 - len(sizes)) + tuple(sizes)


def atleast_3d(sizes: Any) -> tuple[Any, ...]:
    """A shape of three axes or more: a vector lies along the middle one, a matrix on the first two."""
    return (1, *sizes, 1) if len(sizes) == 1 else (1,) * (2 - len(sizes)) + tuple(sizes) + (1,) * (len(sizes) < 3)


def _atleast(rank: int, grown: Any) -> Operator:
    def rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
        shapes = [None if s is None else grown(s) for s in ins]
        return ins, [unify(o, s, "an array") for o, s in zip(outs, shapes, strict=True)]

    def body(*arys: Any, num_args: int) -> Any:
        found = [a.detach().reshape(grown(a.shape)) for a in arys]
        return found if len(found) > 1 else found[0]

    body.__doc__ = (
        f"The arrays with axes of length 1 added until they have {rank}. No gradient passes.\n\n"
        f"MXNet 2.0 calls it _npi_atleast_{rank}d."
    )
    body.__name__ = f"_np_atleast_{rank}d"
    options = {"shape": rule, "outputs": lambda p: p.num_args, "aliases": (f"_npi_atleast_{rank}d",)}
    return operator(**options)(body)


_atleast(1, atleast_1d)
_atleast(2, atleast_2d)
_atleast(3, atleast_3d)
