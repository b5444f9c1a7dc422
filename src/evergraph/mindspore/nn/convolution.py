"""Convolutions, and their transposes, with MindSpore's three ways of padding."""

import math
from typing import Any

import torch
import torch.nn.functional as F

from evergraph.errors import UsageError, printable
from evergraph.mindspore.common import dtype as mstype
from evergraph.mindspore.common.initializer import HeUniform, Uniform, initializer
from evergraph.mindspore.common.parameter import Parameter
from evergraph.mindspore.common.tensor import wrap
from evergraph.mindspore.nn.cell import Cell

__all__ = ["Conv1d", "Conv1dTranspose", "Conv2d", "Conv2dTranspose", "Conv3d", "Conv3dTranspose"]


def each(value: Any, count: int, what: str) -> tuple[int, ...]:
    """One number for each dimension."""
    found = (value,) * count if isinstance(value, int) else tuple(value)
    if len(found) != count or not all(isinstance(n, int) for n in found):
        raise UsageError(f"{what} is a whole number or {count} of them", found=printable(value))
    return found


def placed(order: tuple[str, ...], rest: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
    """Arguments by name, those without one in their order.

    Raises:
        UsageError: there are too many, or one is there twice.
    """
    found = dict(zip(order, rest, strict=False))
    if len(rest) > len(order) or found.keys() & named.keys():
        raise UsageError("too many arguments, or one is there twice", expected=", ".join(order))
    return found | named


class _Convolution(Cell):
    """What the six share.

    Args:
        in_channels, out_channels: sizes of the second dimension before and after.
        kernel_size, stride, dilation: a number, or one for each dimension.
        pad_mode: "same", "valid" or "pad", which pads by `padding` on each side.
        padding: a number, or the two sides of each dimension.
        group: how many groups of channels are apart.
        has_bias: whether a bias is added.
        weight_init, bias_init: as `initializer` takes them; evenly by the fan-in where None.
    """

    _dims = 2
    _transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        pad_mode: str = "same",
        padding: Any = 0,
        dilation: Any = 1,
        group: int = 1,
        has_bias: bool = False,
        weight_init: Any = None,
        bias_init: Any = None,
        data_format: str | None = None,
        dtype: Any = mstype.float32,
        output_padding: Any = 0,
    ) -> None:
        super().__init__()
        n = self._dims
        if pad_mode not in ("same", "valid", "pad"):
            raise UsageError("pad_mode is same, valid or pad", found=printable(pad_mode))
        if in_channels % group or out_channels % group:
            raise UsageError("group divides both channel counts", found=(in_channels, out_channels, group))
        if pad_mode != "pad" and any(each_side(padding, n)):
            raise UsageError("padding is given with pad_mode='pad' only", found=printable(padding))
        self.in_channels, self.out_channels, self.group = in_channels, out_channels, group
        self.kernel_size, self.stride = each(kernel_size, n, "kernel_size"), each(stride, n, "stride")
        self.dilation, self.output_padding = each(dilation, n, "dilation"), each(output_padding, n, "output_padding")
        self.pad_mode, self.padding, self.has_bias = pad_mode, padding, has_bias
        self.weight_init = HeUniform(math.sqrt(5)) if weight_init is None else weight_init
        first, second = (in_channels, out_channels) if self._transposed else (out_channels, in_channels)
        window = (
            (1, *self.kernel_size) if n == 1 else self.kernel_size
        )  # MindSpore keeps 1-D weights in four dimensions
        self.weight = Parameter(initializer(self.weight_init, (first, second // group, *window), dtype))
        self.bias_init = bias_init
        self.bias: Any = None
        if has_bias:
            if bias_init is None:
                self.bias_init = Uniform(1 / math.sqrt(max(in_channels // group * math.prod(window), 1)))
            self.bias = Parameter(initializer(self.bias_init, (out_channels,), dtype), name="bias")
        self._sides = each_side(padding, n)

    def construct(self, x: Any) -> Any:
        """Convolve x (N, in_channels, *space)."""
        data, weight = x._torch, self.weight._torch
        bias = self.bias._torch if self.has_bias else None
        if self._dims == 1:
            weight = weight.squeeze(2)
        if self._transposed:
            return wrap(self._spread(data, weight, bias))
        data, padding = self._padded(data)
        return wrap(
            torch.convolution(
                data, weight, bias, self.stride, padding, self.dilation, False, (0,) * self._dims, self.group
            )
        )

    def _padded(self, data: torch.Tensor) -> tuple[torch.Tensor, tuple[int, ...]]:
        """The data, padded where torch's own padding cannot say it, and torch's padding."""
        sides = self._sides
        if self.pad_mode == "same":
            sides = same_sides(data.shape[2:], self.kernel_size, self.stride, self.dilation)
        if all(sides[2 * i] == sides[2 * i + 1] for i in range(self._dims)):
            return data, sides[::2]
        return F.pad(data, [v for i in reversed(range(self._dims)) for v in sides[2 * i : 2 * i + 2]]), (
            0,
        ) * self._dims

    def _spread(self, data: torch.Tensor, weight: torch.Tensor, bias: Any) -> torch.Tensor:
        """The transpose: `same` gives input times stride, `valid` the whole reach of the windows."""
        n, sides = self._dims, self._sides
        whole = torch.convolution(data, weight, bias, self.stride, (0,) * n, self.dilation, True, (0,) * n, self.group)
        for i in range(n):
            length, reach = data.shape[2 + i], (self.kernel_size[i] - 1) * self.dilation[i] + 1
            if self.pad_mode == "same":
                wanted = length * self.stride[i]
                before = max((length - 1) * self.stride[i] + reach - wanted, 0) // 2
            elif self.pad_mode == "valid":
                before, wanted = 0, length * self.stride[i] + max(reach - self.stride[i], 0)
            else:
                before = sides[2 * i]
                wanted = (length - 1) * self.stride[i] + reach - sides[2 * i] - sides[2 * i + 1]
                wanted += self.output_padding[i] if n == 3 else 0
            whole = _cut(whole, 2 + i, before, wanted, bias)
        if n == 3 or not any(self.output_padding):
            return whole
        # in two dimensions MindSpore appends zeros, whatever windows and bias would add there
        return F.pad(whole, [v for size in reversed(self.output_padding) for v in (0, size)])

    def extend_repr(self) -> str:
        """The arguments, as MindSpore prints them: one dimension as two, of which the first is 1."""
        line = self._dims == 1
        sizes = [(1, *v) if line else v for v in (self.kernel_size, self.stride, self.dilation)]
        padding = (0, 0, self.padding, self.padding) if line and isinstance(self.padding, int) else self.padding
        return (
            f"input_channels={self.in_channels}, output_channels={self.out_channels}, "
            f"kernel_size={sizes[0]}, stride={sizes[1]}, pad_mode={self.pad_mode}, "
            f"padding={padding}, dilation={sizes[2]}, group={self.group}, has_bias={self.has_bias}, "
            f"weight_init={self.weight_init}, bias_init={self.bias_init}, "
            f"format={'NCDHW' if self._dims == 3 else 'NCHW'}"
        )


def _cut(data: torch.Tensor, axis: int, before: int, wanted: int, bias: Any) -> torch.Tensor:
    """`wanted` elements from `before` on; beyond the end the bias alone."""
    found = data.narrow(axis, before, min(wanted, data.shape[axis] - before))
    lacking = wanted - found.shape[axis]
    if lacking <= 0:
        return found
    shape = list(found.shape)
    shape[axis] = lacking
    rest = data.new_zeros(shape)
    if bias is not None:
        rest = rest + bias.view(1, -1, *[1] * (data.dim() - 2))
    return torch.cat([found, rest], axis)


def each_side(padding: Any, dims: int) -> tuple[int, ...]:
    """Both sides of each dimension, from a number, one for each dimension, or all."""
    if isinstance(padding, int):
        return (padding,) * (2 * dims)
    if (len(padding) == dims and dims > 1) or len(padding) == 1:
        return tuple(p for p in padding for _ in range(2)) * (1 if len(padding) == dims else dims)
    return tuple(padding)


def same_sides(space: Any, kernel: Any, stride: Any, dilation: Any) -> tuple[int, ...]:
    """The padding that makes ceil(input / stride) outputs; the odd one stands at the end."""
    sides: list[int] = []
    for size, k, s, d in zip(space, kernel, stride, dilation, strict=True):
        total = max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
        sides += [total // 2, total - total // 2]
    return tuple(sides)


_MORE = ("stride", "pad_mode", "padding", "dilation", "group", "has_bias", "weight_init", "bias_init", "dtype")
"""The arguments after the kernel's size, in the order of one dimension."""


class Conv1d(_Convolution):
    """Convolution of (N, C, W). Its weight has four dimensions, (out, in / group, 1, kernel).

    >>> Conv1d(2, 4, 3).weight.shape
    (4, 2, 1, 3)
    """

    _dims = 1

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, *rest: Any, **named: Any) -> None:
        super().__init__(in_channels, out_channels, kernel_size, **placed(_MORE, rest, named))


class Conv2d(_Convolution):
    """Convolution of (N, C, H, W).

    >>> Conv2d(1, 6, 5, pad_mode="valid").weight.shape
    (6, 1, 5, 5)
    """


class Conv3d(_Convolution):
    """Convolution of (N, C, D, H, W)."""

    _dims = 3


class Conv1dTranspose(Conv1d):
    """Transposed convolution of (N, C, W)."""

    _transposed = True


class Conv2dTranspose(_Convolution):
    """Transposed convolution of (N, C, H, W)."""

    _transposed = True

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Any, *rest: Any, **named: Any) -> None:
        order = (*_MORE[:3], "output_padding", *_MORE[3:])
        super().__init__(in_channels, out_channels, kernel_size, **placed(order, rest, named))


class Conv3dTranspose(_Convolution):
    """Transposed convolution of (N, C, D, H, W)."""

    _dims, _transposed = 3, True

    def __init__(self, in_channels: int, out_channels: int, kernel_size: Any, *rest: Any, **named: Any) -> None:
        order = (*_MORE[:5], "output_padding", *_MORE[5:8], "data_format", "dtype")
        super().__init__(in_channels, out_channels, kernel_size, **placed(order, rest, named))
