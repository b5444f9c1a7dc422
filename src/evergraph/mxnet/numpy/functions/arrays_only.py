"""Functions of arrays alone: their results' shapes depend on values, or come from sequences and NumPy's arrays."""

from typing import Any

import numpy as onp

from evergraph.errors import UsageError
from evergraph.mxnet.base import integer_types
from evergraph.mxnet.numpy.face import Face, Table

__all__ = ["TABLE"]

TABLE = Table()


@TABLE.add
def shape(op: Face, a: Any) -> tuple[int, ...]:
    """`numpy.shape`."""
    return a.shape if op.holds(a) else onp.shape(a)


@TABLE.add
def array_split(op: Face, ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    """`numpy.array_split`, copies.

    Raises:
        ValueError: no number of parts, and no places either.
        UsageError: fewer than one part.
    """
    size, places = ary.shape[axis], indices_or_sections
    if isinstance(places, integer_types):
        if places < 1:
            raise UsageError("array_split makes one part or more", found=places)
        small, more = divmod(size, int(places))
        places = [i * small + min(i, more) for i in range(1, int(places))]
    elif not isinstance(places, (set, list, tuple)):
        raise ValueError(f"indices_or_sections must be an integer or a tuple of them, found {places!r}")
    found = op("_npi_split", ary, indices=(0, *places), axis=axis, squeeze_axis=False, sections=0)
    return found if isinstance(found, list) else [found]


@TABLE.add
def broadcast_arrays(op: Face, *args: Any) -> list[Any]:
    """`numpy.broadcast_arrays`, copies; the arrays themselves where all have one shape."""
    common = onp.broadcast_shapes(*[each.shape for each in args])
    if all(each.shape == common for each in args):
        return list(args)
    return [op("_npi_broadcast_to", each, shape=common) for each in args]


@TABLE.add
def meshgrid(op: Face, *xi: Any, **kwargs: Any) -> list[Any]:
    """`numpy.meshgrid`, copies.

    Args:
        op: the face.
        xi: vectors.
        kwargs: `indexing`, "xy" or "ij".

    Raises:
        NotImplementedError: `copy` is false, or `sparse` true.
        TypeError: another keyword.
        ValueError: another indexing.
    """
    indexing = kwargs.pop("indexing", "xy")
    if not kwargs.pop("copy", True) or kwargs.pop("sparse", False):
        raise NotImplementedError("meshgrid gives full copies: leave copy and sparse out")
    if kwargs:
        raise TypeError(f"meshgrid() got an unexpected keyword argument {min(kwargs)!r}")
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    rank = len(xi)
    order = list(range(rank))
    if indexing == "xy" and rank > 1:
        order[:2] = 1, 0
    shapes = [[-1 if axis == place else 1 for axis in range(rank)] for place in order]
    return broadcast_arrays(op, *[each.reshape(*sizes) for each, sizes in zip(xi, shapes, strict=True)])


@TABLE.add
def empty_like(
    op: Face, prototype: Any, dtype: Any = None, order: str = "C", subok: bool = False, shape: Any = None
) -> Any:
    """`numpy.empty_like`; the values are zeros.

    Raises:
        NotImplementedError: a subclass or another order is asked for.
    """
    if subok or order != "C":
        raise NotImplementedError("empty_like takes order='C' and subok=False alone")
    kind = dtype or prototype.dtype
    return op("_npi_zeros", shape=prototype.shape if shape is None else shape, dtype=kind, ctx=str(prototype.ctx))


@TABLE.add
def unravel_index(op: Face, indices: Any, shape: Any, order: str = "C") -> Any:
    """`numpy.unravel_index`: an array of places for each axis, or a tuple of numbers for one place.

    Raises:
        NotImplementedError: another order than "C".
    """
    if order != "C":
        raise NotImplementedError("unravel_index reads shapes in order 'C' alone")
    if not op.holds(indices):
        return onp.unravel_index(indices, shape)
    parts = onp.unravel_index(indices.asnumpy().astype(onp.int64), shape)
    return tuple(indices.__class__(_tensor(part).to(indices._data), indices.ctx) for part in parts)


def _tensor(values: Any) -> Any:
    import torch

    return torch.from_numpy(onp.array(values))
