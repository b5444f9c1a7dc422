"""`mx.gluon.contrib`: blocks that MXNet kept beside its main ones."""

import importlib
from typing import Any

__all__: list[str] = []

_MODULES = frozenset(("cnn", "data", "estimator", "nn", "rnn"))


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
