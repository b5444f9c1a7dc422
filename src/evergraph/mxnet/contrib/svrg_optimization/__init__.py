"""`mx.contrib.svrg_optimization`: stochastic gradients whose variance the gradient over all data reduces."""

from evergraph.mxnet.contrib.svrg_optimization import svrg_module, svrg_optimizer
from evergraph.mxnet.contrib.svrg_optimization.svrg_module import SVRGModule

__all__ = ["SVRGModule", "svrg_module", "svrg_optimizer"]
