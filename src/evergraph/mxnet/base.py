"""What programs take from `mx.base`: the error, type tuples, ctypes names, and small helpers."""

import ctypes
import inspect
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from evergraph.errors import EvergraphError, UsageError

__all__ = ["InputTypeError", "MXNetError", "NotImplementedForSymbol", "NotSupportedForSparseNDArray"]

MXNetError = EvergraphError

__version__ = "1.9.1"
string_types = (str,)
basestring = str
long = int
integer_types: tuple[type, ...] = (int, np.int32, np.int64)
numeric_types: tuple[type, ...] = (float, int, np.generic)
mx_real_t = np.float32

mx_uint = ctypes.c_uint
mx_int = ctypes.c_int
mx_int64 = ctypes.c_int64
mx_float = ctypes.c_float
mx_float_p = ctypes.POINTER(ctypes.c_float)
NDArrayHandle = SymbolHandle = ExecutorHandle = KVStoreHandle = OpHandle = CachedOpHandle = ctypes.c_void_p
DataIterHandle = DataIterCreatorHandle = RecordIOHandle = FunctionHandle = RtcHandle = ctypes.c_void_p
CudaModuleHandle = CudaKernelHandle = ProfileHandle = DLPackHandle = ctypes.c_void_p

_OP_NAME_PREFIX_LIST = ["_contrib_", "_linalg_", "_sparse_", "_image_", "_random_"]


class InputTypeError(UsageError, AssertionError, TypeError):
    """A value of another kind than is taken, such as one that is no array."""


