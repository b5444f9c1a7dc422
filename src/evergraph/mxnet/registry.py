"""`mx.registry`: factories that make objects by the names of their classes.

>>> class Shape: pass
>>> @get_register_func(Shape, "shape")
... class Circle(Shape): pass
>>> type(get_create_func(Shape, "shape")("circle")).__name__
'Circle'
"""

import json
import warnings
from collections.abc import Callable
from typing import Any

__all__ = ["get_alias_func", "get_create_func", "get_register_func", "get_registry"]

_REGISTRY: dict[type, dict[str, type]] = {}


def get_registry(base_class: type) -> dict[str, type]:
    """The classes registered for a base class, by name; a copy."""
    return dict(_REGISTRY.setdefault(base_class, {}))


def put(known: dict[str, type], klass: type, name: str | None, nickname: str) -> type:
    """Enter a class under its name in lower case, or under another; one of that name that gives way is told."""
    key = (name or klass.__name__).lower()
    if key in known and known[key] is not klass:
        new, old = (f"{k.__module__}.{k.__name__}" for k in (klass, known[key]))
        warnings.warn(f"{nickname} {key} is now {new}, no longer {old}", UserWarning, stacklevel=3)
    known[key] = klass
    return klass


def get_register_func(base_class: type, nickname: str) -> Callable[..., Any]:
    """A function (or decorator) that registers subclasses under their names in lower case.

    Args:
        base_class: what registered classes derive from.
        nickname: what they are called in messages.
    """
    known = _REGISTRY.setdefault(base_class, {})

    def register(klass: Any, name: str | None = None) -> Any:
        if not issubclass(klass, base_class):
            raise AssertionError(f"Can only register subclass of {base_class.__name__}")
        return put(known, klass, name, nickname)

    register.__doc__ = f"Register a class as a {nickname}."
    return register


def get_alias_func(base_class: type, nickname: str) -> Callable[..., Any]:
    """A decorator that registers a class under further names."""
    register = get_register_func(base_class, nickname)

    def alias(*aliases: str) -> Callable[[Any], Any]:
        def decorate(klass: Any) -> Any:
            for name in aliases:
                register(klass, name)
            return klass

        return decorate

    return alias


def get_create_func(base_class: type, nickname: str) -> Callable[..., Any]:
    """A function that makes an object from a name, from JSON (`'["name", {...}]'`), or passes an object through."""
    known = _REGISTRY.setdefault(base_class, {})

    def create(*args: Any, **kwargs: Any) -> Any:
        name, args = (args[0], args[1:]) if args else (kwargs.pop(nickname), ())
        if isinstance(name, base_class):
            if args or kwargs:
                raise AssertionError(f"{nickname} is already an instance. Additional arguments are invalid")
            return name
        if isinstance(name, dict):
            return create(**name)
        if not isinstance(name, str):
            raise AssertionError(f"{nickname} must be of string type")
        if name.startswith(("[", "{")):
            if args or kwargs:
                raise AssertionError(f"{nickname} is described in full already. Additional arguments are invalid")
            described = json.loads(name)
            return create(described[0], **described[1]) if isinstance(described, list) else create(**described)
        if name.lower() not in known:
            raise AssertionError(
                f"{name} is not registered. Please register with {nickname}.register first; there are: "
                + ", ".join(sorted(known))
            )
        return known[name.lower()](*args, **kwargs)

    create.__doc__ = f"Make a {nickname} from its name and keywords."
    return create
