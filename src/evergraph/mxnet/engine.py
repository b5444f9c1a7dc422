"""`mx.engine`: how many operators MXNet runs at a time. PyTorch needs no such number; it is kept, and changes nothing.

>>> with bulk(10):
...     set_bulk_size(20)
10
"""

from types import TracebackType

__all__ = ["bulk", "set_bulk_size"]

_SIZE = [15]


def set_bulk_size(size: int) -> int:
    """Set the number; returns what it was."""
    before, _SIZE[0] = _SIZE[0], int(size)
    return before


class _BulkScope:
    """Sets the number inside a `with` block."""

    def __init__(self, size: int) -> None:
        self._size, self._before = size, 0

    def __enter__(self) -> "_BulkScope":
        self._before = set_bulk_size(self._size)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        set_bulk_size(self._before)


def bulk(size: int) -> _BulkScope:
    """A scope in which up to `size` operators may run together."""
    return _BulkScope(size)
