"""MindSpore's names: `gamma`, `beta`, `moving_mean`, `moving_variance`, `embedding_table`; Conv1d's extra dimension."""

from collections.abc import Mapping

from evergraph.crossing.parts import OTHER, Part, View, reshaped
from evergraph.crossing.pytorch import recurrent, recurrent_name
from evergraph.crossing.structure import Told
from evergraph.tensors import DENSE, Tensor

__all__ = ["read", "write"]

_MOVING = {"gamma": "scale", "beta": "shift", "moving_mean": "mean", "moving_variance": "variance"}
_NAMES = {role: name for name, role in _MOVING.items()} | {"slope": "w"}


def read(tensors: Mapping[str, Tensor], told: Told) -> tuple[list[View], list[str]]:
    """What each parameter of a network is.

    Args:
        tensors: parameters by name.
        told: what the structure says; names and shapes tell the rest.

    >>> import numpy as np
    >>> views, _ = read({"conv.weight": Tensor.of(np.ones((4, 2, 1, 3)))}, Told({"conv": "conv1d"}))
    >>> views[0].tensor.shape
    (4, 2, 3)
    """
    members: dict[str, set[str]] = {}
    for name in tensors:
        owner, _, leaf = name.rpartition(".")
        members.setdefault(owner, set()).add(leaf)
    flat = _looks_one_dimensional(tensors)
    found = []
    for name, tensor in tensors.items():
        owner, _, leaf = name.rpartition(".")
        part = _part(owner, leaf, tensor, members[owner], told.kind(owner), flat)
        shape = tensor.shape or ()
        if part.kind == "conv1d" and part.role == "weight" and len(shape) == 4 and shape[2] == 1:
            without = reshaped(tensor, (*shape[:2], shape[3]))
            found.append(View(name, part, without, "Conv1d: without the dimension of size 1"))
        else:
            found.append(View(name, part, tensor))
    return found, []


def _looks_one_dimensional(tensors: Mapping[str, Tensor]) -> bool:
    """Whether every convolution has kernels of height 1, and some are wider: then they are Conv1d's."""
    shapes = [t.shape for n, t in tensors.items() if n.endswith("weight") and len(t.shape or ()) == 4]
    kernels = [s[2:] for s in shapes if s is not None]
    return all(k[0] == 1 for k in kernels) and any(k[1] != 1 for k in kernels)


def _part(owner: str, leaf: str, tensor: Tensor, members: set[str], told: str, flat: bool) -> Part:
    found = recurrent(owner, leaf)
    if found is not None:
        return found
    if leaf in _MOVING:
        kind = "batch_norm" if "moving_mean" in members else "norm"
        return Part(owner, kind, _MOVING[leaf], why="moving_mean beside it" if kind == "batch_norm" else "gamma, beta")
    if leaf == "embedding_table":
        return Part(owner, "embedding", "weight", why="embedding_table")
    rank = len(tensor.shape or ())
    if leaf == "w" and rank == 1 and owner:
        return Part(owner, "prelu", "slope", why="a vector w")
    if leaf not in ("weight", "bias") or tensor.storage != DENSE:
        return Part(owner, OTHER, leaf, why="belongs to no known kind of layer")
    if told not in ("", OTHER):
        return Part(owner, told, leaf, why="told by the structure")
    if leaf == "bias":
        return Part(owner, "linear", leaf, why="the same name in each framework")
    return _weight(owner, tensor.shape or (), flat)


def _weight(owner: str, shape: tuple[int, ...], flat: bool) -> Part:
    if len(shape) != 4:
        return Part(owner, "linear" if len(shape) == 2 else "conv", "weight", why=f"{len(shape)} dimensions")
    if flat:
        why = "all kernels have height 1: taken for Conv1d's"
        return Part(owner, "conv1d", "weight", why=why, guessed=True)
    unsure = shape[2] == 1 and shape[3] != 1
    why = "height 1 among others: taken for Conv2d's" if unsure else "4 dimensions"
    return Part(owner, "conv", "weight", why=why, guessed=unsure)


def write(view: View) -> tuple[str, Tensor, str] | None:
    """MindSpore's name of a part, its values and what was done to them; None for what it has no place for."""
    part, tensor, changed = view.part, view.tensor, view.changed
    head = f"{part.owner}." if part.owner else ""
    if part.role == "count" and part.kind == "batch_norm":
        return None
    if part.kind in ("rnn", "rnn_cell"):
        return head + recurrent_name(part), tensor, changed
    if part.kind == OTHER:
        return head + part.role, tensor, changed
    if part.kind == "embedding" and part.role == "weight":
        return f"{head}embedding_table", tensor, changed
    shape = tensor.shape or ()
    if part.kind == "conv1d" and part.role == "weight" and len(shape) == 3:
        tensor, changed = reshaped(tensor, (*shape[:2], 1, shape[2])), "Conv1d: with a dimension of size 1"
    return head + _NAMES.get(part.role, part.role), tensor, changed
