"""Memory that a training step frees stays with the process for the next one."""

import ctypes
import functools
import os

__all__ = ["keep_freed_memory"]

_TRIM, _MAPPED = -1, -3
_KEPT = 512 << 20
_LARGEST = 32 << 20
"""The size from which glibc maps blocks of their own: the greatest that it takes, and reaches by itself in time."""
_OTHERS = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "MALLOC_TOP_PAD_", "MALLOC_MMAP_MAX_", "GLIBC_TUNABLES")


@functools.cache
def keep_freed_memory() -> bool:
    """Let glibc keep up to 512 MB that are free at the end of its heap; returns whether it does.

    A step frees all its values, and without this glibc gives their memory back, page by page, for the next step to ask
    for it again: a hybridized ResNet-20 spent 5 % of its time on that. Nothing is changed where the environment says
    how glibc is to allocate, or another C library is there.

    >>> keep_freed_memory() in (True, False)
    True
    """
    if any(os.environ.get(name) for name in _OTHERS):
        return False
    try:
        library = ctypes.CDLL(None)
        known = hasattr(library, "gnu_get_libc_version") and hasattr(library, "mallopt")
    except (OSError, TypeError):  # no C library that is asked in this way
        return False
    return known and bool(library.mallopt(_TRIM, _KEPT)) and bool(library.mallopt(_MAPPED, _LARGEST))
