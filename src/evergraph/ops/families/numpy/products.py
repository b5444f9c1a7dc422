"""Products of arrays: dot, matmul, tensordot, einsum."""

from typing import Any

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.families.numpy.promotion import aligned, promoted_dtype
from evergraph.ops.families.numpy.shape import ordered_axis
from evergraph.ops.gradients import with_gradient
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, broadcast_shapes, unify
from evergraph.ops.types import Shape

__all__ = ["contracted"]


def contracted(a: Any, b: Any, a_axes: tuple[int, ...], b_axes: tuple[int, ...]) -> Dims:
    """The shape of a product summed over pairs of axes.

    Raises:
        ShapeError: the axes differ in number or size.

    >>> contracted((2, 3, 4), (4, 5), (2,), (0,))
    (2, 3, 5)
    """
    first = [ordered_axis(i, len(a)) for i in a_axes]
    second = [ordered_axis(i, len(b)) for i in b_axes]
    pairs = [(a[i], b[j]) for i, j in zip(first, second, strict=False)]
    if len(first) != len(second) or any(x != y for x, y in pairs if x is not None and y is not None):
        raise ShapeError("axes of a product do not fit", found=f"{tuple(a)} over {a_axes}, {tuple(b)} over {b_axes}")
    return (*(d for i, d in enumerate(a) if i not in first), *(d for i, d in enumerate(b) if i not in second))


