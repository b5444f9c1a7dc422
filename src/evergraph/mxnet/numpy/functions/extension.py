"""What MXNet has beside NumPy's functions and is more than an operator's own function; the names of the others."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from evergraph import ops
from evergraph.errors import UsageError
from evergraph.mxnet.numpy.face import Face, Table

__all__ = ["TABLE", "image_operators", "inner_operators", "operators"]

TABLE = Table()
_PREFIX, _IMAGE, _INNER = "_npx_", "_npx__image_", "_npi_"
# operators with networks inside, which no array can be given as: mx.nd.contrib and mx.sym.contrib have their functions
_CONTROL = frozenset(("foreach", "while_loop", "cond"))


class _KindError(UsageError, AssertionError):
    """Something else than an array of mx.np."""


@cache
def operators() -> Mapping[str, str]:
    """Function of `mx.npx` -> operator.

    >>> operators()["fully_connected"]
    '_npx_fully_connected'
    """
    listed = {n[len(_PREFIX) :]: n for n in ops.names() if n.startswith(_PREFIX) and not n.startswith(_IMAGE)}
    return {called: n for called, n in listed.items() if called not in _CONTROL}


@cache
def image_operators() -> Mapping[str, str]:
    """Function of `mx.npx.image` -> operator."""
    return {n[len(_IMAGE) :]: n for n in ops.names() if n.startswith(_IMAGE)}


@cache
def inner_operators() -> Mapping[str, str]:
    """Function of `mx.nd.np._internal` -> operator."""
    return {n[len(_INNER) :]: n for n in ops.names() if n.startswith(_INNER)}


def _require(op: Face, value: Any) -> None:
    if not op.holds(value):
        raise _KindError("an array of mx.np is needed", found=type(value).__name__, fix="mx.np.array(value)")


@TABLE.add
def reshape(op: Face, a: Any, newshape: Any, reverse: bool = False, order: str = "C") -> Any:
    """The values in another shape, given by sizes and codes.

    -1 infers a size, -2 keeps an axis, -3 drops an axis of length 1, -4 keeps all that are left, -5 merges two,
    -6 splits one into the two sizes that follow.

    Args:
        op: the face.
        a: the array.
        newshape: sizes and codes.
        reverse: whether they are read from the right.
        order: the order of the values; "C", and every other counts as it.
    """
    _require(op, a)
    return op("_npx_reshape", a, newshape=newshape, reverse=reverse, order=order)


@TABLE.add
def nonzero(op: Face, a: Any) -> Any:
    """The positions (int64) of the values that are not 0, one row each."""
    _require(op, a)
    return op("_npx_nonzero", a)


@TABLE.add
def constraint_check(op: Face, x: Any, msg: str) -> Any:
    """True where every value of a boolean array is; an error with the text `msg` where one is not."""
    _require(op, x)
    return op("_npx_constraint_check", x, msg=msg)
