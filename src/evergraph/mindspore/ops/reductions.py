"""`ops` that gather values along axes: sums, extremes, orders, spreads."""

from typing import Any

import torch

from evergraph.mindspore.common import dtype as mstype
from evergraph.mindspore.common.tensor import Tensor, unwrap, wrap


def _kind(dtype: Any) -> Any:
    return None if dtype is None else mstype.of(dtype).torch


def _axes(data: torch.Tensor, axis: Any) -> Any:
    """All axes where none is named."""
    if axis is None or axis == ():
        return tuple(range(data.dim()))
    return tuple(axis) if isinstance(axis, (tuple, list)) else axis


def mean(x: Any, axis: Any = None, keep_dims: bool = False) -> Tensor:
    """The mean over axes."""
    return x.mean(axis, keep_dims)


def sum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over axes; of whole numbers Int64."""
    data = unwrap(input)
    return wrap(torch.sum(data, _axes(data, dim), keepdim, dtype=_kind(dtype)))


def prod(input: Any, axis: Any = None, keep_dims: bool = False, dtype: Any = None) -> Tensor:
    """The product over an axis, or of all; of whole numbers Int64."""
    data, kind = unwrap(input), _kind(dtype)
    return wrap(torch.prod(data, dtype=kind) if axis is None else torch.prod(data, axis, keep_dims, dtype=kind))


def cumsum(x: Any, axis: int, dtype: Any = None) -> Tensor:
    """Sums up to each element, in the type of the elements."""
    data = unwrap(x)
    return wrap(torch.cumsum(data, axis, dtype=_kind(dtype) or data.dtype))


def cumprod(input: Any, dim: int, dtype: Any = None) -> Tensor:
    """Products up to each element, in the type of the elements."""
    data = unwrap(input)
    return wrap(torch.cumprod(data, dim, dtype=_kind(dtype) or data.dtype))


def logsumexp(input: Any, axis: Any, keep_dims: bool = False) -> Tensor:
    """Logarithm of the sum of exponentials."""
    return wrap(torch.logsumexp(unwrap(input), axis, keep_dims))


def any(input: Any, axis: Any = None, keep_dims: bool = False) -> Tensor:
    """Whether one of them is true."""
    data = unwrap(input)
    return wrap(torch.any(data, _axes(data, axis), keep_dims))


def all(input: Any, axis: Any = None, keep_dims: bool = False) -> Tensor:
    """Whether each of them is true."""
    data = unwrap(input)
    return wrap(torch.all(data, _axes(data, axis), keep_dims))


def _spread(run: Any, input: Any, axis: Any, ddof: Any, keepdims: bool) -> Tensor:
    data = unwrap(input)
    return wrap(run(data, _axes(data, axis), correction=int(ddof), keepdim=keepdims))


def std(input: Any, axis: Any = None, ddof: Any = 0, keepdims: bool = False) -> Tensor:
    """The standard deviation over axes, divided by the count - ddof."""
    return _spread(torch.std, input, axis, ddof, keepdims)


def var(input: Any, axis: Any = None, ddof: Any = 0, keepdims: bool = False) -> Tensor:
    """The variance over axes, divided by the count - ddof."""
    return _spread(torch.var, input, axis, ddof, keepdims)


def norm(A: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The norm of all values, or along axes; `ord` as in torch.linalg.norm."""
    return wrap(torch.linalg.norm(unwrap(A), ord, dim, keepdim, dtype=_kind(dtype)))


def _bounded(data: torch.Tensor, initial: Any, where: Any, largest: bool) -> torch.Tensor:
    """The data, with `initial` where `where` is false."""
    if where is not None:
        data = torch.where(unwrap(where), data, torch.as_tensor(unwrap(initial), dtype=data.dtype))
    if initial is None or where is not None:
        return data
    bound = unwrap(initial)
    return torch.clamp(data, min=bound) if largest else torch.clamp(data, max=bound)


def _extreme(name: str, input: Any, axis: Any, keepdims: bool, initial: Any, where: Any) -> Any:
    data = _bounded(unwrap(input), initial, where, name == "max")
    if axis is None:
        flat = data.flatten()
        place = flat.argmax() if name == "max" else flat.argmin()
        return wrap(flat[place]), wrap(torch.zeros_like(place))
    found = getattr(torch, name)(data, axis, keepdims)
    return wrap(found.values), wrap(found.indices)


def max(input: Any, axis: Any = None, keepdims: bool = False, *, initial: Any = None, where: Any = None) -> Any:
    """The largest values along an axis and where they stand; of all values, with 0 for the place.

    >>> max(Tensor([1.0, 3.0, 2.0]), 0)
    (Tensor(shape=[], dtype=Float32, value= 3), Tensor(shape=[], dtype=Int64, value= 1))
    """
    return _extreme("max", input, axis, keepdims, initial, where)


