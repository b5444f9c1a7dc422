"""`mx.optimizer.optimizer`: the optimizers, by the module that MXNet has them in."""

from evergraph.mxnet.optimizer.adaptive import FTML, AdaDelta, AdaGrad, Adam, Adamax, Ftrl, Nadam, RMSProp, Test
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
    "Nadam",
    "Optimizer",
    "RMSProp",
    "Signum",
    "Test",
    "Updater",
    "ccSGD",
    "create",
    "get_updater",
    "register",
]
