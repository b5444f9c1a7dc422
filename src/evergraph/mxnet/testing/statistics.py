"""Whether random numbers are distributed as they should be."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from evergraph.errors import UsageError

__all__ = ["chi_square_check", "gen_buckets_probs_with_ppf", "mean_check", "var_check", "verify_generator"]

_Generator = Callable[[int], Any]


def gen_buckets_probs_with_ppf(
    ppf: Callable[[float], Any], nbuckets: int
) -> tuple[list[tuple[float, float]], list[float]]:
    """Ranges of equal probability, and their probabilities.

    Args:
        ppf: the inverse of the cumulative distribution.
        nbuckets: how many.

    Raises:
        AssertionError: none.

    >>> gen_buckets_probs_with_ppf(lambda q: 10 * q, 2)
    ([(0.0, 5.0), (5.0, 10.0)], [0.5, 0.5])
    """
    if nbuckets <= 0:
        raise AssertionError("one range at least")
    edges = [float(ppf(i / nbuckets)) for i in range(nbuckets + 1)]
    return list(pairwise(edges)), [1 / nbuckets] * nbuckets


def mean_check(generator: _Generator, mu: float, sigma: float, nsamples: int = 1000000) -> bool:
    """Whether the mean of samples is within three standard errors of `mu`."""
    found = np.asarray(generator(nsamples)).mean()
    return bool(abs(found - mu) < 3 * sigma / np.sqrt(nsamples))


def var_check(generator: _Generator, sigma: float, nsamples: int = 1000000) -> bool:
    """Whether the variance of normal samples is within three standard errors of `sigma` squared."""
    found = np.asarray(generator(nsamples)).var(ddof=1)
    return bool(abs(found - sigma**2) < 3 * np.sqrt(2 * sigma**4 / (nsamples - 1)))


def chi_square_check(
    generator: _Generator, buckets: list[Any], probs: Sequence[float], nsamples: int = 1000000
) -> tuple[float, np.ndarray, np.ndarray]:
    """Pearson's test of samples against a distribution.

    Args:
        generator: gives that many independent samples.
        buckets: ranges (low, high) in ascending order, or all values of a discrete distribution.
        probs: the probability of each.
        nsamples: how many samples.

    Returns:
        The probability of counts at least as far from the expected ones; the counts; the expected counts.

    Raises:
        AssertionError: as many buckets as probabilities are needed, in order and without overlap.
    """
    if not isinstance(buckets, list) or len(buckets) != len(probs):
        raise AssertionError("there must be a list of buckets, and a probability for each")
    samples = np.asarray(generator(nsamples)).reshape(-1)
    expected = (nsamples * np.array(probs, dtype=np.float32)).astype(np.int32)
    if isinstance(buckets[0], (list, tuple)):
        edges = np.array(buckets, np.float32).reshape(-1)
        if (np.diff(edges) < 0).any():
            raise AssertionError("buckets must be in ascending order and must not overlap")
        place = np.searchsorted(edges, samples, side="right")
        counts = np.bincount(place[place % 2 == 1] // 2, minlength=len(buckets))[: len(buckets)]
    else:
        counts = np.array([(samples == b).sum() for b in buckets])
    return _exceeds(float((((counts - expected) ** 2) / expected).sum()), len(buckets) - 1), counts, expected


def _exceeds(statistic: float, freedom: int) -> float:
    """The probability that a chi-square variable exceeds a value: torch's incomplete gamma function."""
    import torch

    half = [torch.tensor(v / 2, dtype=torch.float64) for v in (freedom, statistic)]
    return float(torch.special.gammaincc(*half))


def verify_generator(
    generator: _Generator,
    buckets: list[Any],
    probs: Sequence[float],
    nsamples: int = 1000000,
    nrepeat: int = 5,
    success_rate: float = 0.2,
    alpha: float = 0.05,
) -> list[float]:
    """Repeat `chi_square_check`, and raise where too few repetitions pass.

    Args:
        generator: gives that many independent samples.
        buckets: ranges or values; see `chi_square_check`.
        probs: the probability of each.
        nsamples: how many samples each time.
        nrepeat: how many times.
        success_rate: which part must pass.
        alpha: what a probability must exceed to pass.

    Returns:
        The probabilities.

    Raises:
        AssertionError: too few pass.
        UsageError: no repetition is asked for.
    """
    if nrepeat < 1:
        raise UsageError("a distribution is verified at least once", found=nrepeat)
    found = [chi_square_check(generator, buckets, probs, nsamples) for _ in range(nrepeat)]
    chances = [f[0] for f in found]
    if sum(c > alpha for c in chances) < nrepeat * success_rate:
        raise AssertionError(
            f"too few of {nrepeat} tests pass: chances {chances}, counts {found[-1][1].tolist()}, "
            f"expected {found[-1][2].tolist()} in {buckets}"
        )
    return chances
