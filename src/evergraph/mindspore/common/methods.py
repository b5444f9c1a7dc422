"""The operators and methods of a Tensor: most are torch's under MindSpore's names and argument names."""

import importlib
import inspect
import math
import operator
from collections.abc import Callable
from typing import Any

import torch

from evergraph.mindspore.common import dtype as mstype

__all__ = ["Methods"]

_RENAMED = {
    "axis": "dim",
    "keep_dims": "keepdim",
    "keepdims": "keepdim",
    "ddof": "correction",
    "xmin": "min",
    "xmax": "max",
    "a_min": "min",
    "a_max": "max",
}
"""MindSpore's argument name -> torch's."""

_SAME = """abs acos acosh add add_ addcdiv addcmul addmm argwhere asin asinh atan atan2 atanh bmm ceil
clamp clamp_ contiguous
copy_ copysign cos cosh deg2rad det diag diagonal diff digamma div div_ divide element_size eq erf erfc erfinv exp
exp_ expand expand_as expm1 fill_ flip floor floor_divide fmax fmin fmod frac ge ger greater greater_equal gt
heaviside histc hsplit hypot index_add index_fill index_put index_select inner inverse is_contiguous
is_floating_point is_signed isclose isfinite isinf isnan isneginf isreal le lerp less less_equal log log10 log1p
log2 logaddexp logical_and logical_not logical_or logical_xor logit lt masked_fill masked_fill_ masked_scatter
masked_select matmul maximum minimum mm movedim mul mul_ multiply nan_to_num nansum narrow ne negative new_empty
new_full nonzero norm outer pow rad2deg ravel reciprocal relu remainder rot90 round rsqrt scatter scatter_add
sigmoid sign sin sinc sinh sqrt square storage_offset stride sub sub_ subtract swapaxes swapdims tan tanh
tensor_split tile tril triu true_divide trunc unbind unique unsqueeze view_as vsplit xlogy zero_"""
"""Methods that are torch's of the same name."""


_OPS = """all amax amin any argmin argsort clip count_nonzero cumprod cumsum dot equal gather hardshrink
logsumexp median not_equal prod softmax sort squeeze sum topk trace"""
"""Methods that are functions of `ops`."""

_SPELLINGS = ({"axis", "dim"}, {"keepdim", "keepdims", "keep_dims"})


def _delegate(name: str) -> Callable[..., Any]:
    """A method that is the function of this name in `ops`; `dim` and `axis`, `keepdim` and `keepdims` mean the same."""

    def method(self: Any, *args: Any, **named: Any) -> Any:
        run = getattr(importlib.import_module("evergraph.mindspore.ops"), name)
        known = inspect.signature(run).parameters
        for spellings in _SPELLINGS if named else ():
            for given in spellings & named.keys() - known.keys():
                named |= {spelled: named.pop(given) for spelled in spellings & known.keys()}
        return run(self, *args, **named)

    method.__name__, method.__doc__ = name, f"As `ops.{name}` of this tensor."
    return method


def _call(name: str) -> Callable[..., Any]:
    """A method that is torch's of this name."""

    def method(self: Any, *args: Any, **named: Any) -> Any:
        from evergraph.mindspore.common.tensor import unwrap, wrap

        renamed = {_RENAMED.get(k, k): unwrap(v) for k, v in named.items()}
        found = getattr(self._torch, name)(*map(unwrap, args), **renamed)
        return wrap(found)

    method.__name__, method.__doc__ = name, f"As torch's `{name}`, with MindSpore's argument names."
    return method


def _other(value: Any) -> Any:
    kind = type(value)
    if kind is float or kind is int:
        return value
    found = getattr(value, "_torch", None)
    if found is not None:
        return found
    if isinstance(value, (list, tuple)) or hasattr(value, "__array__"):
        from evergraph.mindspore.common.tensor import Tensor

        return Tensor(value)._torch
    return value


