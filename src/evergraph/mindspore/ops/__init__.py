"""Operators: functions and, for old programs, Primitive classes."""

import importlib
from typing import Any

_MODULES = ("gradients", "elements", "arrays", "reductions", "neural", "transforms", "primitives", "structures")
_ALIASES = ("functional", "operations", "composite")


def __getattr__(name: str) -> Any:
    if name in _MODULES or name in _ALIASES:
        return importlib.import_module(f"{__name__}.{name}")
    if not name.startswith("_"):
        for module in _MODULES:
            found = vars(importlib.import_module(f"{__name__}.{module}")).get(name)
            if getattr(found, "__module__", "").startswith(__name__):
                globals()[name] = found
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    found = {n for n in globals() if n[0] != "_"}
    for module in _MODULES:
        home = vars(importlib.import_module(f"{__name__}.{module}"))
        found |= {n for n, v in home.items() if getattr(v, "__module__", "").startswith(__name__) and n[0] != "_"}
    return sorted(found - {"importlib", "Any"})
