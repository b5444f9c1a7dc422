"""Functions that NumPy computes itself, on the arrays' values: no gradients pass, and none may be recorded."""

from collections.abc import Callable
from typing import Any

import numpy as onp

from evergraph.mxnet._state import STATE
from evergraph.mxnet.ndarray.types import tensor_of
from evergraph.mxnet.numpy.multiarray import ndarray

__all__ = ["computed_by_numpy", "fallback"]

_NAMES = """
    allclose alltrue apply_along_axis apply_over_axes argpartition argwhere array_equal array_equiv choose compress
    corrcoef correlate count_nonzero cov digitize divmod extract flatnonzero float_power frexp heaviside histogram2d
    histogram_bin_edges histogramdd i0 in1d interp intersect1d isclose isin ix_ lexsort min_scalar_type mirr modf msort
    nanargmax nanargmin nancumprod nancumsum nanmax nanmedian nanmin nanpercentile nanprod nanquantile nanstd nansum
    nanvar ndim npv packbits partition piecewise pmt poly polyadd polydiv polyfit polyint polymul polysub positive ppmt
    promote_types ptp pv rate real resize result_type rollaxis roots searchsorted select setdiff1d setxor1d signbit size
    spacing take_along_axis trapz tril_indices_from trim_zeros triu_indices_from union1d unpackbits unwrap vander
"""
_TYPES = frozenset(["bool", "float16", "float32", "float64", "int8", "uint8", "int32", "int64"])
_FINANCIAL = ("mirr", "npv", "pmt", "ppmt", "pv", "rate")


def _in1d(ar1: Any, ar2: Any, assume_unique: bool = False, invert: bool = False) -> Any:
    return onp.isin(onp.ravel(ar1), ar2, assume_unique=assume_unique, invert=invert)


def _msort(a: Any) -> Any:
    return onp.sort(a, axis=0)


def _moved_out(name: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ARG001
        raise RuntimeError(f"{name} is no longer among NumPy's functions; the package numpy_financial has it")

    return call


# what NumPy renamed or took out, of which newer ones warn or know nothing
_OURS: dict[str, Callable[..., Any]] = {
    "alltrue": onp.all,
    "in1d": _in1d,
    "msort": _msort,
    "trapz": vars(onp).get("trapezoid") or vars(onp)["trapz"],
    **{name: _moved_out(name) for name in _FINANCIAL},
}


def _values(given: Any, devices: list[Any]) -> Any:
    """Arguments with NumPy's arrays for ours, whose devices are noted."""
    if isinstance(given, ndarray):
        devices.append(given.ctx)
        return given.asnumpy()
    if isinstance(given, (list, tuple)) and type(given) in (list, tuple):
        return type(given)(_values(each, devices) for each in given)
    return given


def _arrays(found: Any, ctx: Any) -> Any:
    """A result with our arrays for NumPy's."""
    if isinstance(found, onp.ndarray):
        if found.dtype.name not in _TYPES:
            raise ValueError(f"arrays have no elements of type {found.dtype}: pass x.asnumpy() to NumPy's own function")
        return ndarray(tensor_of(found).to(ctx.torch_device), ctx)
    if isinstance(found, (list, tuple)):
        return (list if isinstance(found, list) else tuple)(_arrays(each, ctx) for each in found)
    return found


def computed_by_numpy(function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    """What a function of NumPy computes on the values, as arrays on the first array's device.

    Raises:
        ValueError: while recording, since no gradient would pass; or arrays on several devices.
        ValueError: the result has a type that arrays cannot have, such as complex numbers.
    """
    devices: list[Any] = []
    args = _values(tuple(args), devices)
    kwargs = {name: _values(value, devices) for name, value in kwargs.items()}
    if not devices:
        return function(*args, **kwargs)
    if STATE.recording:
        raise ValueError(
            f"NumPy computes {function.__name__}, through which no gradient passes: call it outside autograd.record()"
        )
    if any(each != devices[0] for each in devices):
        raise ValueError(f"the arrays lie on different devices: {', '.join(sorted(set(map(str, devices))))}")
    return _arrays(function(*args, **kwargs), devices[0])


def fallback(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of NumPy that takes and gives these arrays; what holds none stays NumPy's."""

    def call(*args: Any, **kwargs: Any) -> Any:
        return computed_by_numpy(function, args, kwargs)

    call.__name__ = call.__qualname__ = name
    call.__module__ = __name__
    call.__wrapped__ = function  # type: ignore[attr-defined]  # shows its parameters
    call.__doc__ = f"`numpy.{name}` on the arrays' values; it cannot be recorded."
    return call


FUNCTIONS = {name: fallback(name, _OURS.get(name) or getattr(onp, name)) for name in _NAMES.split()}
globals().update(FUNCTIONS)
