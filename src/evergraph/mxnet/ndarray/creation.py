"""Arrays made from nothing, from other arrays, or from what programs hold."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.dlpack import from_dlpack as tensor_from_dlpack

from evergraph.errors import OperatorError, ShapeError, UsageError
from evergraph.mxnet.base import _Null, integer_types
from evergraph.mxnet.context import Context, current_context
from evergraph.mxnet.ndarray.base import Array
from evergraph.mxnet.ndarray.functions import function, read_context
from evergraph.mxnet.ndarray.invoke import type_name
from evergraph.mxnet.ndarray.ndarray import NDArray
from evergraph.mxnet.ndarray.types import tensor_of, torch_type

_range = range
_FLOAT = torch.float32
_NOTHING = np.empty(0, np.object_)
_COMMON = tuple(map(np.dtype, ("float32", "float64", "int32", "int64", "uint8")))

__all__ = [
    "arange",
    "array",
    "concatenate",
    "empty",
    "eye",
    "from_dlpack",
    "from_numpy",
    "full",
    "histogram",
    "imdecode",
    "linspace",
    "moveaxis",
    "onehot_encode",
    "ones",
    "split_v2",
    "to_dlpack_for_read",
    "to_dlpack_for_write",
    "true_divide",
    "waitall",
    "zeros",
]


def _made(make: Any, shape: Any, ctx: Any, dtype: Any, *values: Any) -> NDArray:
    if ctx is None and shape.__class__ is tuple and (dtype is None or dtype is np.float32):
        ctx = current_context()
        if ctx.device_typeid == 1:
            try:
                return NDArray(make(shape, *values, dtype=_FLOAT), ctx)
            except (RuntimeError, TypeError):
                pass  # said below
    sizes = (shape,) if isinstance(shape, integer_types) else tuple(int(d) for d in shape)
    if any(d < 0 for d in sizes):
        raise UsageError("an array of unknown shape cannot be made", expected="every size", found=sizes)
    device = read_context(ctx)
    kind = torch.float32 if dtype is None or dtype is _Null else torch_type(dtype)
    return NDArray(make(sizes, *values, dtype=kind, device=device.torch_device), device)


def _given(found: NDArray, out: Any) -> Any:
    if out is None:
        return found
    found.copyto(out)
    return out


def zeros(shape: Any, ctx: Any = None, dtype: Any = None, stype: str | None = None, **kwargs: Any) -> Any:
    """An array of zeros.

    Args:
        shape: sizes, or one number.
        ctx: device; the current one where it is not given.
        dtype: element type, float32 where it is not given.
        stype: storage: "default", "row_sparse" or "csr".
        kwargs: `out`, an array that takes the result.

    >>> zeros((1, 2))
    <BLANKLINE>
    [[0. 0.]]
    <NDArray 1x2 @cpu(0)>
    """
    if stype not in (None, "default"):
        from evergraph.mxnet.ndarray import sparse

        return sparse.zeros(stype, shape, ctx, dtype, **kwargs)
    return _given(_made(torch.zeros, shape, ctx, dtype), kwargs.get("out"))


def ones(shape: Any, ctx: Any = None, dtype: Any = None, **kwargs: Any) -> NDArray:
    """An array of ones; see `zeros`."""
    return _given(_made(torch.ones, shape, ctx, dtype), kwargs.get("out"))


def full(shape: Any, val: Any, ctx: Any = None, dtype: Any = np.float32, out: NDArray | None = None) -> NDArray:
    """An array of one value; see `zeros`."""
    if out is None:
        kind = np.float32 if dtype is None else dtype
        value = val if val.__class__ is float else val.item() if hasattr(val, "item") else val
        if kind is not np.float32 and not torch_type(kind).is_floating_point and torch_type(kind) is not torch.bool:
            value = int(value)
        return _made(torch.full, shape, ctx, kind, value)
    out[:] = val
    return out


def empty(shape: Any, ctx: Any = None, dtype: Any = None, stype: str | None = None) -> Any:
    """An array of whatever its memory holds; see `zeros`."""
    if stype not in (None, "default"):
        from evergraph.mxnet.ndarray import sparse

        return sparse.empty(stype, shape, ctx, dtype)
    return _made(torch.empty, shape, ctx, dtype)


def array(source_array: Any, ctx: Any = None, dtype: Any = None) -> Any:
    """An array with a copy of what an array-like holds.

    Args:
        source_array: numbers in nested sequences, a NumPy array, an NDArray, a torch tensor, a scipy csr matrix.
        ctx: device; the current one where it is not given.
        dtype: element type; an NDArray's own, for everything else float32.

    Raises:
        TypeError: the source holds no numbers.

    >>> array([[1, 2], [3, 4]]).dtype
    <class 'numpy.float32'>
    """
    if source_array.__class__ is not np.ndarray and (
        getattr(source_array, "stype", None) in ("csr", "row_sparse")
        or type(source_array).__module__.startswith("scipy.sparse")
    ):
        from evergraph.mxnet.ndarray import sparse

        return sparse.array(source_array, ctx, dtype)
    device = current_context() if ctx is None else read_context(ctx)
    if source_array.__class__ is np.ndarray and source_array.dtype in _COMMON:
        flags, kind = source_array.flags, _FLOAT if dtype is None else torch_type(dtype)
        try:
            if flags.c_contiguous and flags.writeable and device.device_typeid == 1:
                found = torch.from_numpy(source_array)  # and a copy: half the time of torch.tensor
                return NDArray(found.clone() if found.dtype is kind else found.to(kind), device)
            if dtype is None:
                return NDArray(torch.tensor(source_array, dtype=kind, device=device.torch_device), device)
        except ValueError:
            pass  # NumPy's negative strides
    if source_array.__class__ is list and dtype is None and device.device_typeid == 1:
        try:
            found = np.asarray(source_array)
        except ValueError:
            found = _NOTHING  # said below
        if found.dtype in _COMMON:
            return NDArray(torch.from_numpy(found).to(_FLOAT), device)
    if isinstance(source_array, Array):
        kind = source_array._data.dtype if dtype is None else torch_type(dtype)
        return NDArray(source_array._data.to(device.torch_device, kind, copy=True), device)
    tensor = tensor_of(source_array, torch.float32 if dtype is None else torch_type(dtype))
    return NDArray(tensor.to(device.torch_device), device)


def arange(
    start: float,
    stop: float | None = None,
    step: float = 1.0,
    repeat: int = 1,
    infer_range: Any = None,
    ctx: Any = None,
    dtype: Any = np.float32,
) -> NDArray:
    """Values from start to before stop by step, each given `repeat` times; without stop, from 0 to before start.

    >>> arange(2, 6, step=2, repeat=2).asnumpy()
    array([2., 2., 4., 4.], dtype=float32)
    """
    if infer_range is not None:
        warnings.warn("`infer_range` argument has been deprecated", DeprecationWarning, stacklevel=2)
    # by position, which is compared with the last call's in less time than by name
    return function("_arange")(start, stop, step, repeat, False, dtype=_named(dtype), ctx=ctx)


def _named(dtype: Any) -> str:
    return "float32" if dtype is None or dtype is np.float32 else type_name(torch_type(dtype))


def linspace(
    start: float, stop: float, num: int, endpoint: bool = True, ctx: Any = None, dtype: Any = np.float32
) -> NDArray:
    """`num` evenly spaced values from start to stop, which is the last unless `endpoint` is false."""
    return function("_linspace")(start=start, stop=stop, num=num, endpoint=endpoint, dtype=_named(dtype), ctx=ctx)


def eye(N: int, M: int = 0, k: int = 0, ctx: Any = None, dtype: Any = None, **kwargs: Any) -> NDArray:
    """Zeros of shape (N, M) with ones on the k-th diagonal; M of 0 means N."""
    return function("_eye")(N, M, k, dtype=_named(dtype), ctx=ctx, **kwargs)


def concatenate(arrays: list[NDArray], axis: int = 0, always_copy: bool = True) -> NDArray:
    """Arrays joined along an axis; they agree in type and in all other axes.

    Raises:
        AssertionError: they do not, or there is none.
    """
    if not isinstance(arrays, list) or not arrays or not isinstance(arrays[0], NDArray):
        raise AssertionError("concatenate takes a list of at least one NDArray")
    if not always_copy and len(arrays) == 1:
        return arrays[0]
    first = arrays[0]
    rank = first.ndim
    for each in arrays:
        if each is not first and each.ndim != rank:
            break
    else:
        try:
            return function("Concat")(arrays, dim=axis)
        except (OperatorError, ShapeError):
            pass  # said below, if it is what is wrong
    for each in arrays[1:]:
        others = [s[:axis] + s[axis + 1 or len(s) :] for s in (each.shape, first.shape)]
        if others[0] != others[1] or each.dtype != first.dtype:
            raise AssertionError(
                f"concatenate takes arrays that agree: {each.dtype.__name__} {each.shape} "
                f"beside {first.dtype.__name__} {first.shape}"
            )
    return function("Concat")(arrays, dim=axis)


def _axes(axis: Any, rank: int, name: str) -> list[int]:
    found = [axis] if isinstance(axis, integer_types) else list(axis)
    for each in found:
        if not -rank <= each < rank:
            raise ValueError(f"{name} axis {each} is out of range for {rank}d array")
    return [a % rank for a in found]


def moveaxis(tensor: NDArray, source: Any, destination: Any) -> NDArray:
    """Some axes put at other places, the rest in their order.

    Raises:
        ValueError: as many destinations as sources are needed, each once and inside the array.

    >>> moveaxis(zeros((3, 4, 5)), [0, 1], [-1, -2]).shape
    (5, 4, 3)
    """
    sources, places = _axes(source, tensor.ndim, "source"), _axes(destination, tensor.ndim, "destination")
    if len(sources) != len(places):
        raise ValueError("`source` and `destination` arguments must have the same number of elements")
    if len(set(sources)) != len(sources) or len(set(places)) != len(places):
        raise ValueError("repeated axis in `source` or `destination`")
    order = [i for i in range(tensor.ndim) if i not in sources]
    for place, axis in sorted(zip(places, sources, strict=True)):
        order.insert(place, axis)
    return function("transpose")(tensor, axes=tuple(order))


def onehot_encode(indices: NDArray, out: NDArray) -> NDArray:
    """Write rows with a one at each index into `out`."""
    return function("_onehot_encode")(indices, out, out=out)


def histogram(a: NDArray, bins: Any = 10, range: Any = None) -> Any:
    """How many values fall between edges, and the edges.

    Args:
        a: the values.
        bins: number of bins of one width, or the array of edges.
        range: least and greatest edge; that of the values where it is not given.

    Raises:
        ValueError: bins is neither.
    """
    if isinstance(bins, Array):
        return function("_histogram")(a, bins)
    if not isinstance(bins, integer_types):
        raise ValueError("bins argument should be either an integer or an NDArray")
    if range is None:
        warnings.warn("range is not specified, using numpy's result to ensure consistency with numpy", stacklevel=2)
        counts, edges = np.histogram(a.asnumpy(), bins=bins)
        return array(counts), array(edges)
    return function("_histogram")(a, bin_cnt=bins, range=range)


def split_v2(ary: NDArray, indices_or_sections: Any, axis: int = 0, squeeze_axis: bool = False) -> Any:
    """Parts along an axis: so many equal ones, or at these indices.

    Raises:
        ValueError: the axis does not divide into equal parts, or neither a number nor a tuple.
    """
    if isinstance(indices_or_sections, int):
        if ary.shape[axis] % indices_or_sections:
            raise ValueError("array split does not result in an equal division")
        step = ary.shape[axis] // indices_or_sections
        indices = [i * step for i in _range(indices_or_sections)]
    elif isinstance(indices_or_sections, tuple):
        indices = [0, *indices_or_sections]
    else:
        raise ValueError("indices_or_sections must either int or tuple of ints")
    return function("_split_v2")(ary, indices=indices, axis=axis, squeeze_axis=squeeze_axis)


def imdecode(
    str_img: bytes,
    clip_rect: Sequence[int] = (0, 0, 0, 0),
    out: NDArray | None = None,
    index: int = 0,
    channels: int = 3,
    mean: NDArray | None = None,
) -> NDArray:
    """The pixels (channels, height, width) of an encoded image as float32, cut to (x0, y0, x1, y1), less a mean.

    Args:
        str_img: the encoded image.
        clip_rect: the part that is kept; all of it where it is empty.
        out: (n, channels, height, width) array, whose `index`-th image takes the result.
        index: place in `out`.
        channels: 1 or 3.
        mean: an array that is taken from the pixels.
    """
    flag = 1 if channels == 3 else 0
    source = NDArray(torch.frombuffer(bytearray(str_img), dtype=torch.uint8))
    pixels = function("_cvimdecode")(source, flag=flag).astype("float32")
    x0, y0, x1, y1 = clip_rect
    if x1 > x0 and y1 > y0:
        pixels = pixels[y0:y1, x0:x1]
    found = function("transpose")(pixels, axes=(2, 0, 1))
    if mean is not None:
        found = found - mean
    if out is None:
        return found
    out[index] = found
    return out


def true_divide(lhs: Any, rhs: Any) -> Any:
    """The quotient of arrays or numbers."""
    from evergraph.mxnet import ndarray

    return ndarray.divide(lhs, rhs)


def waitall() -> None:
    """Wait until everything that was asked for is computed."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def to_dlpack_for_read(data: NDArray) -> Any:
    """A DLPack capsule over an array's memory."""
    return data.to_dlpack_for_read()