def _dot_axes(a: Any, b: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if len(a) == 0 or len(b) == 0:
        return (), ()
    return (len(a) - 1,), (max(len(b) - 2, 0),)


def _dot_rule(_: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if ins[0] is None or ins[1] is None:
        return ins, outs
    return ins, [unify(outs[0], contracted(ins[0], ins[1], *_dot_axes(ins[0], ins[1])), "a dot product")]


def _contract(a: Any, b: Any, a_axes: Any, b_axes: Any) -> Any:
    dims: Any = (list(a_axes), list(b_axes))
    if a.dtype.is_floating_point:
        return torch.tensordot(a, b, dims)
    return torch.tensordot(a.to(torch.int64), b.to(torch.int64), dims).to(a.dtype)


@operator(aliases=("_npi_dot",), shape=_dot_rule, dtype=promoted_dtype)
def _np_dot(a, b):
    """The sum of products over the last axis of a and the second to last (or only) axis of b; of numbers, the product.

    MXNet 2.0 calls it _npi_dot.
    """
    a, b = aligned(a, b)
    axes = _dot_axes(a.shape, b.shape)
    contracted(a.shape, b.shape, *axes)
    return torch.mul(a, b) if not axes[0] else _contract(a, b, *axes)


def _matmul_shape(a: Any, b: Any) -> Dims:
    if len(a) == 0 or len(b) == 0:
        raise ShapeError("matmul takes arrays of one axis or more", found=f"{a} and {b}")
    left, right = (1, *a) if len(a) == 1 else tuple(a), (*b, 1) if len(b) == 1 else tuple(b)
    if left[-1] != right[-2] and None not in (left[-1], right[-2]):
        raise ShapeError("matmul's inner sizes differ", expected=left[-1], found=f"{right[-2]}, of {tuple(b)}")
    stack = broadcast_shapes([left[:-2], right[:-2]]) or ()
    return (*stack, *left[-2:-1][: len(a) - 1], *right[-1:][: len(b) - 1])


def _matmul_rule(_: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if ins[0] is None or ins[1] is None:
        return ins, outs
    return ins, [unify(outs[0], _matmul_shape(ins[0], ins[1]), "a matrix product")]


def _repeated_inside(stack: Any, whole: Any) -> bool:
    """Whether a stack of matrices is broadcast along an axis behind one that it has in full."""
    first = next((i for i, d in enumerate(stack) if d != 1), len(stack))
    return tuple(stack[first:]) != tuple(whole[len(whole) - len(stack) + first :])


def _stack_gradient(saved: Any, grad: Any) -> tuple[Any, Any]:
    a, b = saved.args

    def added(whole: Any, like: Any) -> Any:
        # MXNet adds up every n-th matrix for a stack of n, whichever axis was broadcast
        if not grad.numel():
            return torch.zeros_like(like)
        whole = whole.expand(*grad.shape[:-2], *like.shape[-2:])
        return whole.reshape(-1, *like.reshape(-1, *like.shape[-2:]).shape).sum(0).reshape(like.shape)

    return added(grad @ b.mT, a), added(a.mT @ grad, b)


@with_gradient(_stack_gradient)
def _matmul_of_stacks(a: Any, b: Any) -> Any:
    return torch.matmul(a, b)


@operator(shape=_matmul_rule, dtype=promoted_dtype, outputs=("out",))
def _npi_matmul(a, b):
    """The matrix product of the last two axes, stacks broadcast.

    A vector is a row on the left and a column on the right. Where a stack is broadcast along an axis behind one that
    it has in full, the gradient is MXNet's: sums over every n-th matrix, which is not the derivative.
    """
    a, b = aligned(a, b)
    ranks = a.dim(), b.dim()
    if 0 in ranks or a.shape[-1] != b.shape[-2 if ranks[1] > 1 else 0]:
        _matmul_shape(tuple(a.shape), tuple(b.shape))  # says what does not fit
    if min(ranks) > 2 and (a.requires_grad or b.requires_grad):
        stacks = a.shape[:-2], b.shape[:-2]
        whole = torch.broadcast_shapes(*stacks)
        if any(_repeated_inside(each, whole) for each in stacks):
            return _matmul_of_stacks(a, b)
    if a.dtype in (torch.bool, torch.uint8, torch.int8):
        return torch.matmul(a.to(torch.int64), b.to(torch.int64)).to(a.dtype)
    return torch.matmul(a, b)


def _tensordot_rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if ins[0] is None or ins[1] is None:
        return ins, outs
    return ins, [unify(outs[0], contracted(ins[0], ins[1], p.a_axes_summed, p.b_axes_summed), "a tensor product")]


@operator(shape=_tensordot_rule, dtype=promoted_dtype)
def _npi_tensordot(a, b, *, a_axes_summed: Shape, b_axes_summed: Shape):
    """The sum of products over pairs of axes, those of a and those of b in the order they are named."""
    a, b = aligned(a, b)
    contracted(a.shape, b.shape, a_axes_summed, b_axes_summed)
    return _contract(a, b, a_axes_summed, b_axes_summed)


def _last_and_first(axes: int, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if axes < 0 or axes > rank:
        raise OperatorError("tensordot sums over more axes than there are", expected=f"0 to {rank}", found=axes)
    return tuple(range(rank - axes, rank)), tuple(range(axes))


def _int_axes_rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if ins[0] is None or ins[1] is None:
        return ins, outs
    pairs = _last_and_first(p.axes, len(ins[0]))
    return ins, [unify(outs[0], contracted(ins[0], ins[1], *pairs), "a tensor product")]


@operator(shape=_int_axes_rule, dtype=promoted_dtype)
def _npi_tensordot_int_axes(a, b, *, axes: int):
    """The sum of products over the last `axes` axes of a and the first ones of b."""
    a, b = aligned(a, b)
    pairs = _last_and_first(axes, a.dim())
    contracted(a.shape, b.shape, *pairs)
    return _contract(a, b, *pairs)


def _labels(term: str, rank: int, rest: list[str]) -> list[str]:
    """The label of each axis of one operand; `...` stands for as many labels of `rest` as axes are left."""
    if "..." not in term:
        return list(term)
    before, behind = term.split("...", 1)
    count = rank - len(before) - len(behind)
    return [*before, *rest[len(rest) - count :], *behind] if count else [*before, *behind]


def _terms(subscripts: str, ranks: list[int]) -> tuple[list[list[str]], list[str]]:
    """The labels of every operand and of the result.

    Raises:
        OperatorError: the subscripts do not fit the operands.
    """
    text = subscripts.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    spread = [rank - len(t.replace("...", "")) for t, rank in zip(terms, ranks, strict=False) if "..." in t]
    rest = [f"...{i}" for i in range(max(spread, default=0))]
    if len(terms) != len(ranks) or min(spread, default=0) < 0:
        raise OperatorError("einsum's subscripts do not fit its operands", expected=f"{len(ranks)} terms", found=text)
    found = [_labels(t, rank, rest) for t, rank in zip(terms, ranks, strict=True)]
    if any(len(labels) != rank for labels, rank in zip(found, ranks, strict=True)):
        raise OperatorError("einsum's subscripts do not fit its operands", expected=f"axes {ranks}", found=text)
    if arrow:
        result = _labels(right, len(right.replace("...", "")) + len(rest), rest)
    else:
        letters = sorted(c for c in set(left) - set(",.") if left.count(c) == 1)
        result = rest + letters
    return found, result


def _einsum_rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if any(s is None for s in ins):
        return ins, outs
    shapes = [s for s in ins if s is not None]
    terms, result = _terms(p.subscripts, [len(s) for s in shapes])
    sizes: dict[str, int | None] = {}
    for labels, shape in zip(terms, shapes, strict=True):
        for label, d in zip(labels, shape, strict=True):
            held = sizes.setdefault(label, d)
            if held in (1, None):
                sizes[label] = d
            elif d not in (1, None, held):
                raise ShapeError(f"einsum's {label} has two sizes", expected=held, found=d)
    return ins, [unify(outs[0], tuple(sizes[label] for label in result), "an einsum")]


@operator(shape=_einsum_rule, dtype=promoted_dtype)
def _npi_einsum(*data, num_args: int, subscripts: str = "", optimize: int = 0):
    """The sum of products that the subscripts name, as in numpy.einsum; `optimize` changes only the order of work."""
    _terms(subscripts, [each.dim() for each in data])
    operands = list(data)
    for i in range(1, len(operands)):
        operands[0], operands[i] = aligned(operands[0], operands[i])
    operands = [aligned(each, operands[0])[0] for each in operands]
    kind = operands[0].dtype
    if not kind.is_floating_point:
        # torch multiplies matrices of small integers without the room to add them up
        operands = [each.to(torch.int64) for each in operands]
    return torch.einsum(subscripts.replace(" ", ""), *operands).to(kind)
