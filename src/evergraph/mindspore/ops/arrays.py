"""`ops` that make, reshape, join, cut and index tensors."""

import math
from typing import Any

import torch
import torch.nn.functional as F

from evergraph.mindspore.common import dtype as mstype
from evergraph.mindspore.common.tensor import Tensor, unwrap, wrap


def _kind(dtype: Any, otherwise: Any = None) -> Any:
    return mstype.of(dtype).torch if dtype is not None else otherwise


# new tensors


def _size(size: Any) -> tuple[int, ...]:
    found = unwrap(size)
    return (found,) if isinstance(found, int) else tuple(int(n) for n in found)


def ones(shape: Any, dtype: Any = None) -> Tensor:
    """Ones, Float32 by default."""
    return wrap(torch.ones(_size(shape), dtype=_kind(dtype, torch.float32)))


def zeros(size: Any, dtype: Any = None) -> Tensor:
    """Zeros, Float32 by default."""
    return wrap(torch.zeros(_size(size), dtype=_kind(dtype, torch.float32)))


def full(size: Any, fill_value: Any, *, dtype: Any = None) -> Tensor:
    """One value everywhere: Int64 of a whole number, Float32 of a fraction."""
    return wrap(torch.full(_size(size), unwrap(fill_value), dtype=_kind(dtype)))


def fill(type: Any, shape: Any, value: Any) -> Tensor:
    """One value everywhere, of an element type."""
    return wrap(torch.full(_size(shape), unwrap(value), dtype=_kind(type)))


def ones_like(input: Any, *, dtype: Any = None) -> Tensor:
    """Ones of the same shape and type."""
    return wrap(torch.ones_like(unwrap(input), dtype=_kind(dtype)))


def zeros_like(input: Any, *, dtype: Any = None) -> Tensor:
    """Zeros of the same shape and type."""
    return wrap(torch.zeros_like(unwrap(input), dtype=_kind(dtype)))


def full_like(input: Any, fill_value: Any, *, dtype: Any = None) -> Tensor:
    """One value everywhere, of the same shape and type."""
    return wrap(torch.full_like(unwrap(input), unwrap(fill_value), dtype=_kind(dtype)))


def eye(n: int, m: int | None = None, dtype: Any = None) -> Tensor:
    """Ones on the diagonal."""
    return wrap(torch.eye(n, n if m is None else m, dtype=_kind(dtype, torch.float32)))


def arange(start: Any = 0, end: Any = None, step: Any = 1, *, dtype: Any = None) -> Tensor:
    """Numbers in even steps."""
    first, last = (0, start) if end is None else (start, end)
    return wrap(torch.arange(unwrap(first), unwrap(last), unwrap(step), dtype=_kind(dtype)))


def linspace(start: Any, end: Any, steps: int) -> Tensor:
    """So many numbers from start to end, both included."""
    return wrap(torch.linspace(unwrap(start), unwrap(end), steps))


def one_hot(indices: Any, depth: int, on_value: Any = 1, off_value: Any = 0, axis: int = -1) -> Tensor:
    """`on_value` where an index points along `axis`, else `off_value`."""
    places = torch.arange(int(depth))
    found = indices._torch.unsqueeze(-1) == places
    on, off = torch.as_tensor(unwrap(on_value)), torch.as_tensor(unwrap(off_value))
    made = torch.where(found, on, off)
    return wrap(made if axis == -1 else made.movedim(-1, axis))


def meshgrid(*inputs: Any, indexing: str = "xy") -> Any:
    """Coordinates of a grid; "xy" has the second input's along the first axis, as NumPy.

    >>> meshgrid(Tensor([1, 2]), Tensor([3, 4, 5]))[0].shape
    (3, 2)
    """
    parts = inputs[0] if len(inputs) == 1 and isinstance(inputs[0], (tuple, list)) else inputs
    return wrap(torch.meshgrid(*map(unwrap, parts), indexing=indexing))


def scalar_to_tensor(input_x: Any, dtype: Any = mstype.float32) -> Tensor:
    """A tensor of no dimensions."""
    return Tensor(input_x, dtype)


def tuple_to_array(input_x: Any) -> Tensor:
    """Numbers of one kind as a tensor: Int32 or Float32."""
    whole = isinstance(input_x[0], int)
    return Tensor(list(input_x), mstype.int32 if whole else mstype.float32)


