"""Arrays of any kind as torch tensors, and back."""

from typing import Any

import numpy as np
import torch

from evergraph.errors import UsageError
from evergraph.ops.sparse import dense_value, is_sparse

__all__ = ["as_numpy", "as_tensor"]


def as_tensor(value: Any) -> Any:
    """A torch tensor (or a sparse value of `evergraph.ops.sparse`) of anything that holds numbers, without a copy
    where there need not be one.

    Args:
        value: a torch tensor, an evergraph Tensor, a NumPy array or what `numpy.asarray` takes. Python numbers and
            NumPy's float64 arrays keep their type.

    Raises:
        UsageError: the value holds no numbers.

    >>> as_tensor([1.5, 2.0])
    tensor([1.5000, 2.0000], dtype=torch.float64)
    """
    if isinstance(value, torch.Tensor) or is_sparse(value):
        return value
    if hasattr(value, "torch"):
        return value.torch()
    array = np.asarray(value)
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.uint16).copy()).view(torch.bfloat16)
    if array.dtype.kind not in "biufc":
        raise UsageError("this value holds no numbers", found=array.dtype)
    # torch takes neither foreign byte order nor negative strides, and warns of arrays that cannot be written
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if not array.flags.writeable or any(s < 0 for s in array.strides):
        array = array.copy()
    return torch.from_numpy(array)


def as_numpy(value: Any) -> np.ndarray:
    """A NumPy array of a run's output; bfloat16 as ml_dtypes' type.

    >>> as_numpy(torch.ones(2))
    array([1., 1.], dtype=float32)
    """
    tensor = dense_value(value).detach().cpu()
    if tensor.dtype == torch.bfloat16:
        import ml_dtypes

        return tensor.view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()
