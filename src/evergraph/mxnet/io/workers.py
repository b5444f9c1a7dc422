"""Processes that decode and augment records: started once, asked batch by batch, ended with their owner.

A worker is a fresh interpreter, not a copy of this one: a copy would inherit locks that other threads hold, and
programs without a guarded main would start themselves again.
"""

import os
import pickle
import subprocess
import sys
import weakref
from collections import deque
from typing import Any

from evergraph.errors import EvergraphError

__all__ = ["Workers", "serve"]

_START = "from evergraph.mxnet.io.workers import serve; serve()"
_GRACE = 2.0
"""Seconds a worker has to end by itself before it is killed."""


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


class Workers:
    """Some processes that call one function on items, in order.

    Args:
        task: a picklable callable of one item.
        count: how many processes; 0 does the work here.
    """

    def __init__(self, task: Any, count: int) -> None:
        self._task, self._waiting = task, deque[Any]()
        # the workers find what this process finds, and each keeps to one core
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", _START]
        self.processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)  # noqa: S603
            for _ in range(count)
        ]
        self.close = weakref.finalize(self, _end, self.processes)
        for process in self.processes:
            self._send(process, task)

    def submit(self, items: list[Any]) -> None:
        """Ask for the results of items; `take` gives them in the order of asking."""
        count = len(self.processes)
        shares = [len(items) * i // count for i in range(count + 1)] if count else []
        for process, begin, end in zip(self.processes, shares, shares[1:], strict=False):
            self._send(process, items[begin:end])
        self._waiting.append(items)

    def take(self) -> list[Any]:
        """The results of the items that were asked for first.

        Raises:
            WorkerError: a process ended.
            EvergraphError: what the task raised.
        """
        items = self._waiting.popleft()
        if not self.processes:
            return [self._task(item) for item in items]
        answers = [self._receive(process) for process in self.processes]  # all are read, so that none is left over
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return [result for answer in answers for result in answer]

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


def serve() -> None:
    """Answer until the owner closes the pipe: first the task, then lists of items."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the owner hears Ctrl-C, and ends the workers
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not mix with answers
    source = sys.stdin.buffer
    try:
        task = pickle.load(source)  # noqa: S301, TID251 - from our own process
        while True:
            items = pickle.load(source)  # noqa: S301, TID251 - from our own process
            pickle.dump(_answer(task, items), answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()
    except (EOFError, BrokenPipeError):
        os._exit(0)


def _answer(task: Any, items: list[Any]) -> Any:
    try:
        return [task(item) for item in items]
    except EvergraphError as error:
        return error
    except Exception as error:  # noqa: BLE001 - it is raised again in the owner
        return WorkerError("a worker could not do its work", found=f"{type(error).__name__}: {error}")
