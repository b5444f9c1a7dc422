"""`mx.contrib`: what MXNet kept beside its main interface; modules are imported when they are first used."""

import importlib
from typing import Any

_OTHER_NAMES = {"nd": "ndarray", "quant": "quantization", "sym": "symbol"}


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    full = f"{__name__}.{_OTHER_NAMES.get(name, name)}"
    try:
        return importlib.import_module(full)
    except ModuleNotFoundError as error:
        if error.name != full:
            raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from error
