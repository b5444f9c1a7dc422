"""What a network's structure tells of its layers: from a PyTorch module, a MindSpore cell, or an MXNet graph."""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import UsageError, printable
from evergraph.formats.opening import open_checkpoint
from evergraph.graph import Graph

__all__ = ["KINDS", "Told", "structure"]

_CLASSES = {
    "batch_norm": ("_BatchNorm", "BatchNorm", "SyncBatchNorm", "_InstanceNorm", "FrozenBatchNorm2d"),
    "norm": ("LayerNorm", "GroupNorm"),
    "conv1d": ("Conv1d", "ConvTranspose1d", "Conv1dTranspose"),
    "conv": ("Conv2d", "Conv3d", "ConvTranspose2d", "ConvTranspose3d", "Conv2dTranspose", "Conv3dTranspose"),
    "linear": ("Linear", "Dense"),
    "embedding": ("Embedding", "EmbeddingBag", "EmbeddingLookup"),
    "prelu": ("PReLU",),
    "rnn": ("LSTM", "GRU", "RNN"),
    "rnn_cell": ("LSTMCell", "GRUCell", "RNNCell"),
}
KINDS = (*_CLASSES, "depthwise", "other")
"""The kinds of layers, as rules name them."""

_KIND_OF = {name: kind for kind, names in _CLASSES.items() for name in names}


@dataclass(frozen=True, slots=True)
class Told:
    """What the structure says.

    Attributes:
        kinds: kind of a layer, by its name.
        graph: the MXNet graph that the tensors belong to.
        rule: a user's rule for the kind of a layer, which comes first; it gives "" where it has none.
    """

    kinds: Mapping[str, str] = field(default_factory=dict)
    graph: Graph | None = None
    rule: Callable[[str], str] | None = None

    def kind(self, layer: str) -> str:
        """Kind of a layer; empty where nothing is told."""
        return (self.rule(layer) if self.rule is not None else "") or self.kinds.get(layer, "")


def structure(model: Any) -> Told:
    """What a model tells.

    Args:
        model: a torch.nn.Module, a MindSpore Cell, an MXNet Symbol or graph, a checkpoint with a graph or where one
            is (`net-symbol.json`), or None.

    Raises:
        UsageError: something else, or a checkpoint without a graph.

    >>> import torch
    >>> structure(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.PReLU())).kinds
    {'0': 'linear', '1': 'prelu'}
    """
    if model is None:
        return Told()
    if isinstance(model, Graph):
        return Told(graph=model)
    for method in ("cells_and_names", "named_modules"):
        if callable(getattr(model, method, None)):
            return Told(_kinds(getattr(model, method)()))
    found = open_checkpoint(model) if isinstance(model, (str, os.PathLike)) else model
    graph = getattr(found, "graph", None)
    if not isinstance(graph, Graph):
        raise UsageError(
            "the model tells no structure",
            expected="a torch.nn.Module, a MindSpore Cell, an MXNet Symbol, or the file of one (net-symbol.json)",
            found=repr(found) if isinstance(found, Checkpoint) else printable(type(model).__name__),
        )
    return Told(graph=graph)


def _kinds(layers: Iterable[tuple[str, Any]]) -> dict[str, str]:
    found = {}
    for name, layer in layers:
        kind = next((_KIND_OF[c.__name__] for c in type(layer).__mro__ if c.__name__ in _KIND_OF), "")
        if kind:
            # what DataParallel wraps is known under its own name as well
            found[name] = found[name.removeprefix("module.")] = kind
    return found