def _binary(run: Callable[[Any, Any], Any]) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """The operator and its reflection."""

    def forward(self: Any, other: Any) -> Any:
        try:
            return self._wrapped(run(self._torch, _other(other)))
        except TypeError:
            return NotImplemented

    def reflected(self: Any, other: Any) -> Any:
        try:
            return self._wrapped(run(_other(other), self._torch))
        except TypeError:
            return NotImplemented

    return forward, reflected


class Methods:
    """What programs call on a Tensor."""

    _torch: torch.Tensor

    def astype(self, dtype: Any, copy: bool = True) -> Any:
        """The values in another element type."""
        return self._wrapped(self._torch.to(mstype.of(dtype).torch))

    def to(self, dtype: Any, *rest: Any, **named: Any) -> Any:
        """The values in another element type, or on another device."""
        if isinstance(dtype, str) and dtype.split(":")[0] in ("CPU", "GPU", "Ascend"):
            from evergraph.mindspore.context import torch_device

            return self._wrapped(self._torch.to(torch_device(dtype)))
        return self.astype(dtype)

    type = astype

    def float(self) -> Any:
        """The values as Float32."""
        return self._wrapped(self._torch.float())

    def double(self) -> Any:
        """The values as Float64."""
        return self._wrapped(self._torch.double())

    def bfloat16(self) -> Any:
        """The values as BFloat16."""
        return self._wrapped(self._torch.bfloat16())

    def short(self) -> Any:
        """The values as Int16."""
        return self._wrapped(self._torch.short())

    def byte(self) -> Any:
        """The values as UInt8."""
        return self._wrapped(self._torch.byte())

    def half(self) -> Any:
        """The values as Float16."""
        return self._wrapped(self._torch.half())

    def int(self) -> Any:
        """The values as Int32."""
        return self._wrapped(self._torch.int())

    def long(self) -> Any:
        """The values as Int64."""
        return self._wrapped(self._torch.long())

    def bool(self) -> Any:
        """The values as Bool."""
        return self._wrapped(self._torch.bool())

    def item(self) -> Any:
        """The only element, as a Python number."""
        return self._torch.item()

    def tolist(self) -> Any:
        """The values as nested lists."""
        return self._torch.tolist()

    def copy(self) -> Any:
        """A copy with memory of its own."""
        return self._wrapped(self._torch.clone())

    clone = copy

    def value(self) -> Any:
        """The tensor itself, without what a Parameter adds."""
        return self._wrapped(self._torch)

    def dim(self) -> Any:
        """How many dimensions it has."""
        return self._torch.dim()

    def numel(self) -> Any:
        """How many elements it has."""
        return self._torch.numel()

    def mean(self, axis: Any = None, keep_dims: Any = False, *, dtype: Any = None) -> Any:
        """The mean over axes; of whole numbers cut to a whole number."""
        kind = mstype.of(dtype).torch if dtype is not None else self._torch.dtype
        data = self._torch if kind.is_floating_point else self._torch.double()
        found = data.mean() if axis in (None, ()) else data.mean(axis, keepdim=bool(keep_dims))
        return self._wrapped(found.to(kind))

    def max(self, *axes: Any, **named: Any) -> Any:
        """The largest element; along `axis=` the largest ones; along an axis without name, or `dim=`, with places.

        Args:
            axes: axis and keepdims.
            named: axis, keepdims, initial, where, return_indices; or dim, keepdim.
        """
        return self._extreme("max", axes, named)

    def min(self, *axes: Any, **named: Any) -> Any:
        """The smallest element; along `axis=` the smallest ones; along an axis without name, or `dim=`, with places.

        Args:
            axes: axis and keepdims.
            named: axis, keepdims, initial, where, return_indices; or dim, keepdim.
        """
        return self._extreme("min", axes, named)

    def argmax(self, axis: Any = None, keepdims: Any = False, *, dim: Any = None, keepdim: Any = False) -> Any:
        """Where the largest element stands, Int64."""
        return self._wrapped(torch.argmax(self._torch, axis if dim is None else dim, _truth(keepdims or keepdim)))

    def std(self, axis: Any = None, ddof: Any = 0, keepdims: Any = False, **named: Any) -> Any:
        """The standard deviation, divided by the count - ddof."""
        return self._spread(torch.std, axis, ddof, keepdims, named)

    def var(self, axis: Any = None, ddof: Any = 0, keepdims: Any = False, **named: Any) -> Any:
        """The variance, divided by the count - ddof."""
        return self._spread(torch.var, axis, ddof, keepdims, named)

    def ptp(self, axis: Any = None, keepdims: Any = False) -> Any:
        """The largest less the smallest element."""
        over = tuple(range(self._torch.dim())) if axis is None else axis
        return self._wrapped(self._torch.amax(over, _truth(keepdims)) - self._torch.amin(over, _truth(keepdims)))

    def where(self, condition: Any, y: Any) -> Any:
        """The elements where the condition is true, elsewhere those of y."""
        return self._wrapped(torch.where(_other(condition), self._torch, _other(y)))

    def select(self, *args: Any) -> Any:
        """A place of an axis (axis, index); or elements where a condition is true, else others (condition, other)."""
        first, second = args
        if isinstance(first, Methods):
            return self._wrapped(torch.where(first._torch, self._torch, _other(second)))
        return self._wrapped(self._torch.select(first, second))

    def take(self, indices: Any, axis: Any = None, mode: str = "clip") -> Any:
        """Elements at places of the flat tensor, or of an axis; "clip" or "wrap" takes places beyond it."""
        data = self._torch.reshape(-1) if axis is None else self._torch
        axis = 0 if axis is None else axis % data.dim()
        places, size = torch.as_tensor(_other(indices)).long(), data.shape[axis]
        places = places % size if mode == "wrap" else places.clamp(0, size - 1)
        found = data.index_select(axis, places.flatten())
        return self._wrapped(found.reshape(*data.shape[:axis], *places.shape, *data.shape[axis + 1 :]))

    def resize(self, *new_shape: Any) -> Any:
        """The elements in another shape: cut, or followed by zeros."""
        shape = new_shape[0] if len(new_shape) == 1 and isinstance(new_shape[0], (tuple, list)) else new_shape
        flat, count = self._torch.reshape(-1), math.prod(shape)
        filled = torch.nn.functional.pad(flat, (0, max(count - flat.numel(), 0)))
        return self._wrapped(filled[:count].reshape(tuple(shape)))

    def searchsorted(self, v: Any, side: str = "left", sorter: Any = None) -> Any:
        """Where values stand in these sorted ones, Int32."""
        found = torch.searchsorted(self._torch, _other(v), out_int32=True, side=side, sorter=_other(sorter))
        return self._wrapped(found)

    def flatten(self, order: str = "C", *, start_dim: Any = 0, end_dim: Any = -1) -> Any:
        """The dimensions from `start_dim` to `end_dim` as one; "F" reads them first to last."""
        data = self._torch
        data = data.permute(*reversed(range(data.dim()))) if order == "F" else data
        return self._wrapped(data.flatten(start_dim, end_dim))

    def aminmax(self, *, axis: Any = 0, keepdims: Any = False) -> Any:
        """The smallest and the largest elements along an axis; of all elements where it is None."""
        over = tuple(range(self._torch.dim())) if axis is None else axis
        keep = _truth(keepdims)
        return self._wrapped(self._torch.amin(over, keep)), self._wrapped(self._torch.amax(over, keep))

    def transpose(self, *axes: Any) -> Any:
        """The dimensions in another order; reversed where none is given."""
        order = axes[0] if len(axes) == 1 and isinstance(axes[0], (tuple, list)) else axes
        return self._wrapped(self._torch.permute(*(order or range(self._torch.dim() - 1, -1, -1))))

    permute = transpose

    def reshape(self, *shape: Any) -> Any:
        """The same elements in another shape."""
        return self._wrapped(self._torch.reshape(*shape))

    def view(self, *shape: Any) -> Any:
        """The same elements in another shape."""
        return self._wrapped(self._torch.reshape(*shape))

    def expand_dims(self, axis: Any) -> Any:
        """One more dimension of size 1."""
        return self._wrapped(self._torch.unsqueeze(axis))

    def broadcast_to(self, shape: Any) -> Any:
        """Repeated to a shape, without a copy."""
        return self._wrapped(self._torch.expand(*shape))

    def split(self, split_size_or_sections: Any, axis: Any = 0, *, dim: Any = None) -> Any:
        """Parts along an axis."""
        parts = self._torch.split(split_size_or_sections, axis if dim is None else dim)
        return tuple(self._wrapped(t) for t in parts)

    def chunk(self, chunks: Any, axis: Any = 0, *, dim: Any = None) -> Any:
        """So many parts along an axis."""
        return tuple(self._wrapped(t) for t in self._torch.chunk(chunks, axis if dim is None else dim))

    def repeat(self, repeats: Any, axis: Any = None) -> Any:
        """Each element so many times, as NumPy's repeat."""
        times = torch.tensor(repeats) if isinstance(repeats, (tuple, list)) else repeats
        return self._wrapped(torch.repeat_interleave(self._torch, _other(times), axis))

    def fill(self, value: Any) -> Any:
        """A tensor of this shape, all of one value."""
        return self._wrapped(torch.full_like(self._torch, value))

    def new_zeros(self, shape: Any, dtype: Any = None) -> Any:
        """Zeros of this type."""
        return self._wrapped(self._torch.new_zeros(shape, dtype=dtype and mstype.of(dtype).torch))

    def new_ones(self, shape: Any, dtype: Any = None) -> Any:
        """Ones of this type."""
        return self._wrapped(self._torch.new_ones(shape, dtype=dtype and mstype.of(dtype).torch))

    def _wrapped(self, data: torch.Tensor) -> Any:
        from evergraph.mindspore.common.tensor import wrap

        return wrap(data)

    def _extreme(self, name: str, axes: tuple[Any, ...], named: dict[str, Any]) -> Any:
        ops = importlib.import_module("evergraph.mindspore.ops")
        asked = named.pop("return_indices", False)
        both = asked or "dim" in named or bool(axes and isinstance(axes[0], int))
        given = dict(zip(("axis", "keepdims"), axes, strict=False))
        given |= {{"dim": "axis", "keepdim": "keepdims"}.get(k, k): v for k, v in named.items()}
        if given.get("axis") is None:
            return getattr(ops, name)(self, **given)[0]
        return getattr(ops, name if both else f"a{name}")(self, **given)

    def _spread(self, run: Any, axis: Any, ddof: Any, keepdims: Any, named: dict[str, Any]) -> Any:
        axis, ddof = named.get("dim", axis), named.get("correction", ddof)
        keepdims = named.get("keepdim", keepdims)
        data = self._torch if self._torch.is_floating_point() else self._torch.float()
        over = tuple(range(data.dim())) if axis in (None, ()) else axis
        return self._wrapped(run(data, over, correction=int(ddof), keepdim=_truth(keepdims)))


def _truth(value: Any) -> "bool":
    return bool(value)


def _equipped() -> None:
    for name in _SAME.split():
        setattr(Methods, name, _call(name))
    for name in _OPS.split():
        setattr(Methods, name, _delegate(name))
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor"):
        run = getattr(operator, f"{name}_" if name in ("and", "or") else name)
        forward, reflected = _binary(run)
        setattr(Methods, f"__{name}__", forward)
        setattr(Methods, f"__r{name}__", reflected)
    for name in ("eq", "ne", "lt", "le", "gt", "ge"):
        setattr(Methods, f"__{name}__", _binary(getattr(operator, name))[0])
    for name in ("neg", "abs", "invert"):
        run = getattr(operator, name)
        setattr(Methods, f"__{name}__", lambda self, run=run: self._wrapped(run(self._torch)))
    Methods.__pos__ = lambda self: self  # type: ignore[attr-defined]


_equipped()
