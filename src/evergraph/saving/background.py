"""Saving behind training: a snapshot is taken before the call returns, a thread of its own writes it.

Three promises. What is saved is what the values were when the call was made. An error of the saving thread is never
lost: it is raised by the next call, by `wait()`, or, where the program asks for neither, when it exits. A program that
exits waits for what it saves.
"""

import atexit
import logging
import os
import sys
import threading
import weakref
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from evergraph.checkpoint import Checkpoint
from evergraph.errors import EvergraphError, StoreError
from evergraph.tensors import Tensor
from evergraph.tensors.blob import Held

__all__ = ["Background", "Snapshot"]

_LOWER = 10
"""How much lower than training's the saving thread's priority is: training's threads go first."""


class Snapshot:
    """Copies of tensors in buffers that are used again: the second copy of a state allocates nothing.

    A copy lies where the former one lay: take the next one only when the former is written.

    >>> import numpy as np
    >>> live, shots = np.zeros(2, "float32"), Snapshot()
    >>> kept = shots.take({"w": live}); live += 1; kept["w"].numpy()
    array([0., 0.], dtype=float32)
    """

    def __init__(self) -> None:
        self._buffers: dict[str, Any] = {}

    def take(self, tensors: Mapping[str, Any], **rest: Any) -> Checkpoint:
        """The values as they are now.

        Args:
            tensors: arrays or tensors by name.
            rest: what else the checkpoint is made with: `metadata`, `format`, `details`.
        """
        taken = {name: self._copied(name, Tensor.of(value)) for name, value in tensors.items()}
        wanted = {k for name, t in taken.items() for k in ((name, *(f"{name}/{p}" for p in t.parts)))}
        self._buffers = {k: v for k, v in self._buffers.items() if k in wanted}
        return Checkpoint(taken, **rest)

    def _copied(self, label: str, tensor: Tensor) -> Tensor:
        if tensor.parts:
            parts = {part: self._copied(f"{label}/{part}", found) for part, found in tensor.parts.items()}
            blob = parts["data"].blob if "data" in parts else tensor.blob
            return tensor.replace(blob=blob, parts=MappingProxyType(parts))
        import numpy as np

        source = np.frombuffer(tensor.blob.read(), np.uint8)
        buffer = self._buffers.get(label)
        if buffer is None or buffer.nbytes != source.nbytes:
            buffer = self._buffers[label] = np.empty(source.nbytes, np.uint8)
        np.copyto(buffer, source)
        return tensor.replace(blob=Held(buffer))


class Background:
    """One thread that saves, one thing at a time, in the order of the calls.

    A second save waits until the first is done: memory holds one snapshot, and a store that is too slow for the pace
    slows the program instead of filling its memory.

    Raises:
        EvergraphError: by any call, what an earlier save failed with; once.

    >>> saver = Background("a test")
    >>> saver.submit(lambda: None); saver.wait()
    """

    def __init__(self, what: str = "the checkpoint") -> None:
        self._what = what
        self.forget()

    def forget(self) -> None:
        """Begin anew, without a thread: in a child process there is none."""
        self._changed = threading.Condition()
        self._job: Callable[[], None] | None = None
        self._busy = self._closed = False
        self._error: BaseException | None = None
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        """Whether something is being saved now."""
        with self._changed:
            return self._busy

    def ready(self) -> None:
        """Wait until nothing is being saved, and raise what went wrong before."""
        with self._changed:
            self._changed.wait_for(lambda: not self._busy)
            error, self._error = self._error, None
        if error is None:
            return
        found = _told(self._what, error)
        raise found from (None if found is error else error)

    wait = ready

    def submit(self, job: Callable[[], None]) -> None:
        """Save in the thread, after what is being saved now.

        Args:
            job: does the saving; what it needs must not change any more.

        Raises:
            EvergraphError: what an earlier save failed with; the new one is not begun then.
        """
        self.ready()
        with self._changed:
            self._job, self._busy = job, True
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="evergraph-saving", daemon=True)
                _ALIVE.add(self)
                self._thread.start()
            self._changed.notify_all()

    def close(self) -> None:
        """Wait for what is being saved, end the thread, and raise what went wrong."""
        try:
            self.ready()
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()
            if self._thread is not None:
                self._thread.join()
                self._thread = None
            self._closed = False

    def abandon(self, seconds: float) -> bool:
        """Wait so long at most for what is being saved, and leave it behind; whether it came to its end."""
        with self._changed:
            done = self._changed.wait_for(lambda: not self._busy, seconds)
            self._error = None
        if not done:
            _ALIVE.discard(self)  # the program may exit without it
        return done

    def _work(self) -> None:
        _step_back()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._job is not None or self._closed)
                job, self._job = self._job, None
            if job is None:
                return
            error: BaseException | None = None
            try:
                job()
            except BaseException as found:  # noqa: BLE001 - it is raised where the program can see it
                error = found
            with self._changed:
                self._busy, self._error = False, error
                self._changed.notify_all()


def _told(what: str, error: BaseException) -> EvergraphError:
    """An error of the thread, as the program's own thread raises it."""
    if not isinstance(error, EvergraphError):
        return StoreError(f"{what} could not be saved in the background", found=f"{type(error).__name__}: {error}")
    error.details = (*error.details, f"this happened while {what} was saved in the background")
    return error


def _step_back() -> None:
    """Let training's threads go first; only Linux gives a thread a priority of its own."""
    if sys.platform != "linux":
        return
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWER)
    except OSError:
        return  # a sandbox may forbid it: saving only competes more


_ALIVE: "weakref.WeakSet[Background]" = weakref.WeakSet()


def _finish() -> None:
    """At the program's exit: wait for every save, and tell what went wrong, with a failing exit status."""
    failed = False
    for each in list(_ALIVE):
        try:
            each.ready()
        except EvergraphError as error:
            sys.stderr.write(f"evergraph: {error}\n")
            failed = True
    if failed:
        # an exception at exit leaves the status 0, and a job that lost its checkpoint must not look well
        logging.shutdown()
        sys.stderr.flush()
        sys.stdout.flush()
        os._exit(1)


def _after_fork() -> None:
    """A child has no saving thread: what its parent saves is the parent's."""
    for each in list(_ALIVE):
        each.forget()


atexit.register(_finish)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
