"""Callbacks. Modules are imported when they are first used."""

import importlib
from typing import Any

_NAMES = {
    name: module
    for module, names in {
        "base": "Callback History LambdaCallback LossMonitor RunContext TimeMonitor",
        "monitors": "EarlyStopping LearningRateScheduler ReduceLROnPlateau",
        "checkpoint": "CheckpointConfig ModelCheckpoint",
        "summary": "SummaryCollector",
    }.items()
    for name in names.split()
}


def __getattr__(name: str) -> Any:
    module = _NAMES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_NAMES})
