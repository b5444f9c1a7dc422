"""Arrays made from what programs hold."""

from typing import Any

import numpy as onp

from evergraph.mxnet.ndarray.base import Array, read_context
from evergraph.mxnet.ndarray.creation import array as plain_array
from evergraph.mxnet.ndarray.types import tensor_of, torch_type
from evergraph.mxnet.numpy.multiarray import ndarray

__all__ = ["array"]


def array(object: Any, dtype: Any = None, ctx: Any = None) -> ndarray:
    """An array with a copy of what an array-like holds.

    Args:
        object: an array of any library, numbers in nested sequences, or a number.
        dtype: the element type; an array's own, and float32 for everything else, where it is not given.
        ctx: the device; the current one where it is not given.

    Raises:
        ValueError: the object is a legacy `NDArray`.
        TypeError: it holds no numbers.

    >>> array([1, 2])
    array([1., 2.])
    """
    if dtype is None and object.__class__ is list:
        found = plain_array(object, ctx)
        return ndarray(found._data, found._ctx)
    device = read_context(ctx)
    if isinstance(object, Array) and not isinstance(object, ndarray):
        raise ValueError("a legacy NDArray becomes an array with NumPy's semantics by as_np_ndarray(), without a copy")
    if dtype is None and not isinstance(object, (ndarray, onp.ndarray, onp.generic)):
        dtype = onp.float32
    if object is None:
        object = onp.nan
    found = tensor_of(object, None if dtype is None else torch_type(dtype))
    return ndarray(found.to(device.torch_device), device)
