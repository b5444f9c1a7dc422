"""`mx.contrib`: what MXNet kept beside its main interface; modules are imported when they are first used."""

import importlib
from typing import Any


def __getattr__(name: str) -> Any:
    full = f"{__name__}.{name}"
    try:
        return importlib.import_module(full)
    except ModuleNotFoundError as error:
        if error.name != full:
            raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from error
