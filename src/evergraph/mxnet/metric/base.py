"""What every metric is: a sum and a count, of the last reset and of the whole run."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch

from evergraph.errors import UsageError
from evergraph.mxnet.ndarray.base import Array
from evergraph.mxnet.registry import put

__all__ = ["EvalMetric", "MeanMetric", "alias", "check_label_shapes", "create", "register", "tensor"]


class _ShapeError(UsageError, ValueError):
    """Labels and predictions that do not belong together."""


class _NameError(UsageError, AssertionError, ValueError):
    """A name that no metric has."""


class _MissingError(UsageError, AssertionError, ValueError):
    """Labels and predictions of sizes that a metric cannot compare."""


def check_label_shapes(labels: Any, preds: Any, wrap: bool = False, shape: bool = False) -> tuple[Any, Any]:
    """Labels and predictions, once they are found to be of one number or shape.

    Args:
        labels: arrays.
        preds: arrays.
        wrap: whether single arrays become lists.
        shape: whether shapes are compared, not lengths.

    Raises:
        ValueError: they differ.
    """
    pair = (labels.shape, preds.shape) if shape else (len(labels), len(preds))
    if pair[0] != pair[1]:
        absent = "the batches have no labels: give them to the iterator, as mx.io.NDArrayIter(data, label) does"
        raise _ShapeError(
            f"Shape of labels {pair[0]} does not match shape of predictions {pair[1]}",
            fix=None if pair[0] else absent,
        )
    if wrap:
        labels = [labels] if isinstance(labels, Array) else labels
        preds = [preds] if isinstance(preds, Array) else preds
    return labels, preds


def tensor(value: Any) -> torch.Tensor:
    """An array as a torch tensor, without a copy where there is one behind it."""
    if isinstance(value, Array):
        data = value._data
        return data if isinstance(data, torch.Tensor) else data.dense()
    return value if isinstance(value, torch.Tensor) else torch.as_tensor(np.asarray(value))


def require(holds: bool, what: str, labels: Any, preds: Any) -> None:
    """Raise where labels and predictions cannot be compared."""
    if not holds:
        raise _MissingError(what, expected=f"labels of {tuple(labels.shape)}", found=f"outputs of {tuple(preds.shape)}")


class EvalMetric:
    """A measure of predictions, as a mean over what it has seen since the last reset.

    Args:
        name: what it is called.
        output_names: outputs that it looks at; all where not given.
        label_names: labels that it looks at; all where not given.
        kwargs: further settings, which `get_config` repeats; `has_global_stats` where it also keeps the whole run's.
    """

    registry: ClassVar[dict[str, type]] = {}

    def __init__(
        self,
        name: str,
        output_names: Sequence[str] | None = None,
        label_names: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        self.name, self.output_names, self.label_names = str(name), output_names, label_names
        self._has_global_stats = kwargs.pop("has_global_stats", False)
        self._kwargs = kwargs
        self.reset()

    def __str__(self) -> str:
        return f"EvalMetric: {dict(self.get_name_value())}"

    def get_config(self) -> dict[str, Any]:
        """Its settings, from which it can be made again."""
        own = {"metric": type(self).__name__, "name": self.name}
        return {**self._kwargs, **own, "output_names": self.output_names, "label_names": self.label_names}

    def update_dict(self, label: Mapping[str, Any], pred: Mapping[str, Any]) -> None:
        """Take labels and predictions by name."""
        preds = list(pred.values()) if self.output_names is None else [pred[n] for n in self.output_names]
        labels = list(label.values()) if self.label_names is None else [label[n] for n in self.label_names]
        self.update(labels, preds)

    def update(self, labels: Any, preds: Any) -> None:
        """Take labels and predictions, lists of arrays."""
        raise NotImplementedError("a metric defines update(labels, preds)")

    def reset(self) -> None:
        """Forget everything."""
        self.num_inst: Any = 0
        self.sum_metric: Any = 0.0
        self.global_num_inst: Any = 0
        self.global_sum_metric: Any = 0.0

    def reset_local(self) -> None:
        """Forget what was seen since the last reset, and keep the whole run's."""
        self.num_inst, self.sum_metric = 0, 0.0

    def _add(self, value: Any, count: Any) -> None:
        self.sum_metric += value
        self.num_inst += count
        self.global_sum_metric += value
        self.global_num_inst += count

    def _mean(self, total: Any, count: Any) -> Any:
        return total / count if count else float("nan")

    def get(self) -> tuple[Any, Any]:
        """Its name and value; nan where it has seen nothing."""
        return self.name, self._mean(self.sum_metric, self.num_inst)

    def get_global(self) -> tuple[Any, Any]:
        """Its name and value over the whole run."""
        if not self._has_global_stats:
            return self.get()
        return self.name, self._mean(self.global_sum_metric, self.global_num_inst)

    def get_name_value(self) -> list[tuple[str, Any]]:
        """Pairs of name and value."""
        return _pairs(*self.get())

    def get_global_name_value(self) -> list[tuple[str, Any]]:
        """Pairs of name and value over the whole run."""
        return _pairs(*self.get_global())


def _pairs(name: Any, value: Any) -> list[tuple[str, Any]]:
    names = name if isinstance(name, list) else [name]
    return list(zip(names, value if isinstance(value, list) else [value], strict=False))


class MeanMetric(EvalMetric):
    """A metric that is defined by what one pair of arrays adds to its sum and its count."""

    def update(self, labels: Any, preds: Any) -> None:
        """Take labels and predictions.

        Raises:
            ValueError: they are not of one number, or cannot be compared.
        """
        labels, preds = check_label_shapes(labels, preds, True)
        for label, pred in zip(labels, preds, strict=True):
            self._add(*self.measure(tensor(label), tensor(pred)))

    def measure(self, label: torch.Tensor, pred: torch.Tensor) -> tuple[Any, Any]:
        """What one pair adds to the sum and the count."""
        raise NotImplementedError


def register(klass: type, name: str | None = None) -> type:
    """Make a metric known by its class's name, or by another; also a decorator."""
    return put(EvalMetric.registry, klass, name, "metric")


def alias(*names: str) -> Callable[[type], type]:
    """Decorates a metric that has further names."""

    def decorate(klass: type) -> type:
        for each in names:
            register(klass, each)
        return klass

    return decorate


def create(metric: Any, *args: Any, **kwargs: Any) -> Any:
    """A metric by its name, of a function (label, prediction) -> value, or of a list of these.

    Raises:
        ValueError: there is no metric of this name.

    >>> create("acc").name, create(["mse", "mae"]).get()[0]
    ('accuracy', ['mse', 'mae'])
    """
    from evergraph.mxnet.metric.composite import CompositeEvalMetric, CustomMetric

    if isinstance(metric, EvalMetric):
        return metric
    if callable(metric):
        return CustomMetric(metric, *args, **kwargs)
    if isinstance(metric, list):
        return CompositeEvalMetric([create(m, *args, **kwargs) for m in metric])
    if isinstance(metric, Mapping):
        settings = dict(metric)
        return create(settings.pop("metric"), *args, **settings, **kwargs)
    found = EvalMetric.registry.get(str(metric).lower())
    if found is None:
        raise _NameError(f"no metric is named {metric}", expected=", ".join(sorted(EvalMetric.registry)))
    return found(*args, **kwargs)
