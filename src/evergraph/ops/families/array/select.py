"""Values chosen by a condition or from a diagonal."""

from typing import Any

from evergraph.errors import ShapeError
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, mapped, normalize_axes, unify

__all__ = ["chosen"]


def _chosen_shapes(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    condition, x, y = ins
    shape = unify(unify(x, y, "an input of where"), outs[0], "output of where")
    if shape is not None and condition is not None:
        condition = unify(condition, shape[:1] if len(condition) == 1 else shape, "condition of where")
    return [condition, shape, shape], [shape]


def _chosen_dtypes(p: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    found = ins[1] or ins[2] or outs[0]
    return [ins[0], found, found], [found]


def chosen(condition: Any, x: Any, y: Any) -> Any:
    """Elements of x where a true condition has their shape; rows of x where it has one value for each."""
    if condition.shape != x.shape:
        if condition.dim() != 1 or condition.shape != x.shape[:1]:
            raise ShapeError(
                "condition of where has neither the inputs' shape nor one value for each row",
                expected=f"{tuple(x.shape)} or {tuple(x.shape[:1])}",
                found=tuple(condition.shape),
            )
        condition = condition.reshape(-1, *(1,) * (x.dim() - 1))
    return torch.where(condition, x, y)


@operator(aliases=("_sparse_where",), shape=_chosen_shapes, dtype=_chosen_dtypes)
def where(condition, x, y):
    """From x where condition is not 0, else from y; a condition of one axis chooses whole rows."""
    if x.shape != y.shape:
        raise ShapeError("inputs of where differ in shape", expected=tuple(x.shape), found=tuple(y.shape))
    return chosen(condition != 0, x, y)


@where.quickened
def _where_quickly(p: Any, recorded: bool, condition: Any, x: Any, y: Any) -> Any:
    choose = torch.where

    def chosen_alike(condition: Any, x: Any, y: Any) -> Any:
        if not condition.shape == x.shape == y.shape:
            raise ValueError(condition.shape)
        return choose(condition != 0, x, y)

    return chosen_alike if condition.dim() == x.dim() else None


def _diagonal(p: Any, data: Any) -> Dims:
    if len(data) == 1:
        size = None if data[0] is None else data[0] + abs(p.k)
        return (size, size)
    first, second = _two_axes(p.axis1, p.axis2, len(data))
    rest = tuple(d for i, d in enumerate(data) if i not in (first, second))
    if data[first] is None or data[second] is None:
        return (*rest, None)
    return (*rest, max(min(data[first] + min(p.k, 0), data[second] - max(p.k, 0)), 0))


def _two_axes(axis1: int, axis2: int, rank: int) -> tuple[int, int]:
    first, second = normalize_axes(axis1, rank)[0], normalize_axes(axis2, rank)[0]
    if first == second:
        raise ShapeError("a diagonal needs two axes", found=(axis1, axis2))
    return first, second


@operator(shape=mapped(_diagonal))
def diag(data, *, k: int = 0, axis1: int = 0, axis2: int = 1):
    """The k-th diagonal over two axes, as a new last axis; of one axis, the matrix that has it as its diagonal."""
    if data.dim() == 1:
        return torch.diag_embed(data, k)
    return torch.diagonal(data, k, *_two_axes(axis1, axis2, data.dim()))
