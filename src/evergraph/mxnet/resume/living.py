"""Attributes of living objects as plain values and arrays, and back into living objects of the same kind.

A file never makes an object: the program makes it, and the file's values are set on it where it has a place for them.
"""

import logging
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from evergraph.mxnet.context import Context, cpu
from evergraph.mxnet.ndarray import NDArray
from evergraph.mxnet.ndarray.base import wrap
from evergraph.mxnet.ndarray.pickling import from_tensor, to_tensor
from evergraph.mxnet.symbol import Symbol
from evergraph.saving.values import Stored
from evergraph.tensors import Tensor

__all__ = ["alive", "leaf", "put", "take", "unseen"]

_PLAIN = (str, int, float, bool, bytes, bytearray, type(None), np.generic, np.ndarray, NDArray, torch.Tensor)
_CONFIGURATION = (types.ModuleType, Symbol, Context, logging.Logger, type, np.dtype, torch.dtype, torch.device)
"""What a program makes again by itself, as it made it the first time."""

_Place = tuple[str, Any, str, Any]


def leaf(value: Any) -> Stored | None:
    """An array of this package or of torch among values, for `Packer`."""
    if isinstance(value, NDArray):
        return Stored(to_tensor(value), "nd", [value.context.device_typeid, value.context.device_id])
    if isinstance(value, torch.Tensor):
        return Stored(Tensor.of(value), "torch", str(value.device))
    return None


def alive(value: Any) -> Any:
    """Values that `unpack` gave, with arrays of their own memory."""
    if isinstance(value, Stored):
        return _array(value)
    if isinstance(value, dict):
        return {alive(k): alive(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return type(value)(alive(v) for v in value)
    return value


def _array(value: Stored) -> Any:
    if value.kind == "numpy":
        return np.array(value.tensor.numpy())
    if value.kind == "torch":
        found = value.tensor.torch().clone()
        return found.to(value.note) if torch.cuda.is_available() else found
    kind, number = value.note
    ctx = Context(Context.devtype2str[kind], number)
    if ctx.device_type == "gpu" and number >= torch.cuda.device_count():
        ctx = cpu()  # the device of then is not here: who uses the array moves it
    found = from_tensor(value.tensor)
    if isinstance(found, torch.Tensor):
        return wrap(found.clone().to(ctx.torch_device), ctx)
    return wrap(found.with_data(found.data.clone()), cpu()).as_in_context(ctx)


def _is_plain(value: Any) -> bool:
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(_is_plain(v) for v in value)
    if isinstance(value, Mapping):
        return all(_is_plain(k) and _is_plain(v) for k, v in value.items())
    return isinstance(value, _PLAIN)


def _places(owner: Any, skip: frozenset[str] = frozenset(), path: str = "", seen: Any = None) -> Iterator[_Place]:
    """(path, owner, attribute, value) of everything below an object that is a value and no object."""
    seen = set() if seen is None else seen
    if id(owner) in seen:
        return
    seen.add(id(owner))
    for name, value in vars(owner).items():
        if name in skip:
            continue
        here = f"{path}{name}"
        if _is_plain(value):
            yield here, owner, name, value
            continue
        for number, one in _rows(value):
            inside = here if number is None else f"{here}/{number}"
            if _is_plain(one) or isinstance(one, _CONFIGURATION) or (callable(one) and not _has_state(one)):
                continue  # beside objects in a list or a table stand settings, which the program gives again
            if _has_state(one):
                yield from _places(one, frozenset(), f"{inside}/", seen)
            else:
                yield inside, None, name, one


def _rows(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return enumerate(value)
    return value.items() if isinstance(value, Mapping) else ((None, value),)


def _has_state(value: Any) -> bool:
    return hasattr(value, "__dict__") and not isinstance(value, (*_CONFIGURATION, types.FunctionType, types.MethodType))


def take(owner: Any, skip: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The values of an object and of the objects below it, by path.

    >>> from evergraph.mxnet import lr_scheduler
    >>> take(lr_scheduler.FactorScheduler(step=5, factor=0.5))["base_lr"]
    0.01
    """
    return {path: value for path, where, _, value in _places(owner, skip) if where is not None}


def unseen(owner: Any, skip: frozenset[str] = frozenset()) -> list[str]:
    """Attributes below an object that no file can hold, with their types."""
    return [f"{path}: {type(value).__name__}" for path, where, _, value in _places(owner, skip) if where is None]


def put(owner: Any, values: Mapping[str, Any], skip: frozenset[str] = frozenset()) -> list[Callable[[], None]]:
    """What sets these values on an object and on the objects below it; nothing is changed before they are called."""
    owners = {path: (where, name) for path, where, name, _ in _places(owner, skip) if where is not None}
    steps = []
    for path, value in values.items():
        where, name = owners.get(path, (None, ""))
        if where is None:
            where, name = _new_place(owner, path, owners)
        if where is not None:
            steps.append(_setter(where, name, value))
    return steps


def _new_place(owner: Any, path: str, owners: Mapping[str, tuple[Any, str]]) -> tuple[Any, str]:
    """A place for an attribute that the object got while it trained: beside its siblings, never over a method."""
    above, _, name = path.rpartition("/")
    siblings = {p.rpartition("/")[0]: where for p, (where, _) in owners.items()}
    where = siblings.get(above, owner if not above else None)
    return (None, "") if where is None or hasattr(type(where), name) else (where, name)


def _setter(where: Any, name: str, value: Any) -> Callable[[], None]:
    def step() -> None:
        setattr(where, name, value)

    return step
