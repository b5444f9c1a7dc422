"""Random shapes and arrays, dense and sparse."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.testing.tolerances import default_context, default_dtype

__all__ = [
    "assign_each",
    "assign_each2",
    "collapse_sum_like",
    "create_2d_tensor",
    "create_sparse_array",
    "create_sparse_array_zd",
    "create_vector",
    "get_identity_mat",
    "get_identity_mat_batch",
    "new_matrix_with_real_eigvals_2d",
    "new_matrix_with_real_eigvals_nd",
    "new_orthonormal_matrix_2d",
    "new_sym_matrix_with_real_eigvals_2d",
    "new_sym_matrix_with_real_eigvals_nd",
    "np_reduce",
    "rand_coord_2d",
    "rand_ndarray",
    "rand_shape_2d",
    "rand_shape_3d",
    "rand_shape_nd",
    "rand_sparse_ndarray",
    "random_arrays",
    "random_sample",
    "random_uniform_arrays",
    "shuffle_csr_column_indices",
]

# programs seed NumPy's global stream and expect the same arrays again, so this module draws from it
_draw = np.random


def random_arrays(*shapes: tuple[int, ...]) -> Any:
    """Arrays of normal numbers; a single one where one shape is given."""
    found = [np.array(_draw.randn(*s), dtype=default_dtype()) for s in shapes]
    return found[0] if len(found) == 1 else found


def random_uniform_arrays(
    *shapes: tuple[int, ...], low: float = 0.0, high: float = 1.0, dtype: Any = None
) -> list[np.ndarray]:
    """Arrays of numbers between low and high."""
    return [_draw.uniform(low, high, size=s).astype(dtype or default_dtype()) for s in shapes]


def random_sample(population: Sequence[Any], k: int) -> Any:
    """`k` different elements of a sequence, in random order.

    Raises:
        AssertionError: there are fewer.
    """
    if not 0 <= k <= len(population):
        raise AssertionError(f"{k} elements of {len(population)}")
    found: Any = population[:]
    _draw.shuffle(found)
    return found[:k]


def rand_shape_2d(dim0: int = 10, dim1: int = 10, allow_zero_size: bool = False) -> tuple[int, int]:
    """Two random sizes, up to the given ones."""
    low = int(not allow_zero_size)
    return _draw.randint(low, dim0 + 1), _draw.randint(low, dim1 + 1)


def rand_shape_3d(
    dim0: int = 10, dim1: int = 10, dim2: int = 10, allow_zero_size: bool = False
) -> tuple[int, int, int]:
    """Three random sizes, up to the given ones."""
    low = int(not allow_zero_size)
    return _draw.randint(low, dim0 + 1), _draw.randint(low, dim1 + 1), _draw.randint(low, dim2 + 1)


def rand_shape_nd(num_dim: int, dim: int = 10, allow_zero_size: bool = False) -> tuple[int, ...]:
    """Random sizes up to `dim`."""
    return tuple(_draw.randint(int(not allow_zero_size), dim + 1, size=num_dim))


def rand_coord_2d(x_low: int, x_high: int, y_low: int, y_high: int) -> tuple[int, int]:
    """A random place in a rectangle."""
    return int(_draw.randint(x_low, x_high)), int(_draw.randint(y_low, y_high))


def assign_each(the_input: np.ndarray, function: Callable[[Any], Any] | None) -> np.ndarray:
    """A function of each value; a copy where there is none."""
    found = np.array(the_input)
    if function is not None and found.size:
        found[...] = np.vectorize(function, otypes=[found.dtype])(found)
    return found


def assign_each2(input1: np.ndarray, input2: np.ndarray, function: Callable[[Any, Any], Any] | None) -> np.ndarray:
    """A function of each pair of values; a copy of the first where there is none.

    Raises:
        AssertionError: the shapes differ.
    """
    if function is not None and input1.shape != input2.shape:
        raise AssertionError(f"the shapes {input1.shape} and {input2.shape} differ")
    found = np.array(input1)
    if function is not None and found.size:
        found[...] = np.vectorize(function, otypes=[found.dtype])(input1, input2)
    return found


def create_2d_tensor(rows: int, columns: int, dtype: Any = np.int64) -> Any:
    """A matrix whose rows are their own number."""
    return nd.array(np.broadcast_to(np.arange(rows)[:, None], (rows, columns)), dtype=dtype)


def create_vector(size: int, dtype: Any = np.int64) -> Any:
    """0, 1, 2, ..."""
    return nd.arange(0, size, dtype=dtype)


def get_identity_mat(size: int) -> Any:
    """An identity matrix."""
    return nd.eye(size)


def get_identity_mat_batch(size: int) -> Any:
    """Two identity matrices in one array."""
    return nd.array(np.stack([np.eye(size)] * 2))


def np_reduce(dat: np.ndarray, axis: Any, keepdims: bool, numpy_reduce_func: Callable[..., Any]) -> Any:
    """A NumPy reduction along one axis, several or all, one after the other."""
    axes = [axis] if isinstance(axis, int) else list(range(dat.ndim) if axis is None else axis)
    found = dat
    for i in sorted(axes, reverse=True):
        found = numpy_reduce_func(found, axis=i)
    if not keepdims:
        return found
    sizes = list(dat.shape)
    for i in axes:
        sizes[i] = 1
    return found.reshape(tuple(sizes))


def collapse_sum_like(a: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The sum over the axes along which `shape` was broadcast to the array's shape."""
    if a.size == 0 or 0 in shape:
        return np.zeros(shape, a.dtype)
    more = a.ndim - len(shape)
    axes = tuple(i for i in range(a.ndim) if i < more or shape[i - more] != a.shape[i])
    return a.sum(axis=axes).reshape(shape)


