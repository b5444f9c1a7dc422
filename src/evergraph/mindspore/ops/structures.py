"""Functions over structures of tensors: HyperMap, Map, MultitypeFuncGraph."""

import functools
from collections.abc import Callable
from typing import Any

from evergraph.errors import UsageError, printable
from evergraph.mindspore.common.tensor import Tensor

__all__ = ["HyperMap", "Map", "MultitypeFuncGraph", "constexpr", "partial"]

_KINDS = {"Tensor": Tensor, "Number": (int, float), "Bool": bool, "String": str, "Tuple": tuple, "List": list}


class MultitypeFuncGraph:
    """A function with a body for each kind of arguments.

    Args:
        name: what errors call it.

    >>> double = MultitypeFuncGraph("double")
    >>> @double.register("Tensor")
    ... def _(x):
    ...     return x * 2
    >>> double(Tensor(2.0))
    Tensor(shape=[], dtype=Float32, value= 4)
    """

    def __init__(self, name: str, read_value: bool = False, doc_url: str = "") -> None:
        self.name = name
        self._bodies: list[tuple[tuple[Any, ...], Callable[..., Any]]] = []

    def register(self, *kinds: Any) -> Callable[..., Any]:
        """Decorate the body for arguments of these kinds: names such as "Tensor", types, or element types."""

        def keep(body: Callable[..., Any]) -> Callable[..., Any]:
            self._bodies.append((kinds, body))
            return body

        return keep

    def __call__(self, *args: Any) -> Any:
        """The body whose kinds fit.

        Raises:
            UsageError: none fits.
        """
        for kinds, body in self._bodies:
            if len(kinds) == len(args) and all(map(_fits, kinds, args)):
                return body(*args)
        found = ", ".join(type(a).__name__ for a in args)
        raise UsageError("no body for arguments of these kinds", where=printable(self.name), found=found)


def _fits(kind: Any, value: Any) -> bool:
    if isinstance(kind, str):
        kind = _KINDS.get(kind, object)
    return isinstance(value, kind) if isinstance(kind, (type, tuple)) else True


class HyperMap:
    """A function of each leaf of tuples and lists of the same structure.

    >>> HyperMap()(lambda x: x * 2, (Tensor(1.0), Tensor(2.0)))
    (Tensor(shape=[], dtype=Float32, value= 2), Tensor(shape=[], dtype=Float32, value= 4))
    """

    _deep = True

    def __init__(self, ops: Any = None, reverse: bool = False) -> None:
        self.ops = ops

    def __call__(self, *args: Any) -> Any:
        """The structure of results."""
        run, parts = (self.ops, args) if self.ops is not None else (args[0], args[1:])
        return self._mapped(run, parts)

    def _mapped(self, run: Callable[..., Any], parts: tuple[Any, ...]) -> Any:
        if not isinstance(parts[0], (tuple, list)):
            return run(*parts)
        if self._deep:
            return tuple(self._mapped(run, group) for group in zip(*parts, strict=True))
        return tuple(run(*group) for group in zip(*parts, strict=True))


class Map(HyperMap):
    """A function of each element of tuples and lists, one level deep."""

    _deep = False


def constexpr(fn: Any = None, **_: Any) -> Any:
    """The function as it is: there is no compiler to compute it beforehand."""
    return fn if fn is not None else constexpr


def partial(func: Callable[..., Any], *args: Any) -> Callable[..., Any]:
    """The function with its first arguments given."""
    return functools.partial(func, *args)
