"""Metrics of classes: accuracy, F1, correlations of classes, cross entropy, perplexity."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from evergraph.mxnet.base import InputTypeError
from evergraph.mxnet.metric.base import EvalMetric, MeanMetric, alias, check_label_shapes, register, require, tensor

__all__ = ["F1", "MCC", "PCC", "Accuracy", "CrossEntropy", "NegativeLogLikelihood", "Perplexity", "TopKAccuracy"]

_Names = Sequence[str] | None


@register
@alias("acc")
class Accuracy(MeanMetric):
    """How many predictions are right.

    Args:
        axis: axis of the classes.
        name, output_names, label_names: see `EvalMetric`.

    >>> from evergraph.mxnet import nd
    >>> found = Accuracy(); found.update([nd.array([0, 1])], [nd.array([[0.9, 0.1], [0.8, 0.2]])]); found.get()
    ('accuracy', 0.5)
    """

    def __init__(
        self, axis: int = 1, name: str = "accuracy", output_names: _Names = None, label_names: _Names = None
    ) -> None:
        super().__init__(name, output_names, label_names, axis=axis, has_global_stats=True)
        self.axis = axis

    def measure(self, label: torch.Tensor, pred: torch.Tensor) -> tuple[Any, Any]:
        """How many are right, of how many."""
        if pred.shape != label.shape:
            pred = pred.argmax(self.axis)
        check_label_shapes(label.reshape(-1), pred.reshape(-1))
        right = pred.reshape(-1).to(torch.int32) == label.reshape(-1).to(pred.device, torch.int32)
        return int(right.sum()), right.numel()


@register
@alias("top_k_accuracy", "top_k_acc")
class TopKAccuracy(MeanMetric):
    """How many labels are among the k likeliest classes.

    Args:
        top_k: k, above 1.
        name, output_names, label_names: see `EvalMetric`.

    Raises:
        AssertionError: k is 1 or less.
    """

    def __init__(
        self, top_k: int = 1, name: str = "top_k_accuracy", output_names: _Names = None, label_names: _Names = None
    ) -> None:
        super().__init__(name, output_names, label_names, top_k=top_k, has_global_stats=True)
        if top_k <= 1:
            raise InputTypeError("Please use Accuracy if top_k is no more than 1", found=top_k)
        self.top_k = top_k
        self.name += f"_{top_k}"

    def measure(self, label: torch.Tensor, pred: torch.Tensor) -> tuple[Any, Any]:
        """How many labels are among them, of how many."""
        require(pred.ndim <= 2, "Predictions should be no more than 2 dims", label, pred)
        check_label_shapes(label, pred)
        label = label.reshape(-1).to(pred.device, torch.int64)
        if pred.ndim == 1:
            order = torch.from_numpy(np.argpartition(pred.float().cpu().numpy(), -self.top_k))
            return int((order == label.cpu()).sum()), len(pred)
        best = pred.float().topk(min(self.top_k, pred.shape[1]), 1).indices
        return int((best == label[:, None]).sum()), len(pred)


class _Counts:
    """Right and wrong answers of two classes: true and false positives and negatives."""

    def __init__(self) -> None:
        self.counts = np.zeros((2, 2), np.int64)

    def add(self, found: np.ndarray) -> None:
        """Add a table [label, prediction]."""
        self.counts += found

    @property
    def total(self) -> int:
        """How many answers."""
        return int(self.counts.sum())

    @property
    def fscore(self) -> float:
        """The harmonic mean of precision and recall; 0 where neither is."""
        (_, false_pos), (false_neg, true_pos) = self.counts.tolist()
        precision = true_pos / (true_pos + false_pos) if true_pos + false_pos else 0.0
        recall = true_pos / (true_pos + false_neg) if true_pos + false_neg else 0.0
        return 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    @property
    def matthews(self) -> float:
        """Matthews' correlation; sums that are 0 count as 1."""
        (true_neg, false_pos), (false_neg, true_pos) = self.counts.tolist()
        sums = (true_pos + false_pos, true_pos + false_neg, true_neg + false_pos, true_neg + false_neg)
        if not self.total:
            return 0.0
        return (true_pos * true_neg - false_pos * false_neg) / math.sqrt(math.prod(float(s) for s in sums if s))


