"""Arrays to and from other libraries without a copy, through DLPack.

>>> from evergraph.mxnet import nd
>>> x = nd.ones((2,)); y = from_dlpack(to_dlpack_for_write(x)); y[0] = 3; x.asnumpy()
array([3., 1.], dtype=float32)
"""

from evergraph.mxnet.ndarray.creation import from_dlpack, from_numpy, to_dlpack_for_read, to_dlpack_for_write

__all__ = ["from_dlpack", "from_numpy", "to_dlpack_for_read", "to_dlpack_for_write"]
