"""`mx.profiler`: how long operators, and a program's own tasks, take.

Operators are timed by torch's profiler and named as torch names them (`aten::addmm`); tasks, frames, events, counters
and markers are the program's own. `dump` writes Chrome's trace format (open it in chrome://tracing or Perfetto).

>>> from evergraph.mxnet import nd, profiler
>>> profiler.set_config(profile_all=True, aggregate_stats=True)
>>> profiler.set_state("run")
>>> task = profiler.Domain("work").new_task("doubling"); task.start()
>>> x = nd.ones((2,)) * 2; task.stop(); profiler.set_state("stop")
>>> "doubling" in profiler.dumps(reset=True)
True
"""

import atexit
import json
import os
import threading
import time
import warnings
from collections import defaultdict
from typing import Any

from evergraph.errors import UsageError
from evergraph.mxnet.profiler_tables import as_json, as_table
from evergraph.mxnet.profiler_tables import statistics as _statistics

__all__ = [
    "Counter",
    "Domain",
    "Event",
    "Frame",
    "Marker",
    "Task",
    "dump",
    "dump_profile",
    "dumps",
    "pause",
    "profiler_set_config",
    "profiler_set_state",
    "resume",
    "set_config",
    "set_kvstore_handle",
    "set_state",
]

_CONFIG = {
    "filename": "profile.json",
    "profile_all": False,
    "profile_symbolic": True,
    "profile_imperative": True,
    "profile_memory": True,
    "profile_api": True,
    "gpu_memory_profile_filename_prefix": "gpu_memory_profile",
    "continuous_dump": False,
    "dump_period": 1.0,
    "aggregate_stats": False,
    "profile_process": "worker",
}
_PROCESSES = ("worker", "server")
_STATES = {"stop": False, "run": True}
_MARKS = {"global": "g", "process": "p", "thread": "t", "task": "t", "marker": "p"}


class _Recorder:
    """What was measured, and torch's profiler while it runs."""

    def __init__(self) -> None:
        self.config = dict(_CONFIG)
        self.running = False
        self.paused = False
        self.spans: list[tuple[str, str, int, int, int]] = []  # category, name, start and end in microseconds, thread
        self.instants: list[tuple[str, str, int, int, str]] = []  # category, name, time, thread, scope
        self.counts: list[tuple[str, str, int, float]] = []  # category, name, time, value
        self.memory: list[float] = []
        self._torch: Any = None
        self._began = 0
        self._lock = threading.Lock()

    @property
    def active(self) -> bool:
        """Whether anything is measured at this moment."""
        return self.running and not self.paused

    def follow(self) -> None:
        """Start or end torch's profiler, as the state asks for."""
        if self.active and self._torch is None:
            self._start()
        elif not self.active and self._torch is not None:
            self._end()

    def _start(self) -> None:
        import torch

        with warnings.catch_warnings():  # a profiler without a GPU says so each time
            warnings.simplefilter("ignore")
            self._torch = torch.autograd.profiler.profile(profile_memory=bool(self.config["profile_memory"]))
            self._torch.__enter__()
        self._began = _now()

    def _end(self) -> None:
        running, self._torch = self._torch, None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            running.__exit__(None, None, None)
            events = running.function_events or []
        first = min((e.time_range.start for e in events), default=0)
        with self._lock:
            for event in events:
                if event.name == "[memory]":
                    self.memory.append(abs(event.cpu_memory_usage) / 1000)
                    continue
                start = self._began + int(event.time_range.start - first)
                end = self._began + int(event.time_range.end - first)
                self.spans.append(("operator", event.name, start, end, event.thread))

    def span(self, category: str, name: str, start: int) -> None:
        """Keep a span that ends now."""
        with self._lock:
            self.spans.append((category, name, start, _now(), threading.get_ident()))

    def forget(self) -> None:
        """Drop everything measured."""
        with self._lock:
            self.spans, self.instants, self.counts, self.memory = [], [], [], []

    def trace(self) -> dict[str, Any]:
        """Everything measured, in Chrome's trace format."""
        process = os.getpid()
        events: list[dict[str, Any]] = [{"ph": "M", "name": "process_name", "pid": process, "args": {"name": "cpu/0"}}]
        for category, name, start, end, thread in self.spans:
            row = {"name": name, "cat": category, "ph": "X", "ts": start, "dur": end - start}
            events.append(row | {"pid": process, "tid": thread})
        for category, name, at, thread, scope in self.instants:
            row = {"name": name, "cat": category, "ph": "i", "ts": at, "s": scope}
            events.append(row | {"pid": process, "tid": thread})
        for category, name, at, value in self.counts:
            row = {"name": name, "cat": category, "ph": "C", "ts": at, "pid": process}
            events.append(row | {"args": {name: value}})
        return {"traceEvents": events, "displayTimeUnit": "ms"}


