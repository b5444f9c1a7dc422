"""Parameters and optimizer states that are saved while training goes on, and found again."""

import math
import os
import re
import warnings
from typing import Any

from evergraph.errors import printable
from evergraph.mxnet.gluon.contrib.estimator.events import BatchEnd, EpochEnd, TrainBegin
from evergraph.mxnet.gluon.contrib.estimator.improvement import comparison, worst
from evergraph.mxnet.gluon.errors import BlockValueError, ParameterFitError

__all__ = ["CheckpointHandler"]

_NAME = re.compile(r"epoch(\d+)batch(\d+)\.params")


class CheckpointHandler(TrainBegin, BatchEnd, EpochEnd):
    """Saves `PREFIX-epochEbatchB.params` and `.states` every few epochs or batches, as MXNet's does.

    Args:
        model_dir: the folder; it is made where it is not there.
        model_prefix: what the names begin with.
        monitor: a metric of the estimator, for `save_best`.
        verbose: above 0, each save is logged.
        save_best: whether `PREFIX-best` is saved too, whenever the metric has improved.
        mode: "min", "max" or "auto": whether smaller or greater values are better.
        epoch_period: epochs between two saves; None for none.
        batch_period: batches between two saves; None for none.
        max_checkpoints: how many of one training are kept.
        resume_from_checkpoint: whether training goes on from the newest checkpoint in the folder.

    Raises:
        ValueError: `save_best` without a metric.
    """

    def __init__(
        self,
        model_dir: str,
        model_prefix: str = "model",
        monitor: Any = None,
        verbose: int = 0,
        save_best: bool = False,
        mode: str = "auto",
        epoch_period: int | None = 1,
        batch_period: int | None = None,
        max_checkpoints: int = 5,
        resume_from_checkpoint: bool = False,
    ) -> None:
        if save_best:
            self.monitor_op = comparison(monitor, mode, "CheckpointHandler")
        try:
            os.makedirs(model_dir, exist_ok=True)
        except (OSError, TypeError) as error:
            raise BlockValueError(
                "the folder of the checkpoints cannot be made", where=printable(model_dir), found=printable(error)
            ) from error
        self.model_dir, self.model_prefix, self.monitor = model_dir, model_prefix, monitor
        self.verbose, self.save_best = verbose, save_best
        self.epoch_period, self.batch_period = epoch_period, batch_period
        self.max_checkpoints, self.resume_from_checkpoint = max_checkpoints, resume_from_checkpoint
        self.saved_checkpoints: list[str] = []
        self.current_batch = self.current_epoch = 0

    # ---- when

    def train_begin(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Begin anew, or go on from the newest checkpoint.

        Raises:
            AssertionError: the periods of saving and training differ in kind, a state file is missing.
            ValueError: names that are no checkpoint's, or training is complete.
        """
        self.current_batch = self.current_epoch = 0
        if self.save_best:
            self.best = worst(self.monitor_op)
        if self.resume_from_checkpoint:
            if (self.batch_period and estimator.max_epoch) or (self.epoch_period and estimator.max_batch):
                raise ParameterFitError(
                    "To use resume from checkpoint, you must only specify the same type of period you used for"
                    " training.",
                    fix="training by epochs: batch_period=None; training by batches: epoch_period=None",
                )
            self._resume_from_checkpoint(estimator)

    def batch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Save, where the batch's turn has come."""
        if self.current_batch == 0:
            self._save_symbol(estimator)
        if self.batch_period and (self.current_batch + 1) % self.batch_period == 0:
            self._save_checkpoint(estimator)
        self.current_batch += 1

    def epoch_end(self, estimator: Any, *args: Any, **kwargs: Any) -> None:
        """Save, where the epoch's turn has come."""
        if self.epoch_period and (self.current_epoch + 1) % self.epoch_period == 0:
            self._save_checkpoint(estimator)
        self.current_epoch += 1

    # ---- saving

    def _path(self, name: str) -> str:
        return os.path.join(self.model_dir, name)

    def _save_checkpoint(self, estimator: Any) -> None:
        epoch, batch = self.current_epoch, self.current_batch
        if self.resume_from_checkpoint:
            epoch += self.trained_epoch + 1
            batch += self.trained_batch + (1 if estimator.max_batch else 0)
        prefix = f"{self.model_prefix}-epoch{epoch}batch{batch}"
        self._save_params_and_trainer(estimator, prefix)
        if self.verbose > 0:
            estimator.logger.info(
                "[Epoch %d] CheckpointHandler: trained total %d batches, saving model at %s with prefix: %s",
                self.current_epoch,
                self.current_batch + 1,
                self.model_dir,
                prefix,
            )
        self._retain(prefix)
        if self.save_best:
            self._save_best(estimator)

    def _retain(self, prefix: str) -> None:
        """Remove the oldest ones of this training, once the newest is whole."""
        self.saved_checkpoints.append(prefix)
        while len(self.saved_checkpoints) > self.max_checkpoints:
            oldest = self.saved_checkpoints.pop(0)
            for ending in (".params", ".states"):
                if oldest not in self.saved_checkpoints and os.path.exists(self._path(oldest + ending)):
                    os.remove(self._path(oldest + ending))

    def _save_best(self, estimator: Any) -> None:
        name, value = self.monitor.get()
        if math.isnan(value):
            warnings.warn(
                RuntimeWarning(
                    f"Skipping save best because {name} is not updated, make sure you pass one of the metric objects"
                    " estimator.train_metrics and estimator.val_metrics as monitor"
                ),
                stacklevel=2,
            )
            return
        if self.monitor_op(value, self.best):
            prefix = f"{self.model_prefix}-best"
            self._save_params_and_trainer(estimator, prefix)
            self.best = value
            # MXNet's line names the new value twice, and the line below the batch as the epoch
            text = (
                "[Epoch %d] CheckpointHandler: %s improved from %0.5f to %0.5f,"
                " updating best model at %s with prefix: %s"
            )
            row: tuple[Any, ...] = self.current_epoch, name, value, value, self.model_dir, prefix
        else:
            text = "[Epoch %d] CheckpointHandler: %s did not improve from %0.5f, skipping updating best model"
            row = self.current_batch, name, self.best
        if self.verbose > 0:
            estimator.logger.info(text, *row)

    def _save_symbol(self, estimator: Any) -> None:
        path = self._path(f"{self.model_prefix}-symbol.json")
        graph = getattr(estimator.net, "_cached_graph", None)
        if graph:
            graph[1].save(path)
        else:
            estimator.logger.info(
                "Model architecture(symbol file) is not saved, please use HybridBlock to construct your model, and call"
                " net.hybridize() before passing to Estimator in order to save model architecture as %s.",
                path,
            )

    def _save_params_and_trainer(self, estimator: Any, file_prefix: str) -> None:
        # the states stand first: a checkpoint is found by its parameters
        estimator.trainer.save_states(self._path(file_prefix + ".states"))
        estimator.net.save_parameters(self._path(file_prefix + ".params"))

    # ---- going on

    def _resume_from_checkpoint(self, estimator: Any) -> None:
        self.trained_epoch, self.trained_batch = self._newest()
        if self.trained_epoch < 0:
            count, unit = _left(estimator)
            text = "CheckpointHandler: No checkpoint found, training from scratch for %d %s"
            estimator.logger.info(text, count, unit)
            return
        for what, done in (("epoch", self.trained_epoch), ("batch", self.trained_batch)):
            limit = getattr(estimator, f"max_{what}")
            if limit and done >= limit - 1:
                raise BlockValueError(
                    f"Found checkpoint with maximum number of {what} {limit} reached",
                    where=self.model_dir,
                    fix="leave resume_from_checkpoint=False to train from scratch, or train for longer",
                )
        stem = self._path(f"{self.model_prefix}-epoch{self.trained_epoch}batch{self.trained_batch}")
        if not os.path.exists(stem + ".states"):
            raise ParameterFitError(f"Failed to load checkpoint, {stem}.states does not exist")
        estimator.net.load_parameters(stem + ".params", ctx=estimator.context)
        estimator.trainer.load_states(stem + ".states")
        if estimator.max_epoch:
            estimator.max_epoch -= self.trained_epoch + 1
        if estimator.max_batch:
            estimator.max_batch -= self.trained_batch + 1
        estimator.logger.warning(
            "CheckpointHandler: Checkpoint resumed from epoch %d batch %d, continue to train for %d %s ",
            self.trained_epoch,
            self.trained_batch,
            *_left(estimator),
        )

    def _newest(self) -> tuple[int, int]:
        """Epoch and batch of the newest checkpoint in the folder; -1 where there is none."""
        found, wrong, start = [(-1, -1)], [], f"{self.model_prefix}-"
        for name in sorted(os.listdir(self.model_dir)):
            if name.startswith(f"{start}epoch") and name.endswith(".params"):
                match = _NAME.fullmatch(name[len(start) :])
                if match is None:
                    wrong.append(printable(name))
                else:
                    found.append((int(match[1]), int(match[2])))
        if wrong:
            raise BlockValueError(
                "Error parsing checkpoint file: these are no names of checkpoints",
                where=self.model_dir,
                expected=f"{self.model_prefix}-epoch{{epoch_number}}batch{{batch_number}}.params",
                found=", ".join(wrong),
                fix="move them away",
            )
        return max(found)


def _left(estimator: Any) -> tuple[int, str]:
    return (estimator.max_epoch, "epochs") if estimator.max_epoch else (estimator.max_batch, "batches")
