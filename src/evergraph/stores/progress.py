"""Progress of long work, told to whoever listens: library code never prints."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["Listener", "advance", "watch"]

Listener = Callable[[str, int, int | None], None]
"""Called with (what is done, bytes done since the last call, bytes in all or None)."""

_listener: ContextVar[Listener | None] = ContextVar("evergraph_progress", default=None)


def advance(what: str, amount: int, total: int | None = None) -> None:
    """Tell the listener, if there is one, that `amount` more bytes are done."""
    listener = _listener.get()
    if listener is not None:
        listener(what, amount, total)


@contextmanager
def watch(listener: Listener) -> Iterator[None]:
    """Let `listener` hear the progress of everything done inside.

    >>> heard = []
    >>> with watch(lambda what, amount, total: heard.append((what, amount))):
    ...     advance("writing", 10)
    >>> heard
    [('writing', 10)]
    """
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)