def _table(label: torch.Tensor, pred: torch.Tensor, who: str) -> np.ndarray:
    check_label_shapes(label, pred)
    answers = pred.argmax(1).cpu().numpy() == 1
    truth = label.reshape(-1).cpu().numpy().astype(np.int32)
    if len(np.unique(truth)) > 2:
        raise InputTypeError(
            f"{who} currently only supports binary classification.",
            expected="labels 0 and 1",
            found=", ".join(str(x) for x in np.unique(truth)[:10]),
        )
    truth = truth == 1
    pairs = [[(~truth & ~answers).sum(), (~truth & answers).sum()], [(truth & ~answers).sum(), (truth & answers).sum()]]
    return np.array(pairs, np.int64)


class _OfTwoClasses(EvalMetric):
    """A score of the four counts: its mean over batches ("macro"), or that of all counts together ("micro")."""

    _score = "fscore"

    def __init__(
        self, name: str, output_names: _Names = None, label_names: _Names = None, average: str = "macro"
    ) -> None:
        self.average = average
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def reset(self) -> None:
        """Forget everything."""
        self._local, self._global = _Counts(), _Counts()
        super().reset()

    def reset_local(self) -> None:
        """Forget what was seen since the last reset."""
        self._local = _Counts()
        super().reset_local()

    def update(self, labels: Any, preds: Any) -> None:
        """Take labels 0 and 1, and predictions (n, 2).

        Raises:
            ValueError: more than two classes.
        """
        labels, preds = check_label_shapes(labels, preds, True)
        for label, pred in zip(labels, preds, strict=True):
            found = _table(tensor(label), tensor(pred), type(self).__name__)
            self._local.add(found)
            self._global.add(found)
        local, whole = getattr(self._local, self._score), getattr(self._global, self._score)
        if self.average == "macro":
            self._local, self._global = _Counts(), _Counts()
            self.sum_metric += local
            self.global_sum_metric += whole
            self.num_inst += 1
            self.global_num_inst += 1
            return
        self.sum_metric, self.num_inst = local * self._local.total, self._local.total
        self.global_sum_metric, self.global_num_inst = whole * self._global.total, self._global.total


@register
class F1(_OfTwoClasses):
    """The harmonic mean of precision and recall, for two classes.

    Args:
        name, output_names, label_names: see `EvalMetric`.
        average: "macro" for the mean over batches, "micro" for all answers together.
    """

    def __init__(
        self,
        name: str = "f1",
        output_names: _Names = None,
        label_names: _Names = None,
        average: str = "macro",
    ) -> None:
        super().__init__(name, output_names, label_names, average)


@register
class MCC(_OfTwoClasses):
    """Matthews' correlation of labels and answers, for two classes.

    Args:
        name, output_names, label_names: see `EvalMetric`.
        average: "macro" for the mean over batches, "micro" for all answers together.
    """

    _score = "matthews"

    def __init__(
        self,
        name: str = "mcc",
        output_names: _Names = None,
        label_names: _Names = None,
        average: str = "macro",
    ) -> None:
        super().__init__(name, output_names, label_names, average)


@register
class PCC(EvalMetric):
    """The correlation of labels and answers, for any number of classes.

    Args:
        name, output_names, label_names: see `EvalMetric`.
        has_global_stats: whether the whole run's is kept too.
    """

    def __init__(
        self,
        name: str = "pcc",
        output_names: _Names = None,
        label_names: _Names = None,
        has_global_stats: bool = True,
    ) -> None:
        super().__init__(name, output_names, label_names, has_global_stats=has_global_stats)

    def reset(self) -> None:
        """Forget everything."""
        self.lcm, self.gcm = np.zeros((2, 2)), np.zeros((2, 2))
        super().reset()

    def reset_local(self) -> None:
        """Forget what was seen since the last reset."""
        self.lcm = np.zeros_like(self.lcm)
        super().reset_local()

    def update(self, labels: Any, preds: Any) -> None:
        """Take labels and predictions: of classes (n, k), or answers (n,)."""
        labels, preds = check_label_shapes(labels, preds, True)
        for label, pred in zip(labels, preds, strict=True):
            truth, found = tensor(label).cpu().numpy().astype(np.int32), tensor(pred).cpu().numpy()
            answers = found.argmax(axis=1) if found.shape != truth.shape else found.astype(np.int32)
            grow = max(0, int(max(answers.max(), truth.max())) + 1 - len(self.lcm))
            if grow:
                self.lcm, self.gcm = (np.pad(m, ((0, grow), (0, grow))) for m in (self.lcm, self.gcm))
            table = np.zeros_like(self.lcm)
            if answers.ndim == truth.ndim == 1:
                np.add.at(table, (answers, truth), 1)
            else:  # as MXNet counts examples of several labels: each pair of classes once for an example
                for answer, labelled in zip(answers, truth, strict=False):
                    table[answer, labelled] += 1
            self.lcm += table
            self.gcm += table
        self.num_inst += 1
        self.global_num_inst += 1

    def get(self) -> tuple[Any, Any]:
        """Its name and value."""
        return self.name, _correlation(self.lcm) if self.num_inst else float("nan")

    def get_global(self) -> tuple[Any, Any]:
        """Its name and value over the whole run."""
        return self.name, _correlation(self.gcm) if self.global_num_inst else float("nan")


