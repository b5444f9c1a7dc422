"""Element types by MXNet's names, in PyTorch."""

from typing import Any

from evergraph.ops.lazy import torch

__all__ = ["torch_dtype"]


def torch_dtype(name: str) -> Any:
    """The torch type of one of MXNet's type names.

    >>> torch_dtype("float16")
    torch.float16
    """
    return getattr(torch, name)
