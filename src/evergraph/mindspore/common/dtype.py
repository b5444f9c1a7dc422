"""MindSpore's element types: `ms.float32` and its family, printed as MindSpore prints them."""

from typing import Any

import numpy as np
import torch

from evergraph.errors import UsageError, printable
from evergraph.tensors import dtypes


class DType:
    """An element type of MindSpore.

    Attributes:
        name: as a program spells it, `float32`.
        torch: the torch dtype that holds it, or None (`string`).

    >>> float32, str(float32)
    (mindspore.float32, 'Float32')
    """

    __slots__ = ("itemsize", "name", "title", "torch")

    def __init__(self, name: str, title: str, kind: Any, itemsize: int) -> None:
        self.name, self.title, self.torch, self.itemsize = name, title, kind, itemsize

    def __str__(self) -> str:
        return self.title

    def __repr__(self) -> str:
        return f"mindspore.{self.name.rstrip('_')}"

    def __reduce__(self) -> tuple[Any, ...]:
        return of, (self.name,)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def is_floating(self) -> bool:
        """Whether it is a real or complex floating type."""
        return self.torch is not None and (self.torch.is_floating_point or self.torch.is_complex)


_TITLES = {
    "bool_": "Bool",
    "int8": "Int8",
    "int16": "Int16",
    "int32": "Int32",
    "int64": "Int64",
    "uint8": "UInt8",
    "uint16": "UInt16",
    "uint32": "UInt32",
    "uint64": "UInt64",
    "float16": "Float16",
    "float32": "Float32",
    "float64": "Float64",
    "bfloat16": "BFloat16",
    "complex64": "Complex64",
    "complex128": "Complex128",
    "float8_e4m3fn": "Float8E4M3FN",
    "float8_e5m2": "Float8E5M2",
    "qint4x2": "Int4",
    "string": "String",
}


def _make(name: str, title: str) -> DType:
    kind = getattr(torch, {"bool_": "bool", "qint4x2": "int8", "string": ""}.get(name, name) or "-", None)
    return DType(name, title, kind, kind.itemsize if kind is not None else 0)


BY_NAME: dict[str, DType] = {name: _make(name, title) for name, title in _TITLES.items()}
"""Every element type by its program's name."""

globals().update(BY_NAME)
float32: DType = BY_NAME["float32"]
float16: DType = BY_NAME["float16"]
float64: DType = BY_NAME["float64"]
int32: DType = BY_NAME["int32"]
int64: DType = BY_NAME["int64"]
bool_: DType = BY_NAME["bool_"]
float_, int_ = float32, int64
half, single, double = float16, float32, float64
number = float32

_BY_TORCH = {d.torch: d for d in reversed(BY_NAME.values()) if d.torch is not None and d.name != "qint4x2"}
_BY_TITLE = {d.title: d for d in BY_NAME.values()}
_BY_PYTHON = {bool: bool_, int: int64, float: float32, str: BY_NAME["string"], complex: BY_NAME["complex128"]}


def of_torch(kind: Any) -> DType:
    """The element type that a torch dtype is."""
    return _BY_TORCH[kind]


def of(found: Any) -> DType:
    """The element type of this name, NumPy or torch dtype, Python type, or MindSpore spelling.

    Raises:
        UsageError: there is none.

    >>> of("int8"), of("Float32"), of(np.float64), of(torch.bool)
    (mindspore.int8, mindspore.float32, mindspore.float64, mindspore.bool)
    """
    if isinstance(found, DType):
        return found
    if isinstance(found, torch.dtype):
        return of_torch(found)
    if isinstance(found, type) and found in _BY_PYTHON:
        return _BY_PYTHON[found]
    if isinstance(found, str) and (known := BY_NAME.get(found) or _BY_TITLE.get(found)):
        return known
    try:
        name = str(dtypes.dtype(np.dtype(found) if isinstance(found, type) else found))
    except (TypeError, ValueError):
        name = ""
    known = BY_NAME.get({"bool": "bool_", "int4": "qint4x2", "str": "string"}.get(name, name))
    if known is None:
        raise UsageError(f"no element type {printable(found)}", expected=", ".join(BY_NAME))
    return known


def dtype_to_nptype(type_: DType) -> Any:
    """The NumPy scalar type of an element type.

    >>> dtype_to_nptype(float32)
    <class 'numpy.float32'>
    """
    return dtypes.dtype({"bool_": "bool", "qint4x2": "int8"}.get(type_.name, type_.name)).numpy().type


def dtype_to_pytype(type_: DType) -> type:
    """The Python type of an element type: bool, int, float or complex."""
    if type_.torch is None:
        return str
    if type_.torch.is_complex:
        return complex
    return bool if type_ is bool_ else float if type_.is_floating else int


def pytype_to_dtype(obj: Any) -> DType:
    """The element type of a Python type, or of a NumPy one; of Python's float it is Float64."""
    return float64 if obj is float else of(obj)