# what a tensor is


def shape(input_x: Any) -> tuple[int, ...]:
    """The sizes of a tensor's dimensions."""
    return input_x.shape


def size(input_x: Any) -> int:
    """How many elements it has."""
    return input_x.size


numel = size


def rank(input_x: Any) -> int:
    """How many dimensions it has."""
    return input_x.ndim


def dyn_shape(input_x: Any) -> Tensor:
    """The sizes of a tensor's dimensions as a tensor."""
    return Tensor(list(input_x.shape), mstype.int64)


def is_tensor(obj: Any) -> bool:
    """Whether it is a Tensor."""
    return isinstance(obj, Tensor)


def deepcopy(input_x: Any) -> Tensor:
    """A copy with memory of its own."""
    return input_x.copy()


# shapes


def reshape(input: Any, shape: Any) -> Tensor:
    """The same elements in another shape."""
    return wrap(torch.reshape(unwrap(input), tuple(unwrap(shape))))


def flatten(input: Any, order: str = "C", *, start_dim: int = 1, end_dim: int = -1) -> Tensor:
    """All dimensions from `start_dim` to `end_dim` as one; "F" reads them first to last.

    >>> flatten(Tensor([[[1, 2], [3, 4]]])).shape
    (1, 4)
    """
    data = unwrap(input)
    if order == "F":
        data = data.permute(*reversed(range(data.dim())))
    if data.dim() < 2:
        return wrap(data.reshape(-1))
    return wrap(data.flatten(start_dim, end_dim))


def ravel(input: Any) -> Tensor:
    """All dimensions as one."""
    return wrap(unwrap(input).reshape(-1))


def expand_dims(input_x: Any, axis: Any) -> Tensor:
    """One more dimension of size 1, or several."""
    found = unwrap(input_x)
    for one in axis if isinstance(axis, (tuple, list)) else [axis]:
        found = found.unsqueeze(one)
    return wrap(found)


def unsqueeze(input: Any, dim: int) -> Tensor:
    """One more dimension of size 1."""
    return wrap(unwrap(input).unsqueeze(dim))


def squeeze(input: Any, axis: Any = None) -> Tensor:
    """Dimensions of size 1 away."""
    return wrap(unwrap(input).squeeze() if axis is None else unwrap(input).squeeze(axis))


def transpose(input: Any, input_perm: Any) -> Tensor:
    """The dimensions in another order."""
    return wrap(unwrap(input).permute(*input_perm))


def permute(input: Any, axis: Any) -> Tensor:
    """The dimensions in another order."""
    return wrap(unwrap(input).permute(*axis))


def t(input: Any) -> Tensor:
    """Rows as columns."""
    return wrap(unwrap(input).t())


def swapaxes(input: Any, axis0: int, axis1: int) -> Tensor:
    """Two dimensions in each other's place."""
    return wrap(unwrap(input).transpose(axis0, axis1))


swapdims = swapaxes


def moveaxis(x: Any, source: Any, destination: Any) -> Tensor:
    """Dimensions at other places, the rest in their order."""
    return wrap(torch.movedim(unwrap(x), source, destination))


movedim = moveaxis


def broadcast_to(input: Any, shape: Any) -> Tensor:
    """Repeated to a shape, without a copy."""
    return wrap(unwrap(input).expand(*shape))


# joining and cutting


def cat(tensors: Any, axis: int = 0) -> Tensor:
    """Tensors joined along an axis."""
    return wrap(torch.cat(unwrap(list(tensors)), axis))


concat = cat


def stack(tensors: Any, axis: int = 0) -> Tensor:
    """Tensors side by side along a new axis."""
    return wrap(torch.stack(unwrap(list(tensors)), axis))


def _stacked(name: str) -> Any:
    def function(inputs: Any) -> Tensor:
        return wrap(getattr(torch, name)(unwrap(list(inputs))))

    function.__name__, function.__doc__ = name, f"As torch's `{name}`."
    return function


hstack, vstack, dstack, column_stack = map(_stacked, ("hstack", "vstack", "dstack", "column_stack"))


def split(tensor: Any, split_size_or_sections: Any, axis: int = 0) -> Any:
    """Parts of a size, or of several, along an axis."""
    return wrap(unwrap(tensor).split(split_size_or_sections, axis))


