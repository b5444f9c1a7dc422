"""`mx.contrib.autograd`: recording gradients by its names of 2016; `mx.autograd` is what took its place."""

import functools
from collections.abc import Callable
from typing import Any

from evergraph.mxnet import autograd
from evergraph.mxnet import ndarray as nd

__all__ = [
    "TrainingStateScope",
    "backward",
    "compute_gradient",
    "grad",
    "grad_and_loss",
    "mark_variables",
    "set_is_training",
    "test_section",
    "train_section",
]

mark_variables = autograd.mark_variables


def set_is_training(is_train: bool) -> bool:
    """Record and train, or do neither; what was before is returned."""
    before = autograd.set_recording(is_train)
    autograd.set_training(is_train)
    return before


class TrainingStateScope:
    """A scope in which operators are recorded and train, or are not and do not.

    Args:
        enter_state: which of the two.
    """

    def __init__(self, enter_state: bool) -> None:
        self._state = enter_state

    def __enter__(self) -> None:
        self._before = set_is_training(self._state)

    def __exit__(self, *_: object) -> None:
        if self._before != self._state:
            set_is_training(self._before)


def train_section() -> TrainingStateScope:
    """A scope in which operators are recorded, for `with`."""
    return TrainingStateScope(True)


def test_section() -> TrainingStateScope:
    """A scope inside `train_section` in which operators are not recorded."""
    return TrainingStateScope(False)


def backward(outputs: Any, out_grads: Any = None, retain_graph: bool = False) -> None:
    """Compute the gradients of what was recorded into the arrays that were marked for it."""
    autograd.backward(outputs, out_grads, retain_graph)


def compute_gradient(outputs: Any) -> None:
    """`backward` by its oldest name."""
    backward(outputs)


def grad_and_loss(func: Callable[..., Any], argnum: Any = None) -> Callable[..., tuple[list[Any], Any]]:
    """A function that gives the gradients of `func` by its arguments, and what `func` gives.

    Args:
        func: takes arrays.
        argnum: number of the argument, or numbers; all where it is not given.

    >>> grad_and_loss(lambda x: x * x)(nd.array([3.0]))[0][0].asscalar().item()
    6.0
    """

    @functools.wraps(func)
    def wrapped(*args: Any) -> tuple[list[Any], Any]:
        numbers = range(len(args)) if argnum is None else [argnum] if isinstance(argnum, int) else argnum
        variables = [args[i] for i in numbers]
        wrong = [type(v).__name__ for v in variables if not isinstance(v, nd.NDArray)]
        if wrong:
            raise TypeError(f"type of autograd input should be NDArray, found {', '.join(wrong)}")
        gradients = [nd.zeros_like(v) for v in variables]
        mark_variables(variables, gradients)
        with train_section():
            outputs = func(*args)
        backward([outputs] if isinstance(outputs, nd.NDArray) else outputs)
        return gradients, outputs

    return wrapped


def grad(func: Callable[..., Any], argnum: Any = None) -> Callable[..., list[Any]]:
    """A function that gives the gradients of `func` by its arguments; see `grad_and_loss`."""
    both = grad_and_loss(func, argnum)

    @functools.wraps(func)
    def wrapped(*args: Any) -> list[Any]:
        return both(*args)[0]

    return wrapped
