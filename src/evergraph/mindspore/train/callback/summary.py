"""SummaryCollector: losses and metrics for TensorBoard."""

from typing import Any

from evergraph._lazy import load
from evergraph.mindspore.train.callback.base import Callback, loss_of

__all__ = ["SummaryCollector"]


class SummaryCollector(Callback):
    """Writes each step's loss, and the evaluations' values, as TensorBoard's event files.

    Args:
        summary_dir: the folder.
        collect_freq: steps from one loss to the next.

    Raises:
        MissingDependencyError: tensorboard is not installed.
    """

    def __init__(self, summary_dir: str, collect_freq: int = 10, **_: Any) -> None:
        super().__init__()
        self.summary_dir, self.collect_freq, self._writer = summary_dir, max(collect_freq, 1), None

    def begin(self, run_context: Any) -> None:
        """Open the file."""
        if self._writer is None:
            self._writer = load("torch.utils.tensorboard", "dev").SummaryWriter(self.summary_dir)

    def on_train_step_end(self, run_context: Any) -> None:
        """Write the loss."""
        told = run_context.original_args()
        if self._writer is not None and (told.cur_step_num - 1) % self.collect_freq == 0:
            self._writer.add_scalar("loss", loss_of(told.net_outputs), told.cur_step_num)

    def on_train_epoch_end(self, run_context: Any) -> None:
        """Write the evaluation's values."""
        told = run_context.original_args()
        for name, value in (told.eval_results or {}).items():
            if self._writer is not None:
                self._writer.add_scalar(name, float(value), told.cur_epoch_num)

    def end(self, run_context: Any) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
