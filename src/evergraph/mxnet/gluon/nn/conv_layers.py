"""Convolution and pooling layers."""

from typing import Any

from evergraph.mxnet import symbol as sym
from evergraph.mxnet._state import STATE
from evergraph.mxnet.gluon.errors import ParameterFitError
from evergraph.mxnet.gluon.hybrid import HybridBlock
from evergraph.mxnet.gluon.nn.activations import Activation
from evergraph.mxnet.util import np_shape

__all__ = [
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "GlobalAvgPool1D",
    "GlobalAvgPool2D",
    "GlobalAvgPool3D",
    "GlobalMaxPool1D",
    "GlobalMaxPool2D",
    "GlobalMaxPool3D",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "ReflectionPad2D",
]


def _sizes(value: Any, rank: int, what: str) -> tuple[int, ...]:
    found = (value,) * rank if isinstance(value, int) else tuple(value)
    if len(found) != rank:
        raise ParameterFitError(f"{what} must be a number or a list of {rank} ints", found=value)
    return found


class _Conv(HybridBlock):
    """What all convolutions have.

    Args:
        rank: number of axes of space.
        channels: number of output channels.
        kernel_size: size of the window.
        strides: distance between windows.
        padding: what is added at both ends.
        dilation: distance between the window's elements.
        groups: groups of channels that do not mix.
        layout: order of the axes.
        in_channels: number of input channels; 0 to take it from the first batch.
        activation: name of an activation function.
        use_bias: whether a bias is added.
        weight_initializer: how the weight begins.
        bias_initializer: how the bias begins.
        output_padding: what a transposed convolution adds at one end; None for a plain one.
        kwargs: as `HybridBlock` takes them.
    """

    _op, _np_op = "Convolution", "convolution"

    def __init__(
        self,
        rank: int,
        channels: int,
        kernel_size: Any,
        strides: Any,
        padding: Any,
        dilation: Any,
        groups: int,
        layout: str,
        in_channels: int,
        activation: str | None,
        use_bias: bool,
        weight_initializer: Any,
        bias_initializer: Any,
        output_padding: Any,
        kwargs: dict[str, Any],
    ) -> None:
        super().__init__(**kwargs)
        self._channels, self._in_channels = channels, in_channels
        self._kwargs: dict[str, Any] = {
            "kernel": _sizes(kernel_size, rank, "kernel_size"),
            "stride": _sizes(strides, rank, "strides"),
            "dilate": _sizes(dilation, rank, "dilation"),
            "pad": _sizes(padding, rank, "padding"),
            "num_filter": channels,
            "num_group": groups,
            "no_bias": not use_bias,
            "layout": layout,
        }
        if output_padding is not None:
            self._kwargs["adj"] = _sizes(output_padding, rank, "output_padding")
        with self.name_scope():
            self.weight = self.params.get(
                "weight", shape=self._weight_shape(), init=weight_initializer, allow_deferred_init=True
            )
            self.bias = None
            if use_bias:
                self.bias = self.params.get("bias", shape=(channels,), init=bias_initializer, allow_deferred_init=True)
            self.act = None if activation is None else Activation(activation, prefix=f"{activation}_")

    def _weight_shape(self) -> tuple[int, ...]:
        data = [0] * len(self._kwargs["layout"])
        data[self._kwargs["layout"].index("C")] = self._in_channels
        with np_shape(False):  # 0 is an unknown size
            found = getattr(sym, self._op)(sym.var("data", shape=tuple(data)), **self._kwargs)
            return found.infer_shape_partial()[0][1]

    def hybrid_forward(self, F: Any, x: Any, weight: Any, bias: Any = None) -> Any:
        """The layer's output."""
        given = [x, weight] if bias is None else [x, weight, bias]
        call = getattr(F.npx, self._np_op) if STATE.np_array else getattr(F, self._op)
        found = call(*given, name="fwd", **self._kwargs)
        return found if self.act is None else self.act(found)

    def _alias(self) -> str:
        return "conv"

    def __repr__(self) -> str:
        shape, used = self.weight.shape or (0, 0), self._kwargs
        rank = len(used["kernel"])
        text = f"{type(self).__name__}({{}}, kernel_size={used['kernel']}, stride={used['stride']}"
        text += f", padding={used['pad']}" if used["pad"] != (0,) * rank else ""
        text += f", dilation={used['dilate']}" if used["dilate"] != (1,) * rank else ""
        text += f", groups={used['num_group']}" if used["num_group"] != 1 else ""
        text += ", bias=False" if self.bias is None else ""
        text += f", {self.act}" if self.act is not None else ""
        return (text + ")").format(f"{shape[1] or None} -> {shape[0]}")