def to_dlpack_for_write(data: NDArray) -> Any:
    """A DLPack capsule over an array's memory."""
    return data.to_dlpack_for_write()


def from_dlpack(dlpack: Any) -> NDArray:
    """An array over the memory of a DLPack capsule, or of anything with `__dlpack__`."""
    tensor = tensor_from_dlpack(dlpack).detach()
    kind = {"cuda": "gpu"}.get(tensor.device.type, tensor.device.type)
    ctx = Context(kind, tensor.device.index or 0) if kind == "gpu" else current_context()
    return NDArray(tensor, ctx if kind == "gpu" or ctx.device_type != "gpu" else Context("cpu", 0))


def from_numpy(ndarray: np.ndarray, zero_copy: bool = True, array_cls: Any = NDArray) -> Any:
    """An array over a NumPy array's memory, which NumPy may then no longer write to.

    Args:
        ndarray: a C-contiguous array.
        zero_copy: whether the memory is shared; else the values are copied.
        array_cls: class of the result.

    Raises:
        ValueError: the memory cannot be shared.
    """
    if not zero_copy:
        return array(ndarray, dtype=ndarray.dtype)
    if not ndarray.flags["C_CONTIGUOUS"]:
        raise ValueError("Only c-contiguous arrays are supported for zero-copy")
    if not ndarray.flags["WRITEABLE"]:
        # torch warns of memory that must not be written; MXNet shares it all the same
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return array_cls(torch.from_numpy(ndarray), Context("cpu", 0))
    tensor = torch.from_numpy(ndarray)
    ndarray.flags["WRITEABLE"] = False
    return array_cls(tensor, Context("cpu", 0))
