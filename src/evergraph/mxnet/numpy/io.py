"""Arrays read from text."""

from typing import Any

import numpy as onp

from evergraph.mxnet.numpy.array import array
from evergraph.mxnet.numpy.multiarray import ndarray

__all__ = ["genfromtxt"]


def genfromtxt(*args: Any, **kwargs: Any) -> ndarray:
    """`numpy.genfromtxt` as an array on the device `ctx`, the current one where it is not given."""
    ctx = kwargs.pop("ctx", None)
    found = onp.genfromtxt(*args, **kwargs)
    return array(found, dtype=found.dtype, ctx=ctx)
