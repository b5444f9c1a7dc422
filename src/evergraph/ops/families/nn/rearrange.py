"""Layers that only move values: flattening, padding, cropping, blocks of space as depth and back."""

import math
from typing import Any, Literal

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.lazy import F
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, known, unify
from evergraph.ops.types import Double, Positive, Shape

__all__ = ["Crop", "Flatten", "Pad", "depth_to_space", "space_to_depth"]


def _flat(_: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data = ins[0]
    if data is None:
        return ins, outs
    rest = math.prod(d for d in data[1:] if d is not None) if known(data[1:]) else None
    out = unify(outs[0], (data[0], rest), "output of Flatten")
    return [(out[0] if out else None, *data[1:])], [out]


@operator(aliases=("_npx_batch_flatten", "flatten"), shape=_flat)
def Flatten(data):
    """Data (n, ...) as (n, product of the rest)."""
    return data.flatten(1) if data.ndim > 1 else data.reshape(data.shape[0], 1)


def _wider(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data = ins[0]
    if data is None:
        return ins, outs
    if len(p.pad_width) != 2 * len(data):
        raise ShapeError("pad_width has two numbers for each axis", expected=2 * len(data), found=len(p.pad_width))
    pairs = zip(p.pad_width[::2], p.pad_width[1::2], strict=True)
    found = tuple(None if d is None else d + a + b for d, (a, b) in zip(data, pairs, strict=True))
    return ins, [unify(outs[0], found, "output of Pad")]


_MODES = {"constant": "constant", "edge": "replicate", "reflect": "reflect"}


@operator(aliases=("pad",), shape=_wider)
def Pad(data, *, mode: Literal["constant", "edge", "reflect"], pad_width: Shape, constant_value: Double = 0):
    """Data with pad_width (before, after) values added on each axis: a constant, the border, or its reflection.

    The first two axes are not padded, as MXNet has it.
    """
    if any(pad_width[:4]):
        raise OperatorError("Pad leaves the first two axes as they are", expected=(0, 0, 0, 0), found=pad_width[:4])
    pairs = list(zip(pad_width[::2], pad_width[1::2], strict=True))
    widths = [w for pair in reversed(pairs[2:]) for w in pair]
    return F.pad(data, widths, _MODES[mode], constant_value if mode == "constant" else None)


def _cropped_size(p: Any, ins: list[Dims]) -> tuple[int | None, ...]:
    if len(ins) > 1:
        return ins[1][2:] if ins[1] is not None else (None, None)
    return tuple(p.h_w)


def _cropped(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if ins[0] is None:
        return ins, outs
    return ins, [unify(outs[0], (*ins[0][:2], *_cropped_size(p, ins)), "output of Crop")]


@operator(shape=_cropped, description={"data": "Symbol or Symbol[]"})
def Crop(*data, num_args: Positive, offset: Shape = (0, 0), h_w: Shape = (0, 0), center_crop: bool = False):
    """A part of the first input (n, c, h, w): of size h_w, or of the space of the second input.

    It starts at `offset`, or is the middle with center_crop.
    """
    image = data[0]
    height, width = data[1].shape[2:] if len(data) > 1 else h_w
    if center_crop:
        top, left = (image.shape[2] - height) // 2, (image.shape[3] - width) // 2
    else:
        top, left = offset
    if min(top, left) < 0 or top + height > image.shape[2] or left + width > image.shape[3]:
        raise ShapeError(
            "Crop reaches beyond its input",
            expected=f"at most {tuple(image.shape[2:])}",
            found=f"{(height, width)} at {(top, left)}",
        )
    return image[:, :, top : top + height, left : left + width]


def _deep(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if not known(ins[0]) or ins[0] is None:
        return ins, outs
    n, c, h, w = ins[0]
    b = p.block_size
    return ins, [unify(outs[0], (n, c // (b * b), h * b, w * b), "output of depth_to_space")]  # type: ignore[operator]


@operator(shape=_deep)
def depth_to_space(data, *, block_size: int):
    """Data (n, c, h, w) with depth spread over blocks: (n, c / b**2, h * b, w * b); the block is the slow part of c."""
    n, c, h, w = data.shape
    b = block_size
    blocks = data.reshape(n, b, b, c // (b * b), h, w).permute(0, 3, 4, 1, 5, 2)
    return blocks.reshape(n, c // (b * b), h * b, w * b)


def _wide(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if not known(ins[0]) or ins[0] is None:
        return ins, outs
    n, c, h, w = ins[0]
    b = p.block_size
    return ins, [unify(outs[0], (n, c * b * b, h // b, w // b), "output of space_to_depth")]  # type: ignore[operator]


@operator(shape=_wide)
def space_to_depth(data, *, block_size: int):
    """The way back of depth_to_space: data (n, c, h, w) gives (n, c * b**2, h / b, w / b)."""
    n, c, h, w = data.shape
    b = block_size
    blocks = data.reshape(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4)
    return blocks.reshape(n, c * b * b, h // b, w // b)
