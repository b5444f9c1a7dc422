"""The functions of `mx.sym`, each made from its operator."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from evergraph.errors import OperatorError
from evergraph.mxnet._functions import documentation, signature
from evergraph.mxnet.attribute import current_scope
from evergraph.mxnet.base import InputTypeError, _Null
from evergraph.mxnet.name import current_manager
from evergraph.mxnet.symbol.nodes import compose
from evergraph.mxnet.symbol.symbol import Symbol, SymbolBase, single
from evergraph.ops import Operator, get

__all__ = ["function", "make", "text_of"]

_FUNCTIONS: dict[tuple[str, str], Callable[..., Any]] = {}


def text_of(name: str, value: Any) -> str:
    """A parameter as a graph's text.

    >>> text_of("kernel", (3, 3)), text_of("dtype", np.float16), text_of("p", 0.5)
    ('(3, 3)', 'float16', '0.5')
    """
    if name == "dtype" and not isinstance(value, (str, type(None))):
        found = np.dtype(value)
        return found.names[0] if found.names else found.name
    if isinstance(value, np.generic):
        return str(value.item())
    if isinstance(value, (list, tuple)):
        plain = [v.item() if isinstance(v, np.generic) else v for v in value]
        return str(tuple(plain) if isinstance(value, tuple) else plain)
    return str(value)


def make(op: str, hint: str, positional: Sequence[Any] = (), **options: Any) -> Symbol:
    """A symbol of an operator.

    Args:
        op: operator name.
        hint: what its name is made of where none is given.
        positional: input symbols in order.
        options: `name`, `attr`, input symbols and parameters by name.
    """
    name, attr = options.pop("name", None), options.pop("attr", None)
    texts = {k: text_of(k, v) for k, v in options.items() if not isinstance(v, SymbolBase) and v is not _Null}
    texts.update(current_scope().get(attr))
    named = {k: single(v, k) for k, v in options.items() if isinstance(v, SymbolBase)}
    node = compose(op, current_manager().get(name, hint), texts, [single(s) for s in positional], named)
    kind = _kind((*positional, *options.values()))
    return kind([(node, i) for i in range(node.visible())])


def _kind(values: Sequence[Any]) -> type[Symbol]:
    """The class of what reads these: symbols of mx.np's arrays give such."""
    for each in values:
        if isinstance(each, Symbol) and each.__class__ is not Symbol:
            return type(each)
    return Symbol


_REST = "name", "attr", "out"


class _Caller:
    """Takes a Python call apart into input symbols and parameters."""

    def __init__(self, op: Operator, called: str) -> None:
        self.op, self.hint = op, called.lower()
        self.inputs = [i.name for i in op.inputs]
        self.names = self.inputs + [n for n, _ in op.arguments if n in op.parameters and n != op.count]

    def __call__(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Symbol:
        kwargs.pop("out", None)
        if self.op.variadic is not None:
            return self._variadic(args, kwargs)
        if len(args) > len(self.names):
            args, kwargs = self._with_rest(args, kwargs)
        twice = kwargs.keys() & set(self.names[: len(args)])
        if twice:
            raise TypeError(f"{self.hint}() got multiple values for argument {min(twice)!r}")
        given = {**dict(zip(self.names, args, strict=False)), **kwargs}
        wrong = [n for n in self.inputs if given.get(n) is not None and not isinstance(given[n], SymbolBase)]
        if wrong:
            raise InputTypeError(
                f"inputs of operator {self.op.name} must be Symbols",
                found=", ".join(f"{n}: {type(given[n]).__name__} {given[n]!r}" for n in wrong),
                fix="a symbol describes what is computed later; arrays are given when it is bound",
            )
        given = {k: v for k, v in given.items() if not (v is None and k in self.inputs)}
        return make(self.op.name, self.hint, **given)

    def _with_rest(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What stands behind the parameters: the name, attributes and `out`, which is not used."""
        count = len(self.names)
        if len(args) > count + len(_REST):
            raise OperatorError(f"operator {self.op.name} takes fewer arguments", expected=self.names, found=len(args))
        rest = {k: v for k, v in zip(_REST, args[count:], strict=False) if v is not None}
        twice = rest.keys() & kwargs.keys()
        if twice:
            raise TypeError(f"{self.hint}() got multiple values for argument {min(twice)!r}")
        rest.pop("out", None)
        return args[:count], {**kwargs, **rest}

    def _variadic(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Symbol:
        if len(args) == 1 and isinstance(args[0], (list, tuple)):
            args = tuple(args[0])
        wrong = [a for a in args if not isinstance(a, SymbolBase)]
        if wrong:
            raise InputTypeError(
                f"inputs of operator {self.op.name} must be Symbols",
                found=", ".join(f"{type(a).__name__} {a!r}" for a in wrong),
            )
        named = [v for v in kwargs.values() if isinstance(v, SymbolBase)]
        if args and named:
            raise TypeError(
                "Operators with variable length input can only accept input"
                "Symbols either as positional or keyword arguments, not both"
            )
        # MXNet writes the count also where the operator itself counts its inputs
        count = self.op.count or ("num_args" if "num_args" in self.op.retired else "")
        if count and count not in kwargs:
            kwargs[count] = len(args) + len(named)
        return make(self.op.name, self.hint, args, **kwargs)


def function(name: str, called: str | None = None) -> Callable[..., Any]:
    """The function of an operator.

    Args:
        name: the operator's name or alias.
        called: what the function is called; the name where not given.
    """
    key = (name, called or name)
    if key not in _FUNCTIONS:
        _FUNCTIONS[key] = _make(get(name), called or name)
    return _FUNCTIONS[key]


def _make(op: Operator, called: str) -> Callable[..., Any]:
    caller = _Caller(op, called)

    def call(*args: Any, **kwargs: Any) -> Any:
        return caller(args, kwargs)

    call.__name__ = call.__qualname__ = called
    call.__doc__ = documentation(op, "Symbol")
    call.__signature__ = signature(op, "attr")  # type: ignore[attr-defined]
    return call