def _pick(shape: tuple[int, ...], density: float) -> np.ndarray:
    return np.argwhere(_draw.rand(*shape) < density)


def rand_sparse_ndarray(
    shape: tuple[int, ...],
    stype: str,
    density: float | None = None,
    dtype: Any = None,
    distribution: str | None = None,
    data_init: float | None = None,
    rsp_indices: Any = None,
    modifier_func: Callable[[Any], Any] | None = None,
    shuffle_csr_indices: bool = False,
    ctx: Any = None,
) -> tuple[Any, tuple[Any, ...]]:
    """A random sparse array and its parts.

    Args:
        shape: sizes.
        stype: "row_sparse" or "csr".
        density: which part is stored, between 0 and 1; random where it is not given.
        dtype: float32 where it is not given.
        distribution: "uniform", or "powerlaw" for rows of which each stores twice what the one before does.
        data_init: the value of everything stored; random where it is not given.
        rsp_indices: which rows are stored.
        modifier_func: applied to each stored value.
        shuffle_csr_indices: whether the columns of a row are in random order.
        ctx: the device.

    Returns:
        The array, and (data, indices) or (indptr, indices, data).

    Raises:
        AssertionError: another storage or distribution.
    """
    ctx = ctx or default_context()
    density = _draw.rand() if density is None else density
    kind = np.dtype(dtype or default_dtype())
    if stype == "row_sparse" and distribution in (None, "uniform"):
        return _random_rows(tuple(shape), density, kind, data_init, rsp_indices, modifier_func, ctx)
    if stype != "csr" or len(shape) != 2 or distribution not in (None, "uniform", "powerlaw"):
        raise AssertionError(f"no {distribution or 'uniform'} arrays of storage {stype} and {len(shape)} dimensions")
    places = _power_law(shape, density) if distribution == "powerlaw" else _pick(tuple(shape), density)
    values = _draw.rand(len(places)) if data_init is None else np.full(len(places), data_init)
    values = assign_each(values.astype(kind), modifier_func)
    counts = np.bincount(places[:, 0], minlength=shape[0])
    parts = (values, places[:, 1], np.concatenate([[0], np.cumsum(counts)]))
    found = nd.sparse.csr_matrix(parts, shape=tuple(shape), dtype=kind, ctx=ctx)
    if shuffle_csr_indices:
        found = shuffle_csr_column_indices(found)
    return found, (found.indptr, found.indices, found.data)


def _random_rows(
    shape: tuple[int, ...], density: float, kind: np.dtype, fill: Any, rows: Any, change: Any, ctx: Any
) -> tuple[Any, tuple[Any, Any]]:
    rows = _pick(shape[:1], density).reshape(-1) if rows is None else np.asarray(rows)
    if len(rows) > shape[0]:
        raise AssertionError(f"{len(rows)} rows of {shape[0]}")
    if not len(rows):
        empty = nd.zeros(shape, stype="row_sparse", dtype=kind, ctx=ctx)
        return empty, (np.array([], dtype=kind), np.array([]))
    values = _draw.rand(len(rows), *shape[1:]).astype(kind)
    if fill is not None:
        values.fill(fill)
    values = assign_each(values, change)
    return nd.sparse.row_sparse_array((values, rows), shape=shape, dtype=kind, ctx=ctx), (values, rows)