def _correlation(table: np.ndarray) -> float:
    n, x, y = table.sum(), table.sum(axis=1), table.sum(axis=0)
    spread_x, spread_y = (x * (n - x)).sum(), (y * (n - y)).sum()
    if not spread_x or not spread_y:
        return float("nan")
    return float((table.diagonal() * n - x * y).sum() / (spread_x * spread_y) ** 0.5)


class _LogLoss(MeanMetric):
    """The mean of -log(probability of the label + eps)."""

    def __init__(self, eps: float, name: str, output_names: _Names, label_names: _Names) -> None:
        super().__init__(name, output_names, label_names, eps=eps, has_global_stats=True)
        self.eps = eps

    def measure(self, label: torch.Tensor, pred: torch.Tensor) -> tuple[Any, Any]:
        """The sum of losses, and how many."""
        label = label.reshape(-1)
        require(len(label) == len(pred), "labels and predictions are not as many", label, pred)
        chosen = pred[torch.arange(len(label), device=pred.device), label.to(pred.device, torch.int64)]
        return float(-torch.log(chosen + self.eps).sum()), len(label)


@register
@alias("ce")
class CrossEntropy(_LogLoss):
    """The mean of -log of the probability that the label has.

    Args:
        eps: added to probabilities.
        name, output_names, label_names: see `EvalMetric`.
    """

    def __init__(
        self,
        eps: float = 1e-12,
        name: str = "cross-entropy",
        output_names: _Names = None,
        label_names: _Names = None,
    ) -> None:
        super().__init__(eps, name, output_names, label_names)


@register
@alias("nll_loss")
class NegativeLogLikelihood(_LogLoss):
    """The mean of -log of the probability that the label has; see `CrossEntropy`."""

    def __init__(
        self,
        eps: float = 1e-12,
        name: str = "nll-loss",
        output_names: _Names = None,
        label_names: _Names = None,
    ) -> None:
        super().__init__(eps, name, output_names, label_names)


@register
class Perplexity(EvalMetric):
    """The exponential of the mean of -log of the probability that the label has.

    Args:
        ignore_label: a label that does not count, or None.
        axis: axis of the classes.
        name, output_names, label_names: see `EvalMetric`.
    """

    def __init__(
        self,
        ignore_label: int | None,
        axis: int = -1,
        name: str = "perplexity",
        output_names: _Names = None,
        label_names: _Names = None,
    ) -> None:
        super().__init__(name, output_names, label_names, ignore_label=ignore_label, has_global_stats=True)
        self.ignore_label, self.axis = ignore_label, axis

    def update(self, labels: Any, preds: Any) -> None:
        """Take labels and probabilities.

        Raises:
            AssertionError: labels and probabilities do not belong together.
        """
        if len(labels) != len(preds):
            raise InputTypeError("a label is needed for each prediction", expected=len(preds), found=len(labels))
        loss, count = 0.0, 0
        for label, pred in zip(map(tensor, labels), map(tensor, preds), strict=True):
            require(label.numel() * pred.shape[-1] == pred.numel(), "shape mismatch", label, pred)
            label = label.reshape(-1).to(pred.device)
            places = label.to(torch.int64).clamp(0, pred.shape[self.axis] - 1)
            chosen = pred.reshape(-1, pred.shape[-1])[torch.arange(len(label), device=pred.device), places]
            if self.ignore_label is not None:
                ignored = label == self.ignore_label
                chosen = torch.where(ignored, torch.ones_like(chosen), chosen)
                count -= int(ignored.sum())
            loss -= float(torch.log(chosen.clamp_min(1e-10)).sum())
            count += len(label)
        self._add(loss, count)

    def _mean(self, total: Any, count: Any) -> Any:
        return math.exp(total / count) if count else float("nan")
