"""The range that loses least when a layer's values become eight bits: calibration by relative entropy."""

import math
from typing import Any

import numpy as np

from evergraph.errors import ShapeError
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import forward

__all__: list[str] = []

_NEAR_ZERO = 1e-4


def _shapes(_: Any, hist: Any, edges: Any) -> list[tuple[int, ...]]:
    if len(hist) != 1 or len(edges) != 1 or edges[0] != hist[0] + 1:
        raise ShapeError(
            "edges do not fit the histogram", expected=f"hist (n,), hist_edges ({hist[0]} + 1,)", found=edges
        )
    return [(1,), (1,)]


def _smooth(x: np.ndarray) -> np.ndarray | None:
    """A distribution without zeros: they take a little from all else; None where that is too little."""
    zero = x == 0
    empty = np.count_nonzero(zero)
    if empty == len(x) or _NEAR_ZERO * empty >= len(x) - empty:
        return None
    found = np.where(zero, _NEAR_ZERO, x - _NEAR_ZERO * empty / (len(x) - empty))
    return found / found.sum()


def _divergence(hist: np.ndarray, half: int, levels: int) -> float:
    """Relative entropy of a histogram cut to `half` bins on each side of its middle, and of the same in levels."""
    middle = len(hist) // 2
    start, stop = middle - half, middle + half + 1
    cut = hist[start:stop]
    p = cut.copy()
    # what lies outside would saturate
    p[0], p[-1] = hist[: start + 1].sum(), hist[stop - 1 :].sum()
    whole = np.trunc(cut)
    whole[0] = 0
    each = len(whole) // levels
    starts = np.arange(levels) * each
    filled = np.add.reduceat((whole != 0).astype(np.float64), starts)
    share = np.add.reduceat(whole, starts) / np.maximum(filled, 1)
    sizes = np.full(levels, each)
    sizes[-1] = len(whole) - starts[-1]
    p, q = _smooth(p), _smooth(np.where(p == 0, 0, np.repeat(share, sizes)))
    return math.inf if p is None or q is None else float(p @ np.log(p / q))


@operator(
    "_contrib_calibrate_entropy",
    aliases=("_npx_contrib_calibrate_entropy",),
    shape=forward(_shapes),
    outputs=("threshold", "divergence"),
)
def calibrate_entropy(hist, hist_edges, *, num_quantized_bins: int = 255):
    """The threshold (1,) at which a histogram in so many levels diverges least from itself, and that divergence (1,).

    The histogram (n,), n odd, has its middle at 0; hist_edges (n + 1,) are the ends of its bins.
    """
    _shapes(None, hist.shape, hist_edges.shape)
    with torch.no_grad():
        counts, middle = hist.cpu().numpy().astype(np.float64), len(hist) // 2
        candidates = range(num_quantized_bins // 2, middle + 1)
        found = [_divergence(counts, half, num_quantized_bins) for half in candidates]
        best = min(range(len(found)), key=found.__getitem__)
        threshold = hist_edges[middle + candidates[best] + 1]
        return threshold.reshape(1).float(), threshold.new_full((1,), found[best], dtype=torch.float32)
