"""Tensor: dtype, shape and storage without I/O; values when asked."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from evergraph.errors import DamagedError, FormatError, UsageError, printable
from evergraph.tensors.blob import Blob, Held
from evergraph.tensors.dtypes import DTYPES, DType, dtype
from evergraph.tensors.shapes import impossible

if TYPE_CHECKING:
    import numpy as np
    import torch

__all__ = ["CSR", "DENSE", "MAP", "NONE", "ROW_SPARSE", "TEXT", "Tensor"]

DENSE, ROW_SPARSE, CSR = "dense", "row_sparse", "csr"
NONE = "none"
"""Storage of an entry that a file names and gives no array for."""
TEXT = "text"
"""Storage of a text: dtype `str`, the characters in UTF-32."""
MAP = "map"
"""Storage of MindSpore's hash map parameters: keys, values and status side by side."""

_NOTHING: Mapping[str, Any] = MappingProxyType({})
_LETTERS = frozenset("?bBhHiIlLqQefd")


class Tensor:
    """One entry of a checkpoint.

    Attributes:
        dtype: element type (a string with `itemsize` and `kind`).
        shape: sizes; None for a "none" entry, -1 for a size that the file leaves open.
        storage: "dense", "row_sparse", "csr", "none", "text" or "map".
        blob: the bytes of the values, little endian, C order.
        parts: for sparse and map storage the stored arrays by name (`data` and `indices`, and `indptr` for csr).
        details: what only one format knows about the entry, kept so that saving gives the same bytes again.

    >>> import numpy as np
    >>> t = Tensor.of(np.eye(2, dtype="float32")); t.shape, t.dtype, t.nbytes
    ((2, 2), 'float32', 16)
    """

    __slots__ = ("blob", "details", "dtype", "parts", "shape", "storage")

    def __init__(
        self,
        dtype: DType,
        shape: tuple[int, ...] | None,
        blob: Blob,
        storage: str = DENSE,
        parts: Mapping[str, "Tensor"] = _NOTHING,
        details: Mapping[str, Any] = _NOTHING,
    ) -> None:
        self.dtype, self.shape, self.blob = dtype, shape, blob
        self.storage, self.parts, self.details = storage, parts, details

    @classmethod
    def of(cls, value: Any, details: Mapping[str, Any] = _NOTHING) -> "Tensor":
        """A tensor over an array, a torch tensor, a number, a text or another tensor; arrays are shared, not copied.

        Raises:
            FormatError: no element type for the value.
        """
        if isinstance(value, Tensor):
            return value
        if isinstance(value, str):
            return cls.text(value, details)
        import numpy as np

        if isinstance(value, np.ndarray):
            array = value
        else:
            array = _from_torch(value) if type(value).__module__.split(".")[0] == "torch" else np.asarray(value)
        kind = dtype(array.dtype)
        if kind == "str" and array.ndim == 0:
            return cls.text(str(array), details)
        if kind == "str":
            raise FormatError(
                "an array of texts is no tensor", found=f"shape {array.shape}", fix="give each text a name"
            )
        if not array.dtype.isnative and array.dtype.byteorder == ">":
            array = array.astype(array.dtype.newbyteorder("<"))
        if not array.size:
            return cls(kind, array.shape, Held(b""), details=details)
        shape, array = array.shape, np.ascontiguousarray(array)  # which makes scalars vectors
        # a view of bytes takes NumPy longer than memory itself, which casts the types that it has a letter for
        flat = array if array.dtype.char in _LETTERS else array.reshape(-1).view(np.dtype("u1"))
        return cls(kind, shape, Held(flat), details=details)

    @classmethod
    def text(cls, text: str, details: Mapping[str, Any] = _NOTHING) -> "Tensor":
        """A tensor that holds a text."""
        return cls(DTYPES["str"], (), Held(text.encode("utf-32-le")), TEXT, details=details)

    @classmethod
    def sparse(
        cls,
        storage: str,
        shape: tuple[int, ...],
        data: "Tensor",
        indices: "Tensor",
        indptr: "Tensor | None" = None,
        details: Mapping[str, Any] = _NOTHING,
    ) -> "Tensor":
        """A row_sparse or csr tensor from its stored parts."""
        parts = {"data": data, "indices": indices} | ({"indptr": indptr} if indptr is not None else {})
        return cls(data.dtype, shape, data.blob, storage, MappingProxyType(parts), details)

    @property
    def size(self) -> int:
        """Number of elements of the whole (dense) array."""
        return math.prod(self.shape) if self.shape is not None else 0

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self.shape) if self.shape is not None else 0

    @property
    def nbytes(self) -> int:
        """Bytes that the entry's stored values take."""
        if self.parts:
            return sum(p.nbytes for p in self.parts.values())
        return self.blob.nbytes

    @property
    def indices(self) -> "Tensor":
        """Row numbers (row_sparse) or column numbers (csr) of the stored values."""
        return self._part("indices")

    @property
    def indptr(self) -> "Tensor":
        """Where each row of a csr tensor begins among the stored values."""
        return self._part("indptr")

    @property
    def data(self) -> "Tensor":
        """The stored values of a sparse tensor; a dense one itself."""
        return self.parts.get("data", self)

    def _part(self, name: str) -> "Tensor":
        if name not in self.parts:
            raise UsageError(f"a {self.storage} tensor has no {name}", expected=", ".join(self.parts) or "no parts")
        return self.parts[name]

    def numpy(self) -> "np.ndarray":
        """The values as a NumPy array, sparse ones made dense; read-only and without a copy from a mapped file.

        Raises:
            FormatError: a "none" or map entry has no array.
            StoreError: the bytes cannot be read any more.
        """
        import numpy as np

        if self.storage == DENSE:
            return self._array(self.blob.read())
        if self.storage == TEXT:
            return np.array(str(self))
        if self.storage in (ROW_SPARSE, CSR):
            from evergraph.tensors.sparse import to_dense

            return to_dense(self)
        raise FormatError(f"a {self.storage} entry has no array", fix="look at its parts")

    def _array(self, view: memoryview) -> "np.ndarray":
        import numpy as np

        try:
            # a third of the time that an array from a buffer, reshaped, takes
            return np.ndarray(self.shape or (), self.dtype.numpy(), view)
        except (TypeError, ValueError, OverflowError):
            pass  # a size left open, or one that no array has
        try:
            return np.frombuffer(view, dtype=self.dtype.numpy(), count=self.size).reshape(self.shape)
        except (ValueError, OverflowError) as error:
            wrong = impossible(self.shape or (), self.dtype.itemsize) or printable(error)
            found = f"{self.shape} of {self.dtype!s}: {wrong}"
            raise DamagedError("no array has this shape", where=self.blob.place, found=found) from error

    def torch(self) -> "torch.Tensor":
        """The values as a torch tensor on the CPU; shared with the mapping, and writing to it never reaches the file.

        Raises:
            MissingDependencyError: PyTorch is not installed.
        """
        from evergraph._lazy import load

        torch = load("torch", "torch")
        if self.storage != DENSE:
            return torch.from_numpy(self.numpy())
        kind = self.dtype.torch()
        if not self.size:
            return torch.empty(self.numpy().shape, dtype=kind)
        view = self.blob.private()
        found = torch.frombuffer(view, dtype=torch.uint8)
        # unaligned elements are slow, and undefined for vector instructions
        if found.data_ptr() % self.dtype.itemsize:
            found = found.clone()
        return found.view(kind).reshape(self.shape)

    def __str__(self) -> str:
        if self.storage == TEXT:
            return bytes(self.blob.read()).decode("utf-32-le", "replace").rstrip("\0")
        return repr(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> "np.ndarray":
        import numpy as np

        found = self.numpy()
        if dtype is not None and np.dtype(dtype) != found.dtype:
            if copy is False:
                raise ValueError("another dtype needs a copy")
            return found.astype(dtype)
        return found.copy() if copy else found

    def replace(self, **changes: Any) -> "Tensor":
        """The same tensor with other values for some attributes."""
        return Tensor(**({name: getattr(self, name) for name in self.__slots__} | changes))

    def __repr__(self) -> str:
        shape = "none" if self.shape is None else "x".join(map(str, self.shape)) or "scalar"
        return f"<Tensor {self.dtype!s} {shape}{'' if self.storage == DENSE else ' ' + self.storage}>"


def _from_torch(value: Any) -> "np.ndarray":
    """A NumPy array over a torch tensor's memory; bfloat16 and float8 by their bits."""
    value = value.detach().cpu().contiguous()
    kind = dtype(value.dtype)
    try:
        return value.numpy()
    except TypeError:
        import torch

        raw = value.reshape(-1).view(torch.uint8).numpy() if value.numel() else value.to(torch.uint8).numpy()
        return raw.view(kind.numpy()).reshape(tuple(value.shape))
