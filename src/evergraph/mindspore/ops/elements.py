"""`ops` as functions, where torch's operators do the work: element by element, and products of matrices."""

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
    "y": "other",
    "logits": "input",
    "min_value": "min",
    "max_value": "max",
    "min_val": "min",
    "thr": "threshold",
}

_ELEMENTS = """abs acos acosh asin asinh atan atan2 atanh bitwise_and bitwise_not bitwise_or bitwise_xor ceil clamp clip
cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1 floor floor_divide fmod frac heaviside hypot isfinite isinf
isnan lerp lgamma log log10 log1p log2 logical_and logical_not logical_or logical_xor mul multiply
nan_to_num neg negative positive pow rad2deg reciprocal relu remainder round rsqrt sigmoid sign sin sinc sinh sqrt
square sub subtract tan tanh true_divide trunc where xlogy isclose add"""

_COMPARED = {
    "eq": "eq equal",
    "ne": "ne not_equal",
    "gt": "gt greater",
    "ge": "ge greater_equal",
    "lt": "lt less",
    "le": "le less_equal",
}
"""torch's name -> MindSpore's: its `equal` tells of each element, torch's of all at once."""

_PRODUCTS = """addbmm addmm addmv addr baddbmm bmm einsum inner inverse kron matmul mm mv outer ger det
cholesky diag_embed"""

_FUNCTIONAL = """celu elu glu hardshrink hardsigmoid hardswish layer_norm logsigmoid mish prelu relu6
selu silu softplus softshrink softsign tanhshrink threshold"""


def _named(run: Callable[..., Any], name: str, of: str | None = None) -> Callable[..., Any]:
    def function(*args: Any, **named: Any) -> Any:
        if named:
            named = {_RENAMED.get(k, k): unwrap(v) for k, v in named.items()}
        given = unwrap(args)
        if len(given) > 1 and type(given[0]) in (int, float, bool) and isinstance(given[1], torch.Tensor):
            first = torch.tensor(given[0], dtype=torch.result_type(given[1], given[0]))
            given = (first, *given[1:])  # torch takes numbers in the second place alone
        return wrap(run(*given, **named))

    function.__name__, function.__qualname__ = name, name
    function.__doc__ = f"As torch's `{of or name}`, with MindSpore's argument names."
    return function


for _name in f"{_ELEMENTS} {_PRODUCTS}".split():
    globals()[_name] = _named(getattr(torch, _name), _name)
for _of, _names in _COMPARED.items():
    for _name in _names.split():
        globals()[_name] = _named(getattr(torch, _of), _name, _of)
for _name in _FUNCTIONAL.split():
    globals()[_name] = _named(getattr(F, _name), _name)

floor_div = globals()["floor_divide"]
inv = globals()["reciprocal"]


def cast(input: Any, dtype: Any) -> Tensor:
    """The values in another element type."""
    return input.astype(dtype)


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Tensor:
    """Input / other; `rounding_mode` "floor" or "trunc" makes whole numbers."""
    return wrap(torch.div(unwrap(input), unwrap(other), rounding_mode=rounding_mode))


divide = div


def clip_by_value(x: Any, clip_value_min: Any = None, clip_value_max: Any = None) -> Any:
    """The values, at least `clip_value_min` and at most `clip_value_max`; several tensors in a tuple or list."""
    if isinstance(x, (tuple, list)):
        return type(x)(clip_by_value(one, clip_value_min, clip_value_max) for one in x)
    return wrap(torch.clamp(unwrap(x), unwrap(clip_value_min), unwrap(clip_value_max)))


def clip_by_norm(x: Any, max_norm: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False) -> Any:
    """Tensors scaled so that their norm together is at most `max_norm`."""
    many = isinstance(x, (tuple, list))
    parts = unwrap(list(x) if many else [x])
    whole = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(p, norm_type) for p in parts]), norm_type)
    if error_if_nonfinite and not torch.isfinite(whole):
        raise RuntimeError("the norm of the tensors is not finite")
    share = torch.clamp(unwrap(max_norm) / (whole + 1e-6), max=1.0)
    found = [wrap(p * share) for p in parts]
    return type(x)(found) if many else found[0]


def clip_by_global_norm(x: Any, clip_norm: float = 1.0, use_norm: None = None) -> Any:
    """Tensors scaled so that the norm of all of them together is at most `clip_norm`."""
    if use_norm is not None:  # as in MindSpore
        raise ValueError("use_norm is None: the norm is computed")
    parts = unwrap(list(x))
    whole = torch.stack([p.float().norm() for p in parts]).norm()
    share = clip_norm / torch.clamp(whole, min=clip_norm)
    return tuple(wrap((p * share).to(p.dtype)) for p in parts)


