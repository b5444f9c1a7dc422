"""Where MindSpore's modules are here: programs import names from deeper modules than this face has."""

import importlib
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

__all__ = ["Finder"]

_FACE = "evergraph.mindspore"
_PLACES = {
    "common.api": "programs",
    "communication.management": "communication",
    "dataset.core": "dataset",
    "dataset.engine": "dataset",
    "dataset.vision.utils": "dataset.vision",
    "nn.layer": "nn",
    "nn.loss.loss": "nn.loss",
    "nn.metrics": "train.metrics",
    "nn.optim": "nn.optim",
    "nn.wrap": "nn.wrap",
    "ops.function": "ops",
    "ops.primitive": "ops",
    "parallel._utils": "parallel",
    "train.amp": "amp",
    "train.callback": "train.callback",
    "train.summary": "train.callback.summary",
}
"""A module of MindSpore, with all below it -> the module here that has its names."""


class Finder(MetaPathFinder):
    """Finds modules that are elsewhere here; asked after all others, so a module of its own goes before."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """A module with the names of the one that stands for it, or None."""
        if not fullname.startswith(_FACE + "."):
            return None
        asked = fullname[len(_FACE) + 1 :]
        for place, here in _PLACES.items():
            if asked == place or asked.startswith(place + "."):
                return ModuleSpec(fullname, _Names(f"{_FACE}.{here}"), is_package=True)
        return None


class _Names(Loader):
    """A module whose names are another's."""

    def __init__(self, real: str) -> None:
        self._real = real

    def exec_module(self, module: ModuleType) -> None:
        """Let the module answer with the other one's names."""
        real = importlib.import_module(self._real)
        names = module.__dict__
        names["__getattr__"] = lambda name: getattr(real, name)
        names["__dir__"] = lambda: dir(real)
        names["__all__"] = [n for n in getattr(real, "__all__", dir(real)) if not n.startswith("_")]
