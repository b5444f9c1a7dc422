"""Checkpoints from what a program holds: a PyTorch module, a MindSpore cell, a state dict."""

from collections.abc import Mapping
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.tensors import Tensor

__all__ = ["gathered"]


def gathered(source: Any) -> tuple[Checkpoint, Any] | None:
    """The weights of a network in memory, and the network where it tells its structure.

    Args:
        source: a torch.nn.Module, a MindSpore Cell, a mapping from names to tensors of either, or arrays.

    Returns:
        None for anything else, such as a path.

    >>> import torch
    >>> found, model = gathered(torch.nn.Linear(2, 3))
    >>> list(found), found.format
    (['weight', 'bias'], 'torch')
    """
    if isinstance(source, Checkpoint):
        return source, None
    if callable(getattr(source, "cells_and_names", None)):
        return _mapping(source.parameters_dict()), source
    if callable(getattr(source, "named_modules", None)):
        return _mapping(source.state_dict()), source
    return (_mapping(source), None) if isinstance(source, Mapping) else None


def _mapping(values: Mapping[str, Any]) -> Checkpoint:
    homes = {type(v).__module__.split(".")[0] for v in values.values()}
    if any(hasattr(v, "asnumpy") for v in values.values()):
        tensors = {n: Tensor.of(v.asnumpy() if hasattr(v, "asnumpy") else v) for n, v in values.items()}
        return Checkpoint(tensors, format="mindspore-ckpt")
    return Checkpoint(dict(values), format="torch" if "torch" in homes else "")
