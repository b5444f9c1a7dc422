"""What estimators and their handlers check."""

from typing import Any

from evergraph.errors import printable
from evergraph.mxnet.gluon.contrib.estimator.events import EventHandler
from evergraph.mxnet.gluon.errors import BlockValueError
from evergraph.mxnet.gluon.loss import SoftmaxCrossEntropyLoss
from evergraph.mxnet.metric import Accuracy, CompositeEvalMetric, EvalMetric

__all__ = ["pairs"]


def _check_metrics(metrics: Any) -> list[Any]:
    """Metrics as a list, joined ones taken apart.

    Raises:
        ValueError: something that is no metric.
    """
    if isinstance(metrics, CompositeEvalMetric):
        return [one for each in metrics.metrics for one in _check_metrics(each)]
    if isinstance(metrics, EvalMetric):
        return [metrics]
    if metrics is None:
        return []
    wrong = not isinstance(metrics, (list, tuple)) or not all(isinstance(m, EvalMetric) for m in metrics)
    if wrong:
        raise BlockValueError(
            "metrics must be a Metric or a list of Metric, refer to mxnet.metric.EvalMetric",
            found=printable(metrics),
        )
    return metrics if isinstance(metrics, list) else list(metrics)


def _check_event_handlers(handlers: Any) -> list[Any]:
    """Handlers as a list.

    Raises:
        ValueError: something that is no handler.
    """
    if isinstance(handlers, EventHandler):
        return [handlers]
    if handlers is None:
        return []
    if not isinstance(handlers, (list, tuple)) or not all(isinstance(h, EventHandler) for h in handlers):
        raise BlockValueError(
            "handlers must be an EventHandler or a list of EventHandler",
            found=printable(handlers),
            fix="give objects of classes that inherit TrainBegin, EpochEnd, BatchEnd, ...",
        )
    return handlers if isinstance(handlers, list) else list(handlers)


def _check_metric_known(handler: Any, metric: Any, known_metrics: Any) -> None:
    """Refuse a metric that no estimator updates.

    Raises:
        ValueError: it is not among those that are known.
    """
    if not any(metric is each for each in known_metrics):
        raise BlockValueError(
            f"Event handler {type(handler).__name__} refers to a metric instance {printable(metric)} outside of the"
            " known training and validation metrics",
            fix="use the metrics from estimator.train_metrics and estimator.val_metrics",
        )


def _check_handler_metric_ref(handler: Any, known_metrics: Any) -> None:
    """Look at what a handler keeps under names with "metric".

    Raises:
        ValueError: a metric is not among those that are known.
    """
    for name, held in vars(handler).items():
        if "metric" in name:
            for each in held if isinstance(held, (list, tuple)) else [held]:
                if isinstance(each, EvalMetric):
                    _check_metric_known(handler, each, known_metrics)


def _suggest_metric_for_loss(loss: Any) -> Any:
    """The metric that is shown where none is given; None where there is none."""
    return Accuracy() if isinstance(loss, SoftmaxCrossEntropyLoss) else None


def pairs(metrics: Any) -> list[tuple[str, Any]]:
    """Names and values, one for each metric, joined ones taken apart."""
    return [pair for each in metrics for pair in each.get_name_value()]
