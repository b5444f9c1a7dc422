"""`mx.random`: seeds, and the draws of `mx.nd.random`.

Each context has a stream of its own, so what one device draws does not depend on what others do. The streams repeat
from the same seed; they differ from those of MXNet, which draws other numbers from it.
"""

from typing import Any

from evergraph.mxnet import random_streams
from evergraph.mxnet.base import integer_types
from evergraph.mxnet.context import Context
from evergraph.mxnet.ndarray.random import (
    exponential,
    gamma,
    generalized_negative_binomial,
    multinomial,
    negative_binomial,
    normal,
    poisson,
    randint,
    randn,
    shuffle,
    uniform,
)

__all__ = [
    "exponential",
    "gamma",
    "generalized_negative_binomial",
    "multinomial",
    "negative_binomial",
    "normal",
    "poisson",
    "randint",
    "randn",
    "seed",
    "shuffle",
    "uniform",
]


def seed(seed_state: Any, ctx: Any = "all") -> None:
    """Start random streams anew.

    Args:
        seed_state: an integer.
        ctx: the context whose stream is meant; "all" for every one.

    Raises:
        ValueError: the seed is no integer, or ctx no context.

    >>> seed(1); a = uniform(shape=3).asnumpy(); seed(1); bool((a == uniform(shape=3).asnumpy()).all())
    True
    """
    if not isinstance(seed_state, integer_types):
        raise ValueError("seed_state must be int")
    if isinstance(ctx, str) and ctx == "all":
        random_streams.seed_all(int(seed_state))
    elif isinstance(ctx, Context):
        random_streams.seed_one(int(seed_state), ctx)
    else:
        raise ValueError('ctx must be a Context or "all"')
