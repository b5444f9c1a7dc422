"""Operators: functions and, for old programs, Primitive classes."""

import importlib
from typing import Any

_MODULES = ("gradients", "functional", "primitives")


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    if name in ("composite", "operations"):
        return importlib.import_module(__name__)
    if not name.startswith("_"):
        for module in _MODULES:
            found = vars(importlib.import_module(f"{__name__}.{module}")).get(name)
            if getattr(found, "__module__", "").startswith(__name__):
                globals()[name] = found
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
