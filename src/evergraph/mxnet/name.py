"""`mx.name`: how symbols without a name of their own are named."""

import threading
from typing import Any

from evergraph.mxnet.base import classproperty

__all__ = ["NameManager", "Prefix", "current_manager"]


class _Current(threading.local):
    value: "NameManager | None" = None


class NameManager:
    """Names symbols by their operator and a number: `fullyconnected0`, `fullyconnected1`...

    Inside `with NameManager():` numbers begin anew.

    >>> with NameManager() as names:
    ...     names.get(None, "conv"), names.get(None, "conv"), names.get("mine", "conv")
    ('conv0', 'conv1', 'mine')
    """

    _current = _Current()

    @classproperty
    def current(cls) -> "NameManager":
        """The thread's manager."""
        return current_manager()

    def __init__(self) -> None:
        self._counter: dict[str, int] = {}
        self._old_manager: NameManager | None = None

    def get(self, name: str | None, hint: str) -> str:
        """The name itself where there is one, else the hint with the next number."""
        if name:
            return name
        number = self._counter.get(hint, 0)
        self._counter[hint] = number + 1
        return f"{hint}{number}"

    def __enter__(self) -> "NameManager":
        self._old_manager = current_manager()
        NameManager._current.value = self
        return self

    def __exit__(self, *_: object) -> None:
        NameManager._current.value = self._old_manager

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), ()


class Prefix(NameManager):
    """Names with a text before each, given ones too.

    >>> with Prefix("net_") as names:
    ...     names.get(None, "conv"), names.get("fc", "")
    ('net_conv0', 'net_fc')
    """

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self._prefix = prefix

    def get(self, name: str | None, hint: str) -> str:
        """The prefix and the name."""
        return self._prefix + super().get(name, hint)

    def __reduce__(self) -> tuple[Any, ...]:
        return Prefix, (self._prefix,)


def current_manager() -> NameManager:
    """The thread's manager."""
    found = NameManager._current.value
    if found is None:
        found = NameManager._current.value = NameManager()
    return found
