"""`mx.npx`: what MXNet has beside NumPy's functions: layers, files, devices, and NumPy's semantics on and off.

>>> from evergraph.mxnet import np, npx
>>> npx.set_np()
>>> npx.relu(np.array([-1, 2]))
array([0., 2.])
>>> np.ones((2, 3))[0, 0]
array(1.)
>>> npx.reset_np()
"""

import importlib
from typing import Any

from evergraph.mxnet.context import Context, cpu, cpu_pinned, current_context, gpu, gpu_memory_info, num_gpus
from evergraph.mxnet.ndarray.creation import waitall
from evergraph.mxnet.numpy.face import bound
from evergraph.mxnet.numpy.functions.extension import TABLE as _TABLE
from evergraph.mxnet.numpy.functions.extension import operators as _operators
from evergraph.mxnet.numpy.multiarray import FACE as _FACE
from evergraph.mxnet.numpy_extension import utils
from evergraph.mxnet.numpy_extension.operators import of_arrays as _of_arrays
from evergraph.mxnet.numpy_extension.utils import load, save
from evergraph.mxnet.util import get_cuda_compute_capability, is_np_array, is_np_shape, reset_np, set_np

__all__ = [
    "Context",
    "cpu",
    "cpu_pinned",
    "current_context",
    "get_cuda_compute_capability",
    "gpu",
    "gpu_memory_info",
    "is_np_array",
    "is_np_shape",
    "load",
    "num_gpus",
    "reset_np",
    "save",
    "set_np",
    "utils",
    "waitall",
]

_MODULES = frozenset(("image", "random"))

globals().update(bound(_TABLE, _FACE, "mxnet.numpy_extension"))


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    found = _of_arrays(_operators(), name, __name__)
    if found is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name != "slice":  # kept here it would hide Python's own
        globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_operators(), *_MODULES})
