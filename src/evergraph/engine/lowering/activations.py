"""Activations as the engine's steps call them: by oneDNN's names, and as functions that overwrite their input."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 - what every PyTorch program calls it

from evergraph.engine.program import Step

__all__ = ["SUMS", "Activation", "activation_of"]

SUMS = frozenset(("elemwise_add", "broadcast_add", "_npi_add"))
"""The operators that add two arrays."""


@dataclass(frozen=True, slots=True)
class Activation:
    """An element-wise function: as oneDNN names it, and as a plain call that may overwrite its input."""

    name: str
    scalars: tuple[float, ...]
    algorithm: str
    plain: Callable[[Any], Any]


def activation_of(step: Step) -> Activation | None:
    """The activation that a step computes, if oneDNN can fuse it."""
    p = step.params
    name = p.act_type if step.kind in ("Activation", "LeakyReLU") else _NAMES.get(step.kind, "")
    if name in _PLAIN:
        return Activation(name, (), "", _PLAIN[name])
    if name == "leaky":
        slope = p.slope
        return Activation("leaky_relu", (slope,), "", lambda x: F.leaky_relu_(x, slope))
    if name in ("gelu", "gelu_erf", "gelu_tanh"):
        form = "tanh" if name == "gelu_tanh" else "none"
        return Activation("gelu", (), form, lambda x: F.gelu(x, approximate=form))
    if name == "clip" and p.a_min <= p.a_max:  # else it is the upper limit that MXNet asks for first
        low, high = p.a_min, p.a_max
        return Activation("hardtanh", (low, high), "", lambda x: x.clamp_(low, high))
    return None


_NAMES = {
    "relu": "relu",
    "_npx_relu": "relu",
    "sigmoid": "sigmoid",
    "_npx_sigmoid": "sigmoid",
    "tanh": "tanh",
    "clip": "clip",
}
_PLAIN: dict[str, Callable[[Any], Any]] = {"relu": torch.relu_, "sigmoid": torch.sigmoid_, "tanh": torch.tanh_}
