"""Which part of a tensor each device holds, and how other parts are put together from them."""

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from evergraph.errors import collect, printable
from evergraph.mindspore.serialization.problems import WrongValueError
from evergraph.mindspore.serialization.strategies import Layout

__all__ = ["Box", "assembled", "box", "needed_ranks", "whole_shape"]

Box = tuple[tuple[int, int], ...]
"""For each dimension the first index, and the one behind the last."""


def coordinates(layout: Layout, rank: int) -> tuple[int, ...]:
    """Where a device stands in the matrix of devices; the last axis runs fastest.

    >>> coordinates(Layout((2, 3)), 5)
    (1, 2)
    """
    found = []
    for size in reversed(layout.devices):
        rank, place = divmod(rank, size)
        found.append(place)
    return tuple(reversed(found))


def divisions(layout: Layout) -> tuple[int, ...]:
    """Into how many pieces each dimension is cut, without the optimizer's share."""
    return tuple(math.prod(layout.devices[-1 - a] for a in axes) for axes in layout.axes)


def optimizer_share(layout: Layout) -> int:
    """Into how many pieces the optimizer's group cuts a device's rows once more; 1 for none."""
    if layout.optimizer_size == -1:
        return layout.count // math.prod(divisions(layout))
    return max(layout.optimizer_size, 1) if layout.optimizer_step else 1


def whole_shape(layout: Layout, piece: Sequence[int]) -> tuple[int, ...]:
    """The shape of the tensor that a device's piece was cut from.

    >>> whole_shape(Layout((2, 2), ((1,), ())), (8, 8))
    (16, 8)
    """
    shape = [n * d for n, d in zip(piece, divisions(layout), strict=True)]
    if shape:
        shape[0] = sum(_row_lengths(layout)) if layout.rows else shape[0] * optimizer_share(layout)
    return tuple(shape)


def _row_lengths(layout: Layout) -> tuple[int, ...]:
    """Unequal lengths along the first dimension; the file lists them for every piece."""
    others = math.prod(divisions(layout)[1:])
    return layout.rows[::others]


def box(layout: Layout, rank: int, shape: Sequence[int]) -> Box:
    """What a device holds of a tensor of this shape.

    >>> box(Layout((2, 2), ((1,), (0,))), 2, (16, 8))
    ((8, 16), (0, 4))
    """
    place = coordinates(layout, rank)
    found = []
    for dim, (size, axes, count) in enumerate(zip(shape, layout.axes, divisions(layout), strict=True)):
        index = 0
        for axis in axes:
            index = index * layout.devices[-1 - axis] + place[-1 - axis]
        if dim == 0 and layout.rows:
            ends = list(accumulate(_row_lengths(layout)))
            found.append((ends[index] - _row_lengths(layout)[index], ends[index]))
            continue
        length, start = size // count, index * (size // count)
        share = optimizer_share(layout) if dim == 0 else 1
        if share > 1:
            start += rank // layout.optimizer_step % share * (length // share)
            length //= share
        found.append((start, start + length))
    return tuple(found)


def _common(one: Box, other: Box) -> Box | None:
    found = tuple((max(a, c), min(b, d)) for (a, b), (c, d) in zip(one, other, strict=True))
    return found if all(a < b for a, b in found) else None


def needed_ranks(source: Layout, target: Layout | None, rank: int) -> set[int]:
    """The devices whose pieces together hold what a device of another layout needs.

    Of several that hold the same, the one that stands nearest to the device itself is taken.
    """
    # any shape that both layouts divide
    unit = source.count * (target.count if target else 1)
    shape = (unit * optimizer_share(source) * (optimizer_share(target) if target else 1),) * len(source.axes)
    wanted = box(target, rank % target.count, shape) if target else tuple((0, n) for n in shape)
    own = coordinates(source, rank % source.count)
    best: dict[Box, tuple[int, int]] = {}
    for device in range(source.count):
        held = box(source, device, shape)
        if not held or _common(held, wanted):
            away = sum(a != b for a, b in zip(coordinates(source, device), own, strict=True))
            best[held] = min(best.get(held, (away, device)), (away, device))
    return {device for _, device in best.values()}


def assembled(
    name: str, source: Layout, held: Mapping[int, Any], target: Layout | None, rank: int
) -> "np.ndarray[Any, Any]":
    """What a device of the target's layout holds, put together from pieces of the source's.

    Args:
        name: the parameter, for messages.
        source: how the pieces were cut.
        held: device -> its piece, a NumPy array.
        target: how to cut; None for the whole tensor.
        rank: the device of the target's layout.

    Raises:
        WrongValueError: pieces are missing, or their shapes do not fit the layouts.
    """
    shape = _shape_of(name, source, held)
    if target is not None:
        _check_divides(name, target, shape)
    wanted = box(target, rank, shape) if target else tuple((0, n) for n in shape)
    first = next(iter(held.values()))
    made = np.empty([b - a for a, b in wanted], first.dtype)
    filled, done = 0, set()
    for device, piece in held.items():
        place = box(source, device, shape)
        common = None if place in done else _common(place, wanted)
        done.add(place)
        if common is None and shape:
            continue
        into = tuple(slice(a - w, b - w) for (a, b), (w, _) in zip(common or (), wanted, strict=True))
        taken = tuple(slice(a - p, b - p) for (a, b), (p, _) in zip(common or (), place, strict=True))
        made[into] = piece[taken]
        filled += math.prod(b - a for a, b in common or ())
        if not shape:
            break
    if filled < made.size:
        ranks = sorted(needed_ranks(source, target, rank) - set(held))
        raise WrongValueError(
            f"The checkpoints of ranks {ranks or 'further ones'} are missing",
            where=printable(name),
            found=f"{filled} of {made.size} values",
        )
    return made


def _shape_of(name: str, source: Layout, held: Mapping[int, Any]) -> tuple[int, ...]:
    wrong = [
        f"rank {device}: shape {piece.shape}, {len(source.axes)} dimensions in the strategy"
        for device, piece in held.items()
        if len(piece.shape) != len(source.axes)
    ]
    collect(WrongValueError, "pieces have other dimensions than their strategy", wrong, where=printable(name))
    shapes = {d: whole_shape(source, p.shape) for d, p in held.items()}
    shape = next(iter(shapes.values()))
    wrong = [
        f"rank {d}: shape {p.shape}"
        for d, p in held.items()
        if shapes[d] != shape or tuple(b - a for a, b in box(source, d, shape)) != tuple(p.shape)
    ]
    collect(WrongValueError, "pieces of one parameter do not fit together", wrong, where=printable(name))
    return shape


def _check_divides(name: str, target: Layout, shape: Sequence[int]) -> None:
    counts = list(divisions(target))
    if len(counts) != len(shape):
        raise WrongValueError(
            "the target's strategy has other dimensions than the parameter",
            where=printable(name),
            expected=f"{len(shape)} dimensions",
            found=f"{len(counts)}",
        )
    if counts:
        counts[0] *= optimizer_share(target)
    if any(n % c for n, c in zip(shape, counts, strict=True)) and not target.rows:
        raise WrongValueError(
            "the target's strategy does not divide the parameter evenly",
            where=printable(name),
            expected=f"a shape that {counts} divide",
            found=tuple(shape),
        )
