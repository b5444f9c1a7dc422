"""Gradients of functions and networks: grad, value_and_grad, GradOperation."""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from evergraph.errors import UsageError, printable
from evergraph.mindspore.common.tensor import Tensor, wrap
from evergraph.mindspore.nn.cell import is_recording, recording

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
        UsageError: nothing is asked for.
    """
    order = () if positions is None else (positions,) if isinstance(positions, int) else tuple(positions)
    if not order and weights is None:
        raise UsageError("gradients of inputs or of weights are asked for", where="grad(grad_position=None)")
    beyond = [p for p in order if not -len(inputs) <= p < len(inputs)]
    if beyond:
        raise UsageError("there are fewer inputs", expected=f"positions below {len(inputs)}", found=printable(beyond))
    again = is_recording()
    given = list(inputs)
    for place in order:
        given[place] = wrap(_leaf(given[place], again))
    single = isinstance(weights, Tensor)
    params = [weights] if single else list(weights or ())
    with recording():
        output = fn(*given, **(named or {}))
    heads = list(_tensors(output[0] if has_aux else output))
    starts = [torch.ones_like(h) for h in heads] if sens is None else list(_tensors(sens))
    pairs = [(h, s) for h, s in zip(heads, starts, strict=False) if h.requires_grad]
    leaves = [given[p]._torch for p in order] + [p._torch for p in params]
    found: Any = [None] * len(leaves)
    if pairs:
        heads, starts = map(list, zip(*pairs, strict=True))
        found = torch.autograd.grad(heads, leaves, starts, allow_unused=True, create_graph=again)
    wrapped = [wrap(torch.zeros_like(x) if g is None else g) for g, x in zip(found, leaves, strict=True)]
    of_inputs, of_weights = tuple(wrapped[: len(order)]), tuple(wrapped[len(order) :])
    first: Any = of_inputs[0] if isinstance(positions, int) else of_inputs
    second: Any = of_weights[0] if single else of_weights
    both = (first, second) if order and weights is not None else first if order else second
    return output if again else _detached(output), both


def _leaf(value: Any, again: bool) -> torch.Tensor:
    """An input that gradients are taken of; where they are taken again of what is made of them, still the outer one's.

    Raises:
        UsageError: it is no Tensor of fractions.
    """
    if not isinstance(value, Tensor) or not (value._torch.is_floating_point() or value._torch.is_complex()):
        found = value.dtype.title if isinstance(value, Tensor) else type(value).__name__
        raise UsageError("gradients are taken of Tensors of fractions", found=printable(found))
    data = value._torch
    return data.view_as(data) if again and data.requires_grad else data.detach().requires_grad_()


def _with_ids(found: Any, positions: Any, weights: Any) -> Any:
    """Each gradient beside its input's position or its Parameter's name."""

    def paired(names: Any, values: Any) -> Any:
        return (names, values) if isinstance(values, Tensor) else tuple(zip(names, values, strict=True))

    named = None if weights is None else getattr(weights, "name", None) or [w.name for w in weights]
    if positions is None or weights is None:
        return paired(positions if weights is None else named, found)
    return paired(positions, found[0]), paired(named, found[1])


def _alone(positions: Any, return_ids: bool) -> Any:
    """The position, where a tuple has only one: then MindSpore gives its gradient without a tuple."""
    return positions[0] if isinstance(positions, tuple) and len(positions) == 1 and not return_ids else positions


def value_and_grad(
    fn: Callable[..., Any],
    grad_position: Any = 0,
    weights: Any = None,
    has_aux: bool = False,
    return_ids: bool = False,
) -> Callable[..., Any]:
    """A function that gives what `fn` gives, and its gradients.

    Args:
        fn: function or Cell.
        grad_position: an input's position, several, or None.
        weights: Parameters, or None.
        has_aux: whether only the first output is differentiated.
        return_ids: whether each gradient is paired with its input's position or its Parameter's name.

    >>> value_and_grad(lambda x: x * x)(Tensor(3.0))
    (Tensor(shape=[], dtype=Float32, value= 9), Tensor(shape=[], dtype=Float32, value= 6))
    """
    asked = _alone(grad_position, return_ids)

    def both(*inputs: Any, **named: Any) -> Any:
        output, found = gradients_of(fn, inputs, asked, weights, None, has_aux, named)
        return output, _with_ids(found, grad_position, weights) if return_ids else found

    return both


def grad(
    fn: Callable[..., Any],
    grad_position: Any = 0,
    weights: Any = None,
    has_aux: bool = False,
    return_ids: bool = False,
) -> Callable[..., Any]:
    """A function that gives the gradients of `fn`; with `has_aux` its other outputs, too.

    >>> grad(lambda x: x * x)(Tensor(3.0))
    Tensor(shape=[], dtype=Float32, value= 6)
    """
    asked = _alone(grad_position, return_ids)

    def gradients(*inputs: Any, **named: Any) -> Any:
        output, found = gradients_of(fn, inputs, asked, weights, None, has_aux, named)
        found = _with_ids(found, grad_position, weights) if return_ids else found
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
            asked = weights
            if self.get_by_list and weights is None and hasattr(fn, "trainable_params"):
                asked = fn.trainable_params()  # type: ignore[attr-defined]
            return gradients_of(fn, given, positions, asked if self.get_by_list else None, sens)[1]

        return gradients


def get_grad(gradients: Any, identifier: Any) -> Any:
    """The gradient of a position or a Parameter, from pairs of them.

    Raises:
        UsageError: there is none.
    """
    wanted = identifier.name if hasattr(identifier, "name") else identifier
    rows = [gradients]
    while rows:
        row = rows.pop()
        if isinstance(row, tuple) and len(row) == 2 and isinstance(row[0], (int, str)):
            if row[0] == wanted:
                return row[1]
        elif isinstance(row, tuple):
            rows.extend(row)
    raise UsageError("no such gradient", where=printable(wanted))


def stop_gradient(value: Any) -> Any:
    """The value, through which no gradient flows."""
    return wrap(value._torch.detach())


def jit(fn: Any = None, **_: Any) -> Any:
    """The function as it is: programs run as they are written."""
    return fn if fn is not None else jit


ms_function = jit
