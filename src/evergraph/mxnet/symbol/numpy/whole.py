"""Functions that arrays and symbols have in other ways: symbols know neither shapes nor values."""

from typing import Any

from evergraph.mxnet.base import integer_types
from evergraph.mxnet.numpy.face import Face, Table

__all__ = ["TABLE"]

TABLE = Table()


@TABLE.add
def array_split(op: Face, ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    """`numpy.array_split`: parts of a list of lengths that may differ by one, or between positions."""
    if isinstance(indices_or_sections, integer_types):
        options: dict[str, Any] = {"indices": [], "sections": int(indices_or_sections)}
    else:
        options = {"indices": [0, *indices_or_sections], "sections": 0}
    found = op("_npi_split", ary, axis=axis, squeeze_axis=False, **options)
    return found if isinstance(found, list) else [found]


@TABLE.add
def empty_like(
    op: Face,
    prototype: Any,
    dtype: Any = None,
    order: str = "C",
    subok: bool = False,
    shape: Any = None,
) -> Any:
    """`numpy.empty_like`, of zeros.

    Raises:
        NotImplementedError: another order than "C", subclasses, or a shape.
    """
    if order != "C" or subok or shape is not None:
        raise NotImplementedError("empty_like takes order='C', subok=False and no shape")
    return op("_npi_full_like", prototype, fill_value=0.0, dtype=dtype)


@TABLE.add
def resize(op: Face, a: Any, new_shape: Any) -> Any:
    """`numpy.resize`: the values over and over in another shape. No gradient passes."""
    return op("_npi_Custom", a, op_type="resize_fallback", new_shape=new_shape)


@TABLE.add
def unravel_index(op: Face, indices: Any, shape: Any, order: str = "C") -> Any:
    """`numpy.unravel_index`: an array of places, one row for each axis.

    Raises:
        NotImplementedError: another order than "C".
    """
    if order != "C":
        raise NotImplementedError("unravel_index reads shapes in order 'C' alone")
    return op("_unravel_index", indices, shape=shape)
