"""What NumPy's functions are written over: arrays, which compute at once, or symbols, which describe it.

Every function of `mx.np` is written once, over a face: the first argument, `op`, calls operators by name. `mx.np` and
`mx.sym.np` are the same functions bound to their face, see `bound`.
"""

import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from evergraph.mxnet.ndarray.functions import function

__all__ = ["ArrayFace", "Face", "Table", "bound"]


class Face(ABC):
    """Calls operators for one kind of operand."""

    @abstractmethod
    def __call__(self, name: str, *inputs: Any, out: Any = None, **params: Any) -> Any:
        """An operator's result.

        Args:
            name: the operator, as MXNet 1.9.1 names it.
            inputs: its inputs, operands of this face.
            out: the array that takes the result.
            params: its parameters.
        """

    @abstractmethod
    def holds(self, value: Any) -> bool:
        """Whether a value is an operand of this face, and not a number."""

    def sizes(self, value: Any) -> tuple[int, ...] | None:
        """The shape of an operand, where that is known."""
        return None

    def rank(self, value: Any) -> int | None:
        """How many axes an operand has, where that is known."""
        sizes = self.sizes(value)
        return None if sizes is None else len(sizes)

    def rows(self, value: Any) -> Any:
        """What an operator gives as rows of one array, and NumPy as a tuple; symbols cannot know how many they are."""
        return value

    def several(self, value: Any) -> Any:
        """What an operator gives as a list of results, of which there may be one, and NumPy as a tuple or alone."""
        return value

    def number(self, value: Any, kind: type) -> Any:
        """A result that NumPy gives as a Python number."""
        return value


class ArrayFace(Face):
    """Computes at once.

    Args:
        kind: the class of arrays that are taken and given.
    """

    def __init__(self, kind: Any) -> None:
        self._kind = kind
        self._made: dict[str, Callable[..., Any]] = {}

    def __call__(self, name: str, *inputs: Any, out: Any = None, **params: Any) -> Any:
        """An operator's result as arrays."""
        made = self._made.get(name)
        if made is None:
            made = self._made[name] = function(name, self._kind)
        return made(*inputs, out=out, **params)

    def holds(self, value: Any) -> bool:
        """Whether a value is an array of this face."""
        return isinstance(value, self._kind)

    def sizes(self, value: Any) -> tuple[int, ...] | None:
        """The shape of an array."""
        return value.shape

    def rows(self, value: Any) -> Any:
        """The rows as a tuple."""
        return tuple(value)

    def several(self, value: Any) -> Any:
        """A tuple of arrays, or the only one."""
        if isinstance(value, list):
            return value[0] if len(value) == 1 else tuple(value)
        return value

    def number(self, value: Any, kind: type) -> Any:
        """The only value as a Python number."""
        return kind(value.item())


class Table(dict[str, Callable[..., Any]]):
    """Functions over a face, by name.

    >>> unary = Table()
    >>> @unary.add
    ... def sign(op, x): return op("_npi_sign", x)
    >>> sorted(unary)
    ['sign']
    """

    def add(self, found: Callable[..., Any], *names: str) -> Callable[..., Any]:
        """Take a function under its own name, without an underscore at its end, and under further ones."""
        for name in (found.__name__.rstrip("_"), *names):
            self[name] = found
        return found

    def also(self, *names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorates a function that has further names."""
        return lambda found: self.add(found, *names)


def bound(table: Mapping[str, Callable[..., Any]], face: Face, module: str) -> dict[str, Callable[..., Any]]:
    """A table's functions for one face, without its argument.

    Args:
        table: the functions.
        face: what they compute over.
        module: what they say that they belong to.
    """
    return {name: _bound(found, face, name, module) for name, found in table.items()}


def _bound(found: Callable[..., Any], face: Face, name: str, module: str) -> Callable[..., Any]:
    @functools.wraps(found)
    def call(*args: Any, **kwargs: Any) -> Any:
        return found(face, *args, **kwargs)

    described = inspect.signature(found)
    call.__signature__ = described.replace(parameters=list(described.parameters.values())[1:])  # type: ignore[attr-defined]
    call.__name__ = call.__qualname__ = name
    call.__module__ = module
    del call.__wrapped__  # type: ignore[attr-defined]  # its signature and its examples have the face
    return call
