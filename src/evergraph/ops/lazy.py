"""`torch` for operator modules: a name that imports PyTorch at its first use, never when a schema is read."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    import torch.nn.functional as F
else:
    from evergraph._lazy import LazyModule

    torch = LazyModule("torch", "torch")
    F = LazyModule("torch.nn.functional", "torch")

__all__ = ["F", "torch"]
