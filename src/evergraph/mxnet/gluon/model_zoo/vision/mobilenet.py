"""MobileNet, in both versions: convolutions of single channels between such of 1 x 1."""

from typing import Any

from evergraph.mxnet.gluon import nn
from evergraph.mxnet.gluon.hybrid import HybridBlock
from evergraph.mxnet.gluon.model_zoo.model_store import load_trained

__all__ = [
    "RELU6",
    "LinearBottleneck",
    "MobileNet",
    "MobileNetV2",
    "get_mobilenet",
    "get_mobilenet_v2",
    "mobilenet0_5",
    "mobilenet0_25",
    "mobilenet0_75",
    "mobilenet1_0",
    "mobilenet_v2_0_5",
    "mobilenet_v2_0_25",
    "mobilenet_v2_0_75",
    "mobilenet_v2_1_0",
]


class RELU6(HybridBlock):
    """Values drawn in between 0 and 6."""

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The layer's output."""
        return F.clip(x, 0, 6, name="relu6")


def _add(
    out: Any, channels: int, kernel: int = 1, stride: int = 1, groups: int = 1, active: bool = True, six: bool = False
) -> None:
    """Add a convolution, its normalization and its activation."""
    out.add(nn.Conv2D(channels, kernel, stride, kernel // 2, groups=groups, use_bias=False), nn.BatchNorm(scale=True))
    if active:
        out.add(RELU6() if six else nn.Activation("relu"))


class LinearBottleneck(HybridBlock):
    """MobileNet v2's block: to more channels, over space by single channels, to few channels without an activation.

    Args:
        in_channels: number of input channels.
        channels: number of output channels.
        t: how many times the input's channels there are inside.
        stride: distance between windows.
        kwargs: as `HybridBlock` takes them.
    """

    def __init__(self, in_channels: int, channels: int, t: int, stride: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.use_shortcut = stride == 1 and in_channels == channels
        inside = in_channels * t
        with self.name_scope():
            self.out = nn.HybridSequential()
            _add(self.out, inside, six=True)
            _add(self.out, inside, 3, stride, inside, six=True)
            _add(self.out, channels, active=False)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The block's output."""
        found = self.out(x)
        return F.elemwise_add(found, x) if self.use_shortcut else found


class MobileNet(HybridBlock):
    """MobileNet v1 whose channels are `multiplier` times the full network's, for a number of classes."""

    def __init__(self, multiplier: float = 1.0, classes: int = 1000, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        widths = [32, 64, 128, 128, 256, 256, *[512] * 6, 1024, 1024]
        widths = [int(w * multiplier) for w in widths]
        strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1]
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            with self.features.name_scope():
                _add(self.features, widths[0], 3, 2)
                for before, after, stride in zip(widths[:-1], widths[1:], strides, strict=True):
                    _add(self.features, before, 3, stride, before)
                    _add(self.features, after)
                self.features.add(nn.GlobalAvgPool2D(), nn.Flatten())
            self.output = nn.Dense(classes)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The scores of the classes."""
        return self.output(self.features(x))


# channels, how many times as many inside, stride of the first block, number of blocks
_V2 = [(16, 1, 1, 1), (24, 6, 2, 2), (32, 6, 2, 3), (64, 6, 2, 4), (96, 6, 1, 3), (160, 6, 2, 3), (320, 6, 1, 1)]


class MobileNetV2(HybridBlock):
    """MobileNet v2 whose channels are `multiplier` times the full network's, for a number of classes."""

    def __init__(self, multiplier: float = 1.0, classes: int = 1000, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="features_")
            with self.features.name_scope():
                before = int(32 * multiplier)
                _add(self.features, before, 3, 2, six=True)
                for width, t, stride, count in _V2:
                    channels = int(width * multiplier)
                    for number in range(count):
                        self.features.add(LinearBottleneck(before, channels, t, stride if number == 0 else 1))
                        before = channels
                _add(self.features, int(1280 * multiplier) if multiplier > 1 else 1280, six=True)
                self.features.add(nn.GlobalAvgPool2D())
            self.output = nn.HybridSequential(prefix="output_")
            with self.output.name_scope():
                self.output.add(nn.Conv2D(classes, 1, use_bias=False, prefix="pred_"), nn.Flatten())

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The scores of the classes."""
        return self.output(self.features(x))


def _size(multiplier: float) -> str:
    text = f"{multiplier:.2f}"
    return text[:-1] if text in ("1.00", "0.50") else text


def get_mobilenet(
    multiplier: float, pretrained: bool = False, ctx: Any = None, root: Any = None, **kwargs: Any
) -> MobileNet:
    """A MobileNet v1; `pretrained`, `ctx` and `root` as in `get_resnet`."""
    return load_trained(MobileNet(multiplier, **kwargs), f"mobilenet{_size(multiplier)}", pretrained, ctx, root)


def get_mobilenet_v2(
    multiplier: float, pretrained: bool = False, ctx: Any = None, root: Any = None, **kwargs: Any
) -> MobileNetV2:
    """A MobileNet v2; `pretrained`, `ctx` and `root` as in `get_resnet`."""
    return load_trained(MobileNetV2(multiplier, **kwargs), f"mobilenetv2_{_size(multiplier)}", pretrained, ctx, root)


def _function(name: str, get: Any, multiplier: float) -> Any:
    def make(**kwargs: Any) -> Any:
        return get(multiplier, **kwargs)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"The network with {multiplier} times the channels; arguments as `{get.__name__}`'s."
    return make


mobilenet1_0 = _function("mobilenet1_0", get_mobilenet, 1.0)
mobilenet0_75 = _function("mobilenet0_75", get_mobilenet, 0.75)
mobilenet0_5 = _function("mobilenet0_5", get_mobilenet, 0.5)
mobilenet0_25 = _function("mobilenet0_25", get_mobilenet, 0.25)
mobilenet_v2_1_0 = _function("mobilenet_v2_1_0", get_mobilenet_v2, 1.0)
mobilenet_v2_0_75 = _function("mobilenet_v2_0_75", get_mobilenet_v2, 0.75)
mobilenet_v2_0_5 = _function("mobilenet_v2_0_5", get_mobilenet_v2, 0.5)
mobilenet_v2_0_25 = _function("mobilenet_v2_0_25", get_mobilenet_v2, 0.25)