def chunk(input: Any, chunks: int, axis: int = 0) -> Any:
    """So many parts along an axis, the last one shorter."""
    return wrap(unwrap(input).chunk(chunks, axis))


def tensor_split(input: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    """So many parts along an axis, or cut before indices."""
    return wrap(torch.tensor_split(unwrap(input), indices_or_sections, axis))


def unstack(input_x: Any, axis: int = 0) -> Any:
    """A tensor for each place of an axis."""
    return wrap(unwrap(input_x).unbind(axis))


def unbind(input: Any, dim: int = 0) -> Any:
    """A tensor for each place of an axis."""
    return wrap(unwrap(input).unbind(dim))


def tile(input: Any, dims: Any) -> Tensor:
    """The tensor so many times along each axis."""
    return wrap(torch.tile(unwrap(input), tuple(dims)))


def repeat_interleave(input: Any, repeats: Any, axis: int | None = None) -> Tensor:
    """Each element so many times, next to each other."""
    return wrap(torch.repeat_interleave(unwrap(input), unwrap(repeats), axis))


def repeat_elements(x: Any, rep: int, axis: int = 0) -> Tensor:
    """Each element of an axis so many times, next to each other."""
    return repeat_interleave(x, rep, axis)


def flip(input: Any, dims: Any) -> Tensor:
    """Axes the other way round."""
    return wrap(torch.flip(unwrap(input), (dims,) if isinstance(dims, int) else tuple(dims)))


def reverse(x: Any, axis: Any) -> Tensor:
    """Axes the other way round."""
    return flip(x, axis)


def roll(input: Any, shifts: Any, dims: Any = None) -> Tensor:
    """Elements moved along axes; what leaves at the end comes in at the beginning."""
    return wrap(torch.roll(unwrap(input), shifts, dims))


def tril(input: Any, diagonal: int = 0) -> Tensor:
    """Zeros above a diagonal."""
    return wrap(torch.tril(unwrap(input), diagonal))


def triu(input: Any, diagonal: int = 0) -> Tensor:
    """Zeros below a diagonal."""
    return wrap(torch.triu(unwrap(input), diagonal))


def diag(input: Any) -> Tensor:
    """The values on the diagonal of zeros, which have each of their axes twice."""
    data = unwrap(input)
    return wrap(torch.diag(data.reshape(-1)).reshape(*data.shape, *data.shape))


def diagonal(input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The values of a diagonal."""
    return wrap(torch.diagonal(unwrap(input), offset, dim1, dim2))


def pad(input_x: Any, padding: Any, mode: str = "constant", value: Any = None) -> Tensor:
    """More elements at both ends of the last axes, in pairs from the last axis on.

    Args:
        input_x: what is padded.
        padding: before and after for each axis.
        mode: "constant", "reflect", "replicate" or "circular".
        value: what "constant" fills with, 0 by default.
    """
    sizes = [int(n) for n in unwrap(padding)]
    if mode == "constant":
        return wrap(F.pad(unwrap(input_x), sizes, mode, 0 if value is None else unwrap(value)))
    return wrap(F.pad(unwrap(input_x), sizes, mode))


def strided_slice(input_x: Any, begin: Any, end: Any, strides: Any, *masks: int, **named: int) -> Tensor:
    """Elements from `begin` to `end` in steps, for each axis; a step may be negative."""
    if any(masks) or any(named.values()):
        raise ValueError("strided_slice takes no masks here: index the tensor instead")
    found = unwrap(input_x)
    for axis, (first, last, step) in enumerate(zip(begin, end, strides, strict=True)):
        places = range(*slice_(first, last, step).indices(found.shape[axis]))
        found = found.index_select(axis, torch.tensor(list(places), dtype=torch.long))
    return wrap(found)


slice_ = slice


def slice(input_x: Any, begin: Any, size: Any) -> Tensor:
    """`size` elements from `begin` on, for each axis; -1 for all that are left."""
    found = unwrap(input_x)
    for axis, (first, length) in enumerate(zip(begin, size, strict=True)):
        found = found.narrow(axis, first, found.shape[axis] - first if length == -1 else length)
    return wrap(found)


# indices


def select(condition: Any, input: Any, other: Any) -> Tensor:
    """`input` where the condition is true, else `other`."""
    return wrap(torch.where(unwrap(condition), unwrap(input), unwrap(other)))


def masked_fill(input: Any, mask: Any, value: Any) -> Tensor:
    """`value` where the mask is true."""
    return wrap(torch.masked_fill(unwrap(input), unwrap(mask), unwrap(value)))


def masked_select(input: Any, mask: Any) -> Tensor:
    """The elements where the mask is true, in one dimension."""
    return wrap(torch.masked_select(unwrap(input), unwrap(mask)))


def gather(input_params: Any, input_indices: Any, axis: Any, batch_dims: int = 0) -> Tensor:
    """Slices of an axis by indices of any shape.

    >>> gather(Tensor([10, 20, 30]), Tensor([[2, 0]]), 0).asnumpy().tolist()
    [[30, 10]]
    """
    data, places, axis = unwrap(input_params), unwrap(input_indices).long(), int(unwrap(axis))
    if batch_dims:
        rows = [gather(wrap(d), wrap(p), axis - 1, batch_dims - 1) for d, p in zip(data, places, strict=True)]
        return stack(rows)
    axis %= data.dim()
    found = data.index_select(axis, places.flatten())
    return wrap(found.reshape(*data.shape[:axis], *places.shape, *data.shape[axis + 1 :]))


def gather_elements(input: Any, dim: int, index: Any) -> Tensor:
    """For each element the one of its line along `dim` that the index tells."""
    return wrap(torch.gather(unwrap(input), dim, unwrap(index).long()))


gather_d = gather_elements


def gather_nd(input_x: Any, indices: Any) -> Tensor:
    """Slices by rows of indices."""
    return wrap(unwrap(input_x)[tuple(unwrap(indices).long().unbind(-1))])


def index_select(input: Any, axis: int, index: Any) -> Tensor:
    """Slices of an axis by indices of one dimension."""
    return wrap(torch.index_select(unwrap(input), axis, unwrap(index)))


def scatter_nd(indices: Any, updates: Any, shape: Any) -> Tensor:
    """Zeros, to which updates are added at rows of indices."""
    made = torch.zeros(_size(shape), dtype=unwrap(updates).dtype)
    return wrap(made.index_put(tuple(unwrap(indices).long().unbind(-1)), unwrap(updates), accumulate=True))


def tensor_scatter_update(input_x: Any, indices: Any, updates: Any) -> Tensor:
    """A copy with updates at rows of indices."""
    return wrap(unwrap(input_x).index_put(tuple(unwrap(indices).long().unbind(-1)), unwrap(updates)))


def tensor_scatter_add(input_x: Any, indices: Any, updates: Any) -> Tensor:
    """A copy with updates added at rows of indices."""
    places = tuple(unwrap(indices).long().unbind(-1))
    return wrap(unwrap(input_x).index_put(places, unwrap(updates), accumulate=True))


def scatter(input: Any, axis: int, index: Any, src: Any) -> Tensor:
    """A copy with values of `src` where the index tells, along an axis."""
    return wrap(torch.scatter(unwrap(input), axis, unwrap(index), unwrap(src)))


def tensor_scatter_elements(input_x: Any, indices: Any, updates: Any, axis: int = 0, reduction: str = "none") -> Tensor:
    """A copy with updates where the indices tell, along an axis; "add" adds them."""
    data, places, values = unwrap(input_x), unwrap(indices).long(), unwrap(updates)
    places = torch.where(places < 0, places + data.shape[axis], places)
    run = torch.scatter_add if reduction == "add" else torch.scatter
    return wrap(run(data, axis, places, values))


def index_add(x: Any, indices: Any, y: Any, axis: int) -> Tensor:
    """Values added to slices of a Parameter."""
    x._torch.data.index_add_(axis, unwrap(indices), unwrap(y))
    return x


def unsorted_segment_sum(input_x: Any, segment_ids: Any, num_segments: int) -> Tensor:
    """Sums of the rows that have the same segment."""
    data, ids = unwrap(input_x), unwrap(segment_ids).long()
    rest = data.shape[ids.dim() :]
    made = data.new_zeros((int(num_segments), *rest))
    return wrap(made.index_add(0, ids.flatten(), data.reshape(math.prod(ids.shape), *rest)))


def sequence_mask(lengths: Any, maxlen: int | None = None) -> Tensor:
    """True for so many first places."""
    counts = unwrap(lengths)
    return wrap(torch.arange(int(counts.max()) if maxlen is None else maxlen) < counts.unsqueeze(-1))
