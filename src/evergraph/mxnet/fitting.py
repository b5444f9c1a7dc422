"""Whether a value that a program gives fits an array that it is copied into."""

from typing import Any

from evergraph.mxnet.ndarray.base import Array

__all__ = ["misfit"]


def misfit(value: Any, wanted: Any) -> str | None:
    """What is wrong with a value for an array; None where nothing is.

    Args:
        value: an array of MXNet's, NumPy's or torch's kind, or anything else.
        wanted: the array that it would be copied into.

    >>> import numpy as np
    >>> from evergraph.mxnet import nd
    >>> misfit(np.ones((2, 3)), nd.ones((3, 2))), misfit([1.0], nd.ones((1,))), misfit(np.ones(1), nd.ones((1,)))
    ('shape (2, 3) for (3, 2)', 'list, which is no array', None)
    """
    if not hasattr(value, "shape") or not hasattr(value, "dtype"):
        return f"{type(value).__name__}, which is no array"
    if tuple(value.shape) != tuple(wanted.shape):
        return f"shape {tuple(value.shape)} for {tuple(wanted.shape)}"
    if isinstance(value, Array) or value.__class__.__module__.startswith("evergraph."):
        return None
    # texts, objects, dates and bare bytes hold no numbers, and what is imaginary would be lost
    kind = getattr(value.dtype, "kind", "c" if getattr(value.dtype, "is_complex", False) else "f")
    named = getattr(value.dtype, "names", None) is None and str(value.dtype) != "void"
    return None if kind in "biuf" or (kind == "V" and named and value.dtype.itemsize <= 2) else f"type {value.dtype}"
