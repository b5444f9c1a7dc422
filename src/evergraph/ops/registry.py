"""Operators by name. Every module of `evergraph.ops.families` is imported when an operator is first asked for."""

import difflib
import functools
import importlib
import pkgutil
from collections.abc import Callable
from typing import Any

from evergraph.errors import OperatorError, printable
from evergraph.ops.schema import Operator

__all__ = ["find", "get", "names", "operator", "register"]

_operators: dict[str, Operator] = {}


def register(found: Operator) -> Operator:
    """Make an operator known by its name and aliases; a later definition replaces an earlier one."""
    for name in (found.name, *found.aliases):
        _operators[name] = found
    return found


def operator(name: str | None = None, **options: Any) -> Callable[[Callable[..., Any]], Operator]:
    """Decorates the body of an operator; see `Operator` for the options.

    Args:
        name: canonical name; the function's own where it is not given.
        options: `aliases`, `shape`, `dtype`, `outputs`, `visible`, `optional`, `retired`, `count`, `description`.

    >>> from evergraph.ops.rules import elementwise
    >>> @operator("_doctest_twice", shape=elementwise)
    ... def twice(data, *, times: int = 1):
    ...     "Doubles data `times` times."
    ...     return data * 2**times
    >>> twice.parse({"times": "3"})
    {'times': 3}
    """

    def decorate(body: Callable[..., Any]) -> Operator:
        return register(Operator(name or body.__name__, body, **options))

    return decorate


@functools.cache
def _load() -> None:
    package = importlib.import_module("evergraph.ops.families")
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)


def find(name: str) -> Operator | None:
    """The operator of this name or alias, or None."""
    if name not in _operators:
        _load()
    return _operators.get(name)


def get(name: str) -> Operator:
    """The operator of this name or alias.

    Raises:
        OperatorError: there is none; the message names the nearest ones.
    """
    found = find(name)
    if found is None:
        near = ", ".join(difflib.get_close_matches(name, _operators, 3))
        raise OperatorError(
            f"operator {printable(name)} is not known",
            fix=(f"did you mean {near}? " if near else "") + "register a computation with evergraph.ops.operator",
        )
    return found


def names() -> dict[str, Operator]:
    """Every known name, aliases included, with its operator."""
    _load()
    return dict(_operators)
