"""Processes that decode and augment records: started once, asked batch by batch, ended with their owner.

A worker is a fresh interpreter, not a copy of this one: a copy would inherit locks that other threads hold, and
programs without a guarded main would start themselves again. Arrays come back through memory that all share: pipes
would copy each twice.
"""

import mmap
import os
import pickle
import subprocess
import sys
import tempfile
import weakref
from collections import deque
from typing import Any

import numpy as np

from evergraph.errors import EvergraphError

__all__ = ["Workers", "serve"]

_START = "from evergraph.mxnet.io.workers import serve; serve"
_GRACE = 2.0
"""Seconds a worker has to end by itself before it is killed."""
_SLOTS = 2
"""Batches that are asked for and not yet taken: one is used while the next is made."""


class WorkerError(EvergraphError):
    """A worker process ended, or its work raised something unforeseen."""


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue  # it is gone already: nothing is left to tell it
    for process in processes:
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _memory(size: int) -> int:
    """A file in memory, where the system has such, of so many bytes; its descriptor."""
    if hasattr(os, "memfd_create"):
        found = os.memfd_create("evergraph-images")
    else:
        with tempfile.TemporaryFile() as file:
            found = os.dup(file.fileno())
    os.ftruncate(found, size)
    return found


def _room(descriptor: int, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    """An array over a file's bytes."""
    return np.frombuffer(mmap.mmap(descriptor, 0), dtype)[: int(np.prod(shape))].reshape(shape)


class Workers:
    """Some processes that call one function on items, in order.

    Args:
        task: a picklable callable: item -> (array, something small).
        count: how many processes; 0 does the work here.
        shape: of each item's array.
        dtype: its type.
        most: the most items that are asked for at once.
    """

    def __init__(self, task: Any, count: int, shape: tuple[int, ...], dtype: Any, most: int) -> None:
        self._task, self._waiting = task, deque[Any]()
        self._shape, self._dtype, self._asked = shape, np.dtype(dtype), 0
        self.processes: list[subprocess.Popen[bytes]] = []
        if count:
            self._start(count, (_SLOTS, most, *shape))
        self.close = weakref.finalize(self, _end, self.processes)
        for process in self.processes:
            self._send(process, (task, self._room.shape, self._dtype))

    def _start(self, count: int, shape: tuple[int, ...]) -> None:
        # the workers find what this process finds, and each keeps to one core
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "OMP_NUM_THREADS": "1"}
        descriptor = _memory(int(np.prod(shape)) * self._dtype.itemsize)
        command = [sys.executable, "-c", f"{_START}({descriptor})"]
        try:
            self._room = _room(descriptor, shape, self._dtype)
            self.processes = [
                subprocess.Popen(  # noqa: S603
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, pass_fds=(descriptor,)
                )
                for _ in range(count)
            ]
        finally:
            os.close(descriptor)

    def submit(self, items: list[Any]) -> None:
        """Ask for the results of items; `take` gives them in the order of asking."""
        count, slot = len(self.processes), self._asked % _SLOTS
        shares = [len(items) * i // count for i in range(count + 1)] if count else []
        for process, begin, end in zip(self.processes, shares, shares[1:], strict=False):
            self._send(process, (slot, begin, items[begin:end]))
        self._asked += 1
        self._waiting.append((slot, items))

    def take(self) -> tuple[np.ndarray, list[Any]]:
        """The arrays of the items that were asked for first, as one of the caller's own, and what came with each.

        Raises:
            WorkerError: a process ended.
            EvergraphError: what the task raised.
        """
        slot, items = self._waiting.popleft()
        arrays = np.empty((len(items), *self._shape), self._dtype)
        if not self.processes:
            return arrays, _done(self._task, items, arrays)
        answers = [self._receive(process) for process in self.processes]  # all are read, so that none is left over
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        arrays[:] = self._room[slot, : len(items)]
        return arrays, [result for answer in answers for result in answer]

    def drop(self) -> None:
        """Forget what was asked for."""
        while self._waiting:
            for process in self.processes:
                self._receive(process)
            self._waiting.popleft()

    def _send(self, process: subprocess.Popen[bytes], value: Any) -> None:
        pipe: Any = process.stdin
        try:
            pickle.dump(value, pipe, pickle.HIGHEST_PROTOCOL)
            pipe.flush()
        except (BrokenPipeError, ValueError) as error:
            raise self._dead(process) from error

    def _receive(self, process: subprocess.Popen[bytes]) -> Any:
        pipe: Any = process.stdout
        try:
            return pickle.load(pipe)  # noqa: S301, TID251 - from our own process
        except (EOFError, pickle.UnpicklingError, ValueError) as error:
            raise self._dead(process) from error

    def _dead(self, process: subprocess.Popen[bytes]) -> WorkerError:
        self.close()
        return WorkerError(
            "a worker process that decodes images ended",
            where=f"process {process.pid}",
            found=f"exit status {process.returncode}",
            fix="look at its words above; where memory was short, choose fewer preprocess_threads",
        )


def serve(descriptor: int) -> None:
    """Answer until the owner closes the pipe: first the task, then lists of items."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner hears Ctrl-C, and ends the workers
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not mix with answers
    source = sys.stdin.buffer
    try:
        task, shape, dtype = pickle.load(source)  # noqa: S301, TID251 - from our own process
        room = _room(descriptor, shape, dtype)
        while True:
            slot, begin, items = pickle.load(source)  # noqa: S301, TID251 - from our own process
            pickle.dump(_answer(task, items, room[slot, begin:]), answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()
    except (EOFError, BrokenPipeError):
        os._exit(0)


def _done(task: Any, items: list[Any], arrays: np.ndarray) -> list[Any]:
    rest = []
    for place, item in zip(arrays, items, strict=False):
        place[...], *others = task(item)
        rest.append(others)
    return rest


def _answer(task: Any, items: list[Any], arrays: np.ndarray) -> Any:
    try:
        return _done(task, items, arrays)
    except EvergraphError as error:
        return error
    except Exception as error:  # noqa: BLE001 - it is raised again in the owner
        return WorkerError("a worker could not do its work", found=f"{type(error).__name__}: {error}")
