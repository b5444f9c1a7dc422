"""The ranges of layers' values, collected while a network runs: least and greatest, or histograms."""

import math
from collections.abc import Collection
from typing import Any

import numpy as np

from evergraph.mxnet import ndarray as nd

__all__ = ["HistogramCollector", "MinMaxCollector", "combine_histogram", "optimal_ranges"]

_BINS, _LEVELS = 8001, 255


class MinMaxCollector:
    """Keeps each layer's least and greatest value.

    Args:
        include: names of layers; every layer where it is not given.
    """

    def __init__(self, include: Collection[str] | None = None) -> None:
        self.include, self.ranges = include, dict[str, tuple[float, float]]()

    def collect(self, name: str, array: Any) -> None:
        """Take a layer's values."""
        if self.include is not None and name not in self.include:
            return
        values = array.asnumpy()
        low, high = float(values.min()), float(values.max())
        before = self.ranges.get(name, (low, high))
        self.ranges[name] = (min(before[0], low), max(before[1], high))


def combine_histogram(
    old_hist: tuple[Any, ...], arr: np.ndarray, new_min: float, new_max: float, new_th: float
) -> tuple[Any, ...]:
    """A histogram with further values; it is widened by whole bins where they lie beyond its ends.

    Args:
        old_hist: counts, edges, least, greatest value and reach of the histogram.
        arr: the values.
        new_min: their least.
        new_max: their greatest.
        new_th: the greater of the two's sizes.
    """
    counts, edges, old_low, old_high, old_th = old_hist
    low, high, th = min(new_min, old_low), max(new_max, old_high), new_th
    if th <= old_th:
        more, _ = np.histogram(arr, bins=len(counts), range=(-old_th, old_th))
        return counts + more, edges, low, high, old_th
    step = 2 * old_th / len(counts)
    half = int((th - old_th) // step + 1)
    reach = half * step + old_th
    more, edges = np.histogram(arr, bins=2 * half + len(counts), range=(-reach, reach))
    more[half : len(more) - half] += counts
    return more, edges, low, high, reach


class HistogramCollector:
    """Keeps a histogram of each layer's values.

    Args:
        include: names of layers; every layer where it is not given.
    """

    def __init__(self, include: Collection[str] | None = None) -> None:
        self.include, self.hist_dict = include, dict[str, tuple[Any, ...]]()

    def collect(self, name: str, array: Any) -> None:
        """Take a layer's values."""
        if self.include is not None and name not in self.include:
            return
        values = array.asnumpy()
        low, high = values.min(), values.max()
        th = max(abs(low), abs(high))
        if name in self.hist_dict:
            self.hist_dict[name] = combine_histogram(self.hist_dict[name], values, low, high, th)
        else:
            counts, edges = np.histogram(values, bins=_BINS, range=(-th, th))
            self.hist_dict[name] = (counts, edges, low, high, th)


def optimal_ranges(hist_dict: dict[str, tuple[Any, ...]], kind: str) -> dict[str, tuple[float, float]]:
    """The ranges that lose least when the values become eight bits, by relative entropy."""
    found = {}
    for name, (counts, edges, low, _, _) in hist_dict.items():
        levels = _LEVELS * 2 + 1 if low >= 0 and kind in ("auto", "uint8") else _LEVELS
        threshold, _ = nd.contrib.calibrate_entropy(nd.array(counts), nd.array(edges), num_quantized_bins=levels)
        reach = float(threshold.asscalar())
        found[name] = (-reach if low < 0 else 0.0, reach)
    if not all(math.isfinite(high) for _, high in found.values()):
        raise ValueError("a layer's values are not finite")
    return found