def _plain(rank: int, default: str) -> type:
    class Conv(_Conv):
        def __init__(
            self,
            channels: int,
            kernel_size: Any,
            strides: Any = 1,
            padding: Any = 0,
            dilation: Any = 1,
            groups: int = 1,
            layout: str = default,
            activation: str | None = None,
            use_bias: bool = True,
            weight_initializer: Any = None,
            bias_initializer: Any = "zeros",
            in_channels: int = 0,
            **kwargs: Any,
        ) -> None:
            super().__init__(
                rank,
                channels,
                kernel_size,
                strides,
                padding,
                dilation,
                groups,
                layout,
                in_channels,
                activation,
                use_bias,
                weight_initializer,
                bias_initializer,
                None,
                kwargs,
            )

    return Conv


def _transposed(rank: int, default: str) -> type:
    class Transpose(_Conv):
        _op, _np_op = "Deconvolution", "deconvolution"

        def __init__(
            self,
            channels: int,
            kernel_size: Any,
            strides: Any = 1,
            padding: Any = 0,
            output_padding: Any = 0,
            dilation: Any = 1,
            groups: int = 1,
            layout: str = default,
            activation: str | None = None,
            use_bias: bool = True,
            weight_initializer: Any = None,
            bias_initializer: Any = "zeros",
            in_channels: int = 0,
            **kwargs: Any,
        ) -> None:
            super().__init__(
                rank,
                channels,
                kernel_size,
                strides,
                padding,
                dilation,
                groups,
                layout,
                in_channels,
                activation,
                use_bias,
                weight_initializer,
                bias_initializer,
                output_padding,
                kwargs,
            )
            self.outpad = self._kwargs["adj"]

    return Transpose


class Conv1D(_plain(1, "NCW")):
    """A convolution over one axis.

    >>> Conv1D(4, 3, in_channels=2)
    Conv1D(2 -> 4, kernel_size=(3,), stride=(1,))
    """


class Conv2D(_plain(2, "NCHW")):
    """A convolution over two axes.

    >>> Conv2D(4, 3, padding=1, activation="relu")
    Conv2D(None -> 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), Activation(relu))
    """


class Conv3D(_plain(3, "NCDHW")):
    """A convolution over three axes."""


class Conv1DTranspose(_transposed(1, "NCW")):
    """A transposed convolution over one axis."""


class Conv2DTranspose(_transposed(2, "NCHW")):
    """A transposed convolution over two axes."""


class Conv3DTranspose(_transposed(3, "NCDHW")):
    """A transposed convolution over three axes."""


class _Pooling(HybridBlock):
    """What all poolings have."""

    def __init__(
        self,
        rank: int,
        kind: str,
        pool_size: Any,
        strides: Any,
        padding: Any,
        ceil_mode: bool,
        layout: str,
        kwargs: dict[str, Any],
        count_include_pad: bool | None = None,
        global_pool: bool = False,
    ) -> None:
        super().__init__(**kwargs)
        size = _sizes(pool_size, rank, "pool_size")
        self._kwargs: dict[str, Any] = {
            "kernel": size,
            "stride": size if strides is None else _sizes(strides, rank, "strides"),
            "pad": _sizes(padding, rank, "padding"),
            "global_pool": global_pool,
            "pool_type": kind,
            "layout": layout,
            "pooling_convention": "full" if ceil_mode else "valid",
        }
        if count_include_pad is not None:
            self._kwargs["count_include_pad"] = count_include_pad

    def _alias(self) -> str:
        return "pool"

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The layer's output."""
        return (F.npx.pooling if STATE.np_array else F.Pooling)(x, name="fwd", **self._kwargs)

    def __repr__(self) -> str:
        used = self._kwargs
        ceil = used["pooling_convention"] == "full"
        return (
            f"{type(self).__name__}(size={used['kernel']}, stride={used['stride']}, padding={used['pad']}, "
            f"ceil_mode={ceil}, global_pool={used['global_pool']}, pool_type={used['pool_type']}, "
            f"layout={used['layout']})"
        )


