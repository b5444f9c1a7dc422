"""Padding of the last one, two or three axes, and layers that change the space of images."""

from typing import Any

import torch
import torch.nn.functional as F

from evergraph.errors import UsageError, printable
from evergraph.mindspore.common.tensor import unwrap, wrap
from evergraph.mindspore.nn.cell import Cell

__all__ = [
    "ChannelShuffle",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "PixelShuffle",
    "PixelUnshuffle",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "Unflatten",
    "Upsample",
    "ZeroPad2d",
]


class _Padding(Cell):
    """More elements at both ends of the last axes: a number for all ends, or one for each, from the last axis on.

    Args:
        padding: before and after for each axis, or one number.
    """

    _axes, _mode = 1, "constant"

    def __init__(self, padding: Any) -> None:
        super().__init__()
        sides = (padding,) * (2 * self._axes) if isinstance(padding, int) else tuple(padding)
        if len(sides) != 2 * self._axes:
            raise UsageError(
                "padding is a number, or one for each end", expected=2 * self._axes, found=printable(padding)
            )
        self.padding, self.value = sides, 0

    def construct(self, x: Any) -> Any:
        """Pad."""
        value = {"value": self.value} if self._mode == "constant" else {}
        return wrap(F.pad(x._torch, self.padding, self._mode, **value))


class _Constant(_Padding):
    """One value at both ends of the last axes.

    Args:
        padding: before and after for each axis, or one number.
        value: what is added.
    """

    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value


def _made(name: str, base: type, axes: int, mode: str) -> Any:
    return type(name, (base,), {"_axes": axes, "_mode": mode, "__doc__": base.__doc__, "__module__": __name__})


ConstantPad1d, ConstantPad2d, ConstantPad3d = (_made(f"ConstantPad{n}d", _Constant, n, "constant") for n in (1, 2, 3))
ReflectionPad1d, ReflectionPad2d, ReflectionPad3d = (
    _made(f"ReflectionPad{n}d", _Padding, n, "reflect") for n in (1, 2, 3)
)
ReplicationPad1d, ReplicationPad2d, ReplicationPad3d = (
    _made(f"ReplicationPad{n}d", _Padding, n, "replicate") for n in (1, 2, 3)
)
ZeroPad2d = _made("ZeroPad2d", _Padding, 2, "constant")


class Upsample(Cell):
    """The space in another size.

    Args:
        size: the sizes, or
        scale_factor: what they are multiplied by.
        mode: "nearest", "linear", "bilinear", "bicubic", "trilinear" or "area".
        align_corners: whether the corners of input and output are the same places.
        recompute_scale_factor: whether the factor is computed again from the sizes.
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        self.size, self.scale_factor, self.mode = size, scale_factor, mode
        self.align_corners, self.recompute_scale_factor = align_corners, recompute_scale_factor

    def construct(self, x: Any) -> Any:
        """Resize."""
        more: Any = {"recompute_scale_factor": self.recompute_scale_factor}
        size, factor = unwrap(self.size), unwrap(self.scale_factor)
        return wrap(F.interpolate(x._torch, size, factor, self.mode, self.align_corners, **more))


class PixelShuffle(Cell):
    """Channels as space: `upscale_factor` times as wide and high."""

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def construct(self, x: Any) -> Any:
        """Shuffle."""
        return wrap(F.pixel_shuffle(x._torch, self.upscale_factor))


class PixelUnshuffle(Cell):
    """Space as channels: `downscale_factor` times as narrow and low."""

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def construct(self, x: Any) -> Any:
        """Shuffle."""
        return wrap(F.pixel_unshuffle(x._torch, self.downscale_factor))


class ChannelShuffle(Cell):
    """Channels of groups in turn."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def construct(self, x: Any) -> Any:
        """Shuffle."""
        data = x._torch
        parts = data.reshape(data.shape[0], self.groups, data.shape[1] // self.groups, *data.shape[2:])
        return wrap(parts.transpose(1, 2).reshape(data.shape))


class Unflatten(Cell):
    """One axis as several.

    Args:
        axis: which.
        unflattened_size: the sizes.
    """

    def __init__(self, axis: int, unflattened_size: Any) -> None:
        super().__init__()
        self.axis, self.unflattened_size = axis, tuple(unflattened_size)

    def construct(self, x: Any) -> Any:
        """Unflatten."""
        return wrap(torch.unflatten(x._torch, self.axis, self.unflattened_size))
