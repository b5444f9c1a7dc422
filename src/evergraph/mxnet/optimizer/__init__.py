"""`mx.optimizer`: how gradients change weights.

>>> from evergraph.mxnet import nd
>>> weight = nd.array([1.0])
>>> get_updater(create("sgd", learning_rate=0.5))(0, nd.array([1.0]), weight)
>>> weight.asscalar().item()
0.5
"""

from evergraph.mxnet.optimizer import contrib, optimizer
from evergraph.mxnet.optimizer.adaptive import (
    FTML,
    AdaDelta,
    AdaGrad,
    Adam,
    Adamax,
    Ftrl,
    GroupAdaGrad,
    Nadam,
    RMSProp,
    Test,
)
from evergraph.mxnet.optimizer.base import Optimizer, create, register
from evergraph.mxnet.optimizer.descent import DCASGD, NAG, SGD, SGLD, Signum, ccSGD
from evergraph.mxnet.optimizer.layerwise import LAMB, LARS, LBSGD
from evergraph.mxnet.optimizer.updater import Updater, get_updater

__all__ = [
    "DCASGD",
    "FTML",
    "LAMB",
    "LARS",
    "LBSGD",
    "NAG",
    "SGD",
    "SGLD",
    "AdaDelta",
    "AdaGrad",
    "Adam",
    "Adamax",
    "Ftrl",
    "GroupAdaGrad",
    "Nadam",
    "Optimizer",
    "RMSProp",
    "Signum",
    "Test",
    "Updater",
    "ccSGD",
    "contrib",
    "create",
    "get_updater",
    "optimizer",
    "register",
]
