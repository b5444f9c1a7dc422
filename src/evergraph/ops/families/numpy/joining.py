"""Arrays joined along axes, and cut apart."""

import math
from collections.abc import Callable
from typing import Any

import evergraph.ops.families.array.join  # noqa: F401  registers the operators that are looked up here
from evergraph.errors import ShapeError
from evergraph.ops import registry
from evergraph.ops.families.numpy.promotion import promoted_dtype
from evergraph.ops.families.numpy.shape import atleast_1d, atleast_2d, atleast_3d, ordered_axis
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator, register
from evergraph.ops.rules import Dims, ShapeRule, concat, unify
from evergraph.ops.schema import Operator, Params
from evergraph.ops.types import Shape

__all__ = ["join_rule"]


def _flat(ins: list[Dims]) -> Dims:
    sizes = [None if s is None or None in s else math.prod(d for d in s if d is not None) for s in ins]
    return (None,) if None in sizes else (sum(d for d in sizes if d is not None),)


def join_rule(
    axis_of: Callable[[Any, int], int | None], grow: Callable[[Any], tuple[Any, ...]] | None = None
) -> ShapeRule:
    """The rule for arrays that are joined along an axis, or flattened first where that is None.

    Args:
        axis_of: (parameters, rank) -> the axis.
        grow: the shape that an array is brought to before.
    """

    def rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
        grown: list[Dims] = [s if s is None or grow is None else grow(s) for s in ins]
        first = next((s for s in grown if s is not None), None)
        axis = None if first is None else axis_of(p, len(first))
        if first is None:
            return ins, outs
        if axis is None:
            return ins, [unify(outs[0], _flat(ins), "a joined array")]
        found, results = concat(Params(dim=axis), grown, outs)
        return (found if grow is None else ins), results

    return rule


@operator(
    shape=join_rule(lambda p, _: p.axis),
    dtype=promoted_dtype,
    outputs=("out",),
    description={"dim": "int, optional, default='1'"},
    documented=("data", "num_args", "dim"),
)
def _npi_concatenate(*data, num_args: int, axis: int | None = 0):
    """Arrays joined along an axis, or flattened and joined where `axis` is None; all other sizes are equal."""
    if axis is None:
        return torch.cat([each.reshape(-1) for each in data])
    if data[0].dim() == 0:
        raise ShapeError("arrays without axes cannot be joined along one", fix="use axis=None, or stack")
    return torch.cat(data, ordered_axis(axis, data[0].dim()))


_plain_stack = registry.get("stack")


@operator(shape=_plain_stack.shape, dtype=promoted_dtype)
def _npi_stack(*data, axis: int = 0, num_args: int):
    """Arrays of one shape joined along a new axis."""
    return torch.stack(data, axis)


def _grown(data: Any, grow: Callable[[Any], tuple[Any, ...]]) -> list[Any]:
    return [each.reshape(grow(each.shape)) for each in data]


def _column(sizes: Any) -> tuple[Any, ...]:
    return (*sizes, 1) if len(sizes) == 1 else atleast_2d(sizes)


@operator(
    shape=join_rule(lambda _, rank: min(rank - 1, 1), atleast_1d),
    dtype=promoted_dtype,
    outputs=("out",),
    retired={"axis": "the arrays say which axis it is"},
)
def _npi_hstack(*data, num_args: int, dim: int = 1):
    """Arrays joined side by side: vectors along their only axis, others along the second; `dim` has no effect."""
    grown = _grown(data, atleast_1d)
    return torch.cat(grown, min(grown[0].dim() - 1, 1))


@operator(shape=join_rule(lambda *_: 0, atleast_2d), dtype=promoted_dtype)
def _npi_vstack(*data, num_args: int):
    """Arrays joined on top of each other along the first axis; a vector is a row."""
    return torch.cat(_grown(data, atleast_2d), 0)


@operator(
    shape=join_rule(lambda *_: 2, atleast_3d),
    dtype=promoted_dtype,
    outputs=("out",),
    retired={"axis": "it is always the third"},
)
def _npi_dstack(*data, num_args: int, dim: int = 1):
    """Arrays joined behind each other along the third axis, as atleast_3d brings them there; `dim` has no effect."""
    return torch.cat(_grown(data, atleast_3d), 2)


@operator(shape=join_rule(lambda *_: 1, _column), dtype=promoted_dtype)
def _npi_column_stack(*data, num_args: int):
    """Arrays joined along the second axis; a vector is a column."""
    return torch.cat(_grown(data, _column), 1)


def _splitter(name: str, least: int, axis_of: Callable[[int], int], doc: str) -> Operator:
    plain = registry.get("_split_v2")
    plain_rule, plain_body = plain.shape, plain.body

    def place(rank: int) -> int:
        if rank < least:
            raise ShapeError(f"{name} takes arrays of {least} axes or more", found=rank)
        return axis_of(rank)

    def rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
        if ins[0] is None or plain_rule is None:
            return ins, outs
        return plain_rule(Params(p, axis=place(len(ins[0]))), ins, outs)

    def body(data: Any, *, indices: Shape, axis: int = 1, squeeze_axis: bool = False, sections: int = 0) -> Any:
        return plain_body(data, indices=indices, axis=place(data.dim()), squeeze_axis=squeeze_axis, sections=sections)

    body.__doc__, body.__name__ = doc, name
    return register(Operator(name, body, shape=rule, outputs=plain.outputs))


_splitter(
    "_npi_hsplit",
    1,
    lambda rank: min(rank - 1, 1),
    "Data cut along the second axis (a vector: along its only one) into `sections` equal parts, or at `indices`.",
)
_splitter(
    "_npi_dsplit",
    3,
    lambda _: 2,
    "Data cut along the third axis into `sections` equal parts, or at `indices`, which name where each begins.",
)
