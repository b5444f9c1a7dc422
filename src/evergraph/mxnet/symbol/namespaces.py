"""Modules of `mx.sym` whose functions are made from operators when they are first asked for."""

import builtins
from collections.abc import Callable
from typing import Any

from evergraph.mxnet._functions import namespace
from evergraph.mxnet.symbol.functions import function

__all__ = ["fill"]


def fill(home: dict[str, Any], space: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """A module's `__getattr__` and `__dir__` for a namespace of operators; what the module defines itself comes first.

    Args:
        home: the module's globals, where functions that were made are kept.
        space: "op", "contrib", "linalg", "image", "random", "sparse" or "_internal".
    """
    module = home["__name__"]

    def keeps(name: str) -> bool:
        # `slice` or `abs` kept here would hide Python's own from the module's code
        return space == "op" or not hasattr(builtins, name)

    def find(name: str) -> Any:
        operators = namespace(space) if not name.startswith("__") else {}
        if name not in operators:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        made = function(operators[name], name)
        if keeps(name):
            home[name] = made
        return made

    def names() -> list[str]:
        return sorted({*home, *namespace(space)})

    return find, names
