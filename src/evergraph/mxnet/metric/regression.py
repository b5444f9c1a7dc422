"""Metrics of numbers: errors and correlation; and losses that a network computes itself."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from evergraph.mxnet.metric.base import EvalMetric, MeanMetric, alias, check_label_shapes, register, tensor

__all__ = ["MAE", "MSE", "RMSE", "Caffe", "Loss", "PearsonCorrelation", "Torch"]

_Names = Sequence[str] | None


class _Error(MeanMetric):
    """The mean over batches of an error of the batch."""

    def __init__(self, name: str, output_names: _Names = None, label_names: _Names = None) -> None:
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def measure(self, label: torch.Tensor, pred: torch.Tensor) -> tuple[Any, Any]:
        """The error of one batch."""
        label = label.to(pred.device)
        label = label.reshape(-1, 1) if label.ndim == 1 else label
        pred = pred.reshape(-1, 1) if pred.ndim == 1 else pred
        return float(self.error(label - pred)), 1

    def error(self, difference: torch.Tensor) -> torch.Tensor:
        """What a batch's differences come to."""
        raise NotImplementedError


@register
class MAE(_Error):
    """The mean of absolute differences."""

    def __init__(self, name: str = "mae", output_names: _Names = None, label_names: _Names = None) -> None:
        super().__init__(name, output_names, label_names)

    def error(self, difference: torch.Tensor) -> torch.Tensor:
        """The mean of absolute differences."""
        return difference.abs().mean()


@register
class MSE(_Error):
    """The mean of squared differences."""

    def __init__(self, name: str = "mse", output_names: _Names = None, label_names: _Names = None) -> None:
        super().__init__(name, output_names, label_names)

    def error(self, difference: torch.Tensor) -> torch.Tensor:
        """The mean of squared differences."""
        return difference.square().mean()


@register
class RMSE(_Error):
    """The root of the mean of squared differences."""

    def __init__(self, name: str = "rmse", output_names: _Names = None, label_names: _Names = None) -> None:
        super().__init__(name, output_names, label_names)

    def error(self, difference: torch.Tensor) -> torch.Tensor:
        """The root of the mean of squared differences."""
        return difference.square().mean().sqrt()


class _Moments:
    """Mean and sum of squares of values that come in batches (Chan and others, 1979)."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0

    def add(self, values: np.ndarray) -> None:
        """Take a batch."""
        self.count += len(values)
        before = values - self.mean
        self.mean += float((before / self.count).sum())
        self.squares += float((before * (values - self.mean)).sum())

    @property
    def deviation(self) -> float:
        """The standard deviation."""
        return float(np.sqrt(self.squares / (self.count - 1)))


@register
@alias("pearsonr")
class PearsonCorrelation(EvalMetric):
    """Pearson's correlation of labels and predictions.

    Args:
        name, output_names, label_names: see `EvalMetric`.
        average: "macro" for the mean over batches, "micro" for all values together.
    """

    def __init__(
        self,
        name: str = "pearsonr",
        output_names: _Names = None,
        label_names: _Names = None,
        average: str = "macro",
    ) -> None:
        self.average = average
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def reset(self) -> None:
        """Forget everything."""
        self._labels, self._preds, self._together = _Moments(), _Moments(), 0.0
        super().reset()

    def update(self, labels: Any, preds: Any) -> None:
        """Take labels and predictions of one shape.

        Raises:
            ValueError: the shapes differ.
        """
        labels, preds = check_label_shapes(labels, preds, True)
        for label, pred in zip(labels, preds, strict=True):
            check_label_shapes(label, pred, False, True)
            truth, found = (tensor(x).cpu().numpy().ravel().astype(np.float64) for x in (label, pred))
            if self.average == "macro":
                self._add(np.corrcoef(found, truth)[0, 1], 1)
                continue
            self._add(0.0, 1)
            self._labels.add(truth)
            # as in MXNet: labels by their new mean, predictions by the mean before
            self._together += float(((truth - self._labels.mean) * (found - self._preds.mean)).sum())
            self._preds.add(found)

    def get(self) -> tuple[Any, Any]:
        """Its name and value."""
        if self.average == "macro" or not self.num_inst:
            return super().get()
        spread = (self._labels.count - 1) * self._preds.deviation * self._labels.deviation
        return self.name, self._together / spread if spread else float("nan")


@register
class Loss(EvalMetric):
    """The mean of outputs that are losses; labels are not looked at.

    Args:
        name, output_names, label_names: see `EvalMetric`.
    """

    def __init__(self, name: str = "loss", output_names: _Names = None, label_names: _Names = None) -> None:
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def update(self, labels: Any, preds: Any) -> None:
        """Take losses."""
        for pred in preds if isinstance(preds, (list, tuple)) else [preds]:
            found = tensor(pred)
            self._add(float(found.sum()), found.numel())


@register
class Torch(Loss):
    """`Loss` by an old name."""

    def __init__(self, name: str = "torch", output_names: _Names = None, label_names: _Names = None) -> None:
        super().__init__(name, output_names, label_names)


@register
class Caffe(Loss):
    """`Loss` by an old name."""

    def __init__(self, name: str = "caffe", output_names: _Names = None, label_names: _Names = None) -> None:
        super().__init__(name, output_names, label_names)
