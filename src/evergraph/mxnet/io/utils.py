"""`mx.io.utils`: arrays, lists and dicts of them as pairs (name, array)."""

from evergraph.mxnet.io.arrays import named_arrays as _init_data

__all__ = ["_init_data"]
