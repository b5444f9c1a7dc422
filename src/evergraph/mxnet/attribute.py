"""`mx.AttrScope`: attributes for every symbol made inside a `with` block."""

import threading
from collections import defaultdict

from evergraph.errors import UsageError
from evergraph.mxnet.base import classproperty

__all__ = ["AttrScope", "current_scope"]


class _TextError(UsageError, ValueError):
    """An attribute that is no text."""


class _Current(threading.local):
    value: "AttrScope | None" = None


class AttrScope:
    """Attributes for the symbols that are made inside.

    Args:
        kwargs: texts by name, such as `ctx_group="dev1"` or `__my_note__="x"`.

    Raises:
        ValueError: a value is no text.

    >>> with AttrScope(ctx_group="dev1") as scope:
    ...     scope.get({"__note__": "x"})
    {'ctx_group': 'dev1', '__note__': 'x'}
    """

    _current = _Current()
    _subgraph_names: defaultdict[str, int] = defaultdict(int)

    @classproperty
    def current(cls) -> "AttrScope":
        """The thread's scope."""
        return current_scope()

    def __init__(self, **kwargs: str) -> None:
        self._old_scope: AttrScope | None = None
        for name, value in kwargs.items():
            if not isinstance(value, str):
                raise _TextError("attributes are texts", where=name, found=f"{type(value).__name__} {value!r}")
        self._attr = kwargs

    def get(self, attr: dict[str, str] | None) -> dict[str, str]:
        """The scope's attributes with the given ones over them."""
        return {**self._attr, **attr} if attr else dict(self._attr)

    def __enter__(self) -> "AttrScope":
        self._old_scope = current_scope()
        self._attr = {**self._old_scope._attr, **self._attr}
        AttrScope._current.value = self
        return self

    def __exit__(self, *_: object) -> None:
        AttrScope._current.value = self._old_scope


def current_scope() -> AttrScope:
    """The thread's scope."""
    found = AttrScope._current.value
    if found is None:
        found = AttrScope._current.value = AttrScope()
    return found
