"""`mx.gluon.contrib.nn`: blocks side by side, blocks that shuffle pixels, and others."""

from typing import Any

from evergraph.mxnet import ndarray as nd
from evergraph.mxnet.gluon.block import Block
from evergraph.mxnet.gluon.hybrid import HybridBlock
from evergraph.mxnet.gluon.nn import HybridSequential, Sequential, SyncBatchNorm

__all__ = [
    "Concurrent",
    "HybridConcurrent",
    "Identity",
    "PixelShuffle1D",
    "PixelShuffle2D",
    "PixelShuffle3D",
    "SparseEmbedding",
    "SyncBatchNorm",
]


class Concurrent(Sequential):
    """Blocks that take the same input; their outputs are joined along an axis.

    >>> from evergraph.mxnet import gluon
    >>> net = Concurrent(); net.add(gluon.nn.Lambda("relu"), gluon.nn.Lambda("negative"))
    >>> net(nd.array([[-1, 2]])).asnumpy().tolist()
    [[0.0, 2.0, 1.0, -2.0]]
    """

    def __init__(self, axis: int = -1, prefix: str | None = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        self.axis = axis

    def forward(self, *args: Any) -> Any:
        """The joined outputs."""
        (x,) = args
        return nd.concat(*[block(x) for block in self._children.values()], dim=self.axis)


class HybridConcurrent(HybridSequential):
    """Hybrid blocks that take the same input; their outputs are joined along an axis."""

    def __init__(self, axis: int = -1, prefix: str | None = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)
        self.axis = axis

    def hybrid_forward(self, F: Any, x: Any, *args: Any) -> Any:
        """The joined outputs."""
        return F.concat(*[block(x) for block in self._children.values()], dim=self.axis)


class Identity(HybridBlock):
    """A block that gives what it takes."""

    def __init__(self, prefix: str | None = None, params: Any = None) -> None:
        super().__init__(prefix=prefix, params=params)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The input."""
        return x


class SparseEmbedding(Block):
    """Vectors by number, from a row_sparse weight with a row_sparse gradient.

    Args:
        input_dim: how many numbers there are.
        output_dim: length of a vector.
        dtype: element type of the weight.
        weight_initializer: how the weight begins.
        kwargs: as `Block` takes them.
    """

    def __init__(
        self, input_dim: int, output_dim: int, dtype: Any = "float32", weight_initializer: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self._kwargs = {"input_dim": input_dim, "output_dim": output_dim, "dtype": dtype, "sparse_grad": True}
        self.weight = self.params.get(
            "weight",
            shape=(input_dim, output_dim),
            init=weight_initializer,
            dtype=dtype,
            grad_stype="row_sparse",
            stype="row_sparse",
        )

    def forward(self, *args: Any) -> Any:
        """The vectors, in the shape of x and one more axis."""
        (x,) = args
        weight = self.weight.row_sparse_data(x)
        return nd.Embedding(x, weight, name="fwd", **self._kwargs)

    def __repr__(self) -> str:
        return "{}({input_dim} -> {output_dim}, {dtype})".format(type(self).__name__, **self._kwargs)


def _factors(factor: Any, rank: int) -> tuple[int, ...]:
    found = (factor,) * rank if isinstance(factor, int) else tuple(factor)
    if len(found) != rank:
        raise AssertionError(f"wrong length {len(found)} of factor")
    return found


class _PixelShuffle(HybridBlock):
    """Moves parts of the channels into space: (N, prod(f) * C, *S) becomes (N, C, *(f * S))."""

    rank = 1

    def __init__(self, factor: Any) -> None:
        super().__init__()
        self._factors = _factors(factor, self.rank)

    def hybrid_forward(self, F: Any, x: Any) -> Any:
        """The larger image."""
        # MXNet's codes keep sizes that a symbol does not know: one axis is split, moved and merged at a time
        done = 1
        for number, factor in enumerate(self._factors):
            rest = 1
            for later in self._factors[number + 1 :]:
                rest *= later
            done = factor * rest
            x = F.reshape(x, shape=(0, -4, -1, done, *(0,) * self.rank))
            x = F.reshape(x, shape=(0, 0, -4, factor, rest, *(0,) * self.rank))
            order = [0, 1, 3, *range(4, 5 + number), 2, *range(5 + number, 4 + self.rank)]
            x = F.transpose(x, axes=tuple(order))
            x = F.reshape(x, shape=(0, -3, *(0,) * number, -3, *(0,) * (self.rank - number - 1)))
        return x

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._factors if self.rank > 1 else self._factors[0]})"


class PixelShuffle1D(_PixelShuffle):
    """Moves parts of the channels into width.

    >>> PixelShuffle1D(2)(nd.zeros((1, 8, 3))).shape
    (1, 4, 6)
    """


class PixelShuffle2D(_PixelShuffle):
    """Moves parts of the channels into height and width; `factor` is one number or two.

    >>> PixelShuffle2D((2, 3))(nd.zeros((1, 12, 3, 5))).shape
    (1, 2, 6, 15)
    """

    rank = 2


class PixelShuffle3D(_PixelShuffle):
    """Moves parts of the channels into depth, height and width; `factor` is one number or three.

    >>> PixelShuffle3D((2, 3, 4))(nd.zeros((1, 48, 3, 5, 7))).shape
    (1, 2, 6, 15, 28)
    """

    rank = 3
