"""`mx.mon.Monitor`: statistics of values inside a network, every few batches."""

import logging
import re
from collections.abc import Callable
from typing import Any

from evergraph.mxnet import ndarray as nd

__all__ = ["Monitor"]


def _size(x: Any) -> Any:
    """The root of the mean square."""
    return nd.norm(x) / (x.size**0.5)


class Monitor:
    """Collects a statistic of outputs, and of parameters, every `interval` batches.

    Args:
        interval: batches between two.
        stat_func: array -> array; the root of the mean square where not given.
        pattern: regular expression that names match.
        sort: whether rows are sorted by name.
        monitor_all: whether inputs of nodes are looked at too.

    >>> import evergraph.mxnet as mx
    >>> run = (mx.sym.Variable("x") * 2).bind(mx.cpu(), {"x": mx.nd.array([3.0, 4.0])})
    >>> monitor = Monitor(1, stat_func=mx.nd.max, pattern=".*output")
    >>> monitor.install(run); monitor.tic(); _ = run.forward()
    >>> [(step, text.strip()) for step, _, text in monitor.toc()]
    [(1, '8.0')]
    """

    def __init__(
        self,
        interval: int,
        stat_func: Callable[[Any], Any] | None = None,
        pattern: str = ".*",
        sort: bool = False,
        monitor_all: bool = False,
    ) -> None:
        self.stat_func, self.interval, self.sort, self.monitor_all = stat_func or _size, interval, sort, monitor_all
        self.activated, self.step = False, 0
        self.queue: list[tuple[int, str, Any]] = []
        self.exes: list[Any] = []
        self.re_prog = re.compile(pattern)

    def stat_helper(self, name: str, array: Any) -> None:
        """Take a value that an executor shows."""
        if self.activated and self.re_prog.match(name):
            self.queue.append((self.step, name, self.stat_func(array)))

    def install(self, exe: Any) -> None:
        """Look at an executor."""
        exe.set_monitor_callback(self.stat_helper, self.monitor_all)
        self.exes.append(exe)

    def tic(self) -> None:
        """A batch begins: collect, where its turn has come."""
        if self.step % self.interval == 0:
            self.queue, self.activated = [], True
        self.step += 1

    def toc(self) -> list[tuple[int, str, str]]:
        """A batch has ended: what was collected, as (batch, name, text), parameters included."""
        if not self.activated:
            return []
        for exe in self.exes:
            for name, array in {**exe.arg_dict, **exe.aux_dict}.items():
                if self.re_prog.match(name):
                    self.queue.append((self.step, name, self.stat_func(array)))
        self.activated = False
        rows = sorted(self.queue, key=lambda row: row[1]) if self.sort else self.queue
        self.queue = []
        return [(step, name, self._text(value)) for step, name, value in rows]

    @staticmethod
    def _text(value: Any) -> str:
        values = value if isinstance(value, (list, tuple)) else [value]
        return "\t".join(str(v.asscalar() if v.shape in ((1,), ()) else v.asnumpy()) for v in values) + "\t"

    def toc_print(self) -> None:
        """Log what was collected."""
        for step, name, text in self.toc():
            logging.info("Batch: %7d %-30s %s", step, name, text)
