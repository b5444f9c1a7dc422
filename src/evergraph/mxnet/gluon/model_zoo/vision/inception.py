"""Inception v3: blocks of convolutions of several shapes side by side."""

from typing import Any

from evergraph.mxnet.gluon import nn
from evergraph.mxnet.gluon.contrib.nn import HybridConcurrent
from evergraph.mxnet.gluon.hybrid import HybridBlock
from evergraph.mxnet.gluon.model_zoo.model_store import load_trained

__all__ = ["Inception3", "inception_v3"]


def _convolution(channels: int, kernel_size: Any, strides: Any = 1, padding: Any = 0) -> nn.HybridSequential:
    found = nn.HybridSequential(prefix="")
    found.add(
        nn.Conv2D(channels, kernel_size, strides, padding, use_bias=False),
        nn.BatchNorm(epsilon=0.001),
        nn.Activation("relu"),
    )
    return found


def _branch(pool: str | None, *convolutions: tuple[Any, ...]) -> nn.HybridSequential:
    """A pooling ("avg" or "max"), then convolutions: (channels, kernel[, strides[, padding]])."""
    found = nn.HybridSequential(prefix="")
    if pool == "avg":
        found.add(nn.AvgPool2D(pool_size=3, strides=1, padding=1))
    elif pool == "max":
        found.add(nn.MaxPool2D(pool_size=3, strides=2))
    for each in convolutions:
        found.add(_convolution(*each))
    return found


def _row(channels: int, size: int) -> tuple[Any, ...]:
    return (channels, (1, size), 1, (0, size // 2))


def _column(channels: int, size: int) -> tuple[Any, ...]:
    return (channels, (size, 1), 1, (size // 2, 0))


def _joined(prefix: str, *branches: HybridBlock) -> HybridConcurrent:
    found = HybridConcurrent(axis=1, prefix=prefix)
    found.add(*branches)
    return found


def _named(prefix: str, *branches: tuple[Any, ...]) -> HybridConcurrent:
    found = HybridConcurrent(axis=1, prefix=prefix)
    with found.name_scope():
        found.add(*[_branch(*b) for b in branches])
    return found


def _a(pool_features: int, prefix: str) -> HybridConcurrent:
    return _named(
        prefix,
        (None, (64, 1)),
        (None, (48, 1), (64, 5, 1, 2)),
        (None, (64, 1), (96, 3, 1, 1), (96, 3, 1, 1)),
        ("avg", (pool_features, 1)),
    )


def _b(prefix: str) -> HybridConcurrent:
    return _named(prefix, (None, (384, 3, 2)), (None, (64, 1), (96, 3, 1, 1), (96, 3, 2)), ("max",))


def _c(inside: int, prefix: str) -> HybridConcurrent:
    return _named(
        prefix,
        (None, (192, 1)),
        (None, (inside, 1), _row(inside, 7), _column(192, 7)),
        (None, (inside, 1), _column(inside, 7), _row(inside, 7), _column(inside, 7), _row(192, 7)),
        ("avg", (192, 1)),
    )


def _d(prefix: str) -> HybridConcurrent:
    return _named(
        prefix,
        (None, (192, 1), (320, 3, 2)),
        (None, (192, 1), _row(192, 7), _column(192, 7), (192, 3, 2)),
        ("max",),
    )


def _e(prefix: str) -> HybridConcurrent:
    found = HybridConcurrent(axis=1, prefix=prefix)
    with found.name_scope():
        found.add(_branch(None, (320, 1)))
        for before in (((384, 1),), ((448, 1), (384, 3, 1, 1))):
            path = nn.HybridSequential(prefix="")
            found.add(path)
            path.add(_branch(None, *before))
            path.add(_joined("", _branch(None, _row(384, 3)), _branch(None, _column(384, 3))))
        found.add(_branch("avg", (192, 1)))
    return found


class Inception3(HybridBlock):
    """Inception v3 for a number of classes; its input is 299 x 299."""

    def __init__(self, classes: int = 1000, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        with self.name_scope():
            self.features = nn.HybridSequential(prefix="")
            self.features.add(
                _convolution(32, 3, 2),
                _convolution(32, 3),
                _convolution(64, 3, 1, 1),
                nn.MaxPool2D(pool_size=3, strides=2),
                _convolution(80, 1),
                _convolution(192, 3),
                nn.MaxPool2D(pool_size=3, strides=2),
                *[_a(n, f"A{i}_") for i, n in enumerate((32, 64, 64), 1)],
                _b("B_"),
                *[_c(n, f"C{i}_") for i, n in enumerate((128, 160, 160, 192), 1)],
                _d("D_"),
                _e("E1_"),
                _e("E2_"),
                nn.AvgPool2D(pool_size=8),
                nn.Dropout(0.5),
            )
            self.output = nn.Dense(classes)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The scores of the classes."""
        return self.output(self.features(x))


def inception_v3(pretrained: bool = False, ctx: Any = None, root: Any = None, **kwargs: Any) -> Inception3:
    """An Inception v3; `pretrained`, `ctx` and `root` as in `get_resnet`."""
    return load_trained(Inception3(**kwargs), "inceptionv3", pretrained, ctx, root)