def _windowed(rank: int, kind: str, default: str) -> type:
    if kind == "max":

        class Max(_Pooling):
            def __init__(
                self,
                pool_size: Any = 2,
                strides: Any = None,
                padding: Any = 0,
                layout: str = default,
                ceil_mode: bool = False,
                **kwargs: Any,
            ) -> None:
                super().__init__(rank, "max", pool_size, strides, padding, ceil_mode, layout, kwargs)

        return Max

    class Avg(_Pooling):
        def __init__(
            self,
            pool_size: Any = 2,
            strides: Any = None,
            padding: Any = 0,
            layout: str = default,
            ceil_mode: bool = False,
            count_include_pad: bool = True,
            **kwargs: Any,
        ) -> None:
            super().__init__(rank, "avg", pool_size, strides, padding, ceil_mode, layout, kwargs, count_include_pad)

    return Avg


def _global(rank: int, kind: str, default: str) -> type:
    class Global(_Pooling):
        def __init__(self, layout: str = default, **kwargs: Any) -> None:
            super().__init__(rank, kind, 1, None, 0, True, layout, kwargs, global_pool=True)

    return Global


class MaxPool1D(_windowed(1, "max", "NCW")):
    """The largest value of each window over one axis."""


class MaxPool2D(_windowed(2, "max", "NCHW")):
    """The largest value of each window over two axes."""


class MaxPool3D(_windowed(3, "max", "NCDHW")):
    """The largest value of each window over three axes."""

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        layout: str = "NCDHW",
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, layout, ceil_mode, **kwargs)


class AvgPool1D(_windowed(1, "avg", "NCW")):
    """The mean of each window over one axis."""


class AvgPool2D(_windowed(2, "avg", "NCHW")):
    """The mean of each window over two axes."""

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        layout: str = "NCHW",
        count_include_pad: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, layout, ceil_mode, count_include_pad, **kwargs)


class AvgPool3D(_windowed(3, "avg", "NCDHW")):
    """The mean of each window over three axes."""

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        layout: str = "NCDHW",
        count_include_pad: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(pool_size, strides, padding, layout, ceil_mode, count_include_pad, **kwargs)


class GlobalMaxPool1D(_global(1, "max", "NCW")):
    """The largest value over one axis."""


class GlobalMaxPool2D(_global(2, "max", "NCHW")):
    """The largest value over two axes."""


class GlobalMaxPool3D(_global(3, "max", "NCDHW")):
    """The largest value over three axes."""


class GlobalAvgPool1D(_global(1, "avg", "NCW")):
    """The mean over one axis."""


class GlobalAvgPool2D(_global(2, "avg", "NCHW")):
    """The mean over two axes."""


class GlobalAvgPool3D(_global(3, "avg", "NCDHW")):
    """The mean over three axes."""


class ReflectionPad2D(HybridBlock):
    """Images with their mirrored edges around them.

    Args:
        padding: how many rows and columns: one number for all sides, or MXNet's eight.
    """

    def __init__(self, padding: Any = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._padding = (0, 0, 0, 0, *(padding,) * 4) if isinstance(padding, int) else tuple(padding)
        if len(self._padding) != 8:
            raise ParameterFitError("padding is a number, or eight", found=padding)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The layer's output."""
        return F.pad(x, mode="reflect", pad_width=self._padding)
