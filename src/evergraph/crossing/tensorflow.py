"""TensorFlow's names and layouts, for reading: `kernel` (H, W, in, out), `moving_variance`, `embeddings`, gates."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from evergraph.crossing.parts import OTHER, Part, View, reshaped, transposed
from evergraph.crossing.structure import Told
from evergraph.crossing.tensorflow_names import OBJECT_GRAPH, full_names
from evergraph.crossing.tensorflow_recurrent import read_recurrent
from evergraph.tensors import DENSE, Held, Tensor

__all__ = ["read"]

_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_TRAINING = re.compile(
    r"/\.OPTIMIZER_SLOT/|^(optimizer|_optimizer|.*/optimizer)/(_variables|_iterations|_learning_rate|iter|decay|beta_[12]"
    r"|learning_rate|momentum|rho)\b|^save_counter\b|^_CHECKPOINTABLE_OBJECT_GRAPH$|/\.ATTRIBUTES/OBJECT_CONFIG_JSON$"
    r"|/(Adam|Momentum|RMSProp|Adagrad|Adadelta|Ftrl|AdamWeightDecay|adam_m|adam_v|LAMB)\w*$|/ExponentialMovingAverage$"
    r"|(^|/)(global_step|beta[12]_power)$|seed_generator"
)
"""Keys of optimizers, counters and the like, of TensorFlow 1 and 2 and of Keras."""

_MODEL = re.compile(r"(sequential|functional|model)(_\d+)?")
_ROLES = {"gamma": "scale", "beta": "shift", "moving_mean": "mean", "moving_variance": "variance"}
_KERNELS = ("kernel", "weights", "weight", "w", "pointwise_kernel", "pointwise_weights")
_DEPTHWISE = ("depthwise_kernel", "depthwise_weights")
_EMBEDDING = re.compile(r"embeddings?|embedding_weights|embedding_table")
_OLD_CELL = re.compile(r"(^|\.)((basic_)?(lstm|rnn)|gru|multi_rnn)_cell(\.|$)")
_WORDS = {2: "transposed", 3: "WIO to OIW", 4: "HWIO to OIHW", 5: "DHWIO to OIDHW"}


@dataclass(frozen=True, slots=True)
class _Variable:
    """A variable of the network: its key, its layer and what it is called there."""

    key: str
    owner: str
    leaf: str
    tensor: Tensor


def read(tensors: Mapping[str, Tensor], told: Told) -> tuple[list[View], list[str]]:
    """What each variable is, in the layouts of the other frameworks.

    Kernels turn from (H, W, in, out) to (out, in, H, W), depthwise ones from (H, W, in, multiplier) to
    (in * multiplier, 1, H, W), those of dense layers from (in, out) to (out, in), and gates into PyTorch's order.
    What belongs to optimizers, and texts, are no layer's.

    >>> import numpy as np
    >>> views, _ = read({"conv1/kernel": Tensor.of(np.zeros((3, 3, 2, 4), "f4"))}, Told())
    >>> views[0].part.owner, views[0].tensor.shape
    ('conv1', (4, 2, 3, 3))
    """
    names, notes = _names(tensors)
    layers: dict[str, dict[str, _Variable]] = {}
    views: dict[str, list[View]] = {}
    for key, tensor in tensors.items():
        if key not in names or tensor.storage != DENSE:
            why = "an optimizer's or a counter's, no layer's" if _TRAINING.search(key) else "no layer's"
            views[key] = [View(key, Part("", "training", key, why=why), tensor)]
            continue
        owner, _, leaf = names[key].rpartition("/")
        found = _Variable(key, owner.replace("/", "."), leaf.removeprefix("_"), tensor)
        layers.setdefault(found.owner, {})[found.leaf] = found
    for owner, members in layers.items():
        for view in _layer(owner, members, told.kind(owner)):
            views.setdefault(view.source, []).append(view)
    kinds = {v.part.kind for found in views.values() for v in found}
    if "linear" in kinds and kinds & {"conv", "depthwise"}:
        notes.append(
            "where a dense layer follows a flattened picture, its inputs keep TensorFlow's order (H, W, C):"
            " flatten in that order, or reorder its columns"
        )
    # what the source does not hold stands behind everything else
    return [v for key in (*tensors, "") for v in views.get(key, ())], notes


def _names(tensors: Mapping[str, Tensor]) -> tuple[dict[str, str], list[str]]:
    """The path of each variable of the network, by key: the layers' own names where the object graph tells them."""
    whole = full_names(tensors[OBJECT_GRAPH]) if OBJECT_GRAPH in tensors else {}
    keys = [k for k in tensors if not _TRAINING.search(k) and (_VALUE in k or "/.ATTRIBUTES/" not in k)]
    times = Counter(whole.get(k, "") for k in keys)
    own = {k: whole[k] for k in keys if k in whole and times[whole[k]] == 1 and "/" in whole[k]}
    names = {k: own.get(k, k.removesuffix(_VALUE)) for k in keys}
    tops = {n.partition("/")[0] for n in own.values()}
    top = tops.pop() if len(tops) == 1 and len(own) == len(keys) else ""
    notes = []
    if _MODEL.fullmatch(top) and all(n.count("/") > 1 for n in names.values()):
        names = {k: n.removeprefix(f"{top}/") for k, n in names.items()}
        notes.append(f"all names begin with {top!r}, which Keras calls the model; it is left off")
    return names, notes


