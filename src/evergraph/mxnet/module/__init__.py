"""`mx.mod`: networks that are trained, scored, saved and resumed."""

from evergraph.mxnet.module import base_module, executor_group, module
from evergraph.mxnet.module.base_module import BaseModule
from evergraph.mxnet.module.bucketing_module import BucketingModule
from evergraph.mxnet.module.executor_group import DataParallelExecutorGroup
from evergraph.mxnet.module.module import Module
from evergraph.mxnet.module.python_module import PythonLossModule, PythonModule
from evergraph.mxnet.module.sequential_module import SequentialModule

__all__ = [
    "BaseModule",
    "BucketingModule",
    "DataParallelExecutorGroup",
    "Module",
    "PythonLossModule",
    "PythonModule",
    "SequentialModule",
    "base_module",
    "executor_group",
    "module",
]
