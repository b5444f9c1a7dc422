"""`ops` as functions: torch's operators under MindSpore's names and argument names."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from evergraph.mindspore.common import dtype as mstype
from evergraph.mindspore.common.tensor import Tensor, unwrap, wrap

_RENAMED = {
    "axis": "dim",
    "keep_dims": "keepdim",
    "keepdims": "keepdim",
    "input_x": "input",
    "x": "input",
    "min_value": "min",
    "max_value": "max",
}

_SAME = """abs acos acosh add all any argmax argmin asin asinh atan atan2 atanh baddbmm bmm ceil clamp clip concat
cos cosh cumprod cumsum diag diagonal dot einsum eq equal erf erfc exp eye flatten flip floor floor_divide full
full_like gather ge greater gt index_select inverse isfinite isinf isnan le less lerp linspace
log log1p log2 logical_and
logical_not logical_or logical_xor logsumexp lt masked_fill masked_select matmul maximum minimum
mm mul ne neg nonzero norm numel
ones_like outer pow prod reciprocal relu reshape roll round rsqrt sigmoid sign sin sinh sqrt square stack
std sub subtract sum tan tanh tile topk tril triu unbind unique var vstack where zeros_like"""

_FUNCTIONAL = """avg_pool2d batch_norm elu gelu layer_norm leaky_relu log_softmax max_pool2d
relu6 selu silu softmax softplus"""


def _named(run: Callable[..., Any], name: str) -> Callable[..., Any]:
    def function(*args: Any, **named: Any) -> Any:
        more = {_RENAMED.get(k, k): unwrap(v) for k, v in named.items()}
        return wrap(run(*map(unwrap, args), **more))

    function.__name__, function.__doc__ = name, f"As torch's `{name}`, with MindSpore's argument names."
    return function


for _name in _SAME.split():
    globals()[_name] = _named(getattr(torch, _name), _name)
for _name in _FUNCTIONAL.split():
    globals()[_name] = _named(getattr(F, _name), _name)


def cast(input: Any, dtype: Any) -> Tensor:
    """The values in another element type."""
    return input.astype(dtype)


def cat(tensors: Any, axis: int = 0) -> Tensor:
    """Tensors joined along an axis."""
    return wrap(torch.cat([t._torch for t in tensors], axis))


concat = cat


def expand_dims(input_x: Any, axis: int) -> Tensor:
    """One more dimension of size 1."""
    return wrap(input_x._torch.unsqueeze(axis))


unsqueeze = expand_dims


def squeeze(input: Any, axis: Any = None) -> Tensor:
    """Dimensions of size 1 away."""
    return wrap(input._torch.squeeze() if axis is None else input._torch.squeeze(axis))


def transpose(input: Any, input_perm: Any) -> Tensor:
    """The dimensions in another order."""
    return wrap(input._torch.permute(*input_perm))


permute = transpose


def mean(x: Any, axis: Any = None, keep_dims: bool = False) -> Tensor:
    """The mean over axes."""
    return x.mean(axis, keep_dims)


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """Input / other."""
    return wrap(torch.div(unwrap(input), unwrap(other), rounding_mode=rounding_mode))


def split(tensor: Any, split_size_or_sections: Any, axis: int = 0) -> Any:
    """Parts along an axis."""
    return wrap(tensor._torch.split(split_size_or_sections, axis))


def ones(shape: Any, dtype: Any = mstype.float32) -> Tensor:
    """Ones."""
    return wrap(torch.ones(shape, dtype=mstype.of(dtype).torch))


def zeros(shape: Any, dtype: Any = mstype.float32) -> Tensor:
    """Zeros."""
    return wrap(torch.zeros(shape, dtype=mstype.of(dtype).torch))


def arange(*bounds: Any, dtype: Any = None) -> Tensor:
    """Numbers in even steps."""
    return wrap(torch.arange(*bounds, dtype=dtype and mstype.of(dtype).torch))


def one_hot(indices: Any, depth: int, on_value: Any = 1, off_value: Any = 0, axis: int = -1) -> Tensor:
    """`on_value` where an index points along `axis`, else `off_value`."""
    found = F.one_hot(indices._torch.long(), depth)
    on, off = unwrap(on_value), unwrap(off_value)
    made = torch.where(found.bool(), on, off)
    return wrap(made if axis == -1 else made.movedim(-1, axis))


def dropout(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Zeros in a share of the elements, the rest divided by 1 - p."""
    return wrap(F.dropout(input._torch, p, training))


def broadcast_to(input: Any, shape: Any) -> Tensor:
    """Repeated to a shape, without a copy."""
    return wrap(input._torch.expand(*shape))


def cross_entropy(input: Any, target: Any, reduction: str = "mean") -> Tensor:
    """Cross entropy of logits and class indices."""
    wanted = target._torch
    return wrap(
        F.cross_entropy(input._torch, wanted if wanted.is_floating_point() else wanted.long(), reduction=reduction)
    )


def shape(input_x: Any) -> tuple[int, ...]:
    """The sizes of a tensor's dimensions."""
    return input_x.shape


def assign(variable: Any, value: Any) -> Any:
    """Copy values into a Parameter."""
    variable._torch.data.copy_(unwrap(value))
    return variable
