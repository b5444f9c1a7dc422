"""What a fused node's subgraph says: its product, normalisation, addend and activations, and where their inputs are."""

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evergraph.errors import OperatorError, printable
from evergraph.ops.families.quantized.scales import LEVELS, per
from evergraph.ops.lazy import torch
from evergraph.ops.registry import get
from evergraph.ops.run import Run
from evergraph.ops.schema import Operator, Params

__all__ = ["Activate", "Layer", "Memo", "channel_scales", "layer_of"]

_LARGEST_BIAS = 2147483647.0 / 2
_SUMS = frozenset(("elemwise_add", "_plus", "_add", "broadcast_add", "_npi_add"))
_SCALABLE = frozenset(("relu", "leaky"))
_POSITIVE = frozenset(("relu", "sigmoid", "softrelu", "square", "sqrt", "exp", "abs"))


@dataclass(frozen=True, slots=True)
class Activate:
    """An activation of a fused layer.

    Attributes:
        apply: the function, on real numbers.
        scalable: whether scaling before it is the same as scaling after it.
        positive: whether its result has no negative numbers, so that uint8 can hold it.
        cuts: whether it only cuts at 0, or also at the end of the calibrated range, which uint8 does by itself.
    """

    apply: Callable[[Any], Any]
    scalable: bool
    positive: bool
    cuts: bool


@dataclass(frozen=True, slots=True)
class Layer:
    """A fused layer's parts; numbers are positions among the node's inputs.

    Attributes:
        op: the operator of the product, Convolution or FullyConnected.
        p: its parameters.
        inputs: positions of data, weight and, where there is one, bias.
        norm: parameters of the batch normalisation, or None.
        norm_inputs: positions of gamma, beta, mean and variance.
        addend: position of what is added to the product, or None.
        before: the activation before that sum, or of a layer without one.
        after: the activation after the sum.
        count: how many inputs the subgraph has; the node's others are ranges.
    """

    op: Operator
    p: Params
    inputs: tuple[int, ...]
    norm: Params | None
    norm_inputs: tuple[int, ...]
    addend: int | None
    before: Activate | None
    after: Activate | None
    count: int


_layers: "weakref.WeakKeyDictionary[Any, Layer]" = weakref.WeakKeyDictionary()


def layer_of(graph: Any) -> Layer:
    """The fused layer that a subgraph describes.

    Raises:
        OperatorError: it has other operators, or another order of them, than a fused layer can have.
    """
    found = _layers.get(graph)
    if found is None:
        found = _layers[graph] = _read(graph)
    return found


def _read(graph: Any) -> Layer:
    place = {i: n for n, i in enumerate(i for i, node in enumerate(graph.nodes) if node.op == "null")}
    parts: dict[str, Any] = {}
    for node in graph.nodes:
        if node.op == "null":
            continue
        op = get(node.op)
        given = tuple(place.get(source, -1) for source, _, _ in node.inputs)
        role = _role(op, parts)
        if role is None or role in parts:
            names = ", ".join(printable(n.op) for n in graph.nodes if n.op != "null")
            raise OperatorError(
                "a fused layer has a subgraph of another kind",
                expected="Convolution or FullyConnected, then BatchNorm, an activation, a sum, an activation",
                found=names,
            )
        parts[role] = op, op.parse(node.attrs), given
    op, p, inputs = parts["product"]
    norm, add = parts.get("norm"), parts.get("add")
    return Layer(
        op=op,
        p=p,
        inputs=inputs,
        norm=norm[1] if norm else None,
        norm_inputs=norm[2][1:] if norm else (),
        addend=max(add[2]) if add else None,
        before=_activation(*parts["before"][:2]) if "before" in parts else None,
        after=_activation(*parts["after"][:2]) if "after" in parts else None,
        count=len(place),
    )


def _role(op: Operator, parts: Mapping[str, Any]) -> str | None:
    if op.name in ("Convolution", "FullyConnected"):
        return "product"
    if "product" not in parts:
        return None
    if op.name == "BatchNorm":
        return None if len(parts) > 1 else "norm"
    if op.name in _SUMS:
        return "add"
    return "after" if "add" in parts else "before"


def _activation(op: Operator, p: Params) -> Activate:
    kind = p.get("act_type") or op.name

    extra = {"run": Run()} if op.wants_run else {}

    def apply(x: Any) -> Any:
        found = op.body(*op.arrange(p, [x]), **p, **extra)
        return found[0] if isinstance(found, (tuple, list)) else found

    cuts = kind == "relu" or (op.name == "clip" and p.a_min == 0.0)
    return Activate(apply, kind in _SCALABLE, cuts or kind in _POSITIVE, cuts)


def channel_scales(weight: Any, bias: Any, data_scale: Any) -> Any:
    """Levels (channels,) for one unit of weight (channels, ...), so that a bias in levels of the sums fits int32."""
    scale = per(LEVELS["int8"], weight.flatten(1).abs().amax(1))
    if bias is None:
        return scale
    return torch.where(bias != 0, torch.minimum(scale, _LARGEST_BIAS / data_scale / bias.abs()), scale)


class Memo:
    """What was made of arrays the last time, for each owner; it counts as long as these are the same and unchanged."""

    def __init__(self) -> None:
        self._kept: weakref.WeakKeyDictionary[Any, tuple[Any, Any]] = weakref.WeakKeyDictionary()

    def get(self, owner: Any, arrays: Sequence[Any], rest: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """What `make` returns, or returned before for the same arrays.

        Args:
            owner: what asks, such as a subgraph; when it goes, so does what was made for it.
            arrays: tensors that the result was made of.
            rest: further values that it depends on.
            make: makes it.
        """
        if any(a.is_inference() for a in arrays):  # these do not count their changes
            return make()
        versions = tuple(a._version for a in arrays)  # noqa: SLF001
        known = self._kept.get(owner)
        if known is not None:
            (places, kept_versions, kept_rest), result = known
            if (
                kept_rest == rest
                and kept_versions == versions
                and all(r() is a for r, a in zip(places, arrays, strict=True))
            ):
                return result
        result = make()
        self._kept[owner] = (tuple(weakref.ref(a) for a in arrays), versions, rest), result
        return result
