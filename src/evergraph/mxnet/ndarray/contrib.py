"""`mx.nd.contrib`: loops and branches on arrays, and the `_contrib_` operators."""

import math
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import numpy as np

from evergraph.errors import UsageError
from evergraph.mxnet.base import _as_list
from evergraph.mxnet.context import Context
from evergraph.mxnet.ndarray import namespaces
from evergraph.mxnet.ndarray.base import Array
from evergraph.mxnet.ndarray.creation import full, zeros
from evergraph.mxnet.ndarray.functions import function, read_context
from evergraph.mxnet.ndarray.ndarray import NDArray
from evergraph.mxnet.ndarray.random import uniform

__all__ = ["cond", "foreach", "isfinite", "isinf", "isnan", "rand_zipfian", "while_loop"]


def rand_zipfian(
    true_classes: NDArray, num_sampled: int, range_max: int, ctx: Any = None
) -> tuple[NDArray, NDArray, NDArray]:
    """Class numbers of an approximately Zipfian distribution, drawn with replacement.

    Args:
        true_classes: class numbers whose expected counts are wanted.
        num_sampled: how many are drawn.
        range_max: number of classes; low ones are frequent.
        ctx: device; the current one where it is not given.

    Returns:
        The classes (int64), and how often the true and the drawn ones are expected (float64).
    """
    device = read_context(ctx)
    log_range = math.log(range_max + 1)
    drawn = uniform(0, log_range, shape=(num_sampled,), dtype="float64", ctx=device)
    classes = (drawn.exp() - 1).astype("int64") % range_max

    def expected(numbers: NDArray) -> NDArray:
        value = numbers.as_in_context(device).astype("float64")
        return ((value + 2.0) / (value + 1.0)).log() / log_range * num_sampled

    return classes, expected(true_classes), expected(classes)


def _flattened(value: Any, what: str) -> tuple[list[NDArray], Any]:
    """The arrays in nested lists, and the form that `_regrouped` puts them back into."""
    if isinstance(value, Array):
        return [value], 0  # type: ignore[list-item]
    if not isinstance(value, (list, tuple)):
        raise AssertionError(f"{what} must be (nested) list of NDArray, but got {type(value).__name__}")
    arrays, form = [], []
    for each in value:
        found, inner = _flattened(each, what)
        arrays += found
        form.append(inner)
    return arrays, form


def _regrouped(arrays: list[Any], form: Any) -> tuple[Any, list[Any]]:
    if form == 0 and isinstance(form, int):
        return arrays[0], arrays[1:]
    found = []
    for inner in form:
        value, arrays = _regrouped(arrays, inner)
        found.append(value)
    return found, arrays


def foreach(body: Callable[[Any, Any], tuple[Any, Any]], data: Any, init_states: Any) -> tuple[Any, Any]:
    """Run a function on each slice of data along the first axis, states handed from one to the next.

    Args:
        body: (slice, states) -> (outputs, states); arrays or nested lists of them.
        data: an array, or a list of arrays of one length.
        init_states: the states of the first call.

    Returns:
        The outputs, stacked along a new first axis, and the last states.

    >>> from evergraph.mxnet import nd
    >>> out, last = foreach(lambda x, s: (x + s, x + s), nd.array([1, 2, 3]), nd.zeros((1,)))
    >>> out.asnumpy().tolist(), last.asscalar().item()
    ([[1.0], [3.0], [6.0]], 6.0)
    """
    _flattened(data, "foreach input")
    _flattened(init_states, "foreach states")
    single = isinstance(data, NDArray)
    length = len(data) if single else len(data[0])
    states, rows, form = init_states, [], None
    for i in range(length):
        outputs, states = body(data[i] if single else [d[i] for d in data], states)
        found, form = _flattened(outputs, "foreach output")
        rows.append(found)
    if form is None:
        raise UsageError("foreach runs over the first axis of data, which is empty")
    stacked = [function("stack")(*each) for each in zip(*rows, strict=True)]
    return _regrouped(stacked, form)[0], states


