"""Sparse arrays, `mx.nd.sparse`: row_sparse (some rows of an array) and csr (a matrix in compressed rows)."""

import warnings
from typing import Any

import numpy as np
import torch

from evergraph.errors import DamagedError, UsageError
from evergraph.mxnet.base import NotSupportedForSparseNDArray, integer_types, numeric_types
from evergraph.mxnet.context import Context
from evergraph.mxnet.ndarray import namespaces, pickling
from evergraph.mxnet.ndarray.arithmetic import function_of_two
from evergraph.mxnet.ndarray.base import Array, holds
from evergraph.mxnet.ndarray.functions import function, read_context
from evergraph.mxnet.ndarray.ndarray import NDArray
from evergraph.mxnet.ndarray.types import numpy_type, tensor_of, torch_type
from evergraph.ops import Operator
from evergraph.ops.sparse import CSR, RowSparse, csr_from_dense, is_sparse, rows_from_dense
from evergraph.tensors.sparse import check_parts

__all__ = [
    "BaseSparseNDArray",
    "CSRNDArray",
    "RowSparseNDArray",
    "add",
    "array",
    "csr_matrix",
    "divide",
    "empty",
    "multiply",
    "row_sparse_array",
    "subtract",
    "zeros",
]


class _NotForSparse(UsageError, NotImplementedError):
    """An operation that sparse arrays do not have."""


