"""Convolution and its transpose, in one to three space dimensions."""

from collections.abc import Callable, Sequence
from typing import Any, Literal

from evergraph.errors import ShapeError
from evergraph.ops.families.nn.windows import CHANNELS_LAST, check_rank, first, last, spread
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify, window_size
from evergraph.ops.schema import Params
from evergraph.ops.types import NonNegative, NonNegativeLong, PositiveUnsigned, Shape

__all__ = ["Convolution", "Deconvolution", "dilates_of", "prepared"]

_TUNE = Literal[None, "fastest", "limited_workspace", "off"]
_LAYOUT = Literal[None, "NCDHW", "NCHW", "NCW", "NDHWC", "NHWC"]
_PASSES = ("fwd", "bwd_data", "bwd_filter")
_HINTS = dict.fromkeys(
    (
        *("cudnn_algo_verbose", "cudnn_tensor_core", "cudnn_tensor_core_only"),
        *(f"cudnn_algo_{each}" for each in _PASSES),
        *("cudnn_algo_fwd_prec", "cudnn_algo_bwd_prec"),
    ),
    "a hint to cuDNN in NVIDIA's builds",
)


def convolved_size(p: Any, space: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """The space axes of a convolution's output, from those of its data."""
    rank = len(p.kernel)
    each = zip(
        space, p.kernel, spread(p.stride, rank, 1), spread(p.pad, rank, 0), spread(p.dilate, rank, 1), strict=True
    )
    found = tuple(None if d is None else window_size(d, k, s, q, e) for d, k, s, q, e in each)
    if any(d is not None and d <= 0 for d in found):
        raise ShapeError("the kernel exceeds the data", expected=f"space for a kernel {p.kernel}", found=space)
    return found


def _framed(p: Any, batch: int | None, channels: int, sizes: tuple[int | None, ...]) -> Dims:
    return (batch, *sizes, channels) if p.layout in CHANNELS_LAST else (batch, channels, *sizes)


def _space(p: Any, shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    return shape[1:-1] if p.layout in CHANNELS_LAST else shape[2:]


def _convolved(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data = ins[0]
    if data is None:
        return ins, outs
    check_rank("Convolution", len(data), len(p.kernel))
    found = _framed(p, data[0], p.num_filter, convolved_size(p, _space(p, data)))
    out = unify(outs[0], found, "output of Convolution")
    ins[0] = (out[0] if out else None, *data[1:])
    return ins, [out]


def convolved_weights(p: Any, data: Any) -> dict[str, Any]:
    """Shapes of a convolution's weight and bias."""
    channels = data[-1] if p.layout in CHANNELS_LAST else data[1]
    inside = None if channels is None else channels // p.num_group
    weight = (p.num_filter, *p.kernel, inside) if p.layout in CHANNELS_LAST else (p.num_filter, inside, *p.kernel)
    return {"weight": weight, "bias": (p.num_filter,)}


def convolve(
    data: Any,
    weight: Any,
    bias: Any,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    dilate: tuple[int, ...],
    pad: tuple[int, ...],
    groups: int,
    layout: str | None = None,
) -> Any:
    """Cross-correlation with MXNet's parameters, empty ones meaning their defaults."""
    rank = len(kernel)
    steps, pads, dilates = spread(stride, rank, 1), spread(pad, rank, 0), dilates_of(kernel, dilate)
    data, weight = first(data, layout), first(weight, layout)
    if _skips_pixels(kernel, steps, pads) and _overruns(data):
        data, steps = data[(..., *(slice(None, None, s) for s in steps))], (1,) * rank
    return last(torch.convolution(data, weight, bias, steps, pads, dilates, False, (0,) * rank, groups), layout)


def prepared(p: Any) -> Callable[..., Any] | None:
    """The convolution of (data, weight, bias) for these parameters, worked out; None where more is to be looked at."""
    rank, groups = len(p.kernel), p.num_group
    steps, pads, dilates = spread(p.stride, rank, 1), spread(p.pad, rank, 0), dilates_of(p.kernel, p.dilate)
    if p.layout in CHANNELS_LAST or _skips_pixels(p.kernel, steps, pads):
        return None
    compute, none = torch.convolution, (0,) * rank
    return lambda data, weight, bias=None: compute(data, weight, bias, steps, pads, dilates, False, none, groups)


def dilates_of(kernel: tuple[int, ...], dilate: tuple[int, ...]) -> tuple[int, ...]:
    """The distance between the pixels of a kernel along each axis, 1 where it has one pixel only.

    Images channels last, one pixel wide, under a kernel dilated along an axis on which it has one pixel: PyTorch 2.13
    with oneDNN ends there by a segmentation fault.
    """
    return tuple(1 if k == 1 else d for k, d in zip(kernel, spread(dilate, len(kernel), 1), strict=True))


def _skips_pixels(kernel: tuple[int, ...], steps: Sequence[int], pads: Sequence[int]) -> bool:
    return set(kernel) == {1} and max(steps) > 1 and not any(pads)


def _overruns(data: Any) -> bool:
    """Whether oneDNN's gradient of a strided 1x1 kernel writes past its memory, as PyTorch 2.13's does on AVX2.

    It does where channels stand last and fill no whole vectors; "double free or corruption" follows later on.
    """
    return data.stride(1) == 1 and data.shape[1] % 16 != 0


@operator(aliases=("_npx_convolution",), shape=_convolved, optional={"bias": lambda p: not p.no_bias}, retired=_HINTS)
def Convolution(
    data,
    weight,
    bias=None,
    *,
    kernel: Shape,
    stride: Shape = (),
    dilate: Shape = (),
    pad: Shape = (),
    num_filter: PositiveUnsigned,
    num_group: NonNegative = 1,
    workspace: NonNegativeLong = 1024,
    no_bias: bool = False,
    cudnn_tune: _TUNE = None,
    cudnn_off: bool = False,
    layout: _LAYOUT = None,
):
    """Cross-correlation of data (n, c, *space) with weight (num_filter, c / num_group, *kernel), plus bias.

    With a layout that ends in C, data is (n, *space, c) and weight (num_filter, *kernel, c / num_group).
    """
    return convolve(data, weight, bias, kernel, stride, dilate, pad, num_group, layout)


@Convolution.quickened
def _convolve_quickly(p: Any, recorded: bool, data: Any, weight: Any, bias: Any = None) -> Any:
    if data.dim() != len(p.kernel) + 2 or prepared(p) is None:
        return None
    rank = len(p.kernel)
    compute, groups, none = torch.convolution, p.num_group, (0,) * rank
    steps, pads, dilates = spread(p.stride, rank, 1), spread(p.pad, rank, 0), dilates_of(p.kernel, p.dilate)
    filters, window, usual = p.num_filter, tuple(p.kernel), weight.shape

    def convolution(x: Any, w: Any, b: Any = None) -> Any:
        found = w.shape
        if found != usual and (found[0] != filters or tuple(found[2:]) != window):
            raise ValueError  # said better by the long way
        return compute(x, w, b, steps, pads, dilates, False, none, groups)

    return convolution


@operator(shape=_convolved, optional={"bias": lambda p: not p.no_bias})
def Convolution_v1(
    data,
    weight,
    bias=None,
    *,
    kernel: Shape,
    stride: Shape = (),
    dilate: Shape = (),
    pad: Shape = (),
    num_filter: PositiveUnsigned,
    num_group: NonNegative = 1,
    workspace: NonNegativeLong = 1024,
    no_bias: bool = False,
    cudnn_tune: _TUNE = None,
    cudnn_off: bool = False,
    layout: Literal[None, "NCDHW", "NCHW", "NDHWC", "NHWC"] = None,
):
    """Convolution under the name that the first implementation kept."""
    return convolve(data, weight, bias, kernel, stride, dilate, pad, num_group, layout)


Convolution.parameter_shapes(convolved_weights)
Convolution_v1.parameter_shapes(convolved_weights)


def _steps(p: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return spread(p.stride, len(p.kernel), 1), spread(p.dilate, len(p.kernel), 1)


def _reach(kernel: int, dilate: int) -> int:
    return dilate * (kernel - 1) + 1


def _borders(p: Any, space: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What is cut from each side of every space axis (pad), and how much less from its end (adj)."""
    rank = len(p.kernel)
    stride, dilate = _steps(p)
    if not any(p.target_shape or ()):
        return spread(p.pad, rank, 0), _below(spread(p.adj, rank, 0), stride)
    whole = tuple((d - 1) * s + _reach(k, e) for d, s, k, e in zip(space, stride, p.kernel, dilate, strict=True))
    excess = tuple(w - t for w, t in zip(whole, p.target_shape, strict=True))
    if min(excess) < 0:
        raise ShapeError(
            "target_shape of Deconvolution is too large", expected=f"at most {whole}", found=p.target_shape
        )
    return tuple((e + 1) // 2 for e in excess), _below(tuple(e % 2 for e in excess), stride)


def _below(adj: tuple[int, ...], stride: tuple[int, ...]) -> tuple[int, ...]:
    if any(a >= s for a, s in zip(adj, stride, strict=True)):
        raise ShapeError("adj of Deconvolution is too large", expected=f"less than the stride {stride}", found=adj)
    return adj


def _spread_out(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data, rank = ins[0], len(p.kernel)
    if data is None:
        return ins, outs
    check_rank("Deconvolution", len(data), rank)
    sizes: tuple[int | None, ...] = tuple(p.target_shape or ())
    if not any(sizes):
        each = zip(_space(p, data), p.kernel, *_steps(p), spread(p.pad, rank, 0), spread(p.adj, rank, 0), strict=True)
        sizes = tuple(None if d is None else (d - 1) * s + _reach(k, e) - 2 * q + a for d, k, s, e, q, a in each)
        if any(d is not None and d <= 0 for d in sizes):
            raise ShapeError("the padding exceeds the output of Deconvolution", expected="sizes above 0", found=sizes)
    out = unify(outs[0], _framed(p, data[0], p.num_filter, sizes), "output of Deconvolution")
    ins[0] = (out[0] if out else None, *data[1:])
    return ins, [out]


@operator(
    aliases=("_npx_deconvolution",), shape=_spread_out, optional={"bias": lambda p: not p.no_bias}, retired=_HINTS
)
def Deconvolution(
    data,
    weight,
    bias=None,
    *,
    kernel: Shape,
    stride: Shape = (),
    dilate: Shape = (),
    pad: Shape = (),
    adj: Shape = (),
    target_shape: Shape = (),
    num_filter: PositiveUnsigned,
    num_group: NonNegative = 1,
    workspace: NonNegativeLong = 512,
    no_bias: bool = True,
    cudnn_tune: _TUNE = None,
    cudnn_off: bool = False,
    layout: _LAYOUT = None,
):
    """The transpose of a convolution: data (n, c, *space), weight (c, num_filter / num_group, *kernel), plus bias.

    Each space axis becomes stride * (size - 1) + dilate * (kernel - 1) + 1 - 2 * pad + adj; target_shape, where it is
    given, decides pad and adj. There is no bias unless no_bias is False.
    """
    rank = len(kernel)
    p = Params(kernel=kernel, stride=stride, dilate=dilate, pad=pad, adj=adj, target_shape=target_shape)
    data, weight = _channels_first(first(data, layout)), _channels_first(first(weight, layout))
    pads, adj = _borders(p, data.shape[2:])
    steps, dilates = spread(stride, rank, 1), dilates_of(kernel, dilate)
    return last(torch.convolution(data, weight, bias, steps, pads, dilates, True, adj, num_group), layout)


def _channels_first(x: Any) -> Any:
    """A tensor whose channels do not stand last in memory.

    PyTorch 2.13 with oneDNN on AVX2 otherwise writes past the memory of a transposed convolution's gradients.
    """
    # `to`, for `contiguous` leaves one channel as it is
    return x.to(memory_format=torch.contiguous_format).contiguous()


@Deconvolution.parameter_shapes
def _deconvolved_weights(p: Any, data: Any) -> dict[str, Any]:
    inside = p.num_filter // p.num_group
    channels = data[-1] if p.layout in CHANNELS_LAST else data[1]
    weight = (channels, *p.kernel, inside) if p.layout in CHANNELS_LAST else (channels, inside, *p.kernel)
    return {"weight": weight, "bias": (p.num_filter,)}
