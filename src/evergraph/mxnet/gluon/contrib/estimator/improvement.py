"""Whether a metric has improved."""

import warnings
from typing import Any

import numpy as np

from evergraph.errors import printable
from evergraph.mxnet.gluon.errors import BlockValueError
from evergraph.mxnet.metric import EvalMetric

__all__ = ["comparison", "worst"]


def comparison(monitor: Any, mode: str, what: str) -> Any:
    """The ufunc that says whether one value is better than another.

    Args:
        monitor: the metric.
        mode: "min", "max", or "auto": greater is better, with a warning, as in MXNet.
        what: what is told about another mode.

    Raises:
        ValueError: no metric is given.
    """
    if not isinstance(monitor, EvalMetric):
        raise BlockValueError(
            f"{what}: please provide one of the metric objects from estimator.train_metrics and"
            " estimator.val_metrics as monitor.",
            found=printable(monitor),
        )
    if mode not in ("auto", "min", "max"):
        warnings.warn(
            RuntimeWarning(f"{what}: mode {printable(mode)} is unknown; auto is taken (auto, min and max are known)"),
            stacklevel=4,
        )
        mode = "auto"
    if mode == "auto":
        name = printable(monitor.get()[0])
        warnings.warn(
            UserWarning(
                f"greater values of {name} are taken for better ones: give mode='min' where smaller ones are,"
                " mode='max' to be spared this warning"
            ),
            stacklevel=4,
        )
    return np.less if mode == "min" else np.greater


def worst(better: Any) -> float:
    """The value that every other one improves on."""
    return float("inf") if better is np.less else float("-inf")
