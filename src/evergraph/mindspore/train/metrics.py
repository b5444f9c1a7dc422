"""Metrics: what `Model.eval` counts."""

from typing import Any

import numpy as np

from evergraph.errors import ShapeError, UsageError, printable
from evergraph.mindspore.common.tensor import Tensor

__all__ = [
    "F1",
    "MAE",
    "MSE",
    "Accuracy",
    "Loss",
    "Metric",
    "Precision",
    "Recall",
    "Top1CategoricalAccuracy",
    "Top5CategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "get_metric_fn",
    "get_metrics",
]


class Metric:
    """Counts over batches: `clear`, `update` for each batch, `eval`."""

    def __init__(self) -> None:
        self.indexes: tuple[int, ...] | None = None
        self.clear()

    def set_indexes(self, indexes: Any) -> "Metric":
        """Choose which outputs `update` gets."""
        self.indexes = tuple(indexes)
        return self

    def clear(self) -> None:
        """Begin anew."""
        self._total, self._count = 0.0, 0

    def _convert_data(self, data: Any) -> Any:
        """A Tensor, array or list as a NumPy array; metrics of users' own call it."""
        if not isinstance(data, (Tensor, np.ndarray, list)):
            raise UsageError("a metric counts Tensors, arrays and lists", found=printable(type(data).__name__))
        return _array(data)

    def update(self, *inputs: Any) -> None:
        """Count a batch."""
        raise UsageError("a metric defines update(self, *inputs)", where=type(self).__name__)

    def eval(self) -> Any:
        """The value so far.

        Raises:
            UsageError: nothing was counted.
        """
        if not self._count:
            raise UsageError("nothing was counted yet", where=type(self).__name__, fix="call update first")
        return self._total / self._count


def _array(value: Any) -> Any:
    return value.asnumpy() if isinstance(value, Tensor) else np.asarray(value)


def _classes(inputs: tuple[Any, ...]) -> tuple[Any, Any]:
    """Scores (N, C), and class indices (N,)."""
    if len(inputs) != 2:
        raise UsageError("predictions and labels are counted", expected=2, found=len(inputs))
    scores, labels = map(_array, inputs)
    if labels.ndim == scores.ndim:
        labels = labels.argmax(1)
    if scores.shape[:1] + scores.shape[2:] != labels.shape:
        raise ShapeError("labels do not fit the predictions", expected=scores.shape[:1], found=labels.shape)
    return scores, labels


class Accuracy(Metric):
    """The share of samples whose highest score is the label's.

    >>> metric = Accuracy()
    >>> metric.update(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    >>> metric.eval()
    0.5
    """

    def __init__(self, eval_type: str = "classification") -> None:
        super().__init__()
        if eval_type not in ("classification", "multilabel"):
            raise UsageError("eval_type is classification or multilabel", found=printable(eval_type))
        self.eval_type = eval_type

    def update(self, *inputs: Any) -> None:
        """Count a batch."""
        if self.eval_type == "multilabel":
            scores, labels = map(_array, inputs)
            right = (scores == labels).reshape(len(labels), -1).all(1)
        else:
            scores, labels = _classes(inputs)
            right = scores.argmax(1) == labels
        self._total += float(right.sum())
        self._count += right.size


class TopKCategoricalAccuracy(Metric):
    """The share of samples whose label is among the k highest scores."""

    def __init__(self, k: int) -> None:
        super().__init__()
        if not isinstance(k, int) or k < 1:
            raise UsageError("k is a whole number, at least 1", found=printable(k))
        self.k = k

    def update(self, *inputs: Any) -> None:
        """Count a batch."""
        scores, labels = _classes(inputs)
        best = np.argsort(-scores, 1, kind="stable")[:, : self.k]
        self._total += float((best == labels[:, None]).any(1).sum())
        self._count += len(labels)


class Top1CategoricalAccuracy(TopKCategoricalAccuracy):
    """The share of samples whose label has the highest score."""

    def __init__(self) -> None:
        super().__init__(1)


class Top5CategoricalAccuracy(TopKCategoricalAccuracy):
    """The share of samples whose label is among the five highest scores."""

    def __init__(self) -> None:
        super().__init__(5)


class Loss(Metric):
    """The mean of the batches' losses."""

    def update(self, *inputs: Any) -> None:
        """Count a batch's loss."""
        self._total += float(_array(inputs[0]).mean())
        self._count += 1


class _Distance(Metric):
    _power = 1

    def update(self, *inputs: Any) -> None:
        """Count a batch."""
        got, wanted = map(_array, inputs)
        self._total += float((np.abs(wanted.reshape(got.shape) - got) ** self._power).sum())
        self._count += len(wanted)


class MAE(_Distance):
    """The sum of distances over the number of samples."""


class MSE(_Distance):
    """The sum of squared distances over the number of samples."""

    _power = 2


class Precision(Metric):
    """For each class, or on average, the share of right ones among those that were called so."""

    _by = 0

    def __init__(self, eval_type: str = "classification") -> None:
        super().__init__()
        self.eval_type = eval_type

    def clear(self) -> None:
        """Begin anew."""
        self._rows: Any = None

    def update(self, *inputs: Any) -> None:
        """Count a batch."""
        scores, labels = _classes(inputs)
        size = scores.shape[1]
        called, right = scores.argmax(1), scores.argmax(1) == labels
        rows = [np.bincount(called[right], minlength=size), np.bincount(called, minlength=size)]
        rows.append(np.bincount(labels.astype(int), minlength=size))
        self._rows = np.stack(rows) + (0 if self._rows is None else self._rows)

    def eval(self, average: bool = False) -> Any:
        """The value of each class, or their mean."""
        if self._rows is None:
            raise UsageError("nothing was counted yet", where=type(self).__name__, fix="call update first")
        found = self._rows[0] / (self._rows[1 + self._by] + np.finfo(np.float64).eps)
        return found.mean() if average else found


class Recall(Precision):
    """For each class, or on average, the share that was found."""

    _by = 1


class F1(Precision):
    """For each class, or on average, the harmonic mean of precision and recall."""

    def eval(self, average: bool = False) -> Any:
        """The value of each class, or their mean."""
        if self._rows is None:
            raise UsageError("nothing was counted yet", where=type(self).__name__, fix="call update first")
        found = 2 * self._rows[0] / (self._rows[1] + self._rows[2] + np.finfo(np.float64).eps)
        return found.mean() if average else found


_NAMES: dict[str, Any] = {
    "accuracy": Accuracy,
    "Accuracy": Accuracy,
    "acc": Accuracy,
    "precision": Precision,
    "recall": Recall,
    "F1": F1,
    "loss": Loss,
    "top_1_accuracy": Top1CategoricalAccuracy,
    "top_5_accuracy": Top5CategoricalAccuracy,
    "mae": MAE,
    "mse": MSE,
}


def get_metric_fn(name: str, *args: Any, **named: Any) -> Metric:
    """The metric of this name.

    Raises:
        UsageError: there is none.
    """
    if name not in _NAMES:
        raise UsageError(f"no metric {printable(name)}", expected=", ".join(_NAMES))
    return _NAMES[name](*args, **named)


def get_metrics(metrics: Any) -> dict[str, Metric]:
    """Metrics by name, from a dict, names, or None."""
    if metrics is None:
        return {}
    if isinstance(metrics, dict):
        wrong = [printable(k) for k, v in metrics.items() if not hasattr(v, "update")]
        if wrong:
            raise UsageError("metrics are Metric objects", details=wrong)
        return dict(metrics)
    return {name: get_metric_fn(name) for name in metrics}