_RECORDER = _Recorder()


def _now() -> int:
    return time.time_ns() // 1000


def _process(profile_process: str) -> None:
    if profile_process not in _PROCESSES:
        raise KeyError(profile_process)


def set_kvstore_handle(handle: Any) -> None:
    """Name the store whose servers are profiled; servers here are this process, and nothing is needed."""


def set_config(**kwargs: Any) -> None:
    """Say what is profiled and where it goes.

    Args:
        kwargs: `filename` of the trace ("profile.json"), `profile_all`, `profile_symbolic`, `profile_imperative`,
            `profile_memory`, `profile_api`, `continuous_dump`, `dump_period`, `aggregate_stats`,
            `gpu_memory_profile_filename_prefix`, `profile_process`.

    Raises:
        UsageError: another name.
    """
    unknown = sorted(kwargs.keys() - _CONFIG.keys())
    if unknown:
        raise UsageError("the profiler has no such settings", found=", ".join(unknown), expected=", ".join(_CONFIG))
    _RECORDER.config.update(kwargs)


def _tell_old(name: str, new: str) -> None:
    warnings.warn(f"profiler.{name}() is deprecated. Please use profiler.{new}() instead", stacklevel=3)


def profiler_set_config(mode: str = "symbolic", filename: str = "profile.json") -> None:
    """`set_config` as old programs call it; `mode` is "symbolic", "imperative", "api", "memory" or "all"."""
    _tell_old("profiler_set_config", "set_config")
    set_config(filename=filename, profile_all=mode == "all")


def set_state(state: str = "stop", profile_process: str = "worker") -> None:
    """Start profiling ("run") or end it ("stop").

    Raises:
        KeyError: another state or process.
    """
    _process(profile_process)
    _RECORDER.running = _STATES[state]
    _RECORDER.paused = False
    _RECORDER.follow()


def profiler_set_state(state: str = "stop") -> None:
    """`set_state` as old programs call it."""
    _tell_old("profiler_set_state", "set_state")
    set_state(state)


def pause(profile_process: str = "worker") -> None:
    """Measure nothing until `resume`."""
    _process(profile_process)
    _RECORDER.paused = True
    _RECORDER.follow()


def resume(profile_process: str = "worker") -> None:
    """Measure again after `pause`."""
    _process(profile_process)
    _RECORDER.paused = False
    _RECORDER.follow()


def _settled() -> None:
    """Bring what torch's profiler holds into the record, and go on."""
    paused, _RECORDER.paused = _RECORDER.paused, True
    _RECORDER.follow()
    _RECORDER.paused = paused
    _RECORDER.follow()


def dump(finished: bool = True, profile_process: str = "worker") -> None:
    """Write everything measured to the configured file, as a trace.

    Args:
        finished: whether profiling ends with it.
        profile_process: "worker" or "server".
    """
    _process(profile_process)
    if finished:
        set_state("stop")
    else:
        _settled()
    from evergraph.stores import commit

    text = json.dumps(_RECORDER.trace(), indent=1).encode()
    with commit(str(_RECORDER.config["filename"])) as sink:
        sink.write(text)


def dump_profile() -> None:
    """`dump(True)` as old programs call it."""
    _tell_old("dump_profile", "dump")
    dump(True)


def dumps(reset: bool = False, format: str = "table", sort_by: str = "total", ascending: bool = False) -> str:
    """Counts and times (ms) of everything measured, as text.

    Args:
        reset: whether what was measured is dropped afterwards.
        format: "table" or "json".
        sort_by: "total", "avg", "min", "max" or "count".
        ascending: whether the smallest comes first.

    Raises:
        AssertionError: another format or order.
    """
    if format not in ("table", "json"):
        raise AssertionError(f"Invalid value provided for format: {format}. Support: 'table', 'json'")
    if sort_by not in ("total", "avg", "min", "max", "count"):
        raise AssertionError(
            f"Invalid value provided for sort_by: {sort_by}. Support: 'total', 'avg', 'min', 'max', 'count'"
        )
    _settled()
    groups: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for category, name, start, end, _ in _RECORDER.spans:
        groups[category][name].append((end - start) / 1000)
    for category, name, _, value in _RECORDER.counts:
        groups[category][name].append(value)
    for category, name, _, _, _ in _RECORDER.instants:
        groups[category][name].append(0.0)
    found = _statistics(groups, sort_by, ascending)
    storage = _statistics({"Device Storage": {"Memory: cpu/0": _RECORDER.memory}} if _RECORDER.memory else {}, sort_by)
    if reset:
        _RECORDER.forget()
    return as_table(found, storage) if format == "table" else as_json(found, storage)


