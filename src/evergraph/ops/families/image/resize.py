"""Resizing images with OpenCV's interpolations, in its fixed-point arithmetic for bytes."""

import math
from typing import Any

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, mapped, unify
from evergraph.ops.types import Axes

__all__ = ["image_resize", "imresize", "resize"]

NEAREST, LINEAR, CUBIC, AREA, LANCZOS = range(5)
_AUTO, _RANDOM = 9, 10
_BITS = 11  # fraction of OpenCV's fixed-point weights
_ONE = 1 << _BITS


def resize(image: Any, height: int, width: int, interp: int = LINEAR) -> Any:
    """An image (H, W, C) or a batch (N, H, W, C) in another size, in its own type.

    Args:
        image: uint8 or floating.
        height: of the result.
        width: of the result.
        interp: 0 nearest, 1 bilinear, 2 bicubic, 3 area, 4 Lanczos (8 x 8); 9 the fitting one: area to shrink,
            bicubic to enlarge, bilinear otherwise; 10 one of the first five at random.

    Raises:
        OperatorError: another interpolation.

    >>> import torch
    >>> resize(torch.tensor([[[0], [100]]], dtype=torch.uint8), 1, 4).flatten().tolist()
    [0, 25, 75, 100]
    """
    tall, wide = image.shape[-3:-1]
    method = _method(interp, (tall, wide), (height, width))
    if (tall, wide) == (height, width):
        return image.clone()
    if not image.dtype.is_floating_point and image.dtype is not torch.uint8:
        raise OperatorError("images are resized in bytes or floating types", found=str(image.dtype))
    half = image.dtype in (torch.float16, torch.bfloat16)
    found = _resized(image.float() if half else image, height, width, method)
    return found.to(image.dtype)


def _method(interp: int, before: tuple[int, int], after: tuple[int, int]) -> int:
    if interp == _AUTO:
        larger, smaller = (all(a > b for a, b in zip(x, y, strict=True)) for x, y in ((after, before), (before, after)))
        return CUBIC if larger else AREA if smaller else LINEAR
    if interp == _RANDOM:
        return int(torch.randint(0, 5, ()))
    if interp not in range(5):
        raise OperatorError("no such interpolation", expected="0 to 4, 9 or 10", found=interp)
    return interp


def _resized(image: Any, height: int, width: int, method: int) -> Any:
    tall, wide = image.shape[-3:-1]
    device = image.device
    if method == NEAREST:
        rows, columns = (_nearest(a, b, device) for a, b in ((tall, height), (wide, width)))
        return image.index_select(-3, rows).index_select(-2, columns)
    if method == LINEAR and tall == 2 * height and wide == 2 * width:
        method = AREA  # as OpenCV does: both average four pixels
    if method == AREA and height <= tall and width <= wide:
        return _averaged(image, height, width)
    stretched = method == AREA
    method = LINEAR if stretched else method
    columns, across = _taps(wide, width, method, stretched, device, True)
    rows, down = _taps(tall, height, method, stretched, device, False)
    if image.dtype is torch.uint8:
        return _fixed_point(image, (columns, across), (rows, down), method)
    across, down = across.to(image.dtype), down.to(image.dtype)
    return _weighted(_weighted(image, columns, across, -2), rows, down, -3)


def _nearest(before: int, after: int, device: Any) -> Any:
    step = 1.0 / (after / before)
    places = torch.arange(after, dtype=torch.float64, device=device) * step
    return places.floor().long().clamp(max=before - 1)