def min(input: Any, axis: Any = None, keepdims: bool = False, *, initial: Any = None, where: Any = None) -> Any:
    """The smallest values along an axis and where they stand; of all values, with 0 for the place."""
    return _extreme("min", input, axis, keepdims, initial, where)


def amax(input: Any, axis: Any = None, keepdims: bool = False, *, initial: Any = None, where: Any = None) -> Tensor:
    """The largest value over axes."""
    data = _bounded(unwrap(input), initial, where, True)
    return wrap(torch.amax(data, _axes(data, axis), keepdims))


def amin(input: Any, axis: Any = None, keepdims: bool = False, *, initial: Any = None, where: Any = None) -> Tensor:
    """The smallest value over axes."""
    data = _bounded(unwrap(input), initial, where, False)
    return wrap(torch.amin(data, _axes(data, axis), keepdims))


def argmax(input: Any, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Where the largest value stands, Int64; of all values, in the flat tensor."""
    return wrap(torch.argmax(unwrap(input), dim, keepdim if dim is not None else False))


def argmin(input: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Where the smallest value stands, Int32; of all values, in the flat tensor."""
    return wrap(torch.argmin(unwrap(input), axis, keepdims if axis is not None else False).int())


def sort(input_x: Any, axis: int = -1, descending: bool = False) -> Any:
    """The values in order, and where they stood, Int32."""
    found = torch.sort(unwrap(input_x), stable=True, dim=axis, descending=descending)
    return wrap(found.values), wrap(found.indices.int())


def argsort(input: Any, axis: int = -1, descending: bool = False) -> Tensor:
    """Where the values in order stand, Int32."""
    return wrap(torch.argsort(unwrap(input), stable=True, dim=axis, descending=descending).int())


def topk(input: Any, k: int, dim: Any = None, largest: bool = True, sorted: bool = True) -> Any:
    """The k largest values of an axis, the last by default, and where they stand, Int32."""
    found = torch.topk(unwrap(input), k, -1 if dim is None else dim, largest, sorted)
    return wrap(found.values), wrap(found.indices.int())


def unique(input: Any) -> Any:
    """Each value once, in the order of its first place, and which of them each element is.

    >>> [found.asnumpy().tolist() for found in unique(Tensor([3, 1, 3, 2]))]
    [[3, 1, 2], [0, 1, 0, 2]]
    """
    data = unwrap(input)
    values, inverse = torch.unique(data, return_inverse=True)
    flat = inverse.flatten()
    first = torch.full((len(values),), flat.numel()).scatter_reduce(0, flat, torch.arange(flat.numel()), "amin")
    order = torch.argsort(first)
    places = torch.argsort(order)[inverse]
    return wrap(values[order]), wrap(places if data.dtype == torch.int64 else places.int())


def nonzero(input: Any, *, as_tuple: bool = False) -> Any:
    """Where the values are not zero: rows of indices, Int64; with `as_tuple`, one tensor for each axis."""
    return wrap(torch.nonzero(unwrap(input), as_tuple=as_tuple))


def count_nonzero(x: Any, axis: Any = (), keep_dims: bool = False, dtype: Any = mstype.int32) -> Tensor:
    """How many values are not zero."""
    data = unwrap(x) != 0
    return wrap(torch.sum(data, _axes(data, axis), keep_dims, dtype=_kind(dtype)))


def median(input: Any, axis: Any = -1, keepdims: bool = False) -> Any:
    """The middle value along an axis, the lower of two, and where it stands."""
    found = torch.median(unwrap(input), axis, keepdims)
    return wrap(found.values), wrap(found.indices)


def cummax(input: Any, axis: int) -> Any:
    """The largest value up to each element, and where it stands, Int64."""
    return wrap(tuple(torch.cummax(unwrap(input), axis)))


def cummin(input: Any, axis: int) -> Any:
    """The smallest value up to each element, and where it first stands, Int32."""
    data = unwrap(input)
    values = torch.cummin(data, axis).values
    fresh = torch.ones_like(values, dtype=torch.bool)
    length = data.shape[axis]
    fresh.narrow(axis, 1, length - 1).copy_(values.narrow(axis, 1, length - 1) < values.narrow(axis, 0, length - 1))
    shape = [1] * data.dim()
    shape[axis] = length
    places = torch.where(fresh, torch.arange(length).view(shape), 0)
    return wrap(values), wrap(torch.cummax(places, axis).values.int())


def trace(input: Any) -> Tensor:
    """The sum of the diagonal."""
    return wrap(torch.trace(unwrap(input)))


def reduce_sum(x: Any, axis: Any = (), keep_dims: bool = False) -> Tensor:
    """The sum over axes, in the type of the elements."""
    data = unwrap(x)
    return wrap(torch.sum(data, _axes(data, axis), keep_dims, dtype=data.dtype))


def reduce_mean(x: Any, axis: Any = (), keep_dims: bool = False) -> Tensor:
    """The mean over axes."""
    return mean(x, axis, keep_dims)


reduce_max, reduce_min = amax, amin
