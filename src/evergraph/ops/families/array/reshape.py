"""The same values under another shape: Reshape, transpose, and axes of length 1."""

from collections.abc import Sequence
from typing import Any

from evergraph.errors import ShapeError
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, first_dtype, fixed_dtype, known, mapped, normalize_axes, unify
from evergraph.ops.types import Axes, Shape

__all__ = ["reshaped"]


def _product(sizes: Sequence[int | None]) -> int | None:
    total = 1
    for size in sizes:
        if size is None:
            return None
        total *= size
    return total


class _Reader:
    """Sizes of the old shape, taken from the left by the codes of the new one."""

    def __init__(self, sizes: Sequence[int | None], shape: Sequence[int]) -> None:
        self._left, self._at, self._shape = sizes, 0, shape

    def next(self) -> int | None:
        if self._at >= len(self._left):
            raise ShapeError(
                "Reshape asks for more axes than the array has", expected=f"{len(self._left)} axes", found=self._shape
            )
        self._at += 1
        return self._left[self._at - 1]

    def skip(self) -> None:
        self._at += 1

    def rest(self) -> Sequence[int | None]:
        found, self._at = self._left[self._at :], len(self._left)
        return found


def _split(size: int | None, first: int, second: int) -> tuple[int | None, int | None]:
    """Two axes from one; -1 stands for the size that is left."""
    if first == second == -1:
        raise ShapeError("Reshape cannot infer both parts of a split axis", found=(-4, first, second))
    if size is None:
        return (None if first == -1 else first, None if second == -1 else second)
    found = (size // second if first == -1 else first, size // first if second == -1 else second)
    if found[0] * found[1] != size:
        raise ShapeError("Reshape splits an axis into parts that do not fit", expected=size, found=(first, second))
    return found


def reshaped(sizes: Sequence[int | None], shape: Sequence[int], reverse: bool = False) -> tuple[int | None, ...]:
    """The shape that MXNet's codes make of an array's sizes; unknown sizes are None.

    Codes: 0 keeps a size, -1 infers one, -2 keeps all that are left, -3 merges two, -4 splits one into the next two.

    Args:
        sizes: the array's shape.
        shape: new sizes and codes.
        reverse: whether codes are matched from the right.

    Raises:
        ShapeError: the codes do not fit the array.

    >>> reshaped((2, 3, 4), (0, -1)), reshaped((2, 3, 4), (-4, 1, -1, -2)), reshaped((None, 3, 4), (0, -3))
    ((2, 12), (1, 2, 3, 4), (None, 12))
    """
    codes = list(reversed(shape)) if reverse else list(shape)
    reader = _Reader(tuple(reversed(sizes)) if reverse else tuple(sizes), shape)
    found: list[int | None] = []
    inferred = None
    at = 0
    while at < len(codes):
        code = codes[at]
        at += 1
        if code == 0:
            found.append(reader.next())
        elif code == -2:
            found += reader.rest()
        elif code == -3:
            found.append(_product((reader.next(), reader.next())))
        elif code == -4:
            if at + 2 > len(codes):
                raise ShapeError("Reshape splits an axis into two sizes that must follow -4", found=tuple(shape))
            found += _split(reader.next(), codes[at], codes[at + 1])
            at += 2
        elif code == -1:
            if inferred is not None:
                raise ShapeError("Reshape can infer one size only", found=tuple(shape))
            inferred = len(found)
            found.append(1)
            reader.skip()
        elif code < -4:
            raise ShapeError("Reshape has no such code", expected="0, -1, -2, -3, -4 or a size", found=code)
        else:
            found.append(code)
            reader.skip()
    _infer(found, inferred, sizes, shape)
    return tuple(reversed(found)) if reverse else tuple(found)


def _infer(found: list[int | None], inferred: int | None, sizes: Sequence[int | None], shape: Sequence[int]) -> None:
    total, others = _product(sizes), _product(found)
    if inferred is not None:
        found[inferred] = None if total is None or others is None else total // others if others else 0
        others = _product(found)
    if total is not None and others is not None and total != others:
        raise ShapeError(
            f"Reshape changes the number of values with shape {tuple(shape)}", expected=total, found=others
        )


def _retargeted(sizes: Sequence[int | None], target: Sequence[int], keep_highest: bool) -> tuple[int | None, ...]:
    """The shape by `target_shape`, the form of the first releases: a single 0 is inferred."""
    found: list[int | None] = list(target)
    if keep_highest and found:
        found[0] = sizes[0]
    zeros = [i for i, d in enumerate(found) if d == 0 and not (keep_highest and i == 0)]
    inferred = zeros[0] if len(zeros) == 1 else None
    if inferred is not None:
        found[inferred] = 1
    _infer(found, inferred, sizes, target)
    return tuple(found)


def _new_shape(p: Any, sizes: Sequence[int | None]) -> tuple[int | None, ...]:
    return reshaped(sizes, p.shape, p.reverse) if p.shape else _retargeted(sizes, p.target_shape, p.keep_highest)


def _reshape_rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    """Forward by the codes; backward where one size of the input is unknown."""
    if ins[0] is not None:
        outs = [unify(outs[0], _new_shape(p, ins[0]), "output of Reshape")]
        total = _product(outs[0] or (None,))
        if total is not None and list(ins[0]).count(None) == 1:
            others = _product([d for d in ins[0] if d is not None])
            if others:
                ins = [tuple(total // others if d is None else d for d in ins[0])]
    return ins, outs


@operator(aliases=("reshape",), shape=_reshape_rule)
def Reshape(
    data,
    *,
    shape: Shape = (),
    reverse: bool = False,
    target_shape: Shape = (),
    keep_highest: bool = False,
):
    """The values of data in another shape.

    In `shape`, 0 keeps a size, -1 infers one, -2 keeps all that are left, -3 merges two, -4 splits one into the two
    sizes that follow; `reverse` matches from the right. `target_shape` is the form of old graphs: a single 0 is
    inferred, and `keep_highest` keeps the first size.
    """
    sizes = data.shape
    return data.reshape(reshaped(sizes, shape, reverse) if shape else _retargeted(sizes, target_shape, keep_highest))


@Reshape.quickened
def _reshape_quickly(p: Any, recorded: bool, data: Any) -> Any:
    shape = p.shape
    copied: Any = torch.view_copy
    if not shape or p.reverse:
        return None
    if min(shape) > 0 or (min(shape) == -1 and 0 not in shape and shape.count(-1) == 1):
        return lambda x: copied(x, shape)
    return lambda x: copied(x, reshaped(x.shape, shape))


def _span(begin: int | None, end: int | None, rank: int) -> tuple[int, int]:
    first = 0 if begin is None else begin + rank if begin < 0 else begin
    last = rank if end is None else end + rank if end < 0 else end
    if not 0 <= first <= last <= rank:
        raise ShapeError("a span of axes is outside the array", expected=f"0 to {rank}", found=(begin, end))
    return first, last


def _like_span(p: Any, lhs: Sequence[Any], rhs: Sequence[Any]) -> tuple[Any, ...]:
    left, right = _span(p.lhs_begin, p.lhs_end, len(lhs)), _span(p.rhs_begin, p.rhs_end, len(rhs))
    return (*lhs[: left[0]], *rhs[right[0] : right[1]], *lhs[left[1] :])


def _reshape_like_rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    lhs, rhs = ins
    if lhs is None or rhs is None:
        return ins, outs
    found = _like_span(p, lhs, rhs)
    total, wanted = _product(lhs), _product(found)
    if total is not None and wanted is not None and total != wanted:
        raise ShapeError("reshape_like changes the number of values", expected=total, found=wanted)
    return ins, [unify(outs[0], found, "output of reshape_like")]


@operator(aliases=("_npx_reshape_like",), shape=_reshape_like_rule, dtype=first_dtype)
def reshape_like(
    lhs,
    rhs,
    *,
    lhs_begin: int | None = None,
    lhs_end: int | None = None,
    rhs_begin: int | None = None,
    rhs_end: int | None = None,
):
    """The values of lhs with its axes lhs_begin to lhs_end shaped as the axes rhs_begin to rhs_end of rhs."""
    left, right = _span(lhs_begin, lhs_end, lhs.dim()), _span(rhs_begin, rhs_end, rhs.dim())
    return lhs.reshape((*lhs.shape[: left[0]], *rhs.shape[right[0] : right[1]], *lhs.shape[left[1] :]))


def _order(axes: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """Axes of a transposition as positive numbers; none reverses them."""
    if not axes:
        return tuple(range(rank - 1, -1, -1))
    found = tuple([a + rank if a < 0 else a for a in axes])
    if len(found) != rank or set(found) != set(range(rank)):
        raise ShapeError("transpose must name each axis once", expected=f"a permutation of 0 to {rank - 1}", found=axes)
    return found


def _transposed(p: Any, data: Any) -> Dims:
    return tuple(data[a] for a in _order(p.axes, len(data)))


def _transposed_back(p: Any, out: Any) -> Dims:
    order = _order(p.axes, len(out))
    return tuple(out[order.index(i)] for i in range(len(out)))


@operator(shape=mapped(_transposed, _transposed_back))
def transpose(data, *, axes: Axes = ()):
    """The axes of data in another order; without `axes`, reversed."""
    return data.permute(_order(axes, data.dim()))


@transpose.quickened
def _transpose_quickly(p: Any, recorded: bool, data: Any) -> Any:
    copied, order = torch.permute_copy, _order(p.axes, data.dim())
    return lambda x: copied(x, order)


def _swapped(p: Any, data: Any) -> Dims:
    sizes = list(data)
    first, second = normalize_axes(p.dim1, len(sizes))[0], normalize_axes(p.dim2, len(sizes))[0]
    sizes[first], sizes[second] = sizes[second], sizes[first]
    return tuple(sizes)


@operator(aliases=("_npi_swapaxes", "swapaxes"), shape=mapped(_swapped, _swapped))
def SwapAxis(data, *, dim1: int = 0, dim2: int = 0):
    """Two axes of data exchanged."""
    return data.transpose(normalize_axes(dim1, data.dim())[0], normalize_axes(dim2, data.dim())[0])


@SwapAxis.quickened
def _swap_quickly(p: Any, recorded: bool, data: Any) -> Any:
    copied, dim1, dim2 = torch.transpose_copy, p.dim1, p.dim2
    return lambda x: copied(x, dim1, dim2)


def _place(axis: int, rank: int) -> int:
    if not -rank - 1 <= axis <= rank:
        raise ShapeError("a new axis is outside the array", expected=f"{-rank - 1} to {rank}", found=axis)
    return axis + rank + 1 if axis < 0 else axis


def _expanded(p: Any, data: Any) -> Dims:
    at = _place(p.axis, len(data))
    return (*data[:at], 1, *data[at:])


def _contracted(p: Any, out: Any) -> Dims:
    at = _place(p.axis, len(out) - 1)
    return (*out[:at], *out[at + 1 :])


@operator(aliases=("_npi_expand_dims",), shape=mapped(_expanded, _contracted))
def expand_dims(data, *, axis: int):
    """A new axis of length 1 at `axis`."""
    return data.unsqueeze(_place(axis, data.dim()))


@expand_dims.quickened
def _expand_quickly(p: Any, recorded: bool, data: Any) -> Any:
    copied, at = torch.unsqueeze_copy, _place(p.axis, data.dim())
    return lambda x: copied(x, at)


def _squeezed(p: Any, data: Any) -> Dims:
    if p.axis is None:
        return None if not known(data) else tuple(d for d in data if d != 1) or (1,)
    axes = normalize_axes(p.axis, len(data))
    wrong = [i for i in axes if data[i] not in (1, None)]
    if wrong:
        raise ShapeError("squeeze removes only axes of length 1", expected=1, found=f"axis {wrong[0]} of {data}")
    return tuple(d for i, d in enumerate(data) if i not in axes) or (1,)


@operator(shape=mapped(_squeezed))
def squeeze(data, *, axis: Axes | None = None):
    """Axes of length 1 taken away: those named, or all; if nothing is left, the shape is (1,)."""
    sizes = data.shape
    if axis is None:
        return data.reshape([d for d in sizes if d != 1] or [1])
    axes = normalize_axes(axis, len(sizes))
    if any(sizes[i] != 1 for i in axes):
        raise ShapeError("squeeze removes only axes of length 1", found=f"axes {axes} of {tuple(sizes)}")
    return data.reshape([d for i, d in enumerate(sizes) if i not in axes] or [1])


@squeeze.quickened
def _squeeze_quickly(p: Any, recorded: bool, data: Any) -> Any:
    rank = data.dim()
    axes = () if p.axis is None else normalize_axes(p.axis, rank)
    if len(axes) != 1 or rank == 1:
        return None
    copied, at = torch.select_copy, axes[0]

    def dropped(x: Any) -> Any:
        if x.shape[at] != 1:
            raise ValueError(at)
        return copied(x, at, 0)

    return dropped


_UNUSED = "1.3.1 to 1.5.1 list it; it never changed anything"


@operator(
    aliases=("_npx_shape_array",),
    retired=dict.fromkeys(("lhs_begin", "lhs_end", "rhs_begin", "rhs_end"), _UNUSED),
    dtype=fixed_dtype("int64"),
    shape=mapped(lambda _, data: (len(data),)),
)
def shape_array(data):
    """The shape of data as an int64 array."""
    return torch.tensor(data.shape, dtype=torch.int64, device=data.device)


@operator(dtype=fixed_dtype("int64"), shape=mapped(lambda _p, _data: (1,)))
def size_array(data):
    """The number of values in data, an int64 array of shape (1,)."""
    return torch.tensor([data.numel()], dtype=torch.int64, device=data.device)
