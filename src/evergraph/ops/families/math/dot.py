"""Products of matrices: dot, batch_dot, khatri_rao."""

import math
from typing import Any, Literal

from evergraph.errors import ShapeError
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify
from evergraph.ops.sparse import csr_from_dense, dense_value, kind_of, rows_from_dense

__all__ = ["Storage", "dot_dims", "stored_as"]

Storage = Literal[None, "csr", "default", "row_sparse"]


def _free(shape: Any, first: bool) -> tuple[Any, ...]:
    """The axes that a product keeps of an operand: all but its first, or all but its last."""
    return tuple(shape[1:] if first else shape[:-1])


def _inner(a: Any, b: Any, lhs: Any, rhs: Any) -> Any:
    if a is not None and b is not None and a != b:
        raise ShapeError("the summed axes of a product differ", expected=a, found=f"{b}, of {lhs} and {rhs}")
    return b if a is None else a


def dot_dims(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    """The last axis of lhs with the first of rhs; `transpose_a` and `transpose_b` take the other end.

    Unknown sizes are filled in both directions where all ranks are known.
    """
    lhs, rhs = ins
    if lhs is None or rhs is None:
        return ins, outs
    if not lhs or not rhs:
        raise ShapeError("dot takes no 0-d arrays", expected="one axis or more", found=f"{lhs} and {rhs}")
    if len(lhs) == len(rhs) == 1 and (p.transpose_a or p.transpose_b):
        raise ShapeError("dot cannot transpose vectors", found=f"{lhs} and {rhs}")
    inner = _inner(lhs[0 if p.transpose_a else -1], rhs[-1 if p.transpose_b else 0], lhs, rhs)
    left, right = _free(lhs, p.transpose_a), _free(rhs, not p.transpose_b)
    found = unify(outs[0], (*left, *right) or (1,), "output of dot")
    if left or right:
        left, right = found[: len(left)], found[len(left) :]
    lhs = (inner, *left) if p.transpose_a else (*left, inner)
    rhs = (*right, inner) if p.transpose_b else (inner, *right)
    return [lhs, rhs], [found]


def stored_as(value: Any, kind: str | None) -> Any:
    """A result in the storage that is asked for."""
    if kind is None or kind == kind_of(value):
        return value
    whole = dense_value(value)
    return rows_from_dense(whole) if kind == "row_sparse" else csr_from_dense(whole) if kind == "csr" else whole


@operator(aliases=("_sparse_dot",), shape=dot_dims)
def dot(lhs, rhs, *, transpose_a: bool = False, transpose_b: bool = False, forward_stype: Storage = None):
    """The product over the last axis of lhs and the first of rhs; of two vectors, shape (1,).

    `transpose_a` takes the first axis of lhs, `transpose_b` the last of rhs. `forward_stype` asks for a storage of
    the product of two matrices.
    """
    if lhs.dim() == rhs.dim() == 2:
        left, right = lhs.t() if transpose_a else lhs, rhs.t() if transpose_b else rhs
        try:
            found = torch.mm(left, right)
        except RuntimeError:
            _inner(left.shape[1], right.shape[0], tuple(lhs.shape), tuple(rhs.shape))
            raise
        return found if forward_stype is None else stored_as(found, forward_stype)
    if lhs.dim() == 0 or rhs.dim() == 0:
        raise ShapeError("dot takes no 0-d arrays", found=f"{tuple(lhs.shape)} and {tuple(rhs.shape)}")
    if lhs.dim() == rhs.dim() == 1 and (transpose_a or transpose_b):
        raise ShapeError("dot cannot transpose vectors", found=f"{tuple(lhs.shape)} and {tuple(rhs.shape)}")
    inner = lhs.shape[0 if transpose_a else -1]
    _inner(inner, rhs.shape[-1 if transpose_b else 0], tuple(lhs.shape), tuple(rhs.shape))
    kept, other = _free(lhs.shape, transpose_a), _free(rhs.shape, not transpose_b)
    rows, columns = math.prod(kept), math.prod(other)
    left = lhs.reshape(inner, rows).t() if transpose_a else lhs.reshape(rows, inner)
    right = rhs.reshape(columns, inner).t() if transpose_b else rhs.reshape(inner, columns)
    return torch.mm(left, right).reshape((*kept, *other) or (1,))


@dot.quickened
def _dot_quickly(p: Any, recorded: bool, lhs: Any, rhs: Any) -> Any:
    if not lhs.dim() == rhs.dim() == 2 or p.forward_stype not in (None, "default"):
        return None
    product, left, right = torch.mm, p.transpose_a, p.transpose_b
    if left or right:
        return lambda a, b: product(a.t() if left else a, b.t() if right else b)
    return product


def _batched(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    lhs, rhs = ins
    if lhs is None or rhs is None:
        return ins, outs
    if len(lhs) != len(rhs) or len(lhs) < 3:
        raise ShapeError("batch_dot needs two arrays of one rank", expected="3 axes or more", found=f"{lhs} and {rhs}")
    batch = unify(tuple(lhs[:-2]), rhs[:-2], "the batch of batch_dot")
    rows, inner = reversed(lhs[-2:]) if p.transpose_a else lhs[-2:]
    below, columns = reversed(rhs[-2:]) if p.transpose_b else rhs[-2:]
    inner = _inner(inner, below, lhs, rhs)
    found = unify(outs[0], (*batch, rows, columns), "output of batch_dot")
    rows, columns = found[-2:]
    return [
        (*found[:-2], *((inner, rows) if p.transpose_a else (rows, inner))),
        (*found[:-2], *((columns, inner) if p.transpose_b else (inner, columns))),
    ], [found]


@operator(aliases=("_npx_batch_dot",), shape=_batched)
def batch_dot(lhs, rhs, *, transpose_a: bool = False, transpose_b: bool = False, forward_stype: Storage = None):
    """Products of the matrices in the last two axes of lhs and rhs, whose other axes are equal."""
    if lhs.dim() < 3 or lhs.shape[:-2] != rhs.shape[:-2]:
        raise ShapeError(
            "batch_dot needs two arrays of matrices, in equal batches",
            expected=f"({', '.join(map(str, lhs.shape[:-2]))}, rows, columns)",
            found=tuple(rhs.shape),
        )
    left, right = lhs.mT if transpose_a else lhs, rhs.mT if transpose_b else rhs
    try:
        return torch.matmul(left, right)
    except RuntimeError:
        _inner(left.shape[-1], right.shape[-2], tuple(lhs.shape), tuple(rhs.shape))
        raise


@batch_dot.quickened
def _batched_quickly(p: Any, recorded: bool, lhs: Any, rhs: Any) -> Any:
    if not lhs.dim() == rhs.dim() == 3 or p.forward_stype not in (None, "default") or not lhs.is_floating_point():
        return None
    product, left, right = torch.bmm, p.transpose_a, p.transpose_b
    if left or right:
        return lambda a, b: product(a.mT if left else a, b.mT if right else b)
    return product


def _khatri_rao(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    rows, columns = 1, None
    for each in ins:
        if each is None:
            return ins, outs
        if len(each) != 2:
            raise ShapeError("khatri_rao takes matrices", expected="two axes", found=each)
        columns = _inner(columns, each[1], ins, each)
        rows = None if rows is None or each[0] is None else rows * each[0]
    return ins, [unify(outs[0], (rows, columns), "output of khatri_rao")]


@operator(shape=_khatri_rao, retired={"num_args": "the inputs are counted"})
def khatri_rao(*args):
    """The product of matrices (n, k), column by column: column j is the Kronecker product of the columns j."""
    found = args[0]
    for each in args[1:]:
        found = (found.unsqueeze(1) * each.unsqueeze(0)).reshape(-1, found.shape[1])
    return found
