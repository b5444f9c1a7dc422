"""PyTorch's names: `weight`, `bias`, `running_mean`, `running_var`, `weight_ih_l0`."""

import re
from collections.abc import Mapping

from evergraph.crossing.parts import OTHER, Part, View
from evergraph.crossing.structure import Told
from evergraph.tensors import Tensor

__all__ = ["NORM", "read", "recurrent", "recurrent_name", "write"]

NORM = re.compile(r"norm|(^|[._])(ln|gn|rms)([._\d]|$)", re.IGNORECASE)
"""Layers whose names speak of a normalization."""

_RECURRENT = re.compile(r"(weight|bias)_(ih|hh)(?:_l(\d+)(_reverse)?)?")
_EMBEDDING = re.compile(r"emb|(^|[._])w[tp]e([._]|$)|vocab|lookup", re.IGNORECASE)
_MOVING = {"weight": "scale", "bias": "shift", "running_mean": "mean", "running_var": "variance"}
_MOVING["num_batches_tracked"] = "count"
_NAMES = {"scale": "weight", "shift": "bias", "mean": "running_mean", "variance": "running_var", "slope": "weight"}
_NAMES["count"] = "num_batches_tracked"
_WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network")
_AROUND = {"module.": "DataParallel", "_orig_mod.": "torch.compile"}
_TRAINING = ("optimizer", "optim", "scheduler", "lr_scheduler", "scaler", "optimizer_state_dict", "amp", "optimizers")
_TRAINING += ("optimizer_states", "lr_schedulers", "scheduler_state_dict", "callbacks", "loops", "rng_state")


def read(tensors: Mapping[str, Tensor], told: Told) -> tuple[list[View], list[str]]:
    """What each tensor of a state dict is, and notes on prefixes that were left off.

    Args:
        tensors: the state dict, by itself or in a training checkpoint (`state_dict.`, DataParallel's `module.`).
        told: what the structure says; names and shapes tell the rest.

    >>> import numpy as np
    >>> views, _ = read({"bn.weight": Tensor.of(np.ones(2)), "bn.running_mean": Tensor.of(np.ones(2))}, Told())
    >>> [(v.part.kind, v.part.role) for v in views]
    [('batch_norm', 'scale'), ('batch_norm', 'mean')]
    """
    prefix, notes = _prefix(tensors)
    layers: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        owner, _, leaf = name.removeprefix(prefix).rpartition(".")
        if name.startswith(prefix):
            layers.setdefault(owner, {})[leaf] = tensor
    found = []
    for name, tensor in tensors.items():
        if not name.startswith(prefix):
            found.append(View(name, Part("", OTHER, name, why="stands beside the network"), tensor))
            continue
        owner, _, leaf = name.removeprefix(prefix).rpartition(".")
        found.append(View(name, _part(owner, leaf, layers[owner], told.kind(owner)), tensor))
    return found, notes


def _prefix(names: Mapping[str, Tensor]) -> tuple[str, list[str]]:
    """The prefix under which a training checkpoint keeps the network, such as `state_dict.`; empty without one."""
    prefix, notes = "", []
    for key in _WRAPPERS:
        inside = [n for n in names if n.startswith(f"{key}.")]
        others = [n for n in names if not n.startswith(f"{key}.")]
        training = all(n.split(".")[0] in _TRAINING for n in others)
        if inside and training and (others or key.endswith("state_dict")):
            prefix = f"{key}."
            notes.append(f"the network stands under {key!r}; its parameters' names begin behind it")
            break
    whole = True
    while whole:
        inside = [n.removeprefix(prefix) for n in names if n.startswith(prefix)]
        whole = False
        for key, why in _AROUND.items():
            if inside and all(n.startswith(key) and n.count(".") > 1 for n in inside):
                prefix, whole = prefix + key, True
                notes.append(f"all names begin with {key!r}, as {why} saves them; it is left off")
                break
    return prefix, notes


def _part(owner: str, leaf: str, members: Mapping[str, Tensor], told: str) -> Part:
    found = recurrent(owner, leaf)
    if found is not None:
        return found
    if told == "batch_norm" or (not told and ("running_mean" in members or "num_batches_tracked" in members)):
        why = "told by the structure" if told else "running_mean beside it"
        return Part(owner, "batch_norm", _MOVING[leaf], why=why) if leaf in _MOVING else _other(owner, leaf)
    if leaf not in ("weight", "bias"):
        return _other(owner, leaf)
    kind, why, guessed = (told, "told by the structure", False) if told else _kind(owner, members)
    if kind == OTHER:
        return Part(owner, OTHER, leaf, why=why, guessed=guessed)
    role = {"norm": _MOVING, "prelu": {"weight": "slope"}}.get(kind, {}).get(leaf, leaf)
    return Part(owner, kind, role, why=why, guessed=guessed)


def _other(owner: str, leaf: str) -> Part:
    return Part(owner, OTHER, leaf, why="belongs to no known kind of layer")


def _kind(owner: str, members: Mapping[str, Tensor]) -> tuple[str, str, bool]:
    """Kind of a layer of weight and bias, what tells it, and whether it may be another."""
    weight, bias = members.get("weight"), members.get("bias")
    if weight is None or weight.shape is None:
        return OTHER, "a bias without a weight", False
    rank = len(weight.shape)
    if rank and bias is not None and bias.shape == weight.shape:
        return "norm", "a scale and a shift, without running_mean", False
    if rank == 1 and bias is None and NORM.search(owner):
        return OTHER, "a scale alone, in a layer whose name speaks of a norm: `weight` in MindSpore too", True
    if rank == 1 and bias is None:
        return "prelu", "a vector alone", weight.shape != (1,)
    if rank == 2 and bias is None and _EMBEDDING.search(owner):
        return "embedding", "a matrix alone, in a layer whose name speaks of an embedding", True
    if rank == 2:
        return "linear", "a matrix alone" if bias is None else "a matrix and a bias", bias is None
    if rank == 3:
        return "conv1d", "a weight of 3 dimensions", False
    return ("conv", f"a weight of {rank} dimensions", False) if rank in (4, 5) else (OTHER, "a lone value", False)


def recurrent(owner: str, leaf: str) -> Part | None:
    """The part that a name such as `weight_ih_l0_reverse` says; MindSpore 2 has the same.

    >>> recurrent("lstm", "bias_hh_l1").role
    'hh_bias'
    """
    found = _RECURRENT.fullmatch(leaf)
    if found is None:
        return None
    word, way, layer, reverse = found.groups()
    if layer is None:
        return Part(owner, "rnn_cell", f"{way}_{word}", why="a recurrent cell's names")
    return Part(owner, "rnn", f"{way}_{word}", int(layer), bool(reverse), "a recurrent layer's names")


def recurrent_name(part: Part) -> str:
    """The name of a recurrent layer's part within its layer, the same in PyTorch and MindSpore."""
    way, word = part.role.split("_")
    stack = f"_l{part.layer}{'_reverse' if part.reverse else ''}" if part.kind == "rnn" else ""
    return f"{word}_{way}{stack}"


def write(view: View) -> tuple[str, Tensor, str]:
    """PyTorch's name of a part, its values and what was done to them."""
    part = view.part
    head = f"{part.owner}." if part.owner else ""
    if part.kind in ("rnn", "rnn_cell"):
        return head + recurrent_name(part), view.tensor, view.changed
    if part.kind == OTHER:
        return head + part.role, view.tensor, view.changed
    return head + _NAMES.get(part.role, part.role), view.tensor, view.changed
