"""SqueezeNet: layers that narrow to few channels, then widen by two convolutions side by side."""

from typing import Any

from evergraph.mxnet.gluon import nn
from evergraph.mxnet.gluon.contrib.nn import HybridConcurrent
from evergraph.mxnet.gluon.hybrid import HybridBlock
from evergraph.mxnet.gluon.model_zoo.model_store import load_trained

__all__ = ["SqueezeNet", "get_squeezenet", "squeezenet1_0", "squeezenet1_1"]


def _convolution(channels: int, kernel_size: int, padding: int = 0) -> nn.HybridSequential:
    found = nn.HybridSequential(prefix="")
    found.add(nn.Conv2D(channels, kernel_size, padding=padding), nn.Activation("relu"))
    return found


def _fire(narrow: int, wide: int) -> nn.HybridSequential:
    paths = HybridConcurrent(axis=1, prefix="")
    found = nn.HybridSequential(prefix="")
    found.add(_convolution(narrow, 1))
    paths.add(_convolution(wide, 1), _convolution(wide, 3, 1))
    found.add(paths)
    return found


def _pool() -> nn.MaxPool2D:
    return nn.MaxPool2D(pool_size=3, strides=2, ceil_mode=True)


# narrow and wide channels of the layers between poolings
_STAGES = {
    "1.0": [[(16, 64), (16, 64), (32, 128)], [(32, 128), (48, 192), (48, 192), (64, 256)], [(64, 256)]],
    "1.1": [[(16, 64), (16, 64)], [(32, 128), (32, 128)], [(48, 192), (48, 192), (64, 256), (64, 256)]],
}


class SqueezeNet(HybridBlock):
    """SqueezeNet of version "1.0" or "1.1", for a number of classes."""

    def __init__(self, version: str, classes: int = 1000, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if version not in _STAGES:
            raise AssertionError(f"Unsupported SqueezeNet version {version}: 1.0 or 1.1 expected")
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            first = (96, 7) if version == "1.0" else (64, 3)
            self.features.add(nn.Conv2D(first[0], kernel_size=first[1], strides=2), nn.Activation("relu"))
            for stage in _STAGES[version]:
                self.features.add(_pool())
                self.features.add(*[_fire(narrow, wide) for narrow, wide in stage])
            self.features.add(nn.Dropout(0.5))
            self.output = nn.HybridSequential(prefix="")
            self.output.add(nn.Conv2D(classes, kernel_size=1), nn.Activation("relu"), nn.AvgPool2D(13), nn.Flatten())

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The scores of the classes."""
        return self.output(self.features(x))


def get_squeezenet(
    version: str, pretrained: bool = False, ctx: Any = None, root: Any = None, **kwargs: Any
) -> SqueezeNet:
    """A SqueezeNet; `pretrained`, `ctx` and `root` as in `get_resnet`."""
    return load_trained(SqueezeNet(version, **kwargs), f"squeezenet{version}", pretrained, ctx, root)


def squeezenet1_0(**kwargs: Any) -> SqueezeNet:
    """SqueezeNet 1.0; arguments as `get_squeezenet`'s."""
    return get_squeezenet("1.0", **kwargs)


def squeezenet1_1(**kwargs: Any) -> SqueezeNet:
    """SqueezeNet 1.1; arguments as `get_squeezenet`'s."""
    return get_squeezenet("1.1", **kwargs)