class NotImplementedForSymbol(MXNetError, NotImplementedError):
    """An operation that symbols do not have.

    Args:
        function: the function that was called, or its name.
        alias: the operator that stands for it in Python, if any.
        args: what it was called with.
    """

    def __init__(self, function: Any, alias: str | None = None, *args: object) -> None:
        name = getattr(function, "__name__", str(function))
        super().__init__(
            f"function {name}" + (f" (namely operator {alias!r})" if alias else "") + " is not for symbols",
            found=", ".join(type(a).__name__ for a in args) or None,
            fix="a symbol has no values before it is bound: use mx.sym functions, or compute on NDArrays",
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return NotImplementedForSymbol, (self.what,)


class NotSupportedForSparseNDArray(MXNetError):
    """An operation that sparse arrays do not have.

    Args:
        function: the function that was called, or its name.
        alias: the operator that stands for it in Python, if any.
        args: what it was called with.
    """

    def __init__(self, function: Any, alias: str | None = None, *args: object) -> None:
        name = getattr(function, "__name__", str(function))
        super().__init__(
            f"function {name}" + (f" (namely operator {alias!r})" if alias else "") + " is not for sparse arrays",
            found=", ".join(type(a).__name__ for a in args) or None,
            fix="take a dense copy first: x.tostype('default')",
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return NotSupportedForSparseNDArray, (self.what,)


class _NullType:
    """Stands for a parameter that is not given."""

    def __repr__(self) -> str:
        return "_Null"

    def __bool__(self) -> bool:
        return False

    def __reduce__(self) -> str:
        return "_Null"


_Null = _NullType()


class _Library:
    """Stands where MXNet's C library was: every function of it says what to use instead."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def missing(*_: object) -> NoReturn:
            raise UsageError(
                f"MXNet's C library is not here: {name} cannot be called",
                fix="evergraph computes with PyTorch; use the Python interface (mx.nd, mx.sym, mx.mod, ...)",
            )

        missing.__name__ = name
        return missing

    def __repr__(self) -> str:
        return "<no C library: evergraph computes with PyTorch>"


_LIB = _Library()


def check_call(ret: Any) -> None:
    """Raise for a C function's result other than 0.

    Raises:
        MXNetError: the result is not 0.
    """
    if ret != 0:
        raise MXNetError("a C function failed", expected=0, found=ret)


def c_str(string: str) -> ctypes.c_char_p:
    """A C string.

    >>> c_str("x").value
    b'x'
    """
    return ctypes.c_char_p(string.encode("utf-8"))


def c_str_array(strings: Sequence[str]) -> Any:
    """A C array of C strings."""
    found = (ctypes.c_char_p * len(strings))()
    found[:] = [s.encode("utf-8") for s in strings]
    return found


def c_array(ctype: Any, values: Sequence[Any]) -> Any:
    """A C array of a type.

    >>> list(c_array(ctypes.c_int, [1, 2]))
    [1, 2]
    """
    found = (ctype * len(values))()
    found[:] = values
    return found


def c_array_buf(ctype: Any, buf: Any) -> Any:
    """A C array over a buffer."""
    return (ctype * len(buf)).from_buffer(buf)


def c_handle_array(objs: Sequence[Any]) -> Any:
    """A C array of the handles of objects."""
    return c_array(ctypes.c_void_p, [getattr(o, "handle", None) or id(o) for o in objs])


def py_str(x: bytes) -> str:
    """The text of a C string."""
    return x.decode("utf-8")


def ctypes2buffer(cptr: Any, length: int) -> bytearray:
    """A copy of memory behind a C pointer to characters.

    Raises:
        TypeError: another kind of pointer.
    """
    if not isinstance(cptr, ctypes.POINTER(ctypes.c_char)):
        raise TypeError("expected char pointer")
    return bytearray(ctypes.string_at(cptr, length))


def ctypes2numpy_shared(cptr: Any, shape: Sequence[int]) -> np.ndarray:
    """A NumPy array over memory behind a C pointer to float32 values.

    Raises:
        RuntimeError: another kind of pointer.
    """
    if not isinstance(cptr, mx_float_p):
        raise RuntimeError("expected float pointer")
    return np.ctypeslib.as_array(cptr, shape=tuple(shape))


def build_param_doc(
    arg_names: Sequence[str], arg_types: Sequence[str], arg_descs: Sequence[str], remove_dup: bool = True
) -> str:
    """The parameters section of a docstring."""
    rows: dict[Any, str] = {}
    for i, (name, kind, text) in enumerate(zip(arg_names, arg_types, arg_descs, strict=True)):
        if name == "num_args" or (remove_dup and name in rows):
            continue
        rows[name if remove_dup else i] = f"{name} : {kind}" + (f"\n    {text}" if text else "")
    return "Parameters\n----------\n" + "\n".join(rows.values()) + "\n"


def _as_list(obj: Any) -> list[Any]:
    """A list of an object: itself where it is a list or tuple, else one element.

    >>> _as_list(1), _as_list((1, 2))
    ([1], [1, 2])
    """
    return list(obj) if isinstance(obj, (list, tuple)) else [obj]


def _is_np_op(op_name: str) -> bool:
    """Whether an operator is one of NumPy's kind, by its name."""
    return op_name.startswith(("_np_", "_npi_", "_npx_"))


def _get_op_name_prefix(op_name: str) -> str:
    """The prefix that names an operator's namespace, or an empty text."""
    return next((p for p in _OP_NAME_PREFIX_LIST if op_name.startswith(p)), "")


def data_dir_default() -> str:
    """Where downloaded data goes when nothing says otherwise: `.mxnet` at home."""
    return str(Path.home() / ".mxnet")


def data_dir() -> str:
    """Where downloaded data goes: `MXNET_HOME`, or `.mxnet` at home."""
    return os.getenv("MXNET_HOME", data_dir_default())


class _MXClassPropertyDescriptor:
    """A property of a class: what `classproperty` gives."""

    def __init__(self, fget: Any, fset: Any = None) -> None:
        self.fget, self.fset = fget, fset

    def __get__(self, obj: object, clas: type | None = None) -> Any:
        return self.fget.__get__(obj, clas if clas is not None else type(obj))()

    def setter(self, func: Any) -> "_MXClassPropertyDescriptor":
        """Set the function that assigns."""
        self.fset = func if isinstance(func, (classmethod, staticmethod)) else classmethod(func)
        return self


def classproperty(func: Any) -> _MXClassPropertyDescriptor:
    """A property of the class itself.

    >>> class A:
    ...     @classproperty
    ...     def name(cls): return cls.__name__
    >>> A.name
    'A'
    """
    return _MXClassPropertyDescriptor(func if isinstance(func, (classmethod, staticmethod)) else classmethod(func))


def with_metaclass(meta: type, *bases: type) -> type:
    """A base class with a metaclass, as Python 2 programs spell it."""

    class Temporary(type):
        def __new__(cls, name: str, _: Any, d: dict[str, Any]) -> type:  # type: ignore[misc]
            return meta(name, bases, d)

    return type.__new__(Temporary, "temporary_class", (), {})


error_types: dict[str, type[Exception]] = {
    "MXNetError": MXNetError,
    "NotImplementedForSymbol": NotImplementedForSymbol,
    "ValueError": ValueError,
    "TypeError": TypeError,
    "AttributeError": AttributeError,
    "IndexError": IndexError,
    "NotImplementedError": NotImplementedError,
    "InternalError": MXNetError,
}


def register_error(func_name: Any = None, cls: type | None = None) -> Any:
    """Register a class of errors under a name; a decorator where no class is given."""
    if callable(func_name):
        cls, func_name = func_name, func_name.__name__  # type: ignore[assignment]

    def register(found: type) -> type:
        error_types[func_name] = found
        return found

    return register if cls is None else register(cls)


def add_fileline_to_docstring(module: Any, incursive: bool = True) -> None:
    """Add to each function's docstring where it is defined.

    Args:
        module: a module or its name.
        incursive: whether methods of classes are done too.
    """
    import sys

    def mark(found: Any) -> None:
        code = getattr(found, "__code__", None)
        if found.__doc__ and code is not None and "From:" not in found.__doc__:
            found.__doc__ += f"\n\nFrom:{code.co_filename}:{code.co_firstlineno}"

    home = sys.modules[module] if isinstance(module, str) else module
    for _, found in inspect.getmembers(home):
        if inspect.isfunction(found):
            mark(found)
        elif incursive and inspect.isclass(found) and found.__module__ == home.__name__:
            for _, method in inspect.getmembers(found, inspect.isfunction):
                mark(method)
