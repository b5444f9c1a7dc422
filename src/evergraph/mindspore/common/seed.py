"""`set_seed`: one number that makes initial values, shuffles and dropout repeat."""

import numpy as np
import torch

from evergraph.errors import UsageError, printable

__all__ = ["generator", "get_seed", "set_seed"]

_seed: list[int | None] = [None]


def set_seed(seed: int) -> None:
    """Seed NumPy's and torch's generators, which everything here draws from.

    MindSpore draws other numbers from the same seed; no file depends on them.

    Raises:
        UsageError: the seed is no whole number, or negative.
    """
    if not isinstance(seed, int) or isinstance(seed, bool) or seed < 0:
        raise UsageError("a seed is a whole number, 0 or more", found=printable(seed))
    _seed[0] = seed
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def get_seed() -> int | None:
    """The seed that was set, or None."""
    return _seed[0]


def generator() -> np.random.Generator:
    """A NumPy generator that follows the seed, where one is set."""
    return np.random.default_rng(int(np.random.randint(0, 2**31 - 1)) if _seed[0] is not None else None)
