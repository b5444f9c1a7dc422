"""MXNet's names: Module's (`arg:conv0_weight`, `aux:bn_moving_mean`) and Gluon's (`features.0.weight`)."""

import re
from collections.abc import Mapping
from dataclasses import replace

from evergraph.crossing.mxnet_places import Place, fused_layout, places
from evergraph.crossing.parts import OTHER, Joint, Part, View, computed, section, transposed
from evergraph.crossing.pytorch import NORM
from evergraph.crossing.structure import Told
from evergraph.tensors import DENSE, Tensor

__all__ = ["bare", "read", "write_gluon", "write_module"]

_LEAF = re.compile(
    r"(?:(?P<owner>.+)[._])?(?P<leaf>weight|bias|gamma|beta|alpha|(?:moving|running)_(?:mean|var)|parameters)"
)
_RECURRENT = re.compile(
    r"(?:(?P<owner>.+?)[._])?(?:(?P<way>[lr])(?P<layer>\d+)_)?(?P<end>i2h|h2h)(?:_(?P<gate>[ifcorz]))?_(?P<word>weight|bias)"
)
_ROLES = {"gamma": "scale", "beta": "shift", "alpha": "slope", "weight": "weight", "bias": "bias"}
_ROLES |= {"moving_mean": "mean", "moving_var": "variance", "running_mean": "mean", "running_var": "variance"}
_MODULE = {"scale": "gamma", "shift": "beta", "mean": "moving_mean", "variance": "moving_var", "slope": "gamma"}
_GLUON = _MODULE | {"mean": "running_mean", "variance": "running_var", "slope": "alpha"}
_GATES = ("ifco", "rzo")
"""Gates of LSTM and GRU in their order, as `unpack_weights` names them."""
_ENDS = {"ih": "i2h", "hh": "h2h"}


def bare(name: str) -> str:
    """A name without its role.

    >>> bare("aux:bn_moving_mean")
    'bn_moving_mean'
    """
    return name[4:] if name.startswith(("arg:", "aux:")) else name


def read(tensors: Mapping[str, Tensor], told: Told) -> tuple[list[View], list[str]]:
    """What each parameter is, by its graph where there is one, otherwise by names and shapes.

    >>> import numpy as np
    >>> views, _ = read({"arg:fc_weight": Tensor.of(np.ones((2, 3)))}, Told())
    >>> views[0].part.owner, views[0].part.kind
    ('fc', 'linear')
    """
    known = places(told.graph) if told.graph is not None else {}
    members: dict[str, set[str]] = {}
    for name in tensors:
        found = _LEAF.fullmatch(bare(name))
        if found is not None:
            members.setdefault(found["owner"] or "", set()).add(found["leaf"])
    gates = _gates(tensors)
    views: list[View] = []
    for name, tensor in tensors.items():
        place = known.get(bare(name))
        if place is not None and tensor.storage == DENSE:
            views += _placed(name, tensor, place)
        else:
            views.append(
                View(name, _part(bare(name), tensor, members, told, name in gates), tensor, gate=gates.get(name))
            )
    notes = []
    if told.graph is None and any(v.part.kind == "batch_norm" for v in views):
        notes.append("without its graph nothing tells where fix_gamma makes a stored gamma count as 1; values are kept")
    return views, notes


def _gates(tensors: Mapping[str, Tensor]) -> dict[str, Joint]:
    """Which gate each tensor is of those whose gates stand apart, where all of them are there, in one shape."""
    groups: dict[tuple[str, str], dict[str, str]] = {}
    for name in tensors:
        found = _RECURRENT.fullmatch(bare(name))
        if found is not None and found["gate"]:
            groups.setdefault((name[: name.rfind(found["end"])] + found["end"], found["word"]), {})[found["gate"]] = (
                name
            )
    joints = {}
    for members in groups.values():
        order = next((g for g in _GATES if {*g} == {*members}), "")
        if len({(tensors[n].shape, tensors[n].dtype) for n in members.values()}) == 1:
            joints |= {members[gate]: Joint(i, len(order)) for i, gate in enumerate(order)}
    return joints


def _placed(name: str, tensor: Tensor, place: Place) -> list[View]:
    shape = tensor.shape or ()
    if place.fused is not None:
        return _unpacked(name, tensor, place)
    if place.fixed:
        ones = computed(tensor, shape, lambda array: array * 0 + 1) if not _is_ones(tensor) else tensor
        changed = "" if ones is tensor else "fix_gamma: 1, as the graph computes"
        return [View(name, place.part, ones, changed, kept=ones is tensor)]
    if place.last and len(shape) > 2:
        n = len(shape)
        axes, back = (0, n - 1, *range(1, n - 1)), (0, *range(2, n), 1)
        return [View(name, place.part, transposed(tensor, axes), "channels moved from last to second", axes=back)]
    return [View(name, place.part, tensor)]


def _is_ones(tensor: Tensor) -> bool:
    return bool((tensor.numpy() == 1).all())


