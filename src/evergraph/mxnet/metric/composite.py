"""Several metrics as one, and metrics of a program's own functions."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from evergraph.mxnet.metric.base import EvalMetric, alias, check_label_shapes, create, register, tensor

__all__ = ["CompositeEvalMetric", "CustomMetric", "np"]

_Names = Sequence[str] | None


@register
@alias("composite")
class CompositeEvalMetric(EvalMetric):
    """Several metrics as one.

    Args:
        metrics: metrics, or their names.
        name, output_names, label_names: see `EvalMetric`.
    """

    def __init__(
        self,
        metrics: Sequence[Any] | None = None,
        name: str = "composite",
        output_names: _Names = None,
        label_names: _Names = None,
    ) -> None:
        self.metrics = [create(m) for m in metrics or []]
        super().__init__(name, output_names, label_names, has_global_stats=True)

    def add(self, metric: Any) -> None:
        """Add a metric, or one of this name."""
        self.metrics.append(create(metric))

    def get_metric(self, index: int) -> Any:
        """A metric by its number; a ValueError, returned as MXNet does, where there is none."""
        if not -len(self.metrics) <= index < len(self.metrics):
            return ValueError(f"Metric index {index} is out of range 0 and {len(self.metrics)}")
        return self.metrics[index]

    def update_dict(self, labels: Mapping[str, Any], preds: Mapping[str, Any]) -> None:  # type: ignore[override]
        """Give labels and predictions, by name, to each metric."""
        if self.label_names is not None:
            labels = {k: v for k, v in labels.items() if k in self.label_names}
        if self.output_names is not None:
            preds = {k: v for k, v in preds.items() if k in self.output_names}
        for metric in self.metrics:
            metric.update_dict(labels, preds)

    def update(self, labels: Any, preds: Any) -> None:
        """Give labels and predictions to each metric."""
        for metric in self.metrics:
            metric.update(labels, preds)

    def reset(self) -> None:
        """Let all forget everything."""
        for metric in self.metrics:
            metric.reset()

    def reset_local(self) -> None:
        """Let all forget what they saw since the last reset."""
        for metric in self.metrics:
            metric.reset_local()

    def get(self) -> tuple[Any, Any]:
        """Names and values of all."""
        return _listed([m.get() for m in self.metrics])

    def get_global(self) -> tuple[Any, Any]:
        """Names and values of all, over the whole run."""
        return _listed([m.get_global() for m in self.metrics])

    def get_config(self) -> dict[str, Any]:
        """The settings of all."""
        return {**super().get_config(), "metrics": [m.get_config() for m in self.metrics]}


def _listed(pairs: Sequence[tuple[Any, Any]]) -> tuple[list[Any], list[Any]]:
    names, values = [], []
    for name, value in pairs:
        names += name if isinstance(name, list) else [name]
        values += value if isinstance(value, list) else [value]
    return names, values


@register
class CustomMetric(EvalMetric):
    """The mean of what a function (label, prediction) -> value, or (sum, count), gives for NumPy arrays.

    Args:
        feval: the function.
        name: its name; the function's where not given.
        allow_extra_outputs: whether there may be more predictions than labels.
        output_names, label_names: see `EvalMetric`.
    """

    def __init__(
        self,
        feval: Callable[[Any, Any], Any],
        name: str | None = None,
        allow_extra_outputs: bool = False,
        output_names: _Names = None,
        label_names: _Names = None,
    ) -> None:
        if name is None:
            name = feval.__name__
            if "<" in name:
                name = f"custom({name})"
        super().__init__(
            name,
            output_names,
            label_names,
            feval=feval,
            allow_extra_outputs=allow_extra_outputs,
            has_global_stats=True,
        )
        self._feval, self._allow_extra_outputs = feval, allow_extra_outputs

    def update(self, labels: Any, preds: Any) -> None:
        """Take labels and predictions.

        Raises:
            ValueError: they are not of one number.
        """
        if not self._allow_extra_outputs:
            labels, preds = check_label_shapes(labels, preds, True)
        for pred, label in zip(preds, labels, strict=False):
            found = self._feval(tensor(label).cpu().numpy(), tensor(pred).cpu().numpy())
            self._add(*(found if isinstance(found, tuple) else (found, 1)))

    def get_config(self) -> dict[str, Any]:
        """Not for functions.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError("CustomMetric cannot be serialized")


def np(numpy_feval: Callable[[Any, Any], Any], name: str | None = None, allow_extra_outputs: bool = False) -> Any:
    """A metric of a function of NumPy arrays; see `CustomMetric`."""

    def feval(label: Any, pred: Any) -> Any:
        return numpy_feval(label, pred)

    feval.__name__ = numpy_feval.__name__
    return CustomMetric(feval, name, allow_extra_outputs)
