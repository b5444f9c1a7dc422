"""`mx.contrib.tensorboard`: metrics written where TensorBoard shows them."""

from typing import Any

from evergraph.errors import MissingDependencyError

__all__ = ["LogMetricsCallback"]


class LogMetricsCallback:
    """A callback for the ends of batches, epochs' evaluations or scores that writes each metric's value.

    Args:
        logging_dir: the folder of TensorBoard's event files.
        prefix: put before the metrics' names, with a dash between.

    Raises:
        MissingDependencyError: TensorBoard is not installed.
    """

    def __init__(self, logging_dir: str, prefix: str | None = None) -> None:
        try:
            from torch.utils.tensorboard.writer import SummaryWriter
        except ImportError as error:
            raise MissingDependencyError(
                "writing for TensorBoard needs its package", fix="install it: pip install tensorboard"
            ) from error
        self.prefix = prefix
        self.summary_writer = SummaryWriter(logging_dir)

    def __call__(self, param: Any) -> None:
        """Write the values of a `BatchEndParam`'s metric, at its epoch."""
        if param.eval_metric is None:
            return
        for name, value in param.eval_metric.get_name_value():
            shown = name if self.prefix is None else f"{self.prefix}-{name}"
            self.summary_writer.add_scalar(shown, value, global_step=param.epoch)
        self.summary_writer.flush()