class BaseSparseNDArray(NDArray):
    """What row_sparse and csr arrays share. `_data` is a value of `evergraph.ops.sparse`."""

    __slots__ = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the whole array."""
        return tuple(self._data.shape)

    @property
    def dtype(self) -> Any:
        """Element type as a NumPy scalar type."""
        return numpy_type(self._data.data.dtype)

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return len(self._data.shape)

    @property
    def size(self) -> int:
        """Sparse arrays have no size that all would agree on.

        Raises:
            NotImplementedError: always.
        """
        raise _NotForSparse("a sparse array has no size", fix="use x.data.size for the stored values, or x.shape")

    @property
    def data(self) -> NDArray:
        """A copy of the stored values."""
        return NDArray(self._data.data.clone(), self._ctx)

    @property
    def indices(self) -> NDArray:
        """A copy of the row numbers of row_sparse, of the column numbers of csr arrays."""
        return NDArray(self._data.indices.clone(), self._ctx)

    @property
    def _aux_types(self) -> list[Any]:
        return [np.int64] * self._num_aux

    @property
    def _num_aux(self) -> int:
        return 2 if self.stype == "csr" else 1

    def _aux_type(self, i: int) -> Any:
        return self._aux_types[i]

    def __repr__(self) -> str:
        return f"\n<{type(self).__name__} {'x'.join(map(str, self.shape))} @{self._ctx}>"

    def __len__(self) -> int:
        return self.shape[0]

    def __bool__(self) -> bool:
        raise ValueError("The truth value of a sparse array is ambiguous.")

    def asnumpy(self) -> np.ndarray:
        """A copy of the whole array as a NumPy array."""
        return NDArray(self._data.dense(), self._ctx).asnumpy()

    def _of(self, value: Any, ctx: Context | None = None) -> Any:
        return type(self)(value, ctx if ctx is not None else self._ctx)

    def _copied(self, ctx: Context, data: Any, dtype: torch.dtype | None = None) -> Any:
        target = ctx.torch_device
        return self._of(_mapped(data, lambda t, is_value: t.to(target, dtype if is_value else None, copy=True)), ctx)

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        """The stored values in another type."""
        kind = torch_type(dtype)
        if not copy and kind == self._data.data.dtype:
            return self
        return self._copied(self._ctx, self._data, kind)

    def copyto(self, other: Any) -> Any:
        """Copy to a device, or into a dense array or one of the same storage.

        Raises:
            TypeError: into anything else.
        """
        if isinstance(other, Array) and other is not self and other.stype not in ("default", self.stype):
            raise TypeError(f"copyto does not support destination NDArray stype {other.stype}")
        return super().copyto(other)

    def _assign(self, result: Any, op: Operator | None = None) -> None:
        if tuple(result.shape) != self.shape and not (op is not None and op.name == "_set_value"):
            raise UsageError("the result does not fit into `out`", expected=tuple(result.shape), found=self.shape)
        if op is not None and op.name == "_set_value":
            result = torch.full(self.shape, float(result), dtype=self._data.data.dtype)
        kind = self._data.data.dtype
        value = result if is_sparse(result) and result.kind == self.stype else self._from_dense(result)
        self._data = _mapped(value, lambda t, is_value: t.detach().to(kind if is_value else t.dtype, copy=True))

    def _from_dense(self, value: Any) -> Any:
        dense = value.dense() if is_sparse(value) else value
        return csr_from_dense(dense) if self.stype == "csr" else rows_from_dense(dense)

    def detach(self) -> Any:
        """The same memory without a history."""
        return self._of(self._data)

    def reshape(self, *shape: Any, **kwargs: Any) -> Any:
        """Sparse arrays keep their shape.

        Raises:
            NotSupportedForSparseNDArray: always.
        """
        raise NotSupportedForSparseNDArray(self.reshape, None, shape)

    def _at(self, idx: int) -> Any:
        raise NotSupportedForSparseNDArray(self._at, "[idx]", idx)

    def _slice(self, start: Any, stop: Any) -> Any:
        raise NotSupportedForSparseNDArray(self._slice, None, start, stop)

    def _sync_copyfrom(self, source_array: Any) -> None:
        raise _NotForSparse("a sparse array is not written over from an array-like", fix="use x[:] = array")

    def check_format(self, full_check: bool = True) -> None:
        """Check the stored parts.

        Args:
            full_check: whether every index is looked at, not only the sizes.

        Raises:
            MXNetError: naming what is wrong.
        """
        wrong = _lengths(self._data)
        if full_check and not wrong:
            wrong = check_parts(pickling.to_tensor(self))
            wrong += _unordered(self._data) if not wrong and isinstance(self._data, CSR) else []
        if wrong:
            raise DamagedError(f"the parts of a {self.stype} array do not fit together", details=wrong)

    def __neg__(self) -> Any:
        return self * -1.0

    def asscalar(self) -> Any:
        """Refused, as MXNet does.

        Raises:
            NotImplementedError: always.
        """
        raise _NotForSparse("a sparse array is not read as a number", fix="write array.asnumpy().item()")

    def __iadd__(self, other: Any) -> Any:
        return self._changed(self + other)

    def __isub__(self, other: Any) -> Any:
        return self._changed(self - other)

    def __imul__(self, other: Any) -> Any:
        return self._changed(self * other)

    def __itruediv__(self, other: Any) -> Any:
        return self._changed(self / other)

    __idiv__ = __itruediv__

    def _changed(self, found: Any) -> Any:
        found.copyto(self)
        return self

    def __setitem__(self, key: Any, value: Any) -> None:
        name = type(self).__name__
        if not isinstance(key, slice):
            raise TypeError(f"{name} only supports [:] for assignment")
        if key != slice(None):
            raise ValueError(f"Assignment with slice for {name} is not implemented yet.")
        if isinstance(value, Array):
            if value is not self:
                value.copyto(self)
        elif isinstance(value, numeric_types):
            self._fill(float(value))
        elif isinstance(value, (np.ndarray, np.generic)):
            warnings.warn(f"Assigning non-NDArray object to {name} is not efficient", RuntimeWarning, stacklevel=2)
            NDArray(tensor_of(value, self._data.data.dtype)).copyto(self)
        else:
            raise TypeError(f"type {type(value)} not supported")

    def _fill(self, value: float) -> None:
        raise ValueError(f"Assigning numeric types to {type(self).__name__} is not implemented yet.")


def _mapped(value: Any, change: Any) -> Any:
    """A sparse value with each of its parts changed; `change` is told whether a part holds the values."""
    data, indices = change(value.data, True), change(value.indices, False)
    if isinstance(value, CSR):
        return CSR(data, indices, change(value.indptr, False), tuple(value.shape))
    return RowSparse(data, indices, tuple(value.shape))


def _lengths(value: Any) -> list[str]:
    wrong = []
    if len(value.data) != len(value.indices):
        wrong.append(f"{len(value.data)} stored values or rows, {len(value.indices)} indices")
    if isinstance(value, CSR) and len(value.indptr) != value.shape[0] + 1:
        wrong.append(f"{len(value.indptr)} row offsets for {value.shape[0]} rows")
    return wrong


def _unordered(value: CSR) -> list[str]:
    steps = value.indices[1:] <= value.indices[:-1]
    rows = value.rows()
    return ["column numbers that do not ascend within a row"] if bool((steps & (rows[1:] == rows[:-1])).any()) else []


@holds(CSR)
class CSRNDArray(BaseSparseNDArray):
    """A matrix in compressed sparse rows: `data`, `indices` (columns) and `indptr`."""

    __slots__ = ()
    stype = "csr"

    @property
    def indptr(self) -> NDArray:
        """A copy of the places where each row begins among the stored values."""
        return NDArray(self._data.indptr.clone(), self._ctx)

    def _aux_data(self, i: int) -> NDArray:
        return self.indices if i else self.indptr

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, integer_types):
            size = self.shape[0]
            if not -size <= key < size:
                raise IndexError(f"index {key} is out of bounds for axis 0 with size {size}")
            begin = int(key) % size
            return function("slice")(self, begin=(begin,), end=(begin + 1,))
        if isinstance(key, slice):
            if key.step is not None:
                raise ValueError("CSRNDArray only supports continuous slicing on axis 0")
            if key.start is None and key.stop is None:
                return self
            return function("slice")(self, begin=(key.start or 0,), end=(key.stop or self.shape[0],))
        if isinstance(key, tuple):
            raise ValueError("Multi-dimension indexing is not supported")
        raise ValueError(f"Undefined behaviour for {key}")

    def tostype(self, stype: str) -> Any:
        """A copy in another storage: "default" or "csr".

        Raises:
            ValueError: row_sparse.
        """
        if stype == "row_sparse":
            raise ValueError("cast_storage from csr to row_sparse is not supported")
        return super().tostype(stype)

    def asscipy(self) -> Any:
        """A scipy csr matrix with copies of the parts.

        Raises:
            ImportError: scipy is not installed.
        """
        try:
            from scipy.sparse import csr_matrix as scipy_matrix
        except ImportError as error:
            raise ImportError("scipy could not be imported. Please make sure that the scipy is installed.") from error
        parts = (self.data.asnumpy(), self.indices.asnumpy(), self.indptr.asnumpy())
        return scipy_matrix(parts, shape=self.shape, dtype=self.dtype)


@holds(RowSparse)
class RowSparseNDArray(BaseSparseNDArray):
    """Some rows of an array, by their numbers: `data` and `indices`; all other rows are zero."""

    __slots__ = ()
    stype = "row_sparse"

    def _aux_data(self, i: int) -> NDArray:
        return self.indices

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice) and key == slice(None):
            return self
        if isinstance(key, tuple):
            raise ValueError("Multi-dimension indexing is not supported")
        raise NotSupportedForSparseNDArray("__getitem__", "[]", key)

    def _fill(self, value: float) -> None:
        kind, device = self._data.data.dtype, self._data.data.device
        # MXNet stores every row here, of zeros too
        rows = torch.arange(self.shape[0], device=device)
        self._data = RowSparse(torch.full(self.shape, value, dtype=kind, device=device), rows, self.shape)

    def tostype(self, stype: str) -> Any:
        """A copy in another storage: "default" or "row_sparse".

        Raises:
            ValueError: csr.
        """
        if stype == "csr":
            raise ValueError("cast_storage from row_sparse to csr is not supported")
        return super().tostype(stype)

    def retain(self, *args: Any, **kwargs: Any) -> Any:
        """Only these rows; see `mx.nd.sparse.retain`."""
        return function("_sparse_retain")(self, *args, **kwargs)


# pickles name the classes by their module: this is the name that MXNet reads (see `evergraph.mxnet.alias`)
for _class in (BaseSparseNDArray, CSRNDArray, RowSparseNDArray):
    _class.__module__ = "mxnet.ndarray.sparse"

add, subtract, multiply, divide = (function_of_two(n) for n in ("add", "subtract", "multiply", "divide"))


def _no_rows(shape: Any, kind: torch.dtype, device: Any) -> RowSparse:
    data = torch.zeros((0, *shape[1:]), dtype=kind, device=device)
    return RowSparse(data, torch.zeros(0, dtype=torch.int64, device=device), tuple(shape))


def zeros(stype: str, shape: Any, ctx: Any = None, dtype: Any = None, **kwargs: Any) -> Any:
    """An array of zeros that stores none of them.

    Args:
        stype: "row_sparse", "csr" or "default".
        shape: sizes.
        ctx: device; the current one where it is not given.
        dtype: element type, float32 where it is not given.
        kwargs: for dense arrays, as `mx.nd.zeros` takes them.

    Raises:
        ValueError: no such storage.
    """
    if stype == "default":
        from evergraph.mxnet.ndarray.creation import zeros as dense_zeros

        return dense_zeros(shape, ctx, dtype, **kwargs)
    if stype not in ("row_sparse", "csr"):
        raise ValueError(f"unknown storage type {stype}")
    device = read_context(ctx)
    sizes = (shape,) if isinstance(shape, integer_types) else tuple(int(d) for d in shape)
    kind, target = torch_type(np.float32 if dtype is None else dtype), device.torch_device
    if stype == "row_sparse":
        return RowSparseNDArray(_no_rows(sizes, kind, target), device)
    if len(sizes) != 2:
        raise UsageError("csr stores matrices only", expected="two sizes", found=sizes)
    whole = torch.zeros(sizes[0] + 1, dtype=torch.int64, device=target)
    nothing = torch.zeros(0, dtype=torch.int64, device=target)
    return CSRNDArray(CSR(nothing.to(kind), nothing, whole, sizes), device)


def empty(stype: str, shape: Any, ctx: Any = None, dtype: Any = None) -> Any:
    """An array that stores nothing; see `zeros`."""
    return zeros(stype, shape, ctx, dtype)


def _kind_of(source: Any, dtype: Any) -> torch.dtype:
    if dtype is not None:
        return torch_type(dtype)
    return torch_type(source.dtype) if hasattr(source, "dtype") else torch.float32


def _part(source: Any, kind: torch.dtype, ctx: Context) -> torch.Tensor:
    tensor = source._data.to(kind, copy=True) if isinstance(source, NDArray) else tensor_of(source, kind)
    return tensor.to(ctx.torch_device)


def _require_shape(found: Any, wanted: Any) -> None:
    if found and wanted and tuple(found) != tuple(wanted):
        raise ValueError(f"Shape mismatch detected. {tuple(found)} v.s. {tuple(wanted)}")


def csr_matrix(arg1: Any, shape: Any = None, ctx: Any = None, dtype: Any = None) -> CSRNDArray:
    """A csr matrix.

    Args:
        arg1: a dense array-like, a csr matrix (scipy's too), (rows, columns) for one of zeros,
            (data, indices, indptr), or (data, (row, column)).
        shape: (rows, columns); from the largest indices where it is not given.
        ctx: device; the current one where it is not given.
        dtype: element type; the source's own, or float32.

    Raises:
        ValueError: the parts make no matrix of this shape.

    >>> csr_matrix(([1, 2], [0, 2], [0, 1, 2])).asnumpy()
    array([[1., 0., 0.],
           [0., 0., 2.]], dtype=float32)
    """
    device = read_context(ctx)
    if not isinstance(arg1, tuple):
        if isinstance(arg1, RowSparseNDArray):
            raise ValueError("Unexpected input type: RowSparseNDArray")
        if isinstance(arg1, CSRNDArray) or _is_scipy(arg1):
            _require_shape(arg1.shape, shape)
            return array(arg1, ctx, dtype)
        dense = _part(arg1, _kind_of(arg1, dtype), device)
        _require_shape(dense.shape, shape)
        return NDArray(dense, device).tostype("csr")
    if len(arg1) == 3:
        return _csr_of_parts(*arg1, shape, device, dtype)
    if len(arg1) != 2:
        raise ValueError(f"Unexpected length of input tuple: {len(arg1)}")
    if isinstance(arg1[1], tuple) and len(arg1[1]) == 2:
        return _csr_of_places(arg1[0], *arg1[1], shape, device, dtype)
    _require_shape(arg1, shape)
    return empty("csr", arg1, ctx, dtype)


def _csr_of_parts(data: Any, indices: Any, indptr: Any, shape: Any, ctx: Context, dtype: Any) -> CSRNDArray:
    values = _part(data, _kind_of(data, dtype), ctx)
    columns, offsets = _part(indices, torch.int64, ctx), _part(indptr, torch.int64, ctx)
    if values.dim() != 1 or columns.dim() != 1 or offsets.dim() != 1 or not len(offsets):
        raise ValueError("invalid shape")
    if shape is None:
        if not len(columns):
            raise ValueError("invalid shape")
        shape = (len(offsets) - 1, int(columns.max()) + 1)
    if len(shape) != 2:
        raise ValueError("invalid shape")
    if len(offsets) != shape[0] + 1:
        raise UsageError(
            "a matrix has one row offset more than rows", expected=shape[0] + 1, found=f"{len(offsets)} row offsets"
        )
    found = CSR(values, columns, offsets, tuple(int(d) for d in shape))
    return CSRNDArray(found, ctx)


def _csr_of_places(data: Any, row: Any, column: Any, shape: Any, ctx: Context, dtype: Any) -> CSRNDArray:
    """What stands twice at a place is added up."""
    values = _part(data, _kind_of(data, dtype), ctx)
    rows, columns = _part(row, torch.int64, ctx), _part(column, torch.int64, ctx)
    if shape is None:
        if not len(rows):
            raise ValueError("cannot infer dimensions from zero sized index arrays")
        shape = (int(rows.max()) + 1, int(columns.max()) + 1)
    height, width = (int(d) for d in shape)
    if len(rows) and (int(rows.max()) >= height or int(columns.max()) >= width or int(torch.min(rows)) < 0):
        raise ValueError(f"an index is outside the shape {tuple(shape)}")
    keys, places = torch.unique(rows * width + columns, return_inverse=True)
    summed = torch.zeros(len(keys), dtype=values.dtype, device=values.device).index_add_(0, places, values)
    counts = torch.bincount(keys // max(width, 1), minlength=height)
    offsets = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return CSRNDArray(CSR(summed, keys % max(width, 1), offsets, (height, width)), ctx)


def row_sparse_array(arg1: Any, shape: Any = None, ctx: Any = None, dtype: Any = None) -> RowSparseNDArray:
    """A row_sparse array.

    Args:
        arg1: a dense array-like, a row_sparse array, sizes for one of zeros, or (data, indices).
        shape: sizes; from the last index where it is not given.
        ctx: device; the current one where it is not given.
        dtype: element type; the source's own, or float32.

    Raises:
        ValueError: the parts make no array of this shape.

    >>> row_sparse_array(([[1, 2]], [1]), shape=(3, 2)).asnumpy()
    array([[0., 0.],
           [1., 2.],
           [0., 0.]], dtype=float32)
    """
    device = read_context(ctx)
    if isinstance(arg1, tuple):
        if len(arg1) < 2:
            raise ValueError(f"Unexpected length of input tuple: {len(arg1)}")
        if len(arg1) == 2 and not all(isinstance(v, integer_types) for v in arg1):
            return _rows_of_parts(*arg1, shape, device, dtype)
        _require_shape(arg1, shape)
        return empty("row_sparse", arg1, ctx, dtype)
    if isinstance(arg1, RowSparseNDArray):
        _require_shape(arg1.shape, shape)
        return array(arg1, ctx, dtype)
    if isinstance(arg1, CSRNDArray):
        raise ValueError("Unexpected input type: CSRNDArray")
    dense = _part(arg1, _kind_of(arg1, dtype), device)
    _require_shape(dense.shape, shape)
    return NDArray(dense, device).tostype("row_sparse")


def _rows_of_parts(data: Any, indices: Any, shape: Any, ctx: Context, dtype: Any) -> RowSparseNDArray:
    values, rows = _part(data, _kind_of(data, dtype), ctx), _part(indices, torch.int64, ctx)
    if shape is None:
        if not len(rows):
            raise ValueError("invalid shape")
        shape = (int(rows[-1]) + 1, *values.shape[1:])
    if values.dim() != len(shape) or rows.dim() != 1 or not np.prod(shape[1:]):
        raise ValueError("invalid shape")
    return RowSparseNDArray(RowSparse(values, rows, tuple(int(d) for d in shape)), ctx)


def _is_scipy(source: Any) -> bool:
    return type(source).__module__.startswith("scipy.sparse")


def array(source_array: Any, ctx: Any = None, dtype: Any = None) -> Any:
    """A sparse array with a copy of a sparse one's parts (a scipy csr matrix too).

    Raises:
        ValueError: the source is not sparse.
    """
    device = read_context(ctx)
    if isinstance(source_array, BaseSparseNDArray):
        return source_array._copied(device, source_array._data, _kind_of(source_array, dtype))
    if _is_scipy(source_array):
        matrix = source_array.tocsr().sorted_indices()
        matrix.sum_duplicates()
        parts = (matrix.data, matrix.indices, matrix.indptr)
        return csr_matrix(parts, matrix.shape, ctx, matrix.dtype if dtype is None else dtype)
    if isinstance(source_array, Array):
        raise AssertionError("Please use `tostype` to create RowSparseNDArray or CSRNDArray from an NDArray")
    raise ValueError(f"Unexpected source_array type: {type(source_array)}; dense arrays go through mx.nd.array")


__getattr__, __dir__ = namespaces.fill(globals(), "sparse")
