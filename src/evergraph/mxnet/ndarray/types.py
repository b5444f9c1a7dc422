"""Element types and array-likes on their way in."""

import functools
from typing import Any

import numpy as np
import torch

from evergraph.engine.tensors import as_tensor
from evergraph.errors import FormatError, UsageError
from evergraph.tensors import dtype as element_type

__all__ = ["numpy_type", "tensor_of", "torch_type"]

_NATIVE = (int, float, bool)
_TORCH: dict[Any, torch.dtype] = {}


class _NoSuchTypeError(UsageError, TypeError):
    """A name or a value that stands for no element type."""


def torch_type(kind: Any) -> torch.dtype:
    """The torch type for a NumPy type, a name or a torch type.

    >>> torch_type("float16"), torch_type(np.int8)
    (torch.float16, torch.int8)
    """
    if isinstance(kind, torch.dtype):
        return kind
    found = _TORCH.get(kind)
    if found is None:
        # MXNet's Python names bfloat16 by a structure of one field
        named = "bfloat16" if getattr(kind, "names", None) == ("bfloat16",) else kind
        named = np.dtype(named) if named in _NATIVE else named
        try:
            found = _TORCH[kind] = element_type(named).torch()
        except FormatError as error:
            raise _NoSuchTypeError(error.what, expected="float32, float64, float16, bfloat16, int32, ...") from error
    return found


@functools.cache
def numpy_type(kind: torch.dtype) -> Any:
    """The NumPy scalar type of a torch type.

    >>> numpy_type(torch.float32)
    <class 'numpy.float32'>
    """
    return element_type(kind).numpy().type


def tensor_of(value: Any, kind: torch.dtype | None = None) -> torch.Tensor:
    """A tensor with a copy of what an array-like holds.

    Args:
        value: a NumPy array, a torch tensor, numbers in nested sequences, anything with `__array__`.
        kind: the element type; the value's own where it is not given.

    Raises:
        TypeError: the value holds no numbers.
    """
    if not isinstance(value, (torch.Tensor, np.ndarray)):
        try:
            value = np.asarray(_plain(value))
        except ValueError as error:
            raise TypeError(f"source_array must be array like object, found {type(value).__name__}: {error}") from error
    try:
        found = as_tensor(value)
    except (UsageError, TypeError) as error:
        raise TypeError(f"source_array must be array like object, found {type(value).__name__}") from error
    return found.detach().to("cpu", kind, copy=True, memory_format=torch.contiguous_format)


def _plain(value: Any) -> Any:
    """Nested sequences with arrays in them, as NumPy can read them."""
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value.asnumpy() if hasattr(value, "asnumpy") else value
