"""Takes a change back that fails in the middle: code of programs may raise anywhere."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from evergraph.mxnet.ndarray.base import Array

__all__ = ["Steps", "foreign", "whole"]

_OURS = "evergraph"


def foreign(*objects: Any) -> bool:
    """Whether any of these is of a class that the program defines; None is nobody's."""
    return any(x is not None and type(x).__module__.partition(".")[0] != _OURS for x in objects)


@contextmanager
def whole(*things: Any) -> Iterator[None]:
    """Put everything back that these hold, in place, where what is done inside raises, be it the interrupt key.

    Costs a copy of every array: for changes that code of the program's own takes part in.

    Args:
        things: arrays; optimizers, updaters, schedules and stores; and lists, tuples and dictionaries of them. Other
            objects in them stay what they are.

    >>> from evergraph.mxnet import nd
    >>> weight = nd.ones((2,))
    >>> try:
    ...     with whole(weight):
    ...         weight[:] = 5
    ...         raise ValueError("no such schedule")
    ... except ValueError:
    ...     weight.asnumpy().tolist()
    [1.0, 1.0]
    """
    seen: dict[int, Callable[[], Any]] = {}
    restores = [_kept(thing, seen) for thing in things]
    try:
        yield
    except BaseException:
        for restore in restores:
            restore()
        raise


def _kept(value: Any, seen: dict[int, Callable[[], Any]]) -> Callable[[], Any]:
    """Keep what a value holds; the function that is returned puts it back, and returns the value."""
    if id(value) in seen:
        return seen[id(value)]
    seen[id(value)] = lambda: value  # while its parts are kept
    restore = seen[id(value)]
    if isinstance(value, Array):
        restore = _array(value)
    elif isinstance(value, dict):
        restore = _table(value, value, seen)
    elif isinstance(value, (list, tuple)):
        parts = [_kept(x, seen) for x in value]
        restore = _row(value, parts)
    elif _stateful(value):
        restore = _table(value, vars(value), seen)
    seen[id(value)] = restore
    return restore


def _stateful(value: Any) -> bool:
    from evergraph.mxnet.kvstore import KVStore, _TwoBit
    from evergraph.mxnet.lr_scheduler import LRScheduler
    from evergraph.mxnet.optimizer import Optimizer, Updater

    return isinstance(value, (Optimizer, Updater, LRScheduler, KVStore, _TwoBit))


def _array(value: Any) -> Callable[[], Any]:
    copy = value.copy()

    def restore() -> Any:
        copy.copyto(value)
        return value

    return restore


def _table(value: Any, table: dict[Any, Any], seen: dict[int, Callable[[], Any]]) -> Callable[[], Any]:
    parts = {k: _kept(v, seen) for k, v in table.items()}

    def restore() -> Any:
        found = {k: part() for k, part in parts.items()}
        table.clear()
        table.update(found)
        return value

    return restore


def _row(value: Any, parts: list[Callable[[], Any]]) -> Callable[[], Any]:
    def restore() -> Any:
        found = [part() for part in parts]
        if isinstance(value, list):
            value[:] = found
        return value

    return restore


class Steps:
    """The interrupt key, held back in `with steps:` until the step is taken whole; a second press is heard at once.

    `with steps.heard():` sets it up. A program that handles the key itself is left alone, and so are threads other than
    the first one, which the key never reaches.
    """

    def __init__(self) -> None:
        self._inside, self._pressed = False, False

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Listen to the key."""
        first = threading.current_thread() is threading.main_thread()
        if not first or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield
            return
        signal.signal(signal.SIGINT, self._press)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def _press(self, number: int, frame: Any) -> None:
        if not self._inside or self._pressed:
            self._pressed = False
            signal.default_int_handler(number, frame)
        self._pressed = True

    def __enter__(self) -> None:
        self._inside, self._pressed = True, False

    def __exit__(self, kind: Any, *_: Any) -> None:
        self._inside = False
        if self._pressed and kind is None:
            raise KeyboardInterrupt
