"""Gradients of functions and networks: grad, value_and_grad, GradOperation."""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from evergraph.errors import UsageError, printable
from evergraph.mindspore.common.tensor import Tensor, wrap
from evergraph.mindspore.nn.cell import recording

__all__ = [
    "GradOperation",
    "get_grad",
    "grad",
    "gradients_of",
    "jit",
    "ms_function",
    "stop_gradient",
    "value_and_grad",
]


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, Tensor):
        yield value._torch
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _tensors(item)


def _detached(value: Any) -> Any:
    if isinstance(value, Tensor):
        return wrap(value._torch.detach())
    return tuple(map(_detached, value)) if isinstance(value, (tuple, list)) else value


def gradients_of(
    fn: Callable[..., Any],
    inputs: tuple[Any, ...],
    positions: int | tuple[int, ...] | None,
    weights: Any = None,
    sens: Any = None,
    has_aux: bool = False,
    named: dict[str, Any] | None = None,
) -> tuple[Any, Any]:
    """What `fn` gives, and the gradients of inputs, of weights, or of both.

    Args:
        fn: function or Cell.
        inputs: its inputs.
        positions: which inputs; None for none.
        weights: Parameters, or None.
        sens: the gradient of the first output, ones by default.
        has_aux: whether only the first output is differentiated.
        named: its named inputs.

    Raises:
        UsageError: nothing is asked for, or no output depends on it.
    """
    order = () if positions is None else (positions,) if isinstance(positions, int) else tuple(positions)
    if not order and weights is None:
        raise UsageError("gradients of inputs or of weights are asked for", where="grad(grad_position=None)")
    given = list(inputs)
    for place in order:
        given[place] = wrap(given[place]._torch.detach().requires_grad_())
    single = isinstance(weights, Tensor)
    params = [weights] if single else list(weights or ())
    with recording():
        output = fn(*given, **(named or {}))
    heads = [t for t in _tensors(output[0] if has_aux else output) if t.requires_grad]
    if not heads:
        raise UsageError("no output depends on what gradients are asked for")
    starts = [torch.ones_like(h) for h in heads] if sens is None else list(_tensors(sens))
    leaves = [given[p]._torch for p in order] + [p._torch for p in params]
    found = torch.autograd.grad(heads, leaves, starts[: len(heads)], allow_unused=True)
    wrapped = [wrap(torch.zeros_like(x) if g is None else g) for g, x in zip(found, leaves, strict=True)]
    of_inputs, of_weights = tuple(wrapped[: len(order)]), tuple(wrapped[len(order) :])
    first: Any = of_inputs[0] if isinstance(positions, int) else of_inputs
    second: Any = of_weights[0] if single else of_weights
    both = (first, second) if order and weights is not None else first if order else second
    return _detached(output), both


def value_and_grad(
    fn: Callable[..., Any],
    grad_position: Any = 0,
    weights: Any = None,
    has_aux: bool = False,
) -> Callable[..., Any]:
    """A function that gives what `fn` gives, and its gradients.

    Args:
        fn: function or Cell.
        grad_position: an input's position, several, or None.
        weights: Parameters, or None.
        has_aux: whether only the first output is differentiated.

    >>> value_and_grad(lambda x: x * x)(Tensor(3.0))
    (Tensor(shape=[], dtype=Float32, value= 9), Tensor(shape=[], dtype=Float32, value= 6))
    """

    def both(*inputs: Any, **named: Any) -> Any:
        return gradients_of(fn, inputs, grad_position, weights, None, has_aux, named)

    return both


def grad(
    fn: Callable[..., Any],
    grad_position: Any = 0,
    weights: Any = None,
    has_aux: bool = False,
) -> Callable[..., Any]:
    """A function that gives the gradients of `fn`; with `has_aux` its other outputs, too.

    >>> grad(lambda x: x * x)(Tensor(3.0))
    Tensor(shape=[], dtype=Float32, value= 6)
    """

    def gradients(*inputs: Any, **named: Any) -> Any:
        output, found = gradients_of(fn, inputs, grad_position, weights, None, has_aux, named)
        return (found, output[1:]) if has_aux else found

    return gradients


class GradOperation:
    """Makes gradient functions, as old programs ask for them.

    Args:
        get_all: of all inputs.
        get_by_list: of the Parameters that the call is given.
        sens_param: whether the last input is the gradient of the output.
    """

    def __init__(self, get_all: bool = False, get_by_list: bool = False, sens_param: bool = False) -> None:
        self.get_all, self.get_by_list, self.sens_param = get_all, get_by_list, sens_param

    def __call__(self, fn: Callable[..., Any], weights: Any = None) -> Callable[..., Any]:
        """The gradient function of `fn`."""

        def gradients(*inputs: Any) -> Any:
            sens = inputs[-1] if self.sens_param else None
            given = inputs[:-1] if self.sens_param else inputs
            positions = tuple(range(len(given))) if self.get_all else None if self.get_by_list else 0
            return gradients_of(fn, given, positions, weights if self.get_by_list else None, sens)[1]

        return gradients


def get_grad(gradients: Any, identifier: Any) -> Any:
    """The gradient of a position or a Parameter, from pairs of them.

    Raises:
        UsageError: there is none.
    """
    wanted = identifier.name if hasattr(identifier, "name") else identifier
    for name, found in gradients if isinstance(gradients[0], tuple) else [gradients]:
        if name == wanted:
            return found
    raise UsageError("no such gradient", where=printable(wanted))


def stop_gradient(value: Any) -> Any:
    """The value, through which no gradient flows."""
    return wrap(value._torch.detach())


def jit(fn: Any = None, **_: Any) -> Any:
    """The function as it is: programs run as they are written."""
    return fn if fn is not None else jit


ms_function = jit
