"""`mx.util`: NumPy semantics on and off, and the environment."""

import functools
import inspect
import os
import warnings
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from evergraph.mxnet._state import STATE

__all__ = [
    "get_gpu_count",
    "get_gpu_memory",
    "getenv",
    "is_np_array",
    "is_np_shape",
    "np_array",
    "np_shape",
    "reset_np",
    "set_module",
    "set_np",
    "set_np_shape",
    "setenv",
    "use_np",
    "use_np_array",
    "use_np_shape",
]

_Wrapped = TypeVar("_Wrapped")


def set_np_shape(active: bool) -> bool:
    """NumPy's meaning of shapes on or off for this thread: () is a scalar's, 0 a true size; returns what was before."""
    before, STATE.np_shape = STATE.np_shape, bool(active)
    return before


def is_np_shape() -> bool:
    """Whether shapes have NumPy's meaning."""
    return STATE.np_shape


def is_np_array() -> bool:
    """Whether NumPy-like arrays are wanted."""
    return STATE.np_array


def _set_np_array(active: bool) -> bool:
    before, STATE.np_array = STATE.np_array, bool(active)
    return before


class _Scope:
    """Sets one of the thread's flags inside a `with` block; also a decorator."""

    _flag = ""

    def __init__(self, is_np: bool) -> None:
        self._wanted, self._before = bool(is_np), []

    def __enter__(self) -> "_Scope":
        self._before.append(getattr(STATE, self._flag))
        setattr(STATE, self._flag, self._wanted)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        setattr(STATE, self._flag, self._before.pop())


class _NumpyShapeScope(_Scope):
    """Sets the meaning of shapes."""

    _flag = "np_shape"


class _NumpyArrayScope(_Scope):
    """Sets whether NumPy-like arrays are wanted."""

    _flag = "np_array"

    class _Current:
        """What `_NumpyArrayScope._current` reads as."""

        @property
        def value(self) -> Any:
            """The scope that is on, as an object with `_is_np_array`."""
            return type("_Scope", (), {"_is_np_array": STATE.np_array})()

    _current = _Current()


def np_shape(active: bool = True) -> _Scope:
    """A scope in which shapes have NumPy's meaning, or not.

    >>> with np_shape():
    ...     is_np_shape()
    True
    """
    return _NumpyShapeScope(active)


def np_array(active: bool = True) -> _Scope:
    """A scope in which NumPy-like arrays are wanted, or not."""
    return _NumpyArrayScope(active)


def _decorated(func: Any, scope: Callable[..., _Scope]) -> Any:
    """A function, or all methods of a class, run inside a scope."""
    if inspect.isclass(func):
        # inherited ones too: `initialize` makes NumPy's parameters of a decorated block
        for name in dir(func):
            found = inspect.getattr_static(func, name)
            if inspect.isfunction(found) and (not name.startswith("__") or name in ("__init__", "__call__")):
                setattr(func, name, _decorated(found, scope))
            elif isinstance(found, property):
                parts = [f and _decorated(f, scope) for f in (found.fget, found.fset, found.fdel)]
                setattr(func, name, property(*parts, doc=found.__doc__))
        return func
    if not callable(func):
        raise TypeError("NumPy semantics are set for functions and classes only")

    @functools.wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        with scope(True):
            return func(*args, **kwargs)

    return call


def use_np_shape(func: _Wrapped) -> _Wrapped:
    """Decorates a function or a class whose shapes have NumPy's meaning."""
    return _decorated(func, np_shape)


def use_np_array(func: _Wrapped) -> _Wrapped:
    """Decorates a function or a class that wants NumPy-like arrays."""
    return _decorated(func, np_array)


def use_np(func: _Wrapped) -> _Wrapped:
    """Decorates a function or a class for all of NumPy's semantics."""
    return use_np_shape(use_np_array(func))


def set_np(shape: bool = True, array: bool = True) -> None:
    """NumPy's semantics on or off.

    Raises:
        ValueError: arrays without shapes.
    """
    if not shape and array:
        raise ValueError("NumPy Shape semantics is required in using NumPy array semantics.")
    set_np_shape(shape)
    _set_np_array(array)


def reset_np() -> None:
    """NumPy's semantics off."""
    set_np(shape=False, array=False)


def set_module(module: str) -> Callable[[_Wrapped], _Wrapped]:
    """Decorates what is to say that it belongs to another module."""

    def decorate(found: _Wrapped) -> _Wrapped:
        if module is not None:
            found.__module__ = module  # type: ignore[attr-defined]
        return found

    return decorate


def getenv(name: str) -> str | None:
    """An environment variable, or None."""
    return os.environ.get(name)


def setenv(name: str, value: str | None) -> None:
    """Set an environment variable; None removes it."""
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value


def get_gpu_count() -> int:
    """How many GPUs there are."""
    from evergraph.mxnet.context import num_gpus

    return num_gpus()


def get_gpu_memory(gpu_dev_id: int) -> tuple[int, int]:
    """Free and total memory of a GPU, in bytes."""
    from evergraph.mxnet.context import gpu_memory_info

    return gpu_memory_info(gpu_dev_id)


def get_cuda_compute_capability(ctx: Any) -> int:
    """A GPU's compute capability as a number, such as 80 for 8.0.

    Raises:
        ValueError: the context is no GPU.
    """
    import torch

    if ctx.device_type != "gpu":
        raise ValueError(f"Expecting a gpu context to get cuda compute capability, while received ctx {ctx}")
    major, minor = torch.cuda.get_device_capability(ctx.torch_device)
    return major * 10 + minor


def wrap_np_unary_func(func: _Wrapped) -> _Wrapped:
    """Decorates a function of NumPy's kind: the keywords that only NumPy knows are checked and dropped."""
    return _without_numpy_keywords(func)


def wrap_np_binary_func(func: _Wrapped) -> _Wrapped:
    """Decorates a function of NumPy's kind: the keywords that only NumPy knows are checked and dropped."""
    return _without_numpy_keywords(func)


_NUMPY_KEYWORDS = {"where": True, "casting": "same_kind", "order": "K", "dtype": None, "subok": True}


def np_ufunc_legal_option(key: str, value: Any) -> bool:
    """Whether a keyword of NumPy's functions has a value that it may have."""
    choices = {
        "where": (True, False),
        "casting": ("no", "equiv", "safe", "same_kind", "unsafe"),
        "order": ("C", "F", "A", "K"),
        "subok": (True, False),
    }
    return key == "dtype" or value in choices.get(key, ())


def _without_numpy_keywords(func: Any) -> Any:
    @functools.wraps(func)
    def call(*args: Any, **kwargs: Any) -> Any:
        for key, usual in _NUMPY_KEYWORDS.items():
            value = kwargs.pop(key, usual)
            if value != usual:
                if not np_ufunc_legal_option(key, value):
                    raise TypeError(f"{key}={value!r} not understood")
                warnings.warn(f"{key}={value!r} is ignored", stacklevel=2)
        return func(*args, **kwargs)

    return call
