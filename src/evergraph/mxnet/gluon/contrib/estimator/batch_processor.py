"""What is computed for one batch."""

from typing import Any

from evergraph.mxnet import autograd
from evergraph.mxnet.gluon.utils import split_and_load

__all__ = ["BatchProcessor"]


class BatchProcessor:
    """The forward and backward pass of one batch; a subclass says what a batch is and what is done with it.

    >>> import evergraph.mxnet as mx
    >>> from evergraph.mxnet.gluon.contrib.estimator import Estimator
    >>> net = mx.gluon.nn.Dense(1, in_units=2); net.initialize(mx.init.One())
    >>> trainer = mx.gluon.Trainer(net.collect_params(), "sgd")
    >>> estimator = Estimator(net, mx.gluon.loss.L2Loss(), trainer=trainer)
    >>> batch = mx.nd.array([[1, 2], [3, 4]]), mx.nd.array([3, 5])
    >>> data, label, outputs, losses = BatchProcessor().evaluate_batch(estimator, batch)
    >>> losses[0].asnumpy()
    array([0., 2.], dtype=float32)
    """

    def _get_data_and_label(self, batch: Any, ctx: Any, batch_axis: int = 0) -> tuple[list[Any], list[Any]]:
        data, label = batch[0], batch[1]
        return split_and_load(data, ctx, batch_axis), split_and_load(label, ctx, batch_axis)

    def evaluate_batch(self, estimator: Any, val_batch: Any, batch_axis: int = 0) -> tuple[Any, Any, Any, Any]:
        """Run a batch of validation.

        Args:
            estimator: whose `val_net` and `val_loss` are run.
            val_batch: data and label.
            batch_axis: the axis of the samples.

        Returns:
            data, labels, outputs and losses: lists, one array for each device.
        """
        data, label = self._get_data_and_label(val_batch, estimator.context, batch_axis)
        outputs = [estimator.val_net(x) for x in data]
        losses = [estimator.val_loss(output, y) for output, y in zip(outputs, label, strict=True)]
        return data, label, outputs, losses

    def fit_batch(self, estimator: Any, train_batch: Any, batch_axis: int = 0) -> tuple[Any, Any, Any, Any]:
        """Run a batch of training, and its backward pass; the parameters are updated by `GradientUpdateHandler`.

        Args:
            estimator: whose `net` and `loss` are run.
            train_batch: data and label.
            batch_axis: the axis of the samples.

        Returns:
            data, labels, outputs and losses: lists, one array for each device.
        """
        data, label = self._get_data_and_label(train_batch, estimator.context, batch_axis)
        with autograd.record():
            outputs = [estimator.net(x) for x in data]
            losses = [estimator.loss(output, y) for output, y in zip(outputs, label, strict=True)]
        for loss in losses:
            loss.backward()
        return data, label, outputs, losses