class Domain:
    """A name that tasks, frames, counters and markers are grouped by.

    Args:
        name: what the group is called.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __str__(self) -> str:
        return self.name

    def new_task(self, name: str) -> "Task":
        """A task of this domain."""
        return Task(self, name)

    def new_frame(self, name: str) -> "Frame":
        """A frame of this domain."""
        return Frame(self, name)

    def new_counter(self, name: str, value: float | None = None) -> "Counter":
        """A counter of this domain."""
        return Counter(self, name, value)

    def new_marker(self, name: str) -> "Marker":
        """A marker of this domain."""
        return Marker(self, name)


class _Span:
    """Something that starts and stops; only what starts while profiling is on is kept."""

    _start: int | None = None

    def __init__(self, category: str, name: str) -> None:
        self._category, self.name = category, name

    def start(self) -> None:
        """Start the clock."""
        if _RECORDER.active:
            self._start = _now()

    def stop(self) -> None:
        """Stop the clock, and keep the time."""
        if self._start is not None:
            _RECORDER.span(self._category, self.name, self._start)
            self._start = None

    def __str__(self) -> str:
        return self.name


class Task(_Span):
    """A piece of a program's work.

    Args:
        domain: what it belongs to.
        name: what it is called.
    """

    def __init__(self, domain: Domain, name: str) -> None:
        super().__init__(domain.name, name)


class Frame(_Span):
    """A piece of work that comes again and again, such as one step.

    Args:
        domain: what it belongs to.
        name: what it is called.
    """

    def __init__(self, domain: Domain, name: str) -> None:
        super().__init__(f"{domain.name},frame", name)


class Event(_Span):
    """A piece of work of one thread.

    Args:
        name: what it is called.
    """

    def __init__(self, name: str) -> None:
        super().__init__("event", name)


class Counter:
    """A number whose course is kept.

    Args:
        domain: what it belongs to.
        name: what it is called.
        value: what it begins with, if anything.

    >>> counter = Counter(Domain("work"), "images", 5); counter += 3; counter.decrement(2); counter.value
    6
    """

    def __init__(self, domain: Domain, name: str, value: float | None = None) -> None:
        self.name, self._category, self.value = name, domain.name, 0 if value is None else value
        if value is not None:
            self.set_value(value)

    def set_value(self, value: float) -> None:
        """Set the number."""
        self.value = value
        if _RECORDER.active:
            _RECORDER.counts.append((self._category, self.name, _now(), value))

    def increment(self, delta: float = 1) -> None:
        """Add to the number."""
        self.set_value(self.value + delta)

    def decrement(self, delta: float = 1) -> None:
        """Take from the number."""
        self.set_value(self.value - delta)

    def __iadd__(self, delta: float) -> "Counter":
        self.increment(delta)
        return self

    def __isub__(self, delta: float) -> "Counter":
        self.decrement(delta)
        return self

    def __str__(self) -> str:
        return self.name


class Marker:
    """An instant.

    Args:
        domain: what it belongs to.
        name: what it is called.
    """

    def __init__(self, domain: Domain, name: str) -> None:
        self.name, self._category = name, f"{domain.name},instant_marker"

    def mark(self, scope: str = "process") -> None:
        """Keep this instant, for "global", "process", "thread", "task" or "marker"."""
        if _RECORDER.active:
            at, thread = _now(), threading.get_ident()
            _RECORDER.instants.append((self._category, self.name, at, thread, _MARKS.get(scope, "p")))


def _finish() -> None:
    """Let torch's profiler go before the process does."""
    _RECORDER.running = False
    _RECORDER.follow()


atexit.register(_finish)
if os.environ.get("MXNET_PROFILER_AUTOSTART", "0") == "1":
    set_state("run")
    atexit.register(dump)
