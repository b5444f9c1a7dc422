"""VGG: convolutions of 3 x 3 in stages, then three fully connected layers."""

from typing import Any

from evergraph.mxnet.gluon import nn
from evergraph.mxnet.gluon.hybrid import HybridBlock
from evergraph.mxnet.gluon.model_zoo.model_store import load_trained
from evergraph.mxnet.initializer import Xavier

__all__ = ["VGG", "get_vgg", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"]


class VGG(HybridBlock):
    """VGG.

    Args:
        layers: number of convolutions in each stage.
        filters: channels of each stage.
        classes: number of classes.
        batch_norm: whether each convolution is normalized.
        kwargs: as `HybridBlock` takes them.
    """

    def __init__(self, layers: Any, filters: Any, classes: int = 1000, batch_norm: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if len(layers) != len(filters):
            raise AssertionError(f"{len(layers)} stages take as many numbers of channels, found {len(filters)}")
        with self.name_scope():
            self.features = self._make_features(layers, filters, batch_norm)
            for _ in range(2):
                self.features.add(
                    nn.Dense(4096, activation="relu", weight_initializer="normal", bias_initializer="zeros"),
                    nn.Dropout(rate=0.5),
                )
            self.output = nn.Dense(classes, weight_initializer="normal", bias_initializer="zeros")

    def _make_features(self, layers: Any, filters: Any, batch_norm: bool) -> nn.HybridSequential:
        found = nn.HybridSequential(prefix="")
        for count, channels in zip(layers, filters, strict=True):
            for _ in range(count):
                begin = Xavier(rnd_type="gaussian", factor_type="out", magnitude=2)
                found.add(
                    nn.Conv2D(channels, kernel_size=3, padding=1, weight_initializer=begin, bias_initializer="zeros")
                )
                if batch_norm:
                    found.add(nn.BatchNorm())
                found.add(nn.Activation("relu"))
            found.add(nn.MaxPool2D(strides=2))
        return found

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The scores of the classes."""
        return self.output(self.features(x))


_FILTERS = [64, 128, 256, 512, 512]
vgg_spec = {
    11: ([1, 1, 2, 2, 2], _FILTERS),
    13: ([2, 2, 2, 2, 2], _FILTERS),
    16: ([2, 2, 3, 3, 3], _FILTERS),
    19: ([2, 2, 4, 4, 4], _FILTERS),
}


def get_vgg(num_layers: int, pretrained: bool = False, ctx: Any = None, root: Any = None, **kwargs: Any) -> VGG:
    """A VGG.

    Args:
        num_layers: 11, 13, 16 or 19.
        pretrained: whether trained parameters are loaded; see `model_store.get_model_file`.
        ctx: device of the parameters.
        root: the folder of trained parameters.
        kwargs: as `VGG` takes them.
    """
    ending = "_bn" if kwargs.get("batch_norm") else ""
    return load_trained(VGG(*vgg_spec[num_layers], **kwargs), f"vgg{num_layers}{ending}", pretrained, ctx, root)


def _function(num_layers: int, batch_norm: bool) -> Any:
    def make(**kwargs: Any) -> VGG:
        if batch_norm:
            kwargs["batch_norm"] = True
        return get_vgg(num_layers, **kwargs)

    make.__name__ = make.__qualname__ = f"vgg{num_layers}{'_bn' if batch_norm else ''}"
    make.__doc__ = f"VGG of {num_layers} layers{', normalized' if batch_norm else ''}; arguments as `get_vgg`'s."
    return make


vgg11, vgg11_bn = _function(11, False), _function(11, True)
vgg13, vgg13_bn = _function(13, False), _function(13, True)
vgg16, vgg16_bn = _function(16, False), _function(16, True)
vgg19, vgg19_bn = _function(19, False), _function(19, True)
