"""Functions that keep 0 at 0, on the stored values alone: the result has the storage of the argument."""

from collections.abc import Callable
from typing import Any

from evergraph.ops.families.array import cast, create
from evergraph.ops.families.math import scalar, simple, unary
from evergraph.ops.families.nn import activation, loss
from evergraph.ops.families.sparse import gradients
from evergraph.ops.lazy import torch
from evergraph.ops.registry import get
from evergraph.ops.schema import Operator, Params
from evergraph.ops.sparse import CSR, RowSparse, SparseValue

__all__ = ["on_stored"]

# imported for what they register
_SOURCES = (activation, cast, create, loss, scalar, simple, unary)

_KINDS = ("row_sparse", "csr")


def on_stored(op: Operator, keeps: Callable[[Any], bool] | None = None, kinds: tuple[str, ...] = _KINDS) -> None:
    """Register an operator's body as its computation on the stored values.

    Args:
        op: operator of one input.
        keeps: whether it keeps 0 at 0 with these parameters; always, where it is not given.
        kinds: the storage kinds for which it does.
    """

    def body(value: SparseValue, **p: Any) -> Any:
        if keeps is not None and not keeps(Params(p)):
            return NotImplemented
        return value.with_data(gradients.elementwise(lambda data: op.body(data, **p), value.data))

    for kind in kinds:
        result = kind if keeps is None else _kept(kind, keeps)
        op.storage(kind, result=result)(body)


def _kept(kind: str, keeps: Callable[[Any], bool]) -> Callable[[Any], str]:
    return lambda p: kind if keeps(p) else "default"


_NAMES = """
    abs arcsin arcsinh arctan arctanh cbrt ceil degrees expm1 fix floor log1p negative radians relu rint round
    sign sin sinh sqrt square tan tanh trunc _copy BlockGrad make_loss _contrib_gradientmultiplier
    _contrib_round_ste _contrib_sign_ste _mul_scalar _div_scalar _scatter_plus_scalar _scatter_minus_scalar
"""

for _name in _NAMES.split():
    on_stored(get(_name))

for _name, _keeps in {
    "_plus_scalar": lambda p: p.scalar == 0,
    "_minus_scalar": lambda p: p.scalar == 0,
    "_equal_scalar": lambda p: p.scalar != 0,
    "_not_equal_scalar": lambda p: p.scalar == 0,
    "_greater_scalar": lambda p: p.scalar >= 0,
    "_greater_equal_scalar": lambda p: p.scalar > 0,
    "_lesser_scalar": lambda p: p.scalar <= 0,
    "_lesser_equal_scalar": lambda p: p.scalar < 0,
    "clip": lambda p: p.a_min <= 0 <= p.a_max,
}.items():
    on_stored(get(_name), _keeps)

on_stored(get("_contrib_quadratic"), lambda p: p.c == 0, ("csr",))


@get("zeros_like").storage("row_sparse")
def _no_rows(data: RowSparse) -> RowSparse:
    return RowSparse(data.data[:0].detach(), data.indices[:0], data.shape)


@get("zeros_like").storage("csr")
def _no_values(data: CSR) -> CSR:
    return CSR(data.data[:0].detach(), data.indices[:0], torch.zeros_like(data.indptr), data.shape)
