"""What every MindSpore program begins with: tensors, parameters, element types, initial values."""

from evergraph.mindspore.common import dtype, initializer
from evergraph.mindspore.common.parameter import Parameter, ParameterTuple
from evergraph.mindspore.common.seed import get_seed, set_seed
from evergraph.mindspore.common.tensor import Tensor, from_numpy, tensor

__all__ = [
    "Parameter",
    "ParameterTuple",
    "Tensor",
    "dtype",
    "from_numpy",
    "get_seed",
    "initializer",
    "set_seed",
    "tensor",
]
