"""Batch normalisation on strides that PyTorch reads rightly."""

from typing import Any

from evergraph.ops.lazy import torch

__all__ = ["batch_norm"]


def batch_norm(x: Any, scale: Any, beta: Any, mean: Any, var: Any, training: bool, momentum: float, eps: float) -> Any:
    """`torch.batch_norm` with a gradient that is right whatever the strides of axes of one element are.

    PyTorch 2.13 on a CPU takes data or a head gradient for another memory order where the stride of such an axis is not
    the usual one, as behind a sum over a batch of one, and computes other gradients without a word.
    """
    if 1 not in x.shape or not torch.is_grad_enabled() or not _differentiated(x, scale, beta) or _tracing():
        return torch.batch_norm(x, scale, beta, mean, var, training, momentum, eps, True)
    out = torch.batch_norm(_usual(x), scale, beta, mean, var, training, momentum, eps, True)
    if out.requires_grad:
        out.register_hook(_usual)
    return out


def _differentiated(*tensors: Any) -> bool:
    return any(t is not None and t.requires_grad for t in tensors)


def _tracing() -> bool:
    return torch.compiler.is_compiling() or torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]


def _usual(x: Any) -> Any:
    """The same values, in new memory where the strides are those of neither memory order."""
    inner = torch.channels_last if x.ndim == 4 else torch.channels_last_3d if x.ndim == 5 else None
    if x.stride() in (_strides(x.shape), _strides(x.shape, inner is not None)):
        return x
    last = inner is not None and not x.is_contiguous() and x.is_contiguous(memory_format=inner)
    return x.clone(memory_format=inner if last else torch.contiguous_format)


def _strides(shape: Any, channels_last: bool = False) -> tuple[int, ...]:
    """Strides of a tensor of this shape that was just made."""
    axes = (0, *range(2, len(shape)), 1) if channels_last else range(len(shape))
    found, step = [0] * len(shape), 1
    for axis in reversed(axes):
        found[axis], step = step, step * max(shape[axis], 1)
    return tuple(found)
