"""Networks: cells, layers, losses, optimizers, learning rates. Modules are imported when they are first used."""

import importlib
from typing import Any

_MODULES = (
    "cell",
    "container",
    "basic",
    "activation",
    "convolution",
    "normalization",
    "pooling",
    "padding",
    "recurrent",
    "attention",
    "loss",
    "wrap",
    "optim",
    "learning_rate_schedule",
    "dynamic_lr",
)
_METRICS = ("Accuracy", "Loss", "Top1CategoricalAccuracy", "Top5CategoricalAccuracy", "TopKCategoricalAccuracy")
_METRICS += ("F1", "MAE", "MSE", "Metric", "Precision", "Recall", "get_metric_fn")


def __getattr__(name: str) -> Any:
    if name in _MODULES or name == "layer":
        return importlib.import_module(f"{__name__}.{name}" if name in _MODULES else __name__)
    if name in _METRICS:
        return getattr(importlib.import_module("evergraph.mindspore.train.metrics"), name)
    if not name.startswith("_"):
        for module in _MODULES:
            found = vars(importlib.import_module(f"{__name__}.{module}")).get(name)
            if getattr(found, "__module__", "").startswith(__name__):
                globals()[name] = found
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    found = {*globals(), *_MODULES, *_METRICS}
    for module in _MODULES:
        home = vars(importlib.import_module(f"{__name__}.{module}"))
        found |= {n for n, v in home.items() if getattr(v, "__module__", "").startswith(__name__) and n[0] != "_"}
    return sorted(found)