def tensor_dot(x1: Any, x2: Any, axes: Any) -> Tensor:
    """Sums of products over axes of both."""
    pair: Any = axes if isinstance(axes, int) else [[a] if isinstance(a, int) else list(a) for a in axes]
    return wrap(torch.tensordot(unwrap(x1), unwrap(x2), pair))


def dot(input: Any, other: Any) -> Tensor:
    """Sums of products over the last axis of one and the second last of the other, as NumPy's dot.

    >>> dot(Tensor([[1.0, 2.0]]), Tensor([[3.0], [4.0]]))
    Tensor(shape=[1, 1], dtype=Float32, value=
    [[ 1.10000000e+01]])
    """
    first, second = unwrap(input), unwrap(other)
    pair: Any = ([-1], [max(second.dim() - 2, 0)])
    return wrap(torch.tensordot(first, second, pair))


def addcmul(input: Any, tensor1: Any, tensor2: Any, value: Any = 1) -> Tensor:
    """Input + value * tensor1 * tensor2."""
    return wrap(unwrap(input) + unwrap(value) * unwrap(tensor1) * unwrap(tensor2))


def addcdiv(input: Any, tensor1: Any, tensor2: Any, value: Any = 1) -> Tensor:
    """Input + value * tensor1 / tensor2."""
    return wrap(unwrap(input) + unwrap(value) * (unwrap(tensor1) / unwrap(tensor2)))


def gelu(input: Any, approximate: str = "none") -> Tensor:
    """Input times the normal distribution's share below it; "tanh" approximates it."""
    return wrap(F.gelu(unwrap(input), approximate=approximate))


def leaky_relu(input: Any, alpha: float = 0.2) -> Tensor:
    """The positive values; the negative times `alpha`."""
    return wrap(F.leaky_relu(unwrap(input), alpha))


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """The values between two bounds."""
    return wrap(F.hardtanh(unwrap(input), min_val, max_val))


def fast_gelu(x: Any) -> Tensor:
    """Each x / (1 + exp(-1.702 x))."""
    data = unwrap(x)
    return wrap(data * torch.sigmoid(1.702 * data))


def softmax(input: Any, axis: Any = -1, *, dtype: Any = None) -> Tensor:
    """Shares of the exponentials along an axis."""
    axis = axis[0] if isinstance(axis, (tuple, list)) else axis
    return wrap(torch.softmax(unwrap(input), axis, dtype=None if dtype is None else mstype.of(dtype).torch))


def log_softmax(logits: Any, axis: int = -1) -> Tensor:
    """Logarithms of the shares of the exponentials along an axis."""
    return wrap(torch.log_softmax(unwrap(logits), axis))


def l2_normalize(x: Any, axis: Any = 0, epsilon: float = 1e-4) -> Tensor:
    """The values divided by their norm along an axis.

    >>> l2_normalize(Tensor([3.0, 4.0]))
    Tensor(shape=[2], dtype=Float32, value= [ 6.00000024e-01,  8.00000012e-01])
    """
    data = unwrap(x)
    return wrap(data * torch.rsqrt(torch.clamp((data * data).sum(axis, keepdim=True), min=epsilon)))


def assign(variable: Any, value: Any) -> Any:
    """Copy values into a Parameter."""
    variable._torch.data.copy_(unwrap(value))
    return variable


def assign_add(variable: Any, value: Any) -> Any:
    """Add to a Parameter's values."""
    variable._torch.data.add_(unwrap(value))
    return variable


def assign_sub(variable: Any, value: Any) -> Any:
    """Take from a Parameter's values."""
    variable._torch.data.sub_(unwrap(value))
    return variable


def depend(value: Any, *_: Any) -> Any:
    """The value: programs run in the order in which they are written."""
    return value


def print_(*input_x: Any) -> None:
    """Print each value on a line: a Tensor as its repr."""
    for value in input_x:
        print(repr(value) if isinstance(value, Tensor) else value)


def _greater(name: str) -> Any:
    run = getattr(torch, name)

    def function(input: Any, other: Any) -> Tensor:
        first, second = unwrap(input), unwrap(other)
        if not isinstance(first, torch.Tensor):
            first, second = second, first
        if not isinstance(second, torch.Tensor):
            wider = torch.result_type(first, second)
            second = torch.tensor(second, dtype=wider)
        return wrap(run(first, second))

    function.__name__, function.__qualname__ = name, name
    function.__doc__ = f"The {'larger' if name == 'maximum' else 'smaller'} of two elements; one may be a number."
    return function


maximum, minimum = _greater("maximum"), _greater("minimum")
