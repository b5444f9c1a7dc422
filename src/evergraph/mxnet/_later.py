"""Names that programs import from one module and that stand in another, found when they are first asked for."""

import importlib
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["later"]


def later(module: str, *homes: str, names: Sequence[str] | None = None) -> Callable[[str], Any]:
    """A module's `__getattr__` that looks in other modules, which may themselves import this one.

    Args:
        module: its `__name__`.
        homes: where names are looked for, in order.
        names: the only ones that are looked for; all where they are not given.

    >>> later("here", "math")("sqrt")(4)
    2.0
    """

    def find(name: str) -> Any:
        if not name.startswith("__") and (names is None or name in names):
            for home in homes:
                found = importlib.import_module(home)
                if name in getattr(found, "__all__", ()) or name in vars(found):
                    return getattr(found, name)
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return find
