"""`mx.npx`: what MXNet has beside NumPy's functions: layers, devices, and NumPy's semantics on and off.

>>> from evergraph.mxnet import np, npx
>>> npx.set_np()
>>> np.ones((2, 3))[0, 0]
array(1.)
>>> npx.reset_np()
"""

from evergraph.mxnet.context import Context, cpu, cpu_pinned, current_context, gpu, gpu_memory_info, num_gpus
from evergraph.mxnet.ndarray.creation import waitall
from evergraph.mxnet.util import is_np_array, is_np_shape, reset_np, set_np

__all__ = [
    "Context",
    "cpu",
    "cpu_pinned",
    "current_context",
    "gpu",
    "gpu_memory_info",
    "is_np_array",
    "is_np_shape",
    "num_gpus",
    "reset_np",
    "set_np",
    "waitall",
]
