"""What every array is: a value, a device, and what gradients need. The classes of arrays, by the values they hold."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from evergraph.mxnet.base import _Null
from evergraph.mxnet.context import Context, current_context

__all__ = ["Array", "Mark", "holds", "leaf_of", "read_context", "wrap"]

_CLASSES: dict[type, Any] = {}
_Class = TypeVar("_Class", bound=type)


class Mark:
    """What `attach_grad` asks for: where the gradient goes and how.

    Args:
        grad: the array that takes the gradient.
        req: "write", "add" or "null".
    """

    __slots__ = ("fresh", "grad", "req")

    def __init__(self, grad: Any, req: str) -> None:
        self.grad, self.req, self.fresh = grad, req, False


class Array:
    """A value on a device.

    Two things make it more than its value. A context, because cpu(0) and cpu(1) are one memory for torch and two
    devices for MXNet. And a leaf: the value itself never asks for a gradient, so that what happens outside
    `autograd.record` is plain arithmetic; `attach_grad`, and every recorded operator, adds a second tensor over the
    same memory that has a history, and recorded operators read that one. The two tensors share no version counter:
    like MXNet, a later write into the memory is not an error, and a backward pass sees it.

    Args:
        data: a tensor, or a sparse value of `evergraph.ops.sparse`; shared.
        ctx: the device as MXNet names it.
    """

    # the two that every array has in slots, what only some have in the dictionary: an array is made in half the time
    __slots__ = ("__dict__", "__weakref__", "_ctx", "_value")

    stype = "default"
    _leaf: Any = None
    _mark: Mark | None = None

    def __init__(self, data: Any = None, ctx: Context | None = None) -> None:
        self._value = data
        self._ctx = ctx if ctx is not None else current_context()

    if TYPE_CHECKING:
        # methods are made from operators: without one at run time, every attribute is found 20 ns sooner
        def __getattr__(self, name: str) -> Any: ...

    @property
    def _data(self) -> Any:
        """The value.

        A recorded result has it from its leaf when it is first asked for: most are only computed with further, and
        0.3 us of the 5 us of a recorded call are saved. Short ways look at `_value` and come here where it is None.
        """
        value = self._value
        if value is None and self._leaf is not None:
            value = self._value = self._leaf.data
        return value

    @_data.setter
    def _data(self, value: Any) -> None:
        self._value = value


def holds(kind: type) -> Callable[[_Class], _Class]:
    """Decorates the class of arrays that hold values of this type."""

    def decorate(found: _Class) -> _Class:
        _CLASSES[kind] = found
        return found

    return decorate


def wrap(value: Any, ctx: Context, kind: Any = None) -> Any:
    """An array over a value; its history, if it has one, goes with it.

    Args:
        value: a tensor, or a sparse value.
        ctx: the device.
        kind: the class of a dense array; NDArray where it is not given.
    """
    if isinstance(value, torch.Tensor):
        dense = kind or _CLASSES[torch.Tensor]
        if not value.requires_grad:
            return dense(value, ctx)
        found = dense(value.data, ctx)
    elif not value.data.requires_grad:
        return _CLASSES[type(value)](value, ctx)
    else:
        found = _CLASSES[type(value)](value.with_data(value.data.data), ctx)
    found._leaf = value
    return found


def leaf_of(value: Any) -> Any:
    """A second value over the same memory, which asks for a gradient."""
    if isinstance(value, torch.Tensor):
        return value.data.requires_grad_()
    return value.with_data(value.data.data.requires_grad_())


def read_context(text: Any) -> Context:
    """The context that a `ctx` argument stands for: a context, "cpu(0)", or nothing for the default.

    >>> read_context("cpu(1)"), read_context(None)
    (cpu(1), cpu(0))
    """
    if isinstance(text, Context):
        return text
    if text is None or text is _Null or text == "":
        return current_context()
    kind, _, index = str(text).partition("(")
    return Context(kind, int(index.rstrip(")") or 0))
