"""Methods and Python's operators of symbols of mx.np's arrays, which stand for functions of `mx.sym.np`."""

from collections.abc import Callable, Mapping
from typing import Any

from evergraph.mxnet.ndarray.fluent import FLUENT
from evergraph.mxnet.numpy.methods import ARITHMETIC, COMPARISONS, NumpyMethods
from evergraph.mxnet.symbol.numpy.face import FACE
from evergraph.mxnet.symbol.symbol import Symbol

__all__ = ["install"]

_METHODS = (
    *("argmax", "argmin", "argsort", "clip", "cumsum", "dot", "flatten", "max", "mean", "min", "prod", "repeat"),
    *("round", "squeeze", "std", "sum", "swapaxes", "take", "transpose", "var"),
)
"""What arrays have too, with the same arguments."""

_FLUENT = (*FLUENT, "broadcast_to", "broadcast_like", "diag", "expand_dims", "log2", "nanprod", "nansum", "slice")
"""What legacy symbols have as methods, and NumPy's arrays only in part."""


def install(kind: Any, functions: Mapping[str, Callable[..., Any]]) -> None:
    """Give the class of symbols its methods and operators, each by the function of this name."""
    for name in (*_FLUENT, "split_v2", "square"):
        if name not in vars(kind):
            setattr(kind, name, _lacking(name))
    kind._op = FACE
    for name in _METHODS:
        setattr(kind, name, getattr(NumpyMethods, name))
    for name, called in {**ARITHMETIC, **COMPARISONS}.items():
        setattr(kind, f"__{name}__", functions[called])
    for name, called in ARITHMETIC.items():
        setattr(kind, f"__r{name}__", _reflected(functions[called]))
    kind.__div__, kind.__rdiv__ = kind.__truediv__, kind.__rtruediv__
    # the base's own in-place operators refuse
    kind.__hash__ = Symbol.__hash__
    kind.__neg__ = lambda self: FACE("_npi_multiply_scalar", self, scalar=-1.0, is_int=False)
    kind.__abs__ = functions["absolute"]
    kind.reshape, kind.astype, kind.sort, kind.T = _reshape, _astype, functions["sort"], NumpyMethods.T


def _lacking(name: str) -> property:
    def absent(_: Any) -> Any:
        raise AttributeError(f"_Symbol object has no attribute {name}")

    return property(absent)


def _reflected(function: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    return lambda self, other: function(other, self)


def _reshape(self: Any, *args: Any, **kwargs: Any) -> Any:
    """The values in another shape, as one argument or as several.

    Raises:
        TypeError: no shape, or an unknown keyword.
        NotImplementedError: another order than "C".
    """
    order = kwargs.pop("order", "C")
    if "shape" in kwargs and not args:
        args = (kwargs.pop("shape"),)
    if kwargs or not args:
        raise TypeError(f"reshape() takes a shape and an order, found {', '.join(kwargs) or 'nothing'}")
    if order != "C":
        raise NotImplementedError(f"arrays are read and stored in order 'C' alone, found {order!r}")
    shape = args[0] if isinstance(args[0], (list, tuple)) else args
    return FACE("_np_reshape", self, newshape=shape, order=order)


def _astype(
    self: Any, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True, copy: bool = True
) -> Any:
    """The values in another type.

    Raises:
        ValueError: other than NumPy's usual order, casting and subok.
    """
    if order not in ("K", "A", "C") or casting != "unsafe" or not subok or not copy:
        raise ValueError("astype takes order='K', casting='unsafe', subok=True and copy=True alone")
    return FACE("_npi_cast", self, dtype=dtype)
