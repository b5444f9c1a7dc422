"""Arrays put together, and taken apart."""

from collections.abc import Callable
from typing import Any

from evergraph.mxnet.base import integer_types
from evergraph.mxnet.numpy.face import Face, Table

__all__ = ["TABLE"]

TABLE = Table()


def _listed(arrays: Any) -> list[Any]:
    """The arrays of a sequence; one array stands for its rows."""
    if not hasattr(arrays, "__getitem__") and hasattr(arrays, "__iter__"):
        raise ValueError("expected a sequence of arrays, and not an iterable without places, such as a generator")
    return list(arrays)


@TABLE.add
def concatenate(op: Face, seq: Any, axis: int | None = 0, out: Any = None) -> Any:
    """`numpy.concatenate`."""
    return op("_npi_concatenate", *seq, num_args=len(seq), axis=axis, out=out)


@TABLE.add
def append(op: Face, arr: Any, values: Any, axis: int | None = None) -> Any:
    """`numpy.append`."""
    return op("_npi_concatenate", arr, values, num_args=2, axis=axis)


@TABLE.add
def stack(op: Face, arrays: Any, axis: int = 0, out: Any = None) -> Any:
    """`numpy.stack`."""
    inputs = _listed(arrays)
    return op("_npi_stack", *inputs, num_args=len(inputs), axis=axis, out=out)


@TABLE.add
def vstack(op: Face, arrays: Any, out: Any = None) -> Any:
    """`numpy.vstack`."""
    inputs = _listed(arrays)
    return op("_npi_vstack", *inputs, num_args=len(inputs), out=out)


@TABLE.add
def row_stack(op: Face, arrays: Any) -> Any:
    """`numpy.row_stack`, which is `vstack`."""
    return vstack(op, arrays)


@TABLE.add
def hstack(op: Face, arrays: Any) -> Any:
    """`numpy.hstack`."""
    return op("_npi_hstack", *arrays, num_args=len(arrays))


@TABLE.add
def dstack(op: Face, arrays: Any) -> Any:
    """`numpy.dstack`."""
    return op("_npi_dstack", *arrays, num_args=len(arrays))


@TABLE.add
def column_stack(op: Face, tup: Any) -> Any:
    """`numpy.column_stack`."""
    return op("_npi_column_stack", *tup, num_args=len(tup))


def _several(found: Any) -> Any:
    """Parts as a list, where there is but one too; a symbol stands for all of its outputs."""
    return [found] if hasattr(found, "asnumpy") else found


def _split(op: Face, name: str, ary: Any, parts: Any, axis: int) -> Any:
    if isinstance(parts, (set, list, tuple)):
        return _several(op(name, ary, indices=(0, *parts), axis=axis, squeeze_axis=False, sections=0))
    if not isinstance(parts, integer_types):
        raise ValueError(f"indices_or_sections must be an integer or a tuple of them, found {parts!r}")
    sizes = op.sizes(ary)
    if sizes is not None and name == "_npi_split" and sizes[axis] % parts:  # MXNet's hsplit cuts unevenly too
        raise ValueError(f"an axis of {sizes} cannot be cut into {parts} equal parts")
    return _several(op(name, ary, indices=(), axis=axis, squeeze_axis=False, sections=int(parts)))


@TABLE.add
def split(op: Face, ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    """`numpy.split`, copies."""
    return _split(op, "_npi_split", ary, indices_or_sections, axis)


def _along(name: str, axis: int, rank: int) -> Callable[..., Any]:
    def call(op: Face, ary: Any, indices_or_sections: Any) -> Any:
        found = op.sizes(ary)
        if found is not None and len(found) < rank:
            raise ValueError(f"{name} takes arrays of {rank} or more dimensions")
        return _split(op, "_npi_split", ary, indices_or_sections, axis)

    call.__name__ = name
    call.__doc__ = f"`numpy.{name}`, copies."
    return call


TABLE.add(_along("vsplit", 0, 2))
TABLE.add(_along("dsplit", 2, 3))


@TABLE.add
def hsplit(op: Face, ary: Any, indices_or_sections: Any) -> Any:
    """`numpy.hsplit`, copies."""
    return _split(op, "_npi_hsplit", ary, indices_or_sections, 1)
