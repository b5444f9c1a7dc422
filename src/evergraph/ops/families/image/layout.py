"""Images for networks: channels first, normalised, cropped, turned over, with a border."""

from typing import Any

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.gradients import with_gradient
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, elementwise, fixed_dtype, mapped, unify
from evergraph.ops.run import Run
from evergraph.ops.types import Double, Doubles, Floats

__all__ = ["checked_image", "crop", "normalize", "straight", "to_tensor"]


def checked_image(_: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    """The shape rule of what changes one image: (H, W, C) with 1 or 3 channels, as it was."""
    shape = unify(ins[0], outs[0])
    if shape is not None and (len(shape) != 3 or shape[2] not in (1, 3, None)):
        raise ShapeError("an image is (height, width, channels) with 1 or 3 channels", found=shape)
    return [shape], [shape]


@with_gradient(lambda _, grad: (None, grad))
def straight(changed: Any, data: Any) -> Any:
    """`changed`, whose gradient goes to `data` as it is: so MXNet treats every change of an image's colours."""
    return changed.clone() if changed is data else changed


def _channels_first(_: Any, shape: Any) -> Dims:
    if len(shape) not in (3, 4):
        raise ShapeError("an image has three axes, a batch of them four", expected="(H, W, C)", found=shape)
    return (*shape[:-3], shape[-1], shape[-3], shape[-2])


def _channels_last(_: Any, shape: Any) -> Dims:
    return (*shape[:-3], shape[-2], shape[-1], shape[-3]) if len(shape) in (3, 4) else None


@operator(
    "_image_to_tensor",
    aliases=("_npx__image_to_tensor",),
    shape=mapped(_channels_first, _channels_last),
    dtype=fixed_dtype("float32"),
)
def to_tensor(data):
    """Images (H, W, C) or (N, H, W, C) of 0 to 255 as float32 (C, H, W) or (N, C, H, W) of 0 to 1."""
    return (data.detach().movedim(-1, -3).to(torch.float32) / 255).contiguous()


def _normalized(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    shape = unify(ins[0], outs[0])
    if shape is not None:
        if len(shape) not in (3, 4) or shape[-3] not in (1, 3, None):
            raise ShapeError("normalize takes (C, H, W) or (N, C, H, W) with 1 or 3 channels", found=shape)
        for name in ("mean", "std"):
            if shape[-3] is not None and len(p[name]) not in (1, shape[-3], 4):
                raise ShapeError(f"{name} of normalize has to have a value for each channel, or one", found=p[name])
    return [shape], [shape]


@operator("_image_normalize", aliases=("_npx__image_normalize",), shape=_normalized)
def normalize(data, *, mean: Floats = (0.0, 0.0, 0.0, 0.0), std: Floats = (1.0, 1.0, 1.0, 1.0)):
    """(data - mean) / std for (C, H, W) or (N, C, H, W), with a mean and a deviation for each channel, or one."""
    channels = data.shape[-3]

    def each(values: tuple[float, ...]) -> Any:
        found = data.new_tensor(values[:channels] if len(values) > 1 else values)
        return found.view(-1, 1, 1)

    return (data - each(mean)) / each(std)


def _cropped(p: Any, shape: Any) -> Dims:
    if len(shape) not in (3, 4):
        raise ShapeError("an image has three axes, a batch of them four", expected="(H, W, C)", found=shape)
    high, wide = shape[-3:-1]
    if p.x < 0 or p.y < 0 or p.width <= 0 or p.height <= 0:
        raise OperatorError("a crop starts inside the image and has a size", found=dict(p))
    if (wide is not None and p.x + p.width > wide) or (high is not None and p.y + p.height > high):
        raise ShapeError(
            "the crop reaches out of the image", expected=f"at most {wide} wide and {high} high", found=dict(p)
        )
    return (*shape[:-3], p.height, p.width, shape[-1])


@operator("_image_crop", aliases=("_npx__image_crop",), shape=mapped(_cropped))
def crop(data, *, x: int, y: int, width: int, height: int):
    """The part of images (H, W, C) or (N, H, W, C) that begins at column x and row y."""
    if y + height > data.shape[-3] or x + width > data.shape[-2]:
        raise ShapeError("the crop reaches out of the image", found=tuple(data.shape))
    return data[..., y : y + height, x : x + width, :].contiguous()


def _flips(name: str, axis: int, where: str) -> None:
    def flip(data: Any) -> Any:
        return straight(data.detach().flip(axis), data)

    def maybe(data: Any, *, run: Run) -> Any:
        coin = torch.rand((), generator=run.generator(data.device), device=data.device) < 0.5
        return straight(torch.where(coin, data.detach(), data.detach().flip(axis)), data)

    tail = "As in MXNet the gradient passes as it is."
    flip.__doc__ = f"Images (H, W, C) turned over, {where}. {tail}"
    maybe.__doc__ = f"Images (H, W, C) turned over, {where}, or as they are, with even chances. {tail}"
    for body, full in ((flip, f"_image_flip_{name}"), (maybe, f"_image_random_flip_{name}")):
        operator(full, aliases=(f"_npx_{full}",), shape=elementwise)(body)


_flips("left_right", -2, "left to right")
_flips("top_bottom", -3, "top to bottom")


def _bordered(p: Any, shape: Any) -> Dims:
    if len(shape) != 3:
        raise ShapeError("a border goes around one image", expected="(H, W, C)", found=shape)
    high, wide, channels = shape
    return (
        None if high is None else high + p.top + p.bot,
        None if wide is None else wide + p.left + p.right,
        channels,
    )


@operator("_cvcopyMakeBorder", shape=mapped(_bordered), description={"src": "NDArray"})
def copy_make_border(
    src, *, top: int, bot: int, left: int, right: int, type: int = 0, value: Double = 0.0, values: Doubles = ()
):
    """An image src (H, W, C) with a border.

    type: 0 filled with value, or with values, one for each channel; 1 the edge repeated; 2 mirrored with the edge,
    3 wrapped around, 4 mirrored without the edge.
    """
    if min(top, bot, left, right) < 0 or type not in range(5):
        raise OperatorError("a border has sizes from 0 and a type from 0 to 4", found=f"type {type}")
    high, wide, channels = src.shape
    if type == 0:
        fill = (*values[:channels], *(0.0,) * (channels - len(values))) if values else (value,) * channels
        out = src.new_empty(high + top + bot, wide + left + right, channels)
        color = torch.tensor(fill, dtype=torch.float64, device=src.device)
        if not src.dtype.is_floating_point:
            limits = torch.iinfo(src.dtype)
            color = color.round().clamp(limits.min, limits.max)
        out[:] = color.to(src.dtype)
        out[top : top + high, left : left + wide] = src
        return out
    rows = _outside(torch.arange(-top, high + bot, device=src.device), high, type)
    columns = _outside(torch.arange(-left, wide + right, device=src.device), wide, type)
    return src.index_select(0, rows).index_select(1, columns)


def _outside(place: Any, size: int, type: int) -> Any:
    """Which pixel stands for a place that may lie outside of 0 to size - 1."""
    if type == 1:
        return place.clamp(0, size - 1)
    if type == 3:
        return place % size
    period = 2 * size if type == 2 else max(2 * size - 2, 1)
    folded = place % period
    return torch.where(folded < size, folded, period - folded - (1 if type == 2 else 0))