def _unpacked(name: str, tensor: Tensor, place: Place) -> list[View]:
    layout = fused_layout(place.fused, tensor.size) if place.fused is not None and tensor.ndim == 1 else None
    if layout is None:
        why = "its size does not fit the graph's recurrent operator"
        return [View(name, Part("", OTHER, bare(name), why=why, guessed=True), tensor)]
    views, at = [], 0
    for number, (part, shape) in enumerate(layout):
        own = replace(part, owner=place.part.owner, why="the vector of a fused RNN operator")
        piece = section(tensor, at, shape)
        views.append(View(name, own, piece, "unpacked from the vector", joint=Joint(number, len(layout))))
        at += piece.size
    return views


def _part(name: str, tensor: Tensor, members: Mapping[str, set[str]], told: Told, gate: bool) -> Part:
    found = _RECURRENT.fullmatch(name)
    if found is not None and (gate or not found["gate"]):
        role = ("ih_" if found["end"] == "i2h" else "hh_") + found["word"]
        if found["layer"] is None:
            return Part(found["owner"] or "", "rnn_cell", role, why="a recurrent cell's names")
        layer = int(found["layer"])
        return Part(found["owner"] or "", "rnn", role, layer, found["way"] == "r", "a recurrent layer's names")
    found = _LEAF.fullmatch(name)
    if found is None or tensor.storage != DENSE:
        return Part("", OTHER, name, why="belongs to no known kind of layer")
    owner, leaf = found["owner"] or "", found["leaf"]
    if leaf == "parameters":
        why = "a fused recurrent vector? its graph would tell how to unpack it"
        return Part("", OTHER, name, why=why, guessed=True)
    kind, why, guessed = _kind(owner, leaf, tensor, members[owner], told)
    if kind == OTHER:
        return Part("", OTHER, name, why=why, guessed=True)
    return Part(owner, kind, "slope" if kind == "prelu" else _ROLES[leaf], why=why, guessed=guessed)


def _kind(owner: str, leaf: str, tensor: Tensor, beside: set[str], told: Told) -> tuple[str, str, bool]:
    """Kind of the layer, what tells it, and whether it may be another."""
    if beside & {"moving_mean", "running_mean"} and leaf not in ("weight", "bias"):
        return "batch_norm", "moving statistics beside it", False
    if leaf == "alpha" or (leaf == "gamma" and "beta" not in beside):
        return "prelu", "a slope alone", leaf == "gamma"
    if leaf in ("gamma", "beta"):
        return "norm", "gamma and beta", False
    if leaf not in ("weight", "bias"):
        return "batch_norm", "moving statistics", False
    if told.kind(owner):
        return told.kind(owner), "told by the structure", False
    rank = tensor.ndim
    if leaf == "bias":
        return "linear", "the same name in each framework", False
    if rank == 2:
        unsure = "bias" not in beside and "emb" in owner.lower()
        return ("embedding", "a matrix alone, named as an embedding", True) if unsure else ("linear", "a matrix", False)
    if rank == 1 and NORM.search(owner):
        return "norm", "a vector in a layer whose name speaks of a norm", True
    return ("conv1d" if rank == 3 else "conv" if rank in (4, 5) else OTHER), f"{rank} dimensions", False


def write_module(view: View) -> tuple[str, Tensor, str] | None:
    """Module's name of a part, with its role; None for what MXNet has no place for.

    >>> import numpy as np
    >>> write_module(View("bn.running_mean", Part("bn", "batch_norm", "mean"), Tensor.of(np.ones(2))))[0]
    'aux:bn_moving_mean'
    """
    found = _named(view, view.part.owner.replace(".", "_"), "_", _MODULE)
    if found is None:
        return None
    role = "aux:" if view.part.kind == "batch_norm" and view.part.role in ("mean", "variance") else "arg:"
    text = view.tensor.storage not in (DENSE, "row_sparse", "csr")
    name = found[0].replace(".", "_") if view.part.kind == OTHER and not text else found[0]
    return (name if text else role + name), found[1], found[2]


def write_gluon(view: View) -> tuple[str, Tensor, str] | None:
    """The name that Gluon's `load_parameters` looks for; None for what MXNet has no place for."""
    return _named(view, view.part.owner, ".", _GLUON)


def _named(view: View, owner: str, between: str, names: Mapping[str, str]) -> tuple[str, Tensor, str] | None:
    part = view.part
    head = owner + between if owner else ""
    if part.role == "count" and part.kind == "batch_norm":
        return None
    if part.kind in ("rnn", "rnn_cell"):
        end, word = part.role.split("_")
        stack = f"{'r' if part.reverse else 'l'}{part.layer}_" if part.kind == "rnn" else ""
        return f"{head}{stack}{_ENDS[end]}_{word}", view.tensor, view.changed
    if part.kind == OTHER:
        return head + part.role, view.tensor, view.changed
    return head + names.get(part.role, part.role), view.tensor, view.changed
