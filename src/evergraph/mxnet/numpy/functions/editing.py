"""Values put in, taken out, padded and mended."""

import warnings
from typing import Any

import numpy as onp

from evergraph.mxnet.base import integer_types, numeric_types
from evergraph.mxnet.numpy.face import Face, Table

__all__ = ["TABLE"]

TABLE = Table()


def _placed(name: str, obj: Any) -> dict[str, Any]:
    """The parameters for a place, or a slice of them."""
    if isinstance(obj, slice):
        return {"start": obj.start, "stop": obj.stop, "step": 1 if obj.step is None else obj.step}
    if isinstance(obj, integer_types):
        return {"int_ind": int(obj)}
    raise TypeError(f"{name} takes a place as an integer, a slice or an array, found {type(obj)}")


@TABLE.add
def insert(op: Face, arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    """`numpy.insert`.

    Raises:
        TypeError: `obj` is no place, or `values` neither an array nor a number.
    """
    named: dict[str, Any] = {"axis": axis}
    inputs = [arr]
    if isinstance(values, numeric_types):
        named["val"] = values
    elif op.holds(values):
        inputs.append(values)
    else:
        raise TypeError(f"insert takes an array or a number as values, found {type(values)}")
    if op.holds(obj):
        return op("_npi_insert_tensor", *inputs, obj, **named)
    return op(
        "_npi_insert_slice" if isinstance(obj, slice) else "_npi_insert_scalar",
        *inputs,
        **_placed("insert", obj),
        **named,
    )


@TABLE.add
def delete(op: Face, arr: Any, obj: Any, axis: int | None = None) -> Any:
    """`numpy.delete`.

    Raises:
        TypeError: `obj` is no place.
    """
    if op.holds(obj):
        return op("_npi_delete", arr, obj, axis=axis)
    return op("_npi_delete", arr, axis=axis, **_placed("delete", obj))


@TABLE.add
def diff(op: Face, a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> Any:
    """`numpy.diff`.

    Raises:
        NotImplementedError: `prepend` or `append`.
    """
    if prepend is not None or append is not None:
        raise NotImplementedError("diff takes no prepend and append: concatenate them first")
    return op("_npi_diff", a, n=n, axis=axis)


@TABLE.add
def ediff1d(op: Face, ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    """`numpy.ediff1d`."""
    inputs, named = [ary], {}
    for name, value in (("to_begin", to_begin), ("to_end", to_end)):
        if op.holds(value):
            inputs.append(value)
            named[f"{name}_arr_given"] = True
        elif value is not None:
            named[f"{name}_scalar"] = value
    return op("_npi_ediff1d", *inputs, **named)


@TABLE.add
def nan_to_num(
    op: Face,
    x: Any,
    copy: bool = True,
    nan: float = 0.0,
    posinf: Any = None,
    neginf: Any = None,
    **kwargs: Any,  # noqa: ARG001
) -> Any:
    """`numpy.nan_to_num`; a number by NumPy's own."""
    if isinstance(x, numeric_types):
        return onp.nan_to_num(x, copy, nan, posinf, neginf)
    if not op.holds(x):
        raise TypeError(f"type {type(x)} not supported")
    named = {"copy": copy, "nan": nan, "posinf": posinf, "neginf": neginf}
    return op("_npi_nan_to_num", x, out=None if copy else x, **named)


@TABLE.also("round", "round_")
def around(op: Face, x: Any, decimals: int = 0, out: Any = None, **kwargs: Any) -> Any:
    """`numpy.around`; a number by NumPy's own."""
    if isinstance(x, numeric_types):
        return onp.around(x, decimals, **kwargs)
    if not op.holds(x):
        raise TypeError(f"type {type(x)} not supported")
    return op("_npi_around", x, decimals=decimals, out=out)


@TABLE.add
def copy(op: Face, a: Any, out: Any = None) -> Any:
    """`numpy.copy`."""
    return op("_np_copy", a, out=out)


_PADDING = {
    "constant": {"constant_values"},
    "edge": set(),
    "maximum": {"stat_length"},
    "minimum": {"stat_length"},
    "reflect": {"reflect_type"},
    "symmetric": {"reflect_type"},
}


@TABLE.add
def pad(op: Face, x: Any, pad_width: Any = None, mode: Any = "constant", **kwargs: Any) -> Any:
    """`numpy.pad` with the modes "constant", "edge", "reflect", "symmetric", "maximum" and "minimum".

    Raises:
        ValueError: another mode, or a keyword that the mode has not.
        TypeError: widths that are no integers.
    """
    widths = onp.asarray(pad_width)
    if widths.dtype.kind not in "iu":
        raise TypeError("`pad_width` must be of integral type.")
    if callable(mode) or mode not in _PADDING:
        raise ValueError(f"pad has the modes {', '.join(_PADDING)}, found {mode!r}")
    unknown = kwargs.keys() - _PADDING[mode]
    if unknown:
        raise ValueError(f"unsupported keyword arguments for mode {mode!r}: {', '.join(sorted(unknown))}")
    sizes = op.sizes(x)
    pairs = widths if sizes is None else onp.broadcast_to(widths, (len(sizes), 2))
    named: dict[str, Any] = {"pad_width": tuple(map(tuple, pairs.tolist())), "mode": mode}
    if kwargs.get("constant_values", 0):
        warnings.warn("as in MXNet 1.9.1, pad puts zeros whatever constant_values is", stacklevel=3)
    if "reflect_type" in kwargs:
        named["reflect_type"] = kwargs["reflect_type"]
    return op("_npi_pad", x, **named)