def _power_law(shape: Sequence[int], density: float) -> np.ndarray:
    """Places of which each row has twice as many as the one before, until enough are there."""
    rows, columns = shape
    left = int(rows * columns * density)
    counts, width = np.zeros(rows, int), 1
    for row in range(rows):  # one in each row first, so that rows need no further care
        if left <= 0:
            break
        counts[row], left = 1, left - 1
    for row in range(rows):
        more = min(width, columns) - counts[row]
        more = max(0, min(more, left))
        counts[row], left = counts[row] + more, left - more
        width *= 2
    return np.array([(r, c) for r in range(rows) for c in range(counts[r])], int).reshape(-1, 2)


def shuffle_csr_column_indices(csr: Any) -> Any:
    """The same matrix with the columns of each row in random order."""
    data, columns, ends = (v.asnumpy() for v in (csr.data, csr.indices, csr.indptr))
    order = np.arange(len(columns))
    for start, end in pairwise(ends):
        _draw.shuffle(order[start:end])
    return nd.sparse.csr_matrix((data[order], columns[order], ends), shape=csr.shape, dtype=csr.dtype, ctx=csr.context)


def rand_ndarray(
    shape: tuple[int, ...],
    stype: str = "default",
    density: float | None = None,
    dtype: Any = None,
    modifier_func: Callable[[Any], Any] | None = None,
    shuffle_csr_indices: bool = False,
    distribution: str | None = None,
    ctx: Any = None,
) -> Any:
    """A random array of any storage; see `rand_sparse_ndarray`."""
    ctx = ctx or default_context()
    if stype == "default":
        return nd.array(random_arrays(tuple(shape)), dtype=dtype, ctx=ctx)
    options = {"modifier_func": modifier_func, "shuffle_csr_indices": shuffle_csr_indices}
    return rand_sparse_ndarray(shape, stype, density, dtype, distribution, ctx=ctx, **options)[0]


def create_sparse_array(
    shape: tuple[int, ...],
    stype: str,
    data_init: float | None = None,
    rsp_indices: Any = None,
    dtype: Any = None,
    modifier_func: Callable[[Any], Any] | None = None,
    density: float = 0.5,
    shuffle_csr_indices: bool = False,
) -> Any:
    """A random sparse array whose rows are in order; see `rand_sparse_ndarray`."""
    rows = None if rsp_indices is None else np.sort(np.asarray(rsp_indices))
    options = {"modifier_func": modifier_func, "shuffle_csr_indices": shuffle_csr_indices and stype == "csr"}
    return rand_sparse_ndarray(shape, stype, density, dtype, None, data_init, rows, **options)[0]


def create_sparse_array_zd(
    shape: tuple[int, ...],
    stype: str,
    density: float,
    data_init: float | None = None,
    rsp_indices: Any = None,
    dtype: Any = None,
    modifier_func: Callable[[Any], Any] | None = None,
    shuffle_csr_indices: bool = False,
) -> Any:
    """`create_sparse_array`, where rows alone decide what a row-sparse array stores."""
    density = 0.0 if stype == "row_sparse" else density
    options = {"modifier_func": modifier_func, "shuffle_csr_indices": shuffle_csr_indices}
    return create_sparse_array(shape, stype, data_init, rsp_indices, dtype, density=density, **options)


def new_orthonormal_matrix_2d(n: int) -> np.ndarray:
    """A random matrix whose rows are of length 1 and at right angles."""
    return np.linalg.qr(_draw.randn(n, n))[0]


def new_sym_matrix_with_real_eigvals_2d(n: int) -> np.ndarray:
    """A random symmetric matrix whose eigenvalues are well apart."""
    frame = new_orthonormal_matrix_2d(n)
    return frame.T @ np.diag(np.arange(1, n + 1) + _draw.uniform(0, 0.5, n)) @ frame


def new_matrix_with_real_eigvals_2d(n: int) -> np.ndarray:
    """A random matrix with real eigenvalues that are well apart."""
    frame = new_orthonormal_matrix_2d(n) + 0.1 * np.triu(_draw.rand(n, n))
    return np.linalg.inv(frame) @ np.diag(np.arange(1, n + 1) + _draw.uniform(0, 0.5, n)) @ frame


def _stacked(make: Callable[[int], np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    count = int(np.prod(shape[:-2]))
    return np.array([make(shape[-1]) for _ in range(count)]).reshape(shape)


def new_matrix_with_real_eigvals_nd(shape: tuple[int, ...]) -> np.ndarray:
    """Random matrices with real eigenvalues."""
    return _stacked(new_matrix_with_real_eigvals_2d, shape)


def new_sym_matrix_with_real_eigvals_nd(shape: tuple[int, ...]) -> np.ndarray:
    """Random symmetric matrices."""
    return _stacked(new_sym_matrix_with_real_eigvals_2d, shape)
