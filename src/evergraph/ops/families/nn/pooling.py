"""Pooling over windows and over everything, in one to three space dimensions."""

import math
from typing import Any, Literal

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.families.nn.windows import CHANNELS_LAST, check_rank, first, last, spread
from evergraph.ops.gradients import with_gradient
from evergraph.ops.lazy import F, torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify, window_size
from evergraph.ops.types import Shape

__all__ = ["Pooling"]


def _pooled_size(convention: str, size: int, kernel: int, stride: int, pad: int) -> int:
    if convention == "same":
        return math.ceil((size + 2 * pad) / stride)
    if kernel > size + 2 * pad:
        raise ShapeError("the kernel of Pooling exceeds the data", expected=f"at most {size + 2 * pad}", found=kernel)
    return window_size(size, kernel, stride, pad, full=convention == "full")


def _pooled(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data = ins[0]
    if data is None:
        return ins, outs
    channels_last = p.get("layout") in CHANNELS_LAST
    space = data[1:-1] if channels_last else data[2:]
    if p.global_pool:
        sizes: tuple[int | None, ...] = (1,) * len(space)
    else:
        rank = len(p.kernel)
        check_rank("Pooling", len(data), rank)
        each = zip(space, p.kernel, spread(p.stride, rank, 1), spread(p.pad, rank, 0), strict=True)
        sizes = tuple(None if d is None else _pooled_size(p.pooling_convention, d, k, s, q) for d, k, s, q in each)
    found = (data[0], *sizes, data[-1]) if channels_last else (data[0], data[1], *sizes)
    out = unify(outs[0], found, "output of Pooling")
    return ins, [out] * len(outs)


def _over_all(data: Any, kind: str, p_value: int) -> Any:
    axes = tuple(range(2, data.ndim))
    if kind == "max":
        # not amax: its gradient goes to all maxima, here it goes to the first
        return (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)[len(axes) - 1](data, 1)
    if kind == "avg":
        return data.mean(axes, keepdim=True)
    if kind == "sum":
        return data.sum(axes, keepdim=True)
    found = _power(data, p_value).sum(axes, keepdim=True)
    return found if p_value == 1 else _root(found, p_value)


def _power(x: Any, p: int) -> Any:
    return x if p == 1 else x**p


def _root_gradient(saved: Any, grad: Any) -> tuple[Any, None]:
    (_, p), (out,) = saved.args, saved.outputs
    # a window of zeros has no gradient, where the derivative has none to offer
    return torch.where(out == 0, 0, grad / (p * out ** (p - 1))), None


@with_gradient(_root_gradient)
def _root(x: Any, p: int) -> Any:
    return torch.sqrt(x) if p == 2 else torch.sign(x) * torch.abs(x) ** (1 / 3)


def _excess(space: Any, kernel: Any, stride: Any, pad: Any, convention: str) -> tuple[tuple[int, ...], bool | None]:
    """How far the last windows reach beyond the padded data, for each space axis; and torch's ceil_mode.

    It is None where torch does not find the same windows by itself: it pads by at most half a kernel, drops windows
    that begin beyond the data when it rounds up, and in three dimensions wants a kernel within the data.
    """
    found, regular = [], convention != "same"
    for d, k, s, q in zip(space, kernel, stride, pad, strict=True):
        start = (_pooled_size(convention, d, k, s, q) - 1) * s
        regular = regular and 2 * q <= k and start < d + q and (k <= d or len(kernel) < 3)
        found.append(max(0, start + k - d - 2 * q))
    return tuple(found), convention == "full" if regular else None


def _padded(data: Any, pad: Any, excess: Any, value: float) -> Any:
    widths = [w for q, e in zip(reversed(pad), reversed(excess), strict=True) for w in (q, q + e)]
    return F.pad(data, widths, value=value) if any(widths) else data


def _max_windows(data: Any, kernel: Any, stride: Any, pad: Any, excess: Any, ceil: bool | None) -> Any:
    pool = (torch.max_pool1d, torch.max_pool2d, torch.max_pool3d)[len(kernel) - 1]
    if ceil is not None:
        return pool(data, kernel, stride, pad, 1, ceil)
    return pool(_padded(data, pad, excess, torch.finfo(data.dtype).min), kernel, stride)


def _sum_windows(data: Any, kernel: Any, stride: Any, pad: Any, excess: Any, ceil: bool | None) -> Any:
    # the average over whole windows times their size: other runtimes know no average with a divisor of its own
    if ceil is not False:
        data, pad = _padded(data, pad, excess, 0.0), (0,) * len(kernel)
    pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[len(kernel) - 1]
    x = _wide(data) if len(kernel) == 3 else data
    return pool(x, kernel, stride, pad).to(data.dtype) * math.prod(kernel)


def _wide(data: Any) -> Any:
    """In single precision where torch's average in three dimensions has no half one."""
    half = data.dtype in (torch.float16, torch.bfloat16) and data.device.type == "cpu"
    return data.float() if half else data


def _counts(size: int, kernel: int, stride: int, pad: int, number: int, include_pad: bool) -> list[float]:
    """How many positions each window along one axis is averaged over."""
    found = []
    for start in range(-pad, -pad + number * stride, stride):
        end = min(start + kernel, size + pad)
        inside = end - start if include_pad else min(end, size) - max(start, 0)
        # a window without a position gives 0, not 0 / 0
        found.append(float(max(inside, 1)))
    return found


def _avg_windows(
    data: Any, kernel: Any, stride: Any, pad: Any, excess: Any, ceil: bool | None, include_pad: bool
) -> Any:
    if ceil is not None:
        pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[len(kernel) - 1]
        x = _wide(data) if len(kernel) == 3 else data
        return pool(x, kernel, stride, pad, ceil, include_pad).to(data.dtype)
    out = _sum_windows(data, kernel, stride, pad, excess, None)
    for i, (d, k, s, q) in enumerate(zip(data.shape[2:], kernel, stride, pad, strict=True)):
        counts = torch.tensor(_counts(d, k, s, q, out.shape[i + 2], include_pad), dtype=data.dtype, device=data.device)
        out = out / counts.reshape([-1 if j == i else 1 for j in range(len(kernel))])
    return out


@operator(
    aliases=("_npx_pooling",),
    shape=_pooled,
    # 1.9.1 keeps a workspace for oneDNN's maximum
    outputs=lambda p: (
        ("output", "workspace") if p.pool_type == "max" and p.kernel and p.layout not in CHANNELS_LAST else 1
    ),
    visible=1,
)
def Pooling(
    data,
    *,
    kernel: Shape = (),
    pool_type: Literal["avg", "lp", "max", "sum"] = "max",
    global_pool: bool = False,
    cudnn_off: bool = False,
    pooling_convention: Literal["full", "same", "valid"] = "valid",
    stride: Shape = (),
    pad: Shape = (),
    p_value: int | None = None,
    count_include_pad: bool | None = None,
    layout: Literal[None, "NCDHW", "NCHW", "NCW", "NDHWC", "NHWC", "NWC"] = None,
):
    """The maximum, average, sum or p-norm of each window of data (n, c, *space), or of all space with global_pool.

    The number of windows is rounded down (valid) or up (full); same gives size / stride rounded up. An average counts
    padding unless count_include_pad is False. The gradient of a maximum goes to its first place.
    """
    data = first(data, layout)
    if pool_type == "lp" and p_value not in (1, 2, 3):
        raise OperatorError("Pooling cannot take this p_value", expected="1, 2 or 3", found=p_value)
    if global_pool:
        return last(_over_all(data, pool_type, p_value or 0), layout)
    rank = len(kernel)
    check_rank("Pooling", data.ndim, rank)
    steps, pads = spread(stride, rank, 1), spread(pad, rank, 0)
    excess, ceil = _excess(data.shape[2:], kernel, steps, pads, pooling_convention)
    if pool_type == "max":
        out = _max_windows(data, kernel, steps, pads, excess, ceil)
    elif pool_type == "avg":
        out = _avg_windows(data, kernel, steps, pads, excess, ceil, count_include_pad is not False)
    else:
        terms = data if pool_type == "sum" else _power(data, p_value or 0)
        out = _sum_windows(terms, kernel, steps, pads, excess, ceil)
        out = _root(out, p_value) if pool_type == "lp" and p_value != 1 else out
    return last(out, layout)


@Pooling.quickened
def _pool_quickly(p: Any, recorded: bool, data: Any) -> Any:
    rank = len(p.kernel)
    if p.layout in CHANNELS_LAST or data.dim() != 4 or p.pool_type not in ("max", "avg"):
        return None
    if p.global_pool:
        return (lambda x: x.mean((2, 3), True)) if p.pool_type == "avg" else None
    steps, pads = spread(p.stride, rank, 1), spread(p.pad, rank, 0)
    kernel, counted = p.kernel, p.count_include_pad is not False
    if rank != 2 or p.pooling_convention != "valid" or any(2 * q > k for q, k in zip(pads, kernel, strict=True)):
        return None
    if p.pool_type == "max":
        largest = torch.max_pool2d
        return lambda x: largest(x, kernel, steps, pads)
    average = F.avg_pool2d
    return lambda x: average(x, kernel, steps, pads, False, counted)


def _unfolded(x: Any, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Any:
    for axis, (k, s) in enumerate(zip(kernel, stride, strict=True), 2):
        x = x.unfold(axis, k, s)
    return x


def _all_maxima(saved: Any, grad: Any) -> tuple[Any, None, None]:
    (data, kernel, stride), (out,) = saved.args, saved.outputs
    with torch.enable_grad():
        leaf = data.detach().requires_grad_()
        windows = _unfolded(leaf, kernel, stride)
    shape = out.shape + (1,) * len(kernel)
    chosen = torch.where(windows == out.reshape(shape), grad.reshape(shape), torch.zeros((), dtype=grad.dtype))
    return torch.autograd.grad(windows, leaf, chosen)[0], None, None


@with_gradient(_all_maxima)
def _max_with_ties(data: Any, kernel: tuple[int, ...], stride: tuple[int, ...]) -> Any:
    return (torch.max_pool1d, torch.max_pool2d, torch.max_pool3d)[len(kernel) - 1](data, kernel, stride)


@operator(shape=_pooled)
def Pooling_v1(
    data,
    *,
    kernel: Shape = (),
    pool_type: Literal["avg", "max", "sum"] = "max",
    global_pool: bool = False,
    pooling_convention: Literal["full", "valid"] = "valid",
    stride: Shape = (),
    pad: Shape = (),
):
    """Pooling as it was before 0.9.5: padding is zeros, for a maximum too, whose gradient goes to every place of it,
    and an average is over the whole window.
    """
    if global_pool:
        kernel, stride, pad = tuple(data.shape[2:]), (), ()
    rank = len(kernel)
    check_rank("Pooling_v1", data.ndim, rank)
    steps, pads = spread(stride, rank, 1), spread(pad, rank, 0)
    excess, _ = _excess(data.shape[2:], kernel, steps, pads, pooling_convention)
    if pool_type == "max":
        padded = _padded(_padded(data, pads, (0,) * rank, 0.0), (0,) * rank, excess, -torch.inf)
        return _max_with_ties(padded, kernel, steps)
    out = _sum_windows(data, kernel, steps, pads, excess, None)
    return out / math.prod(kernel) if pool_type == "avg" else out


def _adaptive(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if ins[0] is None:
        return ins, outs
    size = tuple(p.output_size or (1,))
    return ins, [unify(outs[0], (*ins[0][:2], size[0], size[-1]), "output of AdaptiveAvgPooling2D")]


@operator("_contrib_AdaptiveAvgPooling2D", shape=_adaptive)
def AdaptiveAvgPooling2D(data, *, output_size: Shape = ()):
    """Averages of data (n, c, h, w) over output_size (h, w), or one number for both, windows that cover it evenly."""
    size = tuple(output_size or (1,))
    return F.adaptive_avg_pool2d(data, (size[0], size[-1]))
