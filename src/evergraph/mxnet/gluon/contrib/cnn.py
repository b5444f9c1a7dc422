"""`mx.gluon.contrib.cnn`: convolutions whose windows are bent by offsets that a convolution of their own finds."""

from typing import Any

from evergraph.mxnet.gluon.hybrid import HybridBlock
from evergraph.mxnet.gluon.nn import Activation
from evergraph.mxnet.gluon.nn.conv_layers import _sizes

__all__ = ["DeformableConvolution", "ModulatedDeformableConvolution"]


class DeformableConvolution(HybridBlock):
    """A convolution of two axes of space that reads at places which are moved by learned offsets.

    Args:
        channels: number of output channels.
        kernel_size: size of the window.
        strides: distance between windows.
        padding: what is added at both ends.
        dilation: distance between the window's elements.
        groups: groups of channels that do not mix.
        num_deformable_group: groups of channels with offsets of their own.
        layout: order of the axes.
        use_bias: whether a bias is added.
        in_channels: number of input channels; 0 to take it from the first batch.
        activation: name of an activation function.
        weight_initializer: how the weight begins.
        bias_initializer: how the bias begins.
        offset_weight_initializer: how the weight of the offsets begins.
        offset_bias_initializer: how the bias of the offsets begins.
        offset_use_bias: whether the offsets have a bias.
        op_name: kept for MXNet's signature.
        adj: kept for MXNet's signature.
        prefix: stands before its parameters' names.
        params: a dictionary whose parameters are shared.

    >>> from evergraph.mxnet import nd
    >>> layer = DeformableConvolution(4, kernel_size=3, padding=1); layer.initialize()
    >>> layer(nd.ones((1, 2, 5, 5))).shape
    (1, 4, 5, 5)
    """

    _planes = 2
    _op = "DeformableConvolution"

    def __init__(
        self,
        channels: int,
        kernel_size: Any = (1, 1),
        strides: Any = (1, 1),
        padding: Any = (0, 0),
        dilation: Any = (1, 1),
        groups: int = 1,
        num_deformable_group: int = 1,
        layout: str = "NCHW",
        use_bias: bool = True,
        in_channels: int = 0,
        activation: str | None = None,
        weight_initializer: Any = None,
        bias_initializer: Any = "zeros",
        offset_weight_initializer: Any = "zeros",
        offset_bias_initializer: Any = "zeros",
        offset_use_bias: bool = True,
        op_name: str | None = None,
        adj: Any = None,
        prefix: str | None = None,
        params: Any = None,
    ) -> None:
        super().__init__(prefix=prefix, params=params)
        kernel = _sizes(kernel_size, 2, "kernel_size")
        common: dict[str, Any] = {
            "kernel": kernel,
            "stride": _sizes(strides, 2, "strides"),
            "dilate": _sizes(dilation, 2, "dilation"),
            "pad": _sizes(padding, 2, "padding"),
            "num_group": groups,
            "layout": layout,
        }
        count = self._planes * kernel[0] * kernel[1] * num_deformable_group
        self._channels, self._in_channels = channels, in_channels
        self._offsets = {**common, "num_filter": count, "no_bias": not offset_use_bias}
        bent = {"num_filter": channels, "no_bias": not use_bias, "num_deformable_group": num_deformable_group}
        self._kwargs = {**common, **bent}
        inside = in_channels // groups
        with self.name_scope():
            for name, size, begin in (
                ("offset_weight", count, offset_weight_initializer),
                ("deformable_conv_weight", channels, weight_initializer),
            ):
                self._take(name, (size, inside, *kernel), begin)
            if offset_use_bias:
                self._take("offset_bias", (count,), offset_bias_initializer)
            if use_bias:
                self._take("deformable_conv_bias", (channels,), bias_initializer)
            self.act = None if activation is None else Activation(activation, prefix=f"{activation}_")

    def _take(self, name: str, shape: tuple[int, ...], begin: Any) -> None:
        setattr(self, name, self.params.get(name, shape=shape, init=begin, allow_deferred_init=True))

    def hybrid_forward(  # type: ignore[override]
        self,
        F: Any,
        x: Any,
        offset_weight: Any,
        deformable_conv_weight: Any,
        offset_bias: Any = None,
        deformable_conv_bias: Any = None,
    ) -> Any:
        """The layer's output."""
        moved = F.Convolution(x, offset_weight, *_given(offset_bias), cudnn_off=True, **self._offsets)
        rest = _given(deformable_conv_bias)
        found = self._bent(F, x, moved, deformable_conv_weight, rest)
        return found if self.act is None else self.act(found)

    def _bent(self, F: Any, x: Any, moved: Any, weight: Any, rest: list[Any]) -> Any:
        return F.contrib.DeformableConvolution(x, moved, weight, *rest, name="fwd", **self._kwargs)

    def _alias(self) -> str:
        return "deformable_conv"

    def __repr__(self) -> str:
        shape, used = self._reg_params["deformable_conv_weight"].shape or (0, 0), self._kwargs
        text = f"{type(self).__name__}({shape[1] or None} -> {shape[0]}, kernel_size={used['kernel']}"
        text += f", stride={used['stride']}"
        text += f", padding={used['pad']}" if used["pad"] != (0, 0) else ""
        text += f", dilation={used['dilate']}" if used["dilate"] != (1, 1) else ""
        text += f", groups={used['num_group']}" if used["num_group"] != 1 else ""
        text += ", bias=False" if used["no_bias"] else ""
        return f"{text}, {self.act})" if self.act is not None else f"{text})"


def _given(bias: Any) -> list[Any]:
    return [] if bias is None else [bias]


class ModulatedDeformableConvolution(DeformableConvolution):
    """As `DeformableConvolution`; each place is also weighed by a learned number from 0 to 2."""

    _planes = 3

    def _bent(self, F: Any, x: Any, moved: Any, weight: Any, rest: list[Any]) -> Any:
        kernel = self._kwargs["kernel"]
        places = 2 * kernel[0] * kernel[1] * self._kwargs["num_deformable_group"]
        offset = F.slice_axis(moved, axis=1, begin=0, end=places)
        mask = F.sigmoid(F.slice_axis(moved, axis=1, begin=places, end=None)) * 2
        return F.contrib.ModulatedDeformableConvolution(x, offset, mask, weight, *rest, name="fwd", **self._kwargs)

    def _alias(self) -> str:
        return "modulated_deformable_conv"
