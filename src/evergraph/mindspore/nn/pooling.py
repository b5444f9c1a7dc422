"""Pooling."""

from typing import Any

import torch
import torch.nn.functional as F

from evergraph.errors import UsageError, printable
from evergraph.mindspore.common.tensor import wrap
from evergraph.mindspore.nn.cell import Cell
from evergraph.mindspore.nn.convolution import each, same_sides

__all__ = [
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
]


class _Pool(Cell):
    """What the windows share: pad_mode "valid", "same" or "pad"."""

    _dims = 2

    def __init__(self, kernel_size: Any, stride: Any, pad_mode: str, padding: Any, ceil_mode: bool) -> None:
        super().__init__()
        if pad_mode.lower() not in ("valid", "same", "pad"):
            raise UsageError("pad_mode is valid, same or pad", found=printable(pad_mode))
        self.kernel_size, self.stride, self.pad_mode = kernel_size, stride, pad_mode.upper()
        self.padding, self.ceil_mode = padding, ceil_mode
        self._window = each(kernel_size, self._dims, "kernel_size")
        self._steps = each(stride, self._dims, "stride")
        if min(*self._window, *self._steps) < 1:
            raise UsageError(
                "windows and steps are at least 1", where=type(self).__name__, found=printable((kernel_size, stride))
            )
        self._sides = each(padding, self._dims, "padding") if self.pad_mode == "PAD" else (0,) * self._dims

    def _same(self, data: torch.Tensor, fill: float) -> torch.Tensor:
        sides = same_sides(data.shape[2:], self._window, self._steps, (1,) * self._dims)
        return F.pad(data, [v for i in reversed(range(self._dims)) for v in sides[2 * i : 2 * i + 2]], value=fill)

    def extend_repr(self) -> str:
        """The arguments, as MindSpore prints them: one dimension as two, of which the first is 1."""
        line = type(self).__name__.endswith("1d")
        size, stride = ((1, v) if line and isinstance(v, int) else v for v in (self.kernel_size, self.stride))
        return f"kernel_size={size}, stride={stride}, pad_mode={self.pad_mode}"


class MaxPool2d(_Pool):
    """The largest element of each window of (N, C, H, W)."""

    def __init__(
        self,
        kernel_size: Any = 1,
        stride: Any = 1,
        pad_mode: str = "valid",
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(kernel_size, stride, pad_mode, padding, ceil_mode)
        self.dilation, self.return_indices = dilation, return_indices

    def construct(self, x: Any) -> Any:
        """Pool."""
        data = x._torch
        if self.pad_mode == "SAME":
            data = self._same(data, float("-inf"))
        run: Any = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[self._dims - 1]
        return wrap(
            run(data, self._window, self._steps, self._sides, self.dilation, self.ceil_mode, self.return_indices)
        )


class MaxPool1d(MaxPool2d):
    """The largest element of each window of (N, C, L)."""

    _dims = 1


class MaxPool3d(MaxPool2d):
    """The largest element of each window of (N, C, D, H, W)."""

    _dims = 3


class AvgPool2d(_Pool):
    """The mean of each window of (N, C, H, W)."""

    def __init__(
        self,
        kernel_size: Any = 1,
        stride: Any = 1,
        pad_mode: str = "valid",
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
        data_format: str = "NCHW",
    ) -> None:
        super().__init__(kernel_size, stride, pad_mode, padding, ceil_mode)
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def construct(self, x: Any) -> Any:
        """Pool; padding that "same" adds is not counted."""
        data = x._torch
        run: Any = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[self._dims - 1]
        if self.pad_mode == "SAME":
            sums = run(self._same(data, 0), self._window, self._steps)
            return wrap(sums / run(self._same(torch.ones_like(data[:1, :1]), 0), self._window, self._steps))
        more = () if self._dims == 1 else (self.divisor_override,)
        return wrap(run(data, self._window, self._steps, self._sides, self.ceil_mode, self.count_include_pad, *more))


class AvgPool1d(AvgPool2d):
    """The mean of each window of (N, C, L)."""

    _dims = 1


class AvgPool3d(AvgPool2d):
    """The mean of each window of (N, C, D, H, W)."""

    _dims = 3


class _Adaptive(Cell):
    """Windows so large that `output_size` of them cover the space."""

    _pooled: Any = None

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size, self.return_indices = output_size, return_indices

    def construct(self, x: Any) -> Any:
        """Pool."""
        more = {"return_indices": True} if self.return_indices else {}
        return wrap(type(self)._pooled(x._torch, self.output_size, **more))


class AdaptiveAvgPool1d(_Adaptive):
    """The mean of each window of (N, C, L)."""

    _pooled = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_Adaptive):
    """The mean of each window of (N, C, H, W)."""

    _pooled = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_Adaptive):
    """The mean of each window of (N, C, D, H, W)."""

    _pooled = staticmethod(F.adaptive_avg_pool3d)


class AdaptiveMaxPool1d(_Adaptive):
    """The largest element of each window of (N, C, L)."""

    _pooled = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_Adaptive):
    """The largest element of each window of (N, C, H, W)."""

    _pooled = staticmethod(F.adaptive_max_pool2d)
