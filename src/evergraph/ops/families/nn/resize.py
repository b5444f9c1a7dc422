"""Enlarging and shrinking images."""

from typing import Any, Literal

from evergraph.errors import ShapeError
from evergraph.ops.lazy import F, torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify
from evergraph.ops.schema import Params
from evergraph.ops.types import NonNegativeLong, Positive

__all__ = ["BilinearResize2D", "UpSampling"]


def _weight_shape(p: Any) -> tuple[int, ...]:
    side = 2 * p.scale - p.scale % 2
    return (p.num_filter, 1, side, side)


def _enlarged(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if p.sample_type == "bilinear":
        ins[1] = unify(ins[1], _weight_shape(p), "weight of UpSampling")
    if ins[0] is None:
        return ins, outs
    n, c, *space = ins[0]
    if p.sample_type == "nearest" and p.multi_input_mode == "concat":
        channels = [None if s is None else s[1] for s in ins]
        c = None if None in channels else sum(d for d in channels if d is not None)
    found = (n, c, *[None if d is None else d * p.scale for d in space])
    return ins, [unify(outs[0], found, "output of UpSampling")]


def _bilinear(data: Any, weight: Any, scale: int) -> Any:
    pad = scale // 2
    channels = data.shape[1]
    side = 2 * scale - scale % 2
    left = data.shape[2] * scale - ((data.shape[2] - 1) * scale + side - 2 * pad)
    return F.conv_transpose2d(data, weight, None, scale, pad, left, channels)


@operator(
    shape=_enlarged,
    names=lambda p, _: ["data", "weight"] if p.sample_type == "bilinear" else None,
)
def UpSampling(
    *data,
    scale: Positive,
    num_filter: int = 0,
    sample_type: Literal["bilinear", "nearest"],
    multi_input_mode: Literal["concat", "sum"] = "concat",
    num_args: int,
    workspace: NonNegativeLong = 512,
):
    """Images (n, c, h, w) enlarged to `scale` times the first one's space.

    nearest repeats values; several inputs, each brought to the same space, are joined along channels or summed.
    bilinear takes data and a weight (num_filter, 1, k, k), k = 2 * scale - scale % 2: a transposed convolution for
    each channel, which is bilinear where the weight is.
    """
    if sample_type == "bilinear":
        return _bilinear(data[0], data[1], scale)
    size = [d * scale for d in data[0].shape[2:]]
    images = [F.interpolate(d, size, mode="nearest") for d in data]
    if len(images) == 1:
        return images[0]
    return torch.cat(images, 1) if multi_input_mode == "concat" else torch.stack(images).sum(0)


def _parity(size: int, even: bool, up: bool) -> int:
    return size if (size % 2 == 0) == even else size + 1 if up else size - 1


def _resized_axis(p: Any, size: int, length: int, scale: float | None) -> int:
    if p.mode == "odd_scale":
        return int(size * (scale or 0)) if size % 2 == 0 else int((size - 1) * (scale or 0)) + 1
    if p.mode == "size":
        return length if scale is None else int(size * scale)
    return _parity(size, "even" in p.mode, "up" in p.mode)


def _new_size(p: Any, data: Any, like: Any) -> tuple[int, int]:
    if p.mode == "like":
        return like[2], like[3]
    height = _resized_axis(p, data[2], p.height, p.scale_height)
    return height, _resized_axis(p, data[3], p.width, p.scale_width)


def _resized(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if any(s is None or None in s[2:] for s in ins):
        return ins, outs
    size = _new_size(p, ins[0], ins[1] if len(ins) > 1 else None)
    return ins, [unify(outs[0], (*(ins[0] or ())[:2], *size), "output of BilinearResize2D")]


_RESIZE_MODES = Literal["like", "odd_scale", "size", "to_even_down", "to_even_up", "to_odd_down", "to_odd_up"]


def _resized_types(_: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    data = next((kind for kind in (ins[0], outs[0], *ins[1:]) if kind is not None), None)
    # an array that gives its size alone may have another type, and where nothing says which, it has the data's
    return [data, *(i if i is not None else data for i in ins[1:])], [data] * len(outs)


@operator(
    "_contrib_BilinearResize2D", shape=_resized, dtype=_resized_types, optional={"like": lambda p: p.mode == "like"}
)
def BilinearResize2D(
    data,
    like=None,
    *,
    height: int = 1,
    width: int = 1,
    scale_height: float | None = None,
    scale_width: float | None = None,
    mode: _RESIZE_MODES = "size",
    align_corners: bool = True,
):
    """Data (n, c, h, w) resized bilinearly to height and width, or to the scales, or to the space of `like`.

    The modes to_even_down, to_even_up, to_odd_down and to_odd_up change each side by at most 1; odd_scale keeps the
    grid of an odd side.
    """
    p = Params(height=height, width=width, scale_height=scale_height, scale_width=scale_width, mode=mode)
    size = _new_size(p, data.shape, None if like is None else like.shape)
    if min(size) < 1:
        raise ShapeError("BilinearResize2D leaves nothing", expected="a side of at least 1", found=size)
    # a single row or column is the first one, where torch takes the middle
    data = data[:, :, :1] if size[0] == 1 else data
    data = data[:, :, :, :1] if size[1] == 1 else data
    return F.interpolate(data, size, mode="bilinear", align_corners=align_corners)
