"""The MXNet face: `import evergraph.mxnet as mx`.

The names, defaults, shapes, types, gradients and errors of MXNet 1.9.1, on PyTorch. Modules are imported when they are
first used. Where MXNet itself is not installed, `import mxnet` finds this face too.

>>> import evergraph.mxnet as mx
>>> (mx.nd.ones((2,)) + 1).asnumpy()
array([2., 2.], dtype=float32)
"""

import importlib
from typing import Any

from evergraph import _lazy
from evergraph.mxnet import alias

__version__ = "1.9.1"

_MODULES = {
    "attribute": "attribute",
    "autograd": "autograd",
    "base": "base",
    "callback": "callback",
    "context": "context",
    "contrib": "contrib",
    "dlpack": "dlpack",
    "engine": "engine",
    "error": "error",
    "executor": "executor",
    "executor_manager": "executor_manager",
    "gluon": "gluon",
    "image": "image",
    "img": "image",
    "init": "initializer",
    "initializer": "initializer",
    "io": "io",
    "kv": "kvstore",
    "kvstore": "kvstore",
    "kvstore_server": "kvstore_server",
    "libinfo": "libinfo",
    "library": "library",
    "log": "log",
    "lr_scheduler": "lr_scheduler",
    "metric": "metric",
    "misc": "misc",
    "mod": "module",
    "model": "model",
    "module": "module",
    "mon": "monitor",
    "monitor": "monitor",
    "name": "name",
    "nd": "ndarray",
    "ndarray": "ndarray",
    "np": "numpy",
    "npx": "numpy_extension",
    "numpy": "numpy",
    "numpy_extension": "numpy_extension",
    "onnx": "contrib.onnx",
    "operator": "operator",
    "optimizer": "optimizer",
    "profiler": "profiler",
    "random": "random",
    "recordio": "recordio",
    "registry": "registry",
    "rnd": "random",
    "rnn": "rnn",
    "rtc": "rtc",
    "runtime": "runtime",
    "sym": "symbol",
    "symbol": "symbol",
    "test_utils": "test_utils",
    "util": "util",
    "visualization": "visualization",
    "viz": "visualization",
}
"""Name of `mx` -> module of this package."""

_NAMES = {
    "AttrScope": "attribute",
    "Context": "context",
    "MXNetError": "base",
    "NDArray": "ndarray",
    "Symbol": "symbol",
    "cpu": "context",
    "cpu_pinned": "context",
    "current_context": "context",
    "gpu": "context",
    "is_np_array": "util",
    "is_np_shape": "util",
    "np_array": "util",
    "np_shape": "util",
    "num_gpus": "context",
    "set_np_shape": "util",
    "use_np": "util",
    "use_np_array": "util",
    "use_np_shape": "util",
}
"""Name of `mx` -> module of this package that has it."""


def __getattr__(name: str) -> Any:
    module = _MODULES.get(name) or _NAMES.get(name)
    if module is None:
        raise AttributeError(f"module 'evergraph.mxnet' has no attribute {name!r}")
    try:
        found = importlib.import_module(f"{__name__}.{module}")
    except ModuleNotFoundError as error:
        if error.name == f"{__name__}.{module}":
            raise AttributeError(f"module 'evergraph.mxnet' has no attribute {name!r}") from error
        raise _lazy.missing(error, name, "torch") from error
    value = found if name in _MODULES else getattr(found, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, *_NAMES})


alias.install()
