"""Methods that stand for functions of `mx.nd` with the array as first input: `x.relu()`, `x.sum(axis=1)`."""

from collections.abc import Callable
from typing import Any

from evergraph.mxnet.ndarray.functions import function

__all__ = ["FLUENT", "fluent"]

_NAMES = """
    abs arccos arccosh arcsin arcsinh arctan arctanh argmax argmax_channel argmin argsort broadcast_axes cbrt
    ceil clip cos cosh degrees depth_to_space exp expm1 fix flip floor log log10 log1p log2 log_softmax max
    mean min nanprod nansum norm one_hot ones_like pad pick prod radians rcbrt reciprocal relu repeat
    reshape_like rint round rsqrt shape_array sigmoid sign sin sinh size_array slice slice_axis slice_like
    softmax softmin sort space_to_depth split sqrt square sum swapaxes take tan tanh tile topk transpose trunc
    zeros_like
"""
FLUENT = tuple(_NAMES.split())


def fluent(name: str) -> Callable[..., Any]:
    """The method for a function of `mx.nd`: the function itself, which saves a call."""
    return function(name)
