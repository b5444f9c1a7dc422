"""NDArray: MXNet's array over a torch tensor, without copies."""

from typing import Any

import numpy as np
import torch

from evergraph.mxnet.context import Context, current_context
from evergraph.tensors import dtype as element_type

__all__ = ["NDArray", "torch_type"]


def torch_type(kind: Any) -> torch.dtype:
    """The torch type for a NumPy type, a name or a torch type.

    >>> torch_type("float16"), torch_type(np.int8)
    (torch.float16, torch.int8)
    """
    return kind if isinstance(kind, torch.dtype) else element_type(np.dtype(kind) if kind in _NATIVE else kind).torch()


_NATIVE = (int, float, bool)


class NDArray:
    """An array of one element type on one device.

    Two things make it more than its tensor. A context, because cpu(0) and cpu(1) are one memory for torch and two
    devices for MXNet. And a leaf: the tensor itself never asks for a gradient, so that what happens outside
    `autograd.record` is plain arithmetic; `attach_grad` adds a second tensor over the same memory that does, and
    recorded operators read that one.

    Args:
        data: the tensor; shared.
        ctx: the device as MXNet names it.
    """

    __slots__ = ("__weakref__", "_ctx", "_data", "_fresh_grad", "_grad", "_grad_req", "_leaf")
    __array_priority__ = 1000.0
    stype = "default"

    def __init__(self, data: torch.Tensor, ctx: Context | None = None) -> None:
        self._data = data
        self._ctx = ctx if ctx is not None else current_context()
        self._leaf: torch.Tensor | None = None
        self._grad: NDArray | None = None
        self._grad_req = "null"
        self._fresh_grad = False

    def _input(self, recording: bool) -> torch.Tensor:
        """The tensor that an operator reads."""
        return self._leaf if recording and self._leaf is not None else self._data

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes."""
        return tuple(self._data.shape)

    @property
    def dtype(self) -> Any:
        """Element type as a NumPy scalar type, such as `numpy.float32`."""
        return element_type(self._data.dtype).numpy().type

    @property
    def context(self) -> Context:
        """The device."""
        return self._ctx

    ctx = context

    @property
    def size(self) -> int:
        """Number of elements."""
        return self._data.numel()

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return self._data.dim()

    def asnumpy(self) -> np.ndarray:
        """A copy of the values as a NumPy array; bfloat16 as ml_dtypes' type."""
        tensor = self._data.detach().cpu()
        if tensor.dtype == torch.bfloat16:
            return tensor.contiguous().view(torch.int16).numpy().view(element_type("bfloat16").numpy()).copy()
        return tensor.numpy().copy()
