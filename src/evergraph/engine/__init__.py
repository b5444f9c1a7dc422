"""Runs graphs on PyTorch: plans, executors, modules and the inference accelerator."""

from typing import TYPE_CHECKING, Any

from evergraph._lazy import load

if TYPE_CHECKING:
    from evergraph.engine.executor import Executor
    from evergraph.engine.network import Network, module
    from evergraph.engine.plan import Plan, make_plan
    from evergraph.engine.prediction import Predictor, predictor
    from evergraph.engine.settings import use

__all__ = ["Executor", "Network", "Plan", "Predictor", "make_plan", "module", "predictor", "use"]

_HOMES = {
    "Executor": "evergraph.engine.executor",
    "Network": "evergraph.engine.network",
    "Plan": "evergraph.engine.plan",
    "Predictor": "evergraph.engine.prediction",
    "make_plan": "evergraph.engine.plan",
    "module": "evergraph.engine.network",
    "predictor": "evergraph.engine.prediction",
    "use": "evergraph.engine.settings",
}


def __getattr__(name: str) -> Any:
    # the names come when they are asked for, so that importing the package loads no PyTorch
    if name in _HOMES:
        return getattr(load(_HOMES[name], "torch"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