def _layer(owner: str, members: Mapping[str, _Variable], told: str) -> Iterator[View]:
    """The views of a layer's variables."""
    if "recurrent_kernel" in members:
        yield from read_recurrent(owner, {n: (v.key, v.tensor) for n, v in members.items()})
        return
    for found in members.values():
        yield _view(found, members, told)
    if "moving_mean" in members:
        yield from _added(owner, members)


def _added(owner: str, members: Mapping[str, _Variable]) -> Iterator[View]:
    """Scale and shift of a batch normalization that has none: other frameworks always have both."""
    like = members["moving_mean"].tensor
    for leaf, value in (("gamma", 1), ("beta", 0)):
        if leaf not in members:
            import numpy as np

            filled = np.full(like.shape or (), value, like.dtype.numpy()).reshape(-1).view(np.uint8)
            part = Part(owner, "batch_norm", _ROLES[leaf], why=f"TensorFlow's layer has no {leaf}")
            yield View("", part, Tensor(like.dtype, like.shape, Held(filled)), f"added, all {value}")


def _view(found: _Variable, members: Mapping[str, _Variable], told: str) -> View:
    key, owner, leaf, tensor = found.key, found.owner, found.leaf, found.tensor
    rank = tensor.ndim
    both = bool({*_DEPTHWISE} & {*members}) and any(n.startswith("pointwise") for n in members)
    if leaf in _ROLES:
        kind = "batch_norm" if "moving_mean" in members else "norm"
        return View(key, Part(owner, kind, _ROLES[leaf], why=leaf), tensor)
    if leaf == "alpha" and rank:
        count = max(tensor.shape or (0,))
        flat = reshaped(tensor, (count,)) if count == tensor.size else tensor
        return View(key, Part(owner, "prelu", "slope", why=leaf), flat, "" if flat is tensor else "as a vector")
    if leaf in ("bias", "biases") and rank == 1:
        part = Part(f"{owner}.pointwise" if both else owner, "linear", "bias", why=leaf)
        return View(key, part, tensor)
    if rank == 2 and (told == "embedding" or leaf.endswith(("embeddings", "embedding")) or _EMBEDDING.fullmatch(leaf)):
        home = owner if _EMBEDDING.fullmatch(leaf) or told else f"{owner}.{leaf}".strip(".")
        return View(key, Part(home, "embedding", "weight", why=leaf), tensor)
    if leaf in _DEPTHWISE or (leaf in _KERNELS and rank == 4 and _is_depthwise(tensor, members, told)):
        return _depthwise(found, f"{owner}.depthwise" if both else owner, leaf)
    if leaf in _KERNELS and rank in _WORDS and not _OLD_CELL.search(owner):
        part = Part(f"{owner}.pointwise" if both else owner, {2: "linear", 3: "conv1d"}.get(rank, "conv"), "weight")
        return _turned(found, part)
    return _unknown(found)


def _turned(found: _Variable, part: Part) -> View:
    """A kernel with its last two dimensions first, the other way round."""
    rank = found.tensor.ndim
    axes = (rank - 1, rank - 2, *range(rank - 2))
    back = (*range(2, rank), 1, 0)
    part = Part(part.owner, part.kind, part.role, why=found.leaf)
    return View(found.key, part, transposed(found.tensor, axes), _WORDS[rank], axes=back)


def _unknown(found: _Variable) -> View:
    old = _OLD_CELL.search(found.owner) is not None
    why = "a cell of TensorFlow 1, whose gates and constants other layers lack" if old else "no known kind of layer"
    name = f"{found.owner}.{found.leaf}" if found.owner else found.leaf
    return View(found.key, Part("", OTHER, name, why=why, guessed=old), found.tensor)


def _is_depthwise(tensor: Tensor, members: Mapping[str, _Variable], told: str) -> bool:
    """Whether a kernel named like any other is a depthwise one: its bias has a value for each of its outputs."""
    if told:
        return told == "depthwise"
    bias = members.get("bias") or members.get("biases")
    height, width, inner, last = tensor.shape or (0, 0, 0, 0)
    return bias is not None and height * width > 0 and bias.tensor.size == inner * last != last


def _depthwise(found: _Variable, owner: str, why: str) -> View:
    part = Part(owner, "depthwise", "weight", why=why)
    if found.tensor.ndim != 4:
        return _unknown(found)
    height, width, inner, times = found.tensor.shape or (0, 0, 0, 0)
    turned = transposed(found.tensor, (2, 3, 0, 1), (inner * times, 1, height, width))
    return View(found.key, part, turned, "HWIM to OIHW, one group for each channel", axes=(2, 3, 0, 1))
