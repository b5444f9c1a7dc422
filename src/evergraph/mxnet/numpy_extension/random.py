"""`mx.npx.random`: seeds, bits, and draws of as many as asked for each pair of parameters.

>>> from evergraph.mxnet import np, npx
>>> npx.random.seed(1)
>>> npx.random.normal_n(np.zeros(3), 1, batch_shape=(2,)).shape
(2, 3)
"""

from evergraph.mxnet.numpy.face import bound
from evergraph.mxnet.numpy.functions.extension_random import TABLE
from evergraph.mxnet.numpy.multiarray import FACE
from evergraph.mxnet.random import seed

__all__ = ["seed"]

globals().update(bound(TABLE, FACE, "mxnet.numpy_extension.random"))
