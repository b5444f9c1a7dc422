"""The operators and methods of a Tensor: most are torch's under MindSpore's names and argument names."""

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

_SAME = """abs acos acosh add addmm all any asin asinh atan atan2 atanh bmm ceil clamp clip cos cosh cumprod cumsum diag
diagonal digamma div divide dot eq equal erf erfc erfinv exp expand expand_as expm1 fill_ flatten flip floor
floor_divide fmod frac gather ge greater greater_equal gt index_select inner inverse isclose isfinite isinf isnan
le less less_equal lerp log log10 log1p log2 logical_and logical_not logical_or logical_xor logsumexp lt masked_fill
masked_select matmul maximum minimum mm movedim mul multiply narrow ne negative norm not_equal nonzero
outer pow prod reciprocal relu remainder rsqrt round scatter scatter_add select sigmoid sign sin sinh softmax
sqrt square squeeze std sub subtract swapaxes swapdims tan tanh tile topk tril triu true_divide trunc unbind unique
unsqueeze var where add_ sub_ mul_ div_ zero_ clamp_ copy_ exp_ contiguous index_add masked_fill_ sum"""
"""Methods that are torch's of the same name."""


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

    def max(self, axis: Any = None, keepdims: Any = False, *, return_indices: Any = False) -> Any:
        """The largest element, or the largest along axes; with `return_indices` where they stand, too."""
        return self._extreme("max", axis, keepdims, return_indices)

    def min(self, axis: Any = None, keepdims: Any = False, *, return_indices: Any = False) -> Any:
        """The smallest element, or the smallest along axes; with `return_indices` where they stand, too."""
        return self._extreme("min", axis, keepdims, return_indices)

    def argmax(self, axis: Any = None, keepdims: Any = False) -> Any:
        """Where the largest element stands, Int64."""
        return self._wrapped(torch.argmax(self._torch, axis, bool(keepdims)))

    def argmin(self, axis: Any = None, keepdims: Any = False) -> Any:
        """Where the smallest element stands, Int64."""
        return self._wrapped(torch.argmin(self._torch, axis, bool(keepdims)))

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

    def split(self, split_size_or_sections: Any, axis: Any = 0) -> Any:
        """Parts along an axis."""
        return tuple(self._wrapped(t) for t in self._torch.split(split_size_or_sections, axis))

    def chunk(self, chunks: Any, axis: Any = 0) -> Any:
        """So many parts along an axis."""
        return tuple(self._wrapped(t) for t in self._torch.chunk(chunks, axis))

    def repeat(self, repeats: Any, axis: Any = None) -> Any:
        """Each element so many times, as NumPy's repeat."""
        return self._wrapped(torch.repeat_interleave(self._torch, repeats, axis))

    def fill(self, value: Any) -> Any:
        """A tensor of this shape, all of one value."""
        return self._wrapped(torch.full_like(self._torch, value))

    def argsort(self, axis: Any = -1, descending: Any = False) -> Any:
        """Where the sorted elements stand."""
        return self._wrapped(torch.argsort(self._torch, stable=True, dim=axis, descending=descending))

    def sort(self, axis: Any = -1, descending: Any = False) -> Any:
        """The sorted elements, and where they stand."""
        found = torch.sort(self._torch, stable=True, dim=axis, descending=descending)
        return self._wrapped(found.values), self._wrapped(found.indices)

    def new_zeros(self, shape: Any, dtype: Any = None) -> Any:
        """Zeros of this type."""
        return self._wrapped(self._torch.new_zeros(shape, dtype=dtype and mstype.of(dtype).torch))

    def new_ones(self, shape: Any, dtype: Any = None) -> Any:
        """Ones of this type."""
        return self._wrapped(self._torch.new_ones(shape, dtype=dtype and mstype.of(dtype).torch))

    def _wrapped(self, data: torch.Tensor) -> Any:
        from evergraph.mindspore.common.tensor import wrap

        return wrap(data)

    def _extreme(self, name: str, axis: Any, keepdims: Any, return_indices: Any) -> Any:
        if axis is None:
            return self._wrapped(getattr(self._torch, name)())
        if return_indices:
            found = getattr(self._torch, name)(axis, keepdim=bool(keepdims))
            return self._wrapped(found.values), self._wrapped(found.indices)
        return self._wrapped(getattr(self._torch, "a" + name)(axis, keepdim=bool(keepdims)))


def _equipped() -> None:
    for name in _SAME.split():
        setattr(Methods, name, _call(name))
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
