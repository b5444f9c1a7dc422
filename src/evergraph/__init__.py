"""Opens, upgrades, edits, runs, trains and converts any MXNet or MindSpore checkpoint, without MXNet or MindSpore."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evergraph.api import diff, open  # noqa: A004 - what a user calls it
    from evergraph.checkpoint import Checkpoint
    from evergraph.converting import convert
    from evergraph.errors import EvergraphError
    from evergraph.graph import Graph
    from evergraph.saving import save
    from evergraph.tensors import Tensor
    from evergraph.upgrading import upgrade
    from evergraph.verifying import verify

__version__ = "0.1.0"

__all__ = [
    "Checkpoint",
    "EvergraphError",
    "Graph",
    "Tensor",
    "convert",
    "diff",
    "open",
    "save",
    "upgrade",
    "verify",
]

_HOMES = {
    "Checkpoint": "evergraph.checkpoint",
    "EvergraphError": "evergraph.errors",
    "Graph": "evergraph.graph",
    "Tensor": "evergraph.tensors",
    "convert": "evergraph.converting",
    "diff": "evergraph.api",
    "open": "evergraph.api",
    "save": "evergraph.saving",
    "upgrade": "evergraph.upgrading",
    "verify": "evergraph.verifying",
}


def __getattr__(name: str) -> Any:
    # imported when first used: `import evergraph` and `evergraph --help` stay instant
    if name in _HOMES:
        found = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = found
        return found
    raise AttributeError(f"module 'evergraph' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
