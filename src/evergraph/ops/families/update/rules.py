"""What the optimizer updates share: shapes, gradients made ready, and the rows that a sparse gradient touches."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from evergraph.errors import OperatorError
from evergraph.ops.lazy import torch
from evergraph.ops.rules import Dims, DtypeRule, unify
from evergraph.ops.schema import Operator
from evergraph.ops.sparse import RowSparse

__all__ = [
    "changed",
    "each",
    "in_place",
    "interleaved",
    "mixed",
    "mixed_all",
    "ready",
    "ready_all",
    "rows_of",
    "same",
    "several",
    "sum_sq",
    "table",
    "unguarded",
]


def in_place(body: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates an update: it changes its states and is no part of a gradient."""

    @functools.wraps(body)
    def call(*inputs: Any, **parameters: Any) -> Any:
        with torch.no_grad():
            return body(*inputs, **parameters)

    return call


def unguarded(update: Operator) -> None:
    """Let an update that `in_place` decorates be quick: inputs without a history need no guard from autograd.

    Its result is a new tensor.
    """
    body = inspect.unwrap(update.body)
    update.quickened(lambda p, recorded, *_: None if recorded else functools.partial(body, **p))


def same(count: int) -> Callable[..., Any]:
    """The shape rule of an update: the first `count` inputs and the output have one shape."""

    def rule(_: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
        shape: Dims = outs[0]
        for each in ins[:count]:
            shape = unify(shape, each, "an operand of an update")
        return [shape] * count + ins[count:], [shape]

    return rule


def mixed(low: int, out: str | None = None, default: str | None = None) -> DtypeRule:
    """The type rule of an update with float32 copies: the first `low` inputs have the weight's type, the rest float32.

    Args:
        low: inputs of the weight's type.
        out: the output's type; the weight's, where it is not given.
        default: the weight's type, where nothing tells.
    """

    def rule(_: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
        known = next((d for d in (*ins[:low], *(outs if out is None else ())) if d is not None), default)
        given = [d or known for d in ins[:low]] + [d or "float32" for d in ins[low:]]
        return given, [out or known] * len(outs)

    return rule


def mixed_all(parts: int, low: int, last: int = 0) -> DtypeRule:
    """The type rule of an update of many weights with float32 copies; see `mixed` and `several`."""

    def rule(_: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
        ins, outs = list(ins), list(outs)
        for i in range(len(outs)):
            span = slice(i * parts, (i + 1) * parts)
            ins[span], outs[i : i + 1] = mixed(low)(None, ins[span], outs[i : i + 1])
        return [*ins[: len(ins) - last], *[d or "float32" for d in ins[len(ins) - last :]]], outs

    return rule


def several(parts: int, number: str, last: int = 0) -> Callable[..., Any]:
    """The shape rule of an update of many weights: `parts` inputs for each, which have its shape.

    Args:
        parts: inputs for each weight: weight, gradient, states.
        number: the parameter that says how many weights there are.
        last: inputs after all of them.
    """

    def rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
        if len(ins) != parts * p[number] + last:
            raise OperatorError(
                "an update of many weights takes other inputs",
                expected=f"{parts} for each of {p[number]} weights" + (f" and {last} more" if last else ""),
                found=len(ins),
            )
        for i in range(p[number]):
            shape = outs[i]
            for each in ins[i * parts : (i + 1) * parts]:
                shape = unify(shape, each, "an operand of an update")
            ins[i * parts : (i + 1) * parts] = [shape] * parts
            outs[i] = shape
        return ins, outs

    return rule


def interleaved(names: Sequence[str], number: str, last: Sequence[str] = ()) -> Callable[..., list[str]]:
    """Names of the inputs of an update of many weights: weight_0, grad_0, ..., weight_1, ..."""

    def listed(p: Any, _: int | None) -> list[str]:
        return [f"{name}_{i}" for i in range(p[number]) for name in names] + list(last)

    return listed


def ready(grad: Any, rescale: float, clip: float, weight: Any = None, wd: float = 0.0) -> Any:
    """A gradient times `rescale`, plus wd * weight where a weight is given, then limited to `clip` from 0 up.

    The result may be `grad` itself: it is never to be changed in place.
    """
    if rescale != 1:
        grad = grad * rescale
    if weight is not None and wd:
        grad = torch.add(grad, weight, alpha=wd)
    return grad.clamp(-clip, clip) if clip >= 0 else grad


def each(function: str, *args: Any, **options: Any) -> Any:
    """The function of torch for lists of tensors: one kernel for all of them where the device has such.

    >>> import torch
    >>> each("mul", [torch.ones(1), torch.ones(2)], 3)
    (tensor([3.]), tensor([3., 3.]))
    """
    return getattr(torch, f"_foreach_{function}")(*args, **options)


def ready_all(grads: Sequence[Any], rescale: float, clip: float) -> list[Any]:
    """New tensors: gradients times `rescale`, limited to `clip` from 0 up."""
    found = list(each("mul", list(grads), rescale))
    if clip >= 0:
        each("clamp_max_", found, clip)
        each("clamp_min_", found, -clip)
    return found


def changed(names: Sequence[str], number: str) -> Callable[..., list[str]]:
    """Names of the inputs that an update of many weights changes; see `interleaved`."""
    listed = interleaved(names, number)
    return lambda p: listed(p, None)


def sum_sq(array: Any) -> Any:
    """The sum of squares, () float32: each square rounded to the array's type, their sum not, as MXNet computes it."""
    if array.dtype is torch.float32:
        flat = array.reshape(-1)
        return torch.dot(flat, flat)
    return (array * array).to(torch.float32).sum()


def table(array: Any) -> Any:
    """The tensor that holds every row of a dense or row_sparse array; missing rows are stored first, as zeros."""
    return array.fill() if isinstance(array, RowSparse) else array


def rows_of(grad: RowSparse, *arrays: Any) -> list[Any]:
    """Copies of the rows that a gradient stores, from each array.

    Raises:
        OperatorError: the gradient has other rows than the arrays.
    """
    if any(tuple(a.shape) != tuple(grad.shape) for a in arrays):
        raise OperatorError(
            "a row_sparse gradient does not fit its weight and states",
            expected=[tuple(a.shape) for a in arrays],
            found=tuple(grad.shape),
        )
    return [a.index_select(0, grad.indices) for a in arrays]
