"""NumPy's own functions called on `mx.np` arrays: which function of `mx.np` computes them."""

import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as onp

from evergraph.mxnet.numpy import fallback
from evergraph.mxnet.numpy.multiarray import ndarray

__all__ = ["array_function", "array_ufunc"]

_FUNCTIONS = """
    all amax amin any append argmax argmin argsort around array_split atleast_1d atleast_2d atleast_3d bincount
    broadcast_arrays broadcast_to clip column_stack concatenate copy cumsum delete diag diag_indices_from diagflat
    diagonal diff dot dsplit dstack ediff1d einsum empty_like expand_dims fix flip fliplr flipud full_like hsplit
    hstack inner insert isneginf isposinf max may_share_memory mean meshgrid min nan_to_num nonzero ones_like outer
    pad percentile polyval prod product quantile ravel repeat reshape resize roll round round_ shape shares_memory
    sometrue sort split squeeze stack std sum swapaxes take tensordot tile trace transpose tril unique unravel_index
    var vdot vsplit vstack where zeros_like
"""
_LINEAR = "cholesky eig eigh eigvals eigvalsh inv norm pinv solve tensorinv tensorsolve"
_UFUNCS = """
    abs absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh bitwise_and bitwise_not bitwise_or
    bitwise_xor cbrt ceil copysign cos cosh degrees divide equal exp expm1 fabs floor greater greater_equal hypot invert
    isfinite isinf isnan lcm less less_equal log log10 log1p log2 logical_not matmul maximum minimum mod multiply
    negative not_equal power reciprocal remainder rint sign sin sinh sqrt square subtract tan tanh true_divide trunc
"""


@functools.cache
def _known() -> dict[Any, Callable[..., Any]]:
    """NumPy's function -> ours; the functions themselves, since NumPy renames them."""
    from evergraph.mxnet import numpy

    found = {getattr(onp, n): getattr(numpy, n) for n in _FUNCTIONS.split() if n not in _GONE and hasattr(onp, n)}
    linear = getattr(numpy, "linalg", None)
    found.update({getattr(onp.linalg, n): getattr(linear, n) for n in _LINEAR.split() if hasattr(linear, n)})
    return found


# asking NumPy 2 for these warns
_GONE = (
    frozenset(("product", "round_", "sometrue")) if onp.lib.NumpyVersion(onp.__version__) >= "1.25.0" else frozenset()
)


def array_function(func: Callable[..., Any], types: Iterable[type], args: Any, kwargs: dict[str, Any]) -> Any:
    """What `numpy.mean(x)` and its like give: our function's result, or what NumPy computes on the values.

    Args:
        func: NumPy's function.
        types: the classes of arrays among the arguments.
        args: its arguments.
        kwargs: its keywords.
    """
    found = _known().get(func)
    if found is None:
        return fallback.computed_by_numpy(func, args, kwargs)
    if not all(issubclass(kind, ndarray) for kind in types):
        return NotImplemented
    return found(*args, **kwargs)


def array_ufunc(ufunc: Any, method: str, inputs: Any, kwargs: dict[str, Any]) -> Any:
    """What `numpy.sin(x)` and its like give: our function's result, or what NumPy computes on the values.

    Args:
        ufunc: NumPy's function.
        method: "__call__"; others, such as "reduce", are refused.
        inputs: its operands.
        kwargs: its keywords.

    Raises:
        ValueError: several arrays are to take the results.
    """
    from evergraph.mxnet import numpy

    if method != "__call__":
        return NotImplemented
    out = kwargs.pop("out", None)
    if out is not None:
        if len(out) != 1:
            raise ValueError("The `out` parameter must have exactly one ndarray")
        kwargs["out"] = out[0]
    if ufunc.__name__ in _UFUNCS.split():
        return getattr(numpy, ufunc.__name__)(*inputs, **kwargs)
    return fallback.computed_by_numpy(ufunc, inputs, kwargs)
