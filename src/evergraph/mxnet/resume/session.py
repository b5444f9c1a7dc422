"""One run of `fit` through its states: it goes on from the newest, and saves at the ends of batches and epochs."""

import itertools
import logging
import signal
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Self

from evergraph.errors import EvergraphError, UsageError, collect
from evergraph.mxnet.io.positions import differences, move, position
from evergraph.mxnet.resume import living, parts
from evergraph.mxnet.resume.checkpoint import TrainingCheckpoint
from evergraph.mxnet.resume.found import Found, look
from evergraph.mxnet.resume.meeting import Meeting
from evergraph.mxnet.resume.streams import put_own_streams, put_streams, take_own_streams, take_streams
from evergraph.saving.background import Background, Snapshot
from evergraph.saving.state import Moment, Part, finish_state, prune, try_out, write_part
from evergraph.saving.values import Packer
from evergraph.tensors import Tensor

__all__ = ["Session", "Unsaved", "begin"]

_STOPPED = 128 + signal.SIGTERM
_PATIENCE = 20.0
"""Seconds that a process which failed waits for others to save a state with it."""


class DataEndsError(UsageError):
    """An iterator that ends before the place where a state was taken."""


class Unsaved:
    """A run of `fit` that nobody saves.

    Args:
        epoch: the first epoch.

    Attributes:
        epoch: the epoch to go on with.
        batch: how many of its batches are done.
        values: names and values of the metric, where all of them are.
    """

    def __init__(self, epoch: int) -> None:
        self.epoch, self.batch = epoch, 0
        self.values: list[Any] = []

    def rows(self, data: Any) -> Iterator[Any]:
        """The batches of an epoch that are still to be done."""
        return iter(data)

    def before_fetch(self, done: int) -> None:
        """Take what a fetch changes, where a state is due after this batch."""

    def batch_done(self, epoch: int, done: int, following: Any, values: list[Any]) -> None:
        """Save, where a state is due."""

    def reset(self, data: Any) -> None:
        """Let data begin anew."""
        data.reset()

    def epoch_done(self, following: int, last: bool) -> None:
        """Save, where a state is due."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        pass


def begin(checkpoint: Any, module: Any, train_data: Any, eval_data: Any, metric: Any, epoch: int) -> Unsaved:
    """The run of a `fit` that begins, gone on from the newest state where there is one.

    Raises:
        UsageError: the state belongs to another training; everything that differs is listed, and nothing was changed.
        DamagedError: the state is damaged.
    """
    if checkpoint is None:
        return Unsaved(epoch)
    return Session(TrainingCheckpoint.of(checkpoint), module, train_data, eval_data, metric, epoch)


class Session(Unsaved):
    """A run of `fit` that is saved.

    Args:
        asked: what the user wants.
        module: bound, with parameters and an optimizer.
        train_data: its batches.
        eval_data: those of validation, or None.
        metric: what training is measured by.
        epoch: the first epoch of the program.
    """

    def __init__(
        self, asked: TrainingCheckpoint, module: Any, train_data: Any, eval_data: Any, metric: Any, epoch: int
    ) -> None:
        super().__init__(epoch)
        self._asked, self._data, self._eval, self._metric = asked, train_data, eval_data, metric
        self._logger = getattr(module, "logger", logging)
        self._modules = module.trained_parts()
        if not self._modules:
            raise UsageError("nothing in this module is trained", found=type(module).__name__)
        self._module = module
        for line in [line for each in self._modules for line in parts.unseen(each)] + living.unseen(metric):
            self._logger.warning(
                "Not in the training state, because it is neither a plain value nor an array: %s", line
            )
        self._networks = [parts.network(m) for m in self._modules]
        self._symbols = [m.symbol.tojson(remove_amp_cast=False) for m in self._modules]
        self._meeting = Meeting(self._modules[0]._kvstore)
        self._saver = Background(f"the training state in {asked.folder}") if asked.background else None
        self._snapshot = Snapshot()
        self._step = self._resets = 0
        self._due = self._owed = self._stop = self._told = False
        self._waiting: Iterator[Any] | None = None
        self._here: dict[str, Any] = {}
        self._handler: Any = None
        self._flag = threading.Event()
        # what an iterator that does not tell where it stands drew its order from
        self._drawn = self._draws()
        try:
            found = look(asked, self._meeting, self._modules, train_data, metric, self._logger)
            if found is not None:
                self._go_on(found)
            else:
                self._try_out()
        except BaseException:
            self._meeting.close()
            raise

    def _try_out(self) -> None:
        """Write where the states will go: a misspelled bucket is told before an epoch is trained, not after."""
        error = None
        if self._meeting.rank == 0:
            try:
                try_out(self._asked.folder)
            except EvergraphError as found:
                error = found
        self._meeting.together(error)

    # ---- going on

    def _go_on(self, found: Found) -> None:
        # all was read and compared: from here on, nothing is expected to fail
        for step in found.steps:
            step()
        if hasattr(self._module, "_params_dirty"):
            self._module._params_dirty = True
        self.epoch, self.batch, self._step = found.moment.epoch, found.moment.batch, found.step
        if found.own is None:
            self.batch = 0
            self._told_begin(found)
            return
        own = found.own
        for step in living.put(self._metric, own["metric"]["values"]) if found.metric else ():
            step()
        if own["eval"] is not None and self._eval is not None and not differences(self._eval, own["eval"]):
            move(self._eval, own["eval"])
        self.values = [tuple(row) for row in own["values"]]
        if found.data:
            self._find_data(own["data"])
        else:
            self.batch = 0
        put_streams(own["streams"])
        self._told_begin(found)

    def _told_begin(self, found: Found) -> None:
        self._logger.info("Going on from %s (%s)", Moment(self.epoch, self.batch), f"{found.place}")

    def _find_data(self, kept: dict[str, Any]) -> None:
        self._resets, self._drawn = kept["resets"], kept["drawn"]
        if kept["position"] is None:
            self._skip()
            return
        move(self._data, kept["position"])
        if self.batch:
            put_streams(kept["streams"])
            self._fetch(iter(self._data))

    def _fetch(self, rows: Iterator[Any]) -> None:
        """Fetch the next batch now: the random streams after it are the state's."""
        first = next(rows, None)
        self._waiting = iter(()) if first is None else itertools.chain([first], rows)

    def _draws(self) -> dict[str, Any]:
        return {**take_streams(), "own": take_own_streams(self._data)}

    def _skip(self) -> None:
        """Go forward batch by batch in data that cannot tell where it stands."""
        for _ in range(self._resets - 1):
            self._data.reset()
        put_streams(self._drawn)
        put_own_streams(self._data, self._drawn["own"])
        if self._resets:
            self._data.reset()
        if not self.batch:
            return
        rows = iter(self._data)
        for done in range(self.batch):
            if next(rows, None) is None:
                raise DataEndsError(
                    "the training data ends before the place where the state was taken",
                    expected=f"more than {self.batch} batches in epoch {self.epoch}",
                    found=f"{done} batches",
                    fix="give the data of the training that was saved, or go on at an epoch's start",
                )
        self._fetch(rows)

    def rows(self, data: Any) -> Iterator[Any]:
        """The batches of an epoch that are still to be done."""
        waiting, self._waiting = self._waiting, None
        return iter(data) if waiting is None else waiting

    # ---- when a state is due

    def _stopping(self) -> bool:
        if self._asked.on_sigterm and not self._stop:
            # processes are told at different moments: they agree on one batch
            self._stop = self._meeting.any(self._flag.is_set())
        return self._stop

    def before_fetch(self, done: int) -> None:
        """Take where the data stands, where a state is due after this batch."""
        self._step += 1
        every = self._asked.batches
        self._due = self._stopping() or (every > 0 and self._step % every == 0)
        if self._due:
            self._here = self._where()

    def _where(self) -> dict[str, Any]:
        found = position(self._data)
        if found is None and not self._told:
            self._told = True
            self._logger.warning(
                "%s does not tell where it stands (state_dict, load_state_dict): a resumed training goes forward in it"
                " batch by batch, and its order is the same if it depends on nothing but seeds",
                type(getattr(self._data, "source", self._data)).__name__,
            )
        streams = take_streams() if found is not None else None
        return {"position": found, "streams": streams, "resets": self._resets, "drawn": self._drawn}

    def batch_done(self, epoch: int, done: int, following: Any, values: list[Any]) -> None:
        """Save, where a state is due; the last batch of an epoch is saved with the epoch."""
        if not self._due:
            return
        self._due = False
        if following is None and not self._stop:
            self._owed = True
            return
        self.values = list(values)
        self._save(Moment(epoch, done))
        if self._stop:
            self._leave(Moment(epoch, done))

    def reset(self, data: Any) -> None:
        """Let data begin anew, and keep what its order is drawn from where it cannot tell."""
        self._resets += 1
        if position(data) is None:
            self._drawn = self._draws()
        data.reset()

    def epoch_done(self, following: int, last: bool) -> None:
        """Save, where a state is due."""
        stop = self._stopping()
        if not (stop or last or self._owed or following % self._asked.period == 0):
            return
        self._owed, self.values, self._here = False, [], self._where()
        self._save(Moment(following, 0))
        if stop and not last:
            self._leave(Moment(following, 0))

    def _leave(self, moment: Moment) -> None:
        if self._saver is not None:
            self._saver.wait()
        self._logger.warning("Stopped by SIGTERM; %s is saved in %s", moment, self._asked.folder)
        raise SystemExit(_STOPPED)

    # ---- saving

    def _save(self, moment: Moment) -> None:
        if self._saver is not None:
            self._saver.ready()
        own, shared = Packer(living.leaf), Packer(living.leaf)
        tree = {"own": own.pack(self._own(), "own")}
        if self._meeting.rank == 0 or self._asked.sharded:
            tree["shared"] = shared.pack(self._shared(), "shared")
        collect(UsageError, "parts of the training's state are no plain values or arrays", own.unknown + shared.unknown)
        tensors: Any = {**own.tensors, **shared.tensors}
        if self._saver is None:
            self._write(moment, self._step, tree, tensors)
            return
        step, taken = self._step, self._snapshot.take(tensors)
        self._saver.submit(lambda: self._write(moment, step, tree, taken))

    def _shared(self) -> dict[str, Any]:
        return {
            "network": self._networks,
            "symbols": self._symbols,
            "settings": [m.optimizer_settings for m in self._modules],
            "modules": [parts.take_shared(m) for m in self._modules],
        }

    def _own(self) -> dict[str, Any]:
        return {
            "modules": [parts.take_own(m) for m in self._modules],
            "metric": {"kind": type(self._metric).__name__, "values": living.take(self._metric)},
            "eval": None if self._eval is None or self._eval is self._data else position(self._eval),
            "data": self._here,
            "streams": take_streams(),
            "values": [list(row) for row in self.values],
        }

    def _write(self, moment: Moment, step: int, tree: dict[str, Any], tensors: Mapping[str, Tensor]) -> None:
        folder, meeting = self._asked.folder, self._meeting
        spread = {}
        if self._asked.sharded:
            spread = {k: t for k, t in tensors.items() if k.startswith("shared/") and not t.parts}
        if meeting.rank != 0:
            tree = {"own": tree["own"]}
        mine = {k: t for k, t in tensors.items() if k not in spread and (meeting.rank == 0 or k.startswith("own/"))}
        row: dict[str, Any] = {}
        error: EvergraphError | None = None
        try:
            row = write_part(folder, moment, f"process-{meeting.rank}", Part(tree, mine))
        except EvergraphError as found:
            error = found
        rows = meeting.gather((tuple(moment), row), saving=True)
        meeting.together(error, saving=True)
        collect(
            UsageError,
            "the processes of the training are at different batches: their data has different lengths",
            [f"process {i}: {Moment(*m)}" for i, (m, _) in enumerate(rows)] if len({m for m, _ in rows}) > 1 else [],
            fix="give every process the same number of batches, for instance by ResizeIter",
        )
        if self._asked.sharded:
            from evergraph.training.shards import save_shards, shared_memory

            parts_of_all = {k: shared_memory(t) for k, t in spread.items()}
            save_shards(parts_of_all, f"{folder.rstrip('/')}/{moment.name}", meeting.saving_group)
        if meeting.rank == 0:
            facts = {"processes": meeting.count, "step": step, "sharded": self._asked.sharded}
            finish_state(folder, moment, [one for _, one in rows], **facts)
            prune(folder, self._asked.keep)

    # ---- its frame

    def __enter__(self) -> Self:
        if self._asked.on_sigterm and threading.current_thread() is threading.main_thread():
            self._handler = signal.signal(signal.SIGTERM, lambda *_: self._flag.set())
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGTERM, self._handler)
            self._handler = None
        try:
            if self._saver is not None and error is not None and self._meeting.count > 1:
                # the others may never come to this save
                if not self._saver.abandon(_PATIENCE):
                    error.add_note("besides, the last training state could not be saved: other processes were missing")
            elif self._saver is not None:
                self._saver.close()
        except EvergraphError as late:
            if error is None:
                raise
            error.add_note(f"besides, the training state could not be saved: {late}")
        finally:
            self._meeting.close()
