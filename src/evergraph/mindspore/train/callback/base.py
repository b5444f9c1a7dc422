"""Callbacks: what `Model` calls while it trains, in the order of the list."""

import time
from typing import Any

import numpy as np

from evergraph.errors import UsageError, printable
from evergraph.mindspore.common.tensor import Tensor

__all__ = ["Callback", "History", "LambdaCallback", "LossMonitor", "RunContext", "TimeMonitor"]

_EVENTS = ("begin", "epoch_begin", "step_begin", "step_end", "epoch_end", "end")
PHASES = tuple(f"on_{phase}_{event}" for phase in ("train", "eval") for event in _EVENTS)


class RunContext:
    """What a callback is given: the parameters of the run, and a way to stop it.

    Args:
        original_args: the parameters; keys are attributes, too.
    """

    def __init__(self, original_args: Any) -> None:
        self._original_args, self._stop_requested = original_args, False

    def original_args(self) -> Any:
        """The parameters of the run."""
        return self._original_args

    def request_stop(self) -> None:
        """Stop after this step."""
        self._stop_requested = True

    def get_stop_requested(self) -> bool:
        """Whether a stop was asked for."""
        return self._stop_requested


class Parameters(dict):
    """The parameters of a run: a dict whose keys are attributes; what is not there is None."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.get(name)

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value


class Callback:
    """What a program may do at each event; each method gets the RunContext.

    The names of old programs, `begin`, `step_end` and so on, are called at both phases.
    """

    def __enter__(self) -> "Callback":
        return self

    def __exit__(self, *_: object) -> None:
        return

    def begin(self, run_context: Any) -> None:
        """Before the first epoch."""

    def epoch_begin(self, run_context: Any) -> None:
        """Before each epoch."""

    def step_begin(self, run_context: Any) -> None:
        """Before each step."""

    def step_end(self, run_context: Any) -> None:
        """After each step."""

    def epoch_end(self, run_context: Any) -> None:
        """After each epoch."""

    def end(self, run_context: Any) -> None:
        """After the last epoch."""


def _as_old(name: str, event: str) -> Any:
    def method(self: Any, run_context: Any) -> None:
        getattr(self, event)(run_context)

    method.__name__, method.__doc__ = name, f"Calls `{event}`, unless a subclass does more."
    return method


for _name in PHASES:
    setattr(Callback, _name, _as_old(_name, _name.split("_", 2)[2]))


def loss_of(outputs: Any) -> float:
    """The mean of the first output."""
    first = outputs[0] if isinstance(outputs, (tuple, list)) else outputs
    return float(np.mean(first.asnumpy())) if isinstance(first, Tensor) else float(np.mean(first))


class LossMonitor(Callback):
    """Prints the loss every so many steps; stops where it is no number.

    Args:
        per_print_times: steps from one line to the next; 0 prints nothing.
    """

    def __init__(self, per_print_times: int = 1) -> None:
        super().__init__()
        if not isinstance(per_print_times, int) or isinstance(per_print_times, bool):
            raise _WrongTypeError("per_print_times is a whole number", found=printable(per_print_times))
        if per_print_times < 0:
            raise UsageError("per_print_times is at least 0", found=per_print_times)
        self._per_print_times, self._last_print_time = per_print_times, 0

    def step_end(self, run_context: Any) -> None:
        """Print, where it is time."""
        told = run_context.original_args()
        loss = loss_of(told.net_outputs)
        step = (told.cur_step_num - 1) % told.batch_num + 1
        if not np.isfinite(loss):
            raise UsageError(
                "the loss is no finite number: training stops",
                where=f"epoch {told.cur_epoch_num}, step {step}",
                found=loss,
            )
        if told.cur_step_num <= self._last_print_time:
            self._last_print_time = 0
        if self._per_print_times and told.cur_step_num - self._last_print_time >= self._per_print_times:
            self._last_print_time = told.cur_step_num
            print(f"epoch: {told.cur_epoch_num} step: {step}, loss is {loss}", flush=True)

    def on_train_epoch_end(self, run_context: Any) -> None:
        """Print the evaluation's values, where `fit` made some."""
        told = run_context.original_args()
        if told.metrics:
            print(f"Eval result: epoch {told.cur_epoch_num}, metrics: {told.metrics}", flush=True)

    def on_eval_step_end(self, run_context: Any) -> None:
        """Nothing: the loss of training is shown."""


class _WrongTypeError(UsageError, TypeError):
    """A setting of a wrong type: a TypeError too, as in MindSpore."""


class TimeMonitor(Callback):
    """Prints how long each epoch and its steps took.

    Args:
        data_size: steps of an epoch, where the dataset does not tell.
        data_time: whether the time that steps waited for data is told, too.
    """

    def __init__(self, data_size: int | None = None, data_time: bool = False) -> None:
        super().__init__()
        self.data_size, self.data_time, self.epoch_time = data_size, data_time, time.time()
        self._waited, self._since = 0.0, time.time()

    def on_train_step_begin(self, run_context: Any) -> None:
        """Count how long the step waited for its data."""
        self._waited += time.time() - self._since

    def on_train_step_end(self, run_context: Any) -> None:
        """Start the clock of the next step's data."""
        self._since = time.time()

    def epoch_begin(self, run_context: Any) -> None:
        """Start the clock."""
        self.epoch_time = self._since = time.time()
        self._waited = 0.0

    def epoch_end(self, run_context: Any) -> None:
        """Print."""
        told = run_context.original_args()
        steps = told.batch_num or self.data_size or 1
        spent = (time.time() - self.epoch_time) * 1000
        line = f"{(told.mode or '').title()} epoch time: {spent:5.3f} ms, per step time: {spent / steps:5.3f} ms"
        waited = f" (data time: {self._waited * 1000 / steps:5.3f} ms)" if self.data_time else ""
        print(line + waited, flush=True)


class LambdaCallback(Callback):
    """Calls functions at the events that they are given for, such as on_train_step_end."""

    def __init__(self, **functions: Any) -> None:
        super().__init__()
        unknown = functions.keys() - set(PHASES)
        if unknown:
            raise UsageError("no such event", expected=", ".join(PHASES), found=", ".join(sorted(unknown)))
        for name, function in functions.items():
            if function is not None:
                setattr(self, name, function)


class History(Callback):
    """Keeps each epoch's loss, and metrics, in `history`."""

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: dict[str, list[int]] | None = None

    def begin(self, run_context: Any) -> None:
        """Count the epochs anew."""
        self.epoch = {"epoch": []}

    def on_train_epoch_end(self, run_context: Any) -> None:
        """Keep what the epoch ends with."""
        told = run_context.original_args()
        if self.epoch is not None:
            self.epoch["epoch"].append(told.cur_epoch_num)
        self.history.setdefault("net_output", []).append(loss_of(told.net_outputs))
        for name, value in (told.metrics or {}).items():
            self.history.setdefault(name, []).append(value)
