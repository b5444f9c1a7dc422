"""`mx.npx.random`: seeds, bits, and draws of as many as asked for each pair of parameters.

>>> from evergraph.mxnet import np, npx
>>> npx.random.seed(1)
>>> npx.random.normal_n(np.zeros(3), 1, batch_shape=(2,)).shape
(2, 3)
"""

from typing import Any

from evergraph.mxnet.numpy.face import bound
from evergraph.mxnet.numpy.functions.extension_random import TABLE
from evergraph.mxnet.numpy.multiarray import FACE
from evergraph.mxnet.random import seed as _seed

__all__ = ["seed"]


def seed(seed: Any, ctx: Any = "all") -> None:
    """Start random streams anew; see `mx.random.seed`.

    Args:
        seed: an integer.
        ctx: the context whose stream is meant; "all" for every one.

    Raises:
        ValueError: the seed is no integer, or ctx no context.
    """
    _seed(seed, ctx)


globals().update(bound(TABLE, FACE, "mxnet.numpy_extension.random"))