def _scalar(value: Any, kind: type, name: str) -> Any:
    try:
        return kind(value.item() if isinstance(value, NDArray) else value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Cannot convert {name} to python {kind.__name__}") from error


def while_loop(
    cond: Callable[..., Any], func: Callable[..., Any], loop_vars: Any, max_iterations: Any = None
) -> tuple[Any, Any]:
    """Run a function as long as a condition holds.

    Args:
        cond: variables -> whether to go on.
        func: variables -> (outputs, next variables).
        loop_vars: the first variables.
        max_iterations: the most steps; required.

    Returns:
        The outputs, stacked along a new first axis of length max_iterations (zeros behind the steps that ran), and
        the last variables.

    Raises:
        ValueError: no variables, or no limit, or other numbers of them from step to step.
    """
    if max_iterations is None:
        raise ValueError("max_iterations should be specified")
    limit = _scalar(max_iterations, int, "max_iteration")
    if len(loop_vars) == 0:
        raise ValueError("loop_vars should contain at least one element")
    single = isinstance(loop_vars, Array)
    values, rows, form = _as_list(loop_vars), [], None
    while len(rows) < limit and _scalar(cond(*values), bool, "Return value of cond"):
        outputs, after = func(*values)
        after = [] if after is None else _as_list(after)
        if len(after) != len(values):
            raise ValueError("The length of loop_vars should be consistent during the loop")
        values = after
        outputs = [] if outputs is None else list(outputs) if isinstance(outputs, tuple) else outputs
        found, form = _flattened(outputs, "while output")
        rows.append(found)
        if len(found) != len(rows[0]):
            raise ValueError("Number of elements in step_output should be the same in each step")
    stacked = [_padded(each, i, limit) for i, each in enumerate(zip(*rows, strict=True), 1)]
    result = _regrouped(stacked, form)[0] if form is not None else stacked
    return result, values[0] if single else values


def _padded(items: Sequence[NDArray], number: int, limit: int) -> NDArray:
    if len({x.shape for x in items}) > 1:
        raise ValueError(
            f"Shapes of {number}-th elements in step_outputs are inconsistent, which are:\n"
            + "\n".join(f"  Step {i}, shape is {x.shape}" for i, x in enumerate(items))
        )
    found = function("stack")(*items)
    if len(items) == limit:
        return found
    rest = zeros((limit - len(items), *items[0].shape), ctx=items[0].context, dtype=items[0].dtype)
    return function("Concat")(found, rest, dim=0)


def cond(pred: Any, then_func: Callable[[], Any], else_func: Callable[[], Any]) -> Any:
    """What one of two functions returns, by an array of one element."""
    return then_func() if _scalar(pred, bool, "pred") else else_func()


def isinf(data: NDArray) -> NDArray:
    """1 where an element is infinite, else 0."""
    return data.abs() == np.inf


def isnan(data: NDArray) -> NDArray:
    """1 where an element is not a number, else 0."""
    return function("broadcast_not_equal")(data, data)


def isfinite(data: NDArray) -> NDArray:
    """1 where an element is neither infinite nor not a number, else 0."""
    return function("broadcast_logical_and")(data.abs() != np.inf, data == data)


def _rescale(value: Any, ctx: Context) -> NDArray:
    return value.as_in_context(ctx) if isinstance(value, NDArray) else full((1,), value, ctx=ctx)


def adamw_update(
    weight: NDArray, grad: NDArray, mean: NDArray, var: NDArray, rescale_grad: Any, lr: float, eta: float, **kwargs: Any
) -> Any:
    """One step of AdamW; `rescale_grad` may be a number. See the operator `_adamw_update` for the rest."""
    scale = _rescale(rescale_grad, weight.context)
    return function("_adamw_update")(weight, grad, mean, var, scale, lr=lr, eta=eta, **kwargs)


def mp_adamw_update(
    weight: NDArray,
    grad: NDArray,
    mean: NDArray,
    var: NDArray,
    weight32: NDArray,
    rescale_grad: Any,
    lr: float,
    eta: float,
    **kwargs: Any,
) -> Any:
    """One step of AdamW on a float32 copy of the weight; see `adamw_update`."""
    scale = _rescale(rescale_grad, weight.context)
    return function("_mp_adamw_update")(weight, grad, mean, var, weight32, scale, lr=lr, eta=eta, **kwargs)


def _many(name: str, groups: Sequence[Sequence[NDArray]], last: list[NDArray], kwargs: dict[str, Any]) -> Any:
    return function(name)(*chain.from_iterable(zip(*groups, strict=True)), *last, **kwargs)


def multi_adamw_update(
    weights: Any, grads: Any, mean: Any, var: Any, rescale_grad: Any, lrs: Any, wds: Any, etas: Any, **kwargs: Any
) -> Any:
    """One step of AdamW on several weights; see `adamw_update`."""
    size = kwargs.pop("size", 0) or len(weights)
    kwargs |= {"lrs": lrs, "wds": wds, "etas": etas, "num_weights": size}
    scale = _rescale(rescale_grad, weights[0].context)
    return _many("_multi_adamw_update", (weights, grads, mean, var), [scale], kwargs)


def multi_mp_adamw_update(
    weights: Any,
    grads: Any,
    mean: Any,
    var: Any,
    weights32: Any,
    rescale_grad: Any,
    lrs: Any,
    wds: Any,
    etas: Any,
    **kwargs: Any,
) -> Any:
    """One step of AdamW on float32 copies of several weights; see `adamw_update`."""
    size = kwargs.pop("size", 0) or len(weights)
    kwargs |= {"lrs": lrs, "wds": wds, "etas": etas, "num_weights": size}
    scale = _rescale(rescale_grad, weights[0].context)
    return _many("_multi_mp_adamw_update", (weights, grads, mean, var, weights32), [scale], kwargs)


def multi_lamb_update(
    weights: Any, grads: Any, mean: Any, var: Any, step_count: Any, lrs: Any, wds: Any, **kwargs: Any
) -> Any:
    """One step of LAMB on several weights."""
    size = kwargs.pop("num_tensors", 0) or len(weights)
    kwargs |= {"learning_rates": lrs, "wds": wds, "step_count": step_count, "num_tensors": size}
    return _many("_multi_lamb_update", (weights, grads, mean, var), [], kwargs)


def multi_mp_lamb_update(
    weights: Any, grads: Any, mean: Any, var: Any, weights32: Any, step_count: Any, lrs: Any, wds: Any, **kwargs: Any
) -> Any:
    """One step of LAMB on float32 copies of several weights."""
    size = kwargs.pop("num_tensors", 0) or len(weights)
    kwargs |= {"learning_rates": lrs, "wds": wds, "step_count": step_count, "num_tensors": size}
    return _many("_multi_mp_lamb_update", (weights, grads, mean, var, weights32), [], kwargs)


__getattr__, __dir__ = namespaces.fill(globals(), "contrib")