def _taps(before: int, after: int, method: int, stretched: bool, device: Any, is_width: bool) -> tuple[Any, Any]:
    """Positions and float32 weights (after, taps) of the pixels that make up each new one along an axis."""
    inverse = after / before
    step = 1.0 / inverse
    number = torch.arange(after, dtype=torch.float64, device=device)
    if stretched:
        first = (number * step).floor()
        part = ((number + 1) - (first + 1) * inverse).float()
        part = torch.where(part <= 0, 0.0, part - part.floor())
    else:
        place = ((number + 0.5) * step - 0.5).float()
        first = place.floor()
        part = place - first
    first = first.long()
    if method == LINEAR and is_width:
        outside = (first < 0) | (first >= before - 1)
        part = part.masked_fill(outside, 0)
        first = first.clamp(0, before - 1)
    weight = {LINEAR: _linear, CUBIC: _cubic, LANCZOS: _lanczos}[method](part)
    count = weight.shape[1]
    index = first.unsqueeze(1) + torch.arange(1 - count // 2, 1 + count // 2, device=device)
    return index.clamp(0, before - 1), weight


def _linear(part: Any) -> Any:
    return torch.stack((1 - part, part), 1)


def _cubic(x: Any) -> Any:
    a = -0.75
    first = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a
    second = ((a + 2) * x - (a + 3)) * x * x + 1
    third = ((a + 2) * (1 - x) - (a + 3)) * (1 - x) * (1 - x) + 1
    return torch.stack((first, second, third, 1 - first - second - third), 1)


def _lanczos(part: Any) -> Any:
    x = part.double().unsqueeze(1) + torch.arange(3, -5, -1, dtype=torch.float64, device=part.device)
    weight = torch.sinc(x) * torch.sinc(x / 4)
    exact = (part < torch.finfo(torch.float32).eps).unsqueeze(1)
    weight = torch.where(exact, (x.round() == 0).double(), weight)
    return (weight / weight.sum(1, keepdim=True)).float()


def _weighted(image: Any, index: Any, weight: Any, axis: int) -> Any:
    """Weighted sums along the axis -3 or -2 of (..., H, W, C), in the weights' type."""
    shape = (-1, *(1,) * (-axis - 1))
    total = image.index_select(axis, index[:, 0]).to(weight.dtype) * weight[:, 0].view(shape)
    for k in range(1, index.shape[1]):
        # not addcmul: it rounds once where OpenCV rounds twice
        total += image.index_select(axis, index[:, k]).to(weight.dtype) * weight[:, k].view(shape)
    return total


def _fixed_point(image: Any, across: tuple[Any, Any], down: tuple[Any, Any], method: int) -> Any:
    """Interpolated bytes, by integer weights of 11 bits along the rows, then along the columns."""
    weights = [torch.round(w * _ONE).clamp(-(1 << 15), (1 << 15) - 1).int() for _, w in (across, down)]
    used, places = torch.unique(down[0], return_inverse=True)  # shrinking reads few of the rows
    rows = _weighted(image.index_select(-3, used), across[0], weights[0], -2)
    if method == LINEAR:
        # each product loses its low bits before the two are added
        above, below = (rows.index_select(-3, places[:, k]) >> 4 for k in (0, 1))
        one, two = (weights[1][:, k].view(-1, 1, 1) for k in (0, 1))
        return ((((above * one) >> 16) + ((below * two) >> 16) + 2) >> 2).to(torch.uint8)
    total = _weighted(rows, places, weights[1].long(), -3)
    found = (total + (1 << (2 * _BITS - 1))) >> (2 * _BITS)
    if method == CUBIC:
        # OpenCV's vector code, all but the end of a row, adds in float32 and rounds halves to even
        near = _weighted(rows, places, weights[1].float() * (1.0 / (1 << (2 * _BITS))), -3).round().long()
        end = rows.shape[-2] * rows.shape[-1] // 8 * 8
        found = torch.cat((near.flatten(-2)[..., :end], found.flatten(-2)[..., end:]), -1).view(found.shape)
    return found.clamp(0, 255).to(torch.uint8)


def _averaged(image: Any, height: int, width: int) -> Any:
    """Means of the areas that shrink to one pixel."""
    tall, wide = image.shape[-3:-1]
    is_bytes = image.dtype is torch.uint8
    if tall % height == 0 and wide % width == 0:
        a, b = tall // height, wide // width
        blocks = image.reshape(*image.shape[:-3], height, a, width, b, image.shape[-1])
        if is_bytes and (a, b) == (2, 2):
            return ((blocks.int().sum((-4, -2)) + 2) >> 2).to(torch.uint8)
        blocks = blocks.int() if is_bytes else blocks
        found = blocks.sum((-4, -2)) * (1.0 / (a * b))
    else:
        found = image.to(torch.float32) if is_bytes else image
        for axis, before, after in ((-2, wide, width), (-3, tall, height)):
            index, share = _shares(before, after, image.device)
            found = _weighted(found, index, share.to(found.dtype), axis)
    return torch.round(found).clamp(0, 255).to(torch.uint8) if is_bytes else found


def _shares(before: int, after: int, device: Any) -> tuple[Any, Any]:
    """Positions and shares (after, taps) of the old pixels that lie in each new one."""
    step = 1.0 / (after / before)
    start = torch.arange(after, dtype=torch.float64, device=device).unsqueeze(1) * step
    pixel = start.floor() + torch.arange(math.ceil(step) + 1, dtype=torch.float64, device=device)
    share = torch.minimum(start + step, pixel + 1) - torch.maximum(start, pixel)
    share = torch.where((share > 1e-3) & (pixel < before), share, 0.0)
    return pixel.long().clamp(max=before - 1), share / (before - start).clamp(max=step)


def _sized(p: Any, shape: Any) -> Dims:
    if len(shape) not in (3, 4):
        raise ShapeError("an image has three axes, a batch of them four", expected="(H, W, C)", found=shape)
    height, width = shape[-3:-1]
    if len(p.size) not in (1, 2) or any(s is None or s <= 0 for s in p.size):
        raise OperatorError("the new size is one number, or a width and a height", found=p.size)
    if len(p.size) == 2 or not p.keep_ratio:
        return (*shape[:-3], p.size[-1], p.size[0], shape[-1])
    if height is None or width is None:
        return (*shape[:-3], None, None, shape[-1])
    side = p.size[0]
    new = (height * side // width, side) if height > width else (side, width * side // height)
    return (*shape[:-3], *new, shape[-1])


@operator("_image_resize", aliases=("_npx__image_resize",), shape=mapped(_sized))
def image_resize(data, *, size: Axes = (), keep_ratio: bool = False, interp: int = 1):
    """Images data (H, W, C) or (N, H, W, C) in another size: (width, height), or one number for both sides.

    With keep_ratio one number is the shorter side. interp: 0 nearest, 1 bilinear, 2 bicubic, 3 area, 4 Lanczos, 9 the
    fitting one, 10 any. Bytes are computed in OpenCV's fixed-point arithmetic.
    """
    from evergraph.ops.schema import Params

    shape = _sized(Params(size=size, keep_ratio=keep_ratio), tuple(data.shape))
    assert shape is not None  # noqa: S101 - the sizes of a tensor are known
    return resize(data, shape[-3] or 0, shape[-2] or 0, interp)


def _given(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    src = ins[0]
    return ins, outs if src is None else [unify(outs[0], (p.h, p.w, src[-1]))]


@operator("_cvimresize", aliases=("_npi_cvimresize",), shape=_given, description={"src": "NDArray"})
def imresize(src, *, w: int, h: int, interp: int = 1):
    """An image src (H, W, C) in another size (h, w, C); interp as in _image_resize."""
    return resize(src, h, w, interp)
