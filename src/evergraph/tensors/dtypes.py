"""Element types: a name that is also a string, its size, and its NumPy and torch counterparts, looked up when asked."""

import functools
from typing import Any

from evergraph.errors import FormatError, printable

__all__ = ["DTYPES", "DType", "dtype"]


class DType(str):
    """An element type. It is its name: `DType("float32") == "float32"`.

    Attributes:
        itemsize: bytes of one element; 0 for text.
        kind: "f" float, "i" signed, "u" unsigned, "b" bool, "c" complex, "s" text, "x" bytes without arithmetic.
    """

    __slots__ = ("itemsize", "kind")
    itemsize: int
    kind: str

    def __new__(cls, name: str, itemsize: int, kind: str) -> "DType":
        """Make an element type; use `dtype(name)` to get one."""
        found = super().__new__(cls, name)
        found.itemsize, found.kind = itemsize, kind
        return found

    def __getnewargs__(self) -> tuple[str, int, str]:  # type: ignore[override]
        return str(self), self.itemsize, self.kind

    def numpy(self) -> Any:
        """The NumPy dtype, little endian; bfloat16, float8 and int4 are those of ml_dtypes."""
        return _numpy(str(self))

    def torch(self) -> Any:
        """The torch dtype.

        Raises:
            FormatError: torch has none.
        """
        import torch

        found = getattr(torch, _TORCH.get(str(self), str(self)), None)
        if not isinstance(found, torch.dtype):
            raise FormatError(f"PyTorch has no type for {self}", fix="read it with .numpy()")
        return found

    def __repr__(self) -> str:
        return f"'{self}'"


_TABLE = {
    "float32": (4, "f"),
    "float64": (8, "f"),
    "float16": (2, "f"),
    "bfloat16": (2, "f"),
    "uint8": (1, "u"),
    "int32": (4, "i"),
    "int8": (1, "i"),
    "int64": (8, "i"),
    "bool": (1, "b"),
    "int16": (2, "i"),
    "uint16": (2, "u"),
    "uint32": (4, "u"),
    "uint64": (8, "u"),
    "int4": (1, "i"),
    "complex64": (8, "c"),
    "complex128": (16, "c"),
    "float8_e4m3fn": (1, "f"),
    "float8_e5m2": (1, "f"),
    "hifloat8": (1, "x"),
    "str": (0, "s"),
}
DTYPES: dict[str, DType] = {name: DType(name, size, kind) for name, (size, kind) in _TABLE.items()}
"""Every element type by its name. int4 is one element a byte, as MindSpore stores it; hifloat8 is kept as bytes."""

_TORCH = {"int4": "int8", "hifloat8": "uint8"}
_ML_DTYPES = frozenset(("bfloat16", "float8_e4m3fn", "float8_e5m2"))


@functools.cache
def _numpy(name: str) -> Any:
    import numpy as np

    if name in _ML_DTYPES:
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, name))
    if name == "str":
        return np.dtype("<U")
    return np.dtype({"int4": "int8", "hifloat8": "uint8"}.get(name, name)).newbyteorder("<")


def dtype(found: Any) -> DType:
    """The element type of this name, NumPy dtype or torch dtype.

    Raises:
        FormatError: there is none.

    >>> dtype("float32").itemsize
    4
    >>> import numpy as np; dtype(np.int8)
    'int8'
    """
    if isinstance(found, DType):
        return found
    try:
        return _dtype(found)
    except TypeError:  # what cannot be hashed
        return _dtype.__wrapped__(found)


@functools.lru_cache(256)
def _dtype(found: Any) -> DType:
    # NumPy makes a type's name anew each time it is asked
    name = found if isinstance(found, str) else getattr(found, "name", None) or getattr(found, "__name__", None)
    if name is None:
        name = str(found).removeprefix("torch.")
    name = {"bool_": "bool", "float8_e4m3fn": "float8_e4m3fn"}.get(name, name)
    if name not in DTYPES:
        if name.startswith(("str", "<U")):
            return DTYPES["str"]
        raise FormatError(f"no element type {printable(name)}", expected=", ".join(DTYPES))
    return DTYPES[name]
