"""Values chosen by places, conditions and order."""

from typing import Any

from evergraph.mxnet.base import numeric_types
from evergraph.mxnet.numpy.face import Face, Table

__all__ = ["TABLE"]

TABLE = Table()


@TABLE.add
def where(op: Face, condition: Any, x: Any = None, y: Any = None) -> Any:
    """`numpy.where`; with the condition alone, `nonzero`.

    Raises:
        TypeError: one of x and y alone; they are neither arrays nor numbers.
    """
    if x is None and y is None:
        return nonzero(op, condition)
    if x is None or y is None:
        raise TypeError("either both or neither of x and y should be given")
    if isinstance(condition, numeric_types):
        return x if condition != 0 else y
    if op.holds(x) and op.holds(y):
        return op("_npi_where", condition, x, y)
    if isinstance(x, numeric_types) and isinstance(y, numeric_types):
        return op("_npi_where_scalar2", condition, x=float(x), y=float(y))
    if op.holds(y) and isinstance(x, numeric_types):
        return op("_npi_where_lscalar", condition, y, scalar=float(x))
    if op.holds(x) and isinstance(y, numeric_types):
        return op("_npi_where_rscalar", condition, x, scalar=float(y))
    raise TypeError(f"where takes arrays and numbers, found {type(x)} and {type(y)}")


@TABLE.add
def nonzero(op: Face, a: Any) -> Any:
    """`numpy.nonzero`: the places of what is not 0, an array of them for each axis."""
    return op.rows(op("_np_transpose", op("_npi_nonzero", a)))


@TABLE.add
def take(op: Face, a: Any, indices: Any, axis: int | None = None, mode: str = "raise", out: Any = None) -> Any:
    """`numpy.take`, with `mode` "clip", "wrap" or "raise".

    Raises:
        NotImplementedError: another mode.
    """
    if mode not in ("wrap", "clip", "raise"):
        raise NotImplementedError(f"take has the modes 'raise', 'clip' and 'wrap', found {mode!r}")
    if axis is None:
        return op("_npi_take", op("_npi_reshape", a, newshape=-1), indices, axis=0, mode=mode, out=out)
    return op("_npi_take", a, indices, axis=axis, mode=mode, out=out)


@TABLE.add
def sort(op: Face, a: Any, axis: int | None = -1, kind: Any = None, order: Any = None) -> Any:  # noqa: ARG001
    """`numpy.sort`, a copy.

    Raises:
        NotImplementedError: an order of fields.
    """
    _no_order(order)
    return op("_npi_sort", a, axis=axis, is_ascend=True)


@TABLE.add
def argsort(op: Face, a: Any, axis: int | None = -1, kind: Any = None, order: Any = None) -> Any:  # noqa: ARG001
    """`numpy.argsort`, in int64.

    Raises:
        NotImplementedError: an order of fields.
    """
    _no_order(order)
    return op("_npi_argsort", a, axis=axis, is_ascend=True, dtype="int64")


def _no_order(order: Any) -> None:
    if order is not None:
        raise NotImplementedError("arrays have no fields: leave order out")


@TABLE.add
def unique(
    op: Face,
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
) -> Any:
    """`numpy.unique`."""
    asked = {"return_index": return_index, "return_inverse": return_inverse, "return_counts": return_counts}
    found = op("_npi_unique", ar, axis=axis, **asked)
    return op.several(found)


@TABLE.add
def bincount(op: Face, x: Any, weights: Any = None, minlength: int = 0) -> Any:
    """`numpy.bincount`."""
    inputs = (x,) if weights is None else (x, weights)
    return op("_npi_bincount", *inputs, minlength=minlength, has_weights=weights is not None)


@TABLE.add
def clip(op: Face, a: Any, a_min: Any, a_max: Any, out: Any = None) -> Any:
    """`numpy.clip` by numbers.

    Raises:
        ValueError: there is neither.
    """
    if a_min is None and a_max is None:
        raise ValueError("clip needs a_min, a_max or both")
    low = float("-inf") if a_min is None else a_min
    high = float("inf") if a_max is None else a_max
    return op("_npi_clip", a, a_min=low, a_max=high, out=out)


@TABLE.add
def shares_memory(op: Face, a: Any, b: Any, max_work: Any = None) -> Any:  # noqa: ARG001
    """`numpy.shares_memory`: whether two arrays lie in the same memory."""
    return op.number(op("_npi_share_memory", a, b), bool)


@TABLE.add
def may_share_memory(op: Face, a: Any, b: Any, max_work: Any = None) -> Any:  # noqa: ARG001
    """`numpy.may_share_memory`, which is exact here."""
    return shares_memory(op, a, b)
