"""Shapes that no array can have, whatever a file says."""

import math
from collections.abc import Sequence

__all__ = ["MAX_DIMENSIONS", "impossible"]

MAX_DIMENSIONS = 32
"""What every NumPy in use can hold."""


def impossible(shape: Sequence[int], itemsize: int) -> str:
    """What makes a shape one that no array has, in words; empty where there is nothing.

    An array without elements is checked as if its empty dimensions were not there: NumPy refuses it likewise.

    >>> impossible((2**62, 0), 4)
    'more bytes than an address counts'
    >>> impossible((3, -1), 4), impossible((3, 4), 4)
    ('a negative size', '')
    """
    if len(shape) > MAX_DIMENSIONS:
        return f"{len(shape)} dimensions, and {MAX_DIMENSIONS} are the most"
    if any(d < 0 for d in shape):
        return "a negative size"
    if math.prod(d for d in shape if d) * itemsize >= 1 << 63:
        return "more bytes than an address counts"
    return ""
