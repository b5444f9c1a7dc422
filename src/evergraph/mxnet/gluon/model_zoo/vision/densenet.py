"""DenseNet: each layer takes what all layers before it gave."""

from typing import Any

from evergraph.mxnet.gluon import nn
from evergraph.mxnet.gluon.contrib.nn import HybridConcurrent, Identity
from evergraph.mxnet.gluon.hybrid import HybridBlock
from evergraph.mxnet.gluon.model_zoo.model_store import load_trained

__all__ = ["DenseNet", "densenet121", "densenet161", "densenet169", "densenet201", "get_densenet"]


def _layer(growth_rate: int, bn_size: int, dropout: float) -> HybridConcurrent:
    new = nn.HybridSequential(prefix="")
    new.add(
        nn.BatchNorm(),
        nn.Activation("relu"),
        nn.Conv2D(bn_size * growth_rate, kernel_size=1, use_bias=False),
        nn.BatchNorm(),
        nn.Activation("relu"),
        nn.Conv2D(growth_rate, kernel_size=3, padding=1, use_bias=False),
    )
    if dropout:
        new.add(nn.Dropout(dropout))
    found = HybridConcurrent(axis=1, prefix="")
    found.add(Identity(), new)
    return found


def _stage(count: int, bn_size: int, growth_rate: int, dropout: float, number: int) -> nn.HybridSequential:
    found = nn.HybridSequential(prefix=f"stage{number}_")
    with found.name_scope():
        for _ in range(count):
            found.add(_layer(growth_rate, bn_size, dropout))
    return found


def _transition(channels: int) -> nn.HybridSequential:
    found = nn.HybridSequential(prefix="")
    found.add(
        nn.BatchNorm(),
        nn.Activation("relu"),
        nn.Conv2D(channels, kernel_size=1, use_bias=False),
        nn.AvgPool2D(pool_size=2, strides=2),
    )
    return found


class DenseNet(HybridBlock):
    """DenseNet.

    Args:
        num_init_features: channels of the first convolution.
        growth_rate: channels that each layer adds.
        block_config: number of layers in each stage.
        bn_size: channels inside a layer, as a multiple of what it adds.
        dropout: probability after each layer.
        classes: number of classes.
        kwargs: as `HybridBlock` takes them.
    """

    def __init__(
        self,
        num_init_features: int,
        growth_rate: int,
        block_config: Any,
        bn_size: int = 4,
        dropout: float = 0,
        classes: int = 1000,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            self.features.add(
                nn.Conv2D(num_init_features, kernel_size=7, strides=2, padding=3, use_bias=False),
                nn.BatchNorm(),
                nn.Activation("relu"),
                nn.MaxPool2D(pool_size=3, strides=2, padding=1),
            )
            channels = num_init_features
            for number, count in enumerate(block_config, 1):
                self.features.add(_stage(count, bn_size, growth_rate, dropout, number))
                channels += count * growth_rate
                if number != len(block_config):
                    channels //= 2
                    self.features.add(_transition(channels))
            self.features.add(nn.BatchNorm(), nn.Activation("relu"), nn.AvgPool2D(pool_size=7), nn.Flatten())
            self.output = nn.Dense(classes)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The scores of the classes."""
        return self.output(self.features(x))


densenet_spec = {
    121: (64, 32, [6, 12, 24, 16]),
    161: (96, 48, [6, 12, 36, 24]),
    169: (64, 32, [6, 12, 32, 32]),
    201: (64, 32, [6, 12, 48, 32]),
}


def get_densenet(
    num_layers: int, pretrained: bool = False, ctx: Any = None, root: Any = None, **kwargs: Any
) -> DenseNet:
    """A DenseNet of 121, 161, 169 or 201 layers; `pretrained`, `ctx` and `root` as in `get_resnet`."""
    made = DenseNet(*densenet_spec[num_layers], **kwargs)
    return load_trained(made, f"densenet{num_layers}", pretrained, ctx, root)


def densenet121(**kwargs: Any) -> DenseNet:
    """DenseNet of 121 layers; arguments as `get_densenet`'s."""
    return get_densenet(121, **kwargs)


def densenet161(**kwargs: Any) -> DenseNet:
    """DenseNet of 161 layers; arguments as `get_densenet`'s."""
    return get_densenet(161, **kwargs)


def densenet169(**kwargs: Any) -> DenseNet:
    """DenseNet of 169 layers; arguments as `get_densenet`'s."""
    return get_densenet(169, **kwargs)


def densenet201(**kwargs: Any) -> DenseNet:
    """DenseNet of 201 layers; arguments as `get_densenet`'s."""
    return get_densenet(201, **kwargs)
