"""ResNet, in both versions: residual blocks with the activation after the sum, or before the convolutions."""

from collections.abc import Callable
from typing import Any

from evergraph.mxnet._state import STATE
from evergraph.mxnet.gluon import nn
from evergraph.mxnet.gluon.hybrid import HybridBlock
from evergraph.mxnet.gluon.model_zoo.model_store import load_trained

__all__ = [
    "BasicBlockV1",
    "BasicBlockV2",
    "BottleneckV1",
    "BottleneckV2",
    "ResNetV1",
    "ResNetV2",
    "get_resnet",
    "resnet18_v1",
    "resnet18_v2",
    "resnet34_v1",
    "resnet34_v2",
    "resnet50_v1",
    "resnet50_v2",
    "resnet101_v1",
    "resnet101_v2",
    "resnet152_v1",
    "resnet152_v2",
]


def _activation(F: Any) -> Any:
    return F.npx.activation if STATE.np_array else F.Activation


def _conv3x3(channels: int, stride: int, in_channels: int) -> nn.Conv2D:
    return nn.Conv2D(channels, kernel_size=3, strides=stride, padding=1, use_bias=False, in_channels=in_channels)


class _BlockV1(HybridBlock):
    """A residual block; the activation follows the sum. Subclasses define `_fill`, which adds the body's layers.

    Args:
        channels: number of output channels.
        stride: distance between windows of the first convolution.
        downsample: whether the shortcut is a convolution.
        in_channels: number of input channels.
        kwargs: as `HybridBlock` takes them.
    """

    shortcut_first = True
    _fill: Callable[..., None]

    def __init__(
        self, channels: int, stride: int, downsample: bool = False, in_channels: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.body = nn.HybridSequential(prefix="")
        self._fill(channels, stride, in_channels)
        self.downsample = None
        if downsample:
            self.downsample = nn.HybridSequential(prefix="")
            self.downsample.add(
                nn.Conv2D(channels, kernel_size=1, strides=stride, use_bias=False, in_channels=in_channels),
                nn.BatchNorm(),
            )

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The block's output."""
        found = self.body(x)
        shortcut = x if self.downsample is None else self.downsample(x)
        # graphs tell the two orders apart
        total = shortcut + found if self.shortcut_first else found + shortcut
        return _activation(F)(total, act_type="relu")


class BasicBlockV1(_BlockV1):
    """Two convolutions of 3 x 3, for 18 and 34 layers."""

    def _fill(self, channels: int, stride: int, in_channels: int) -> None:
        self.body.add(
            _conv3x3(channels, stride, in_channels),
            nn.BatchNorm(),
            nn.Activation("relu"),
            _conv3x3(channels, 1, channels),
            nn.BatchNorm(),
        )


class BottleneckV1(_BlockV1):
    """Convolutions of 1 x 1, 3 x 3 and 1 x 1, for 50 layers and more."""

    shortcut_first = False

    def _fill(self, channels: int, stride: int, in_channels: int) -> None:
        self.body.add(
            nn.Conv2D(channels // 4, kernel_size=1, strides=stride),
            nn.BatchNorm(),
            nn.Activation("relu"),
            _conv3x3(channels // 4, 1, channels // 4),
            nn.BatchNorm(),
            nn.Activation("relu"),
            nn.Conv2D(channels, kernel_size=1, strides=1),
            nn.BatchNorm(),
        )


class BasicBlockV2(HybridBlock):
    """Two convolutions of 3 x 3, each after its normalization; arguments as those of `BasicBlockV1`."""

    def __init__(
        self, channels: int, stride: int, downsample: bool = False, in_channels: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.bn1 = nn.BatchNorm()
        self.conv1 = _conv3x3(channels, stride, in_channels)
        self.bn2 = nn.BatchNorm()
        self.conv2 = _conv3x3(channels, 1, channels)
        self.downsample = (
            nn.Conv2D(channels, 1, stride, use_bias=False, in_channels=in_channels) if downsample else None
        )

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The block's output."""
        found = _activation(F)(self.bn1(x), act_type="relu")
        shortcut = x if self.downsample is None else self.downsample(found)
        found = self.conv1(found)
        found = self.conv2(_activation(F)(self.bn2(found), act_type="relu"))
        return found + shortcut


class BottleneckV2(HybridBlock):
    """Convolutions of 1 x 1, 3 x 3 and 1 x 1, each after its normalization; arguments as those of `BasicBlockV1`."""

    def __init__(
        self, channels: int, stride: int, downsample: bool = False, in_channels: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.bn1 = nn.BatchNorm()
        self.conv1 = nn.Conv2D(channels // 4, kernel_size=1, strides=1, use_bias=False)
        self.bn2 = nn.BatchNorm()
        self.conv2 = _conv3x3(channels // 4, stride, channels // 4)
        self.bn3 = nn.BatchNorm()
        self.conv3 = nn.Conv2D(channels, kernel_size=1, strides=1, use_bias=False)
        self.downsample = (
            nn.Conv2D(channels, 1, stride, use_bias=False, in_channels=in_channels) if downsample else None
        )

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The block's output."""
        found = _activation(F)(self.bn1(x), act_type="relu")
        shortcut = x if self.downsample is None else self.downsample(found)
        found = self.conv1(found)
        found = self.conv2(_activation(F)(self.bn2(found), act_type="relu"))
        found = self.conv3(_activation(F)(self.bn3(found), act_type="relu"))
        return found + shortcut


class _ResNet(HybridBlock):
    """Stages of residual blocks over a first convolution."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.features: Any = None
        self.output: Any = None

    def _begin(self, channels: int, thumbnail: bool) -> None:
        if thumbnail:
            self.features.add(_conv3x3(channels, 1, 0))
            return
        self.features.add(
            nn.Conv2D(channels, 7, 2, 3, use_bias=False), nn.BatchNorm(), nn.Activation("relu"), nn.MaxPool2D(3, 2, 1)
        )

    def _stages(self, block: Any, layers: Any, channels: Any) -> None:
        for number, count in enumerate(layers):
            before, after, stride = channels[number], channels[number + 1], 1 if number == 0 else 2
            stage = nn.HybridSequential(prefix=f"stage{number + 1}_")
            with stage.name_scope():
                stage.add(block(after, stride, after != before, in_channels=before, prefix=""))
                for _ in range(count - 1):
                    stage.add(block(after, 1, False, in_channels=after, prefix=""))
            self.features.add(stage)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The scores of the classes."""
        return self.output(self.features(x))


def _check(layers: Any, channels: Any) -> None:
    if len(layers) != len(channels) - 1:
        raise AssertionError(f"{len(layers)} stages take {len(layers) + 1} numbers of channels, found {len(channels)}")


class ResNetV1(_ResNet):
    """ResNet as it was first published.

    Args:
        block: class of the residual blocks.
        layers: number of blocks in each stage.
        channels: channels of the first convolution and of each stage.
        classes: number of classes.
        thumbnail: whether the input is small, and the first convolution too.
        kwargs: as `HybridBlock` takes them.
    """

    def __init__(
        self, block: Any, layers: Any, channels: Any, classes: int = 1000, thumbnail: bool = False, **kwargs: Any
    ) -> None:
        _check(layers, channels)
        super().__init__(**kwargs)
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            self._begin(channels[0], thumbnail)
            self._stages(block, layers, channels)
            self.features.add(nn.GlobalAvgPool2D())
            self.output = nn.Dense(classes, in_units=channels[-1])


class ResNetV2(_ResNet):
    """ResNet with activations before the convolutions; arguments as those of `ResNetV1`."""

    def __init__(
        self, block: Any, layers: Any, channels: Any, classes: int = 1000, thumbnail: bool = False, **kwargs: Any
    ) -> None:
        _check(layers, channels)
        super().__init__(**kwargs)
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            self.features.add(nn.BatchNorm(scale=False, center=False))
            self._begin(channels[0], thumbnail)
            self._stages(block, layers, channels)
            self.features.add(nn.BatchNorm(), nn.Activation("relu"), nn.GlobalAvgPool2D(), nn.Flatten())
            self.output = nn.Dense(classes, in_units=channels[-1])


resnet_spec = {
    18: ("basic_block", [2, 2, 2, 2], [64, 64, 128, 256, 512]),
    34: ("basic_block", [3, 4, 6, 3], [64, 64, 128, 256, 512]),
    50: ("bottle_neck", [3, 4, 6, 3], [64, 256, 512, 1024, 2048]),
    101: ("bottle_neck", [3, 4, 23, 3], [64, 256, 512, 1024, 2048]),
    152: ("bottle_neck", [3, 8, 36, 3], [64, 256, 512, 1024, 2048]),
}
_BLOCKS = (
    {"basic_block": BasicBlockV1, "bottle_neck": BottleneckV1},
    {"basic_block": BasicBlockV2, "bottle_neck": BottleneckV2},
)


def get_resnet(
    version: int, num_layers: int, pretrained: bool = False, ctx: Any = None, root: Any = None, **kwargs: Any
) -> _ResNet:
    """A ResNet.

    Args:
        version: 1 or 2.
        num_layers: 18, 34, 50, 101 or 152.
        pretrained: whether trained parameters are loaded; see `model_store.get_model_file`.
        ctx: device of the parameters.
        root: the folder of trained parameters.
        kwargs: as `ResNetV1` takes them.

    Raises:
        AssertionError: there is no such network.
    """
    if num_layers not in resnet_spec:
        raise AssertionError(f"Invalid number of layers: {num_layers}. Options are {list(resnet_spec)}")
    if version not in (1, 2):
        raise AssertionError(f"Invalid resnet version: {version}. Options are 1 and 2.")
    kind, layers, channels = resnet_spec[num_layers]
    made = (ResNetV1, ResNetV2)[version - 1](_BLOCKS[version - 1][kind], layers, channels, **kwargs)
    return load_trained(made, f"resnet{num_layers}_v{version}", pretrained, ctx, root)


def _function(version: int, num_layers: int) -> Any:
    def make(**kwargs: Any) -> _ResNet:
        return get_resnet(version, num_layers, **kwargs)

    make.__name__ = make.__qualname__ = f"resnet{num_layers}_v{version}"
    make.__doc__ = f"ResNet of {num_layers} layers, version {version}; arguments as `get_resnet`'s."
    return make


resnet18_v1, resnet18_v2 = _function(1, 18), _function(2, 18)
resnet34_v1, resnet34_v2 = _function(1, 34), _function(2, 34)
resnet50_v1, resnet50_v2 = _function(1, 50), _function(2, 50)
resnet101_v1, resnet101_v2 = _function(1, 101), _function(2, 101)
resnet152_v1, resnet152_v2 = _function(1, 152), _function(2, 152)
