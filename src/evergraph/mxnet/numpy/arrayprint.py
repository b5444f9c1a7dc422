"""How arrays are printed."""

from typing import Any

import numpy as onp

__all__ = ["set_printoptions"]


def set_printoptions(precision: int | None = None, threshold: int | None = None, **kwarg: Any) -> None:
    """Set how many digits of a number are printed, and from how many values on an array is shortened.

    They are NumPy's own options, which hold for its arrays too.

    Raises:
        NotImplementedError: another option.
    """
    if kwarg:
        raise NotImplementedError(f"set_printoptions takes precision and threshold, found {', '.join(sorted(kwarg))}")
    onp.set_printoptions(precision=precision, threshold=threshold)
