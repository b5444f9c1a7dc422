"""`TrainingCheckpoint`: what a program asks for when its training is to survive."""

import os
from typing import Any

from evergraph.errors import UsageError, collect
from evergraph.stores import locate

__all__ = ["TrainingCheckpoint"]


class TrainingCheckpoint:
    """A folder of training states, from which `fit` goes on to the bit: `fit(..., checkpoint=TrainingCheckpoint(...))`.

    A state holds parameters, auxiliary states, the optimizer with its counters and schedule, the metric, epoch and
    batch, all random streams, and where the data stands. It is plain safetensors and JSON with a checksum of each
    array, written atomically, the manifest last: a kill at any moment leaves the state before it.

    Args:
        folder: where the states go, a path or a URI; each has a folder of its own in it. `fit(checkpoint="runs/net")`
            is short for `TrainingCheckpoint("runs/net")`.
        period: epochs between two.
        batches: also save after every so many batches, counted over all epochs; 0 saves at the ends of epochs only.
        keep: how many of the newest stay; an older one goes when a newer one is durable.
        background: save behind training, from a snapshot; an error is raised at the next save or at the end.
        resume: None goes on from the newest state where there is one; True demands one; False demands that there is
            none.
        on_sigterm: on SIGTERM, save at the end of the batch and exit with status 143: the notice that clusters give.
        changes: whether the program may have other settings than the state (learning rate, number of processes, ...):
            its own then count, and each is logged. Otherwise they are an error that lists them all.
        sharded: whether arrays that all processes share are written by all of them, each a part, and read back by any
            number of processes; for states too big for one file.

    Raises:
        UsageError: settings that make no sense, all at once.

    >>> TrainingCheckpoint("runs/net", batches=500, keep=3).folder
    'runs/net'
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        period: int = 1,
        *,
        batches: int = 0,
        keep: int = 2,
        background: bool = True,
        resume: bool | None = None,
        on_sigterm: bool = True,
        changes: bool = False,
        sharded: bool = False,
    ) -> None:
        wrong = [
            f"{name}={value!r}: expected a whole number from {least}"
            for name, value, least in (("period", period, 1), ("batches", batches, 0), ("keep", keep, 1))
            if isinstance(value, bool) or not isinstance(value, int) or value < least
        ]
        if resume not in (None, True, False):
            wrong.append(f"resume={resume!r}: expected None, True or False")
        collect(UsageError, "a training cannot be saved so", wrong)
        self.folder = os.fspath(folder)
        locate(self.folder)
        self.period, self.batches, self.keep, self.background = period, batches, keep, background
        self.resume, self.on_sigterm, self.changes, self.sharded = resume, on_sigterm, changes, sharded

    @classmethod
    def of(cls, given: Any) -> "TrainingCheckpoint":
        """What `fit(checkpoint=...)` was given, a folder or an object of this class.

        Raises:
            UsageError: neither.
        """
        if isinstance(given, cls):
            return given
        if isinstance(given, (str, os.PathLike)):
            return cls(given)
        raise UsageError(
            "checkpoint is a folder, or a TrainingCheckpoint",
            found=type(given).__name__,
            fix="write fit(..., checkpoint='runs/net'); files of MXNet's form are saved by mx.callback.do_checkpoint",
        )
