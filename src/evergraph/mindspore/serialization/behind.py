"""The save that goes on behind a call: one at a time, and its error reaches the caller."""

import atexit
import threading
from collections.abc import Callable

__all__ = ["PENDING", "Pending", "async_ckpt_thread_status"]


class Pending:
    """The save that goes on behind a call; its error is told at the next call, at the end, and by `wait`."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._lock, self._running = threading.Lock(), False
        self._rest: list[Callable[[], None]] = []

    @property
    def alive(self) -> bool:
        """Whether a save is going on."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, write: Callable[[], None]) -> None:
        """Begin once the one before has ended."""
        self.wait()

        def run() -> None:
            try:
                write()
                self._finish()
            except BaseException as error:  # noqa: BLE001 - told at the next call, and when the program ends
                with self._lock:
                    self._error, self._running = error, False

        self._rest, self._running = [], True
        self._thread = threading.Thread(target=run, name="asyn_save_ckpt")
        self._thread.start()

    def _finish(self) -> None:
        while True:
            with self._lock:
                if not self._rest:
                    self._running = False
                    return
                rest, self._rest = self._rest, []
            for run in rest:
                run()

    def then(self, run: Callable[[], None]) -> None:
        """Call `run` once the save has ended well; not at all where it fails."""
        with self._lock:
            if self._running:
                self._rest.append(run)
                return
        if self._error is None:
            run()

    def wait(self) -> None:
        """Wait for the save, and raise its error."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self.raise_error()

    def raise_error(self) -> None:
        """Raise what a save that has ended failed with."""
        if self._error is not None and not self.alive:
            error, self._error = self._error, None
            raise error


PENDING = Pending()
atexit.register(PENDING.wait)


def async_ckpt_thread_status() -> bool:
    """Whether a save is going on behind a call."""
    return PENDING.alive
