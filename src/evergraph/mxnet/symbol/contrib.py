"""`mx.sym.contrib`: loops and branches, and the functions of these operators."""

import math
from typing import Any

from evergraph.mxnet.symbol import namespaces
from evergraph.mxnet.symbol.control import cond, foreach, while_loop
from evergraph.mxnet.symbol.creation import full
from evergraph.mxnet.symbol.functions import function
from evergraph.mxnet.symbol.random import uniform
from evergraph.mxnet.symbol.symbol import Symbol

__all__ = [
    "adamw_update",
    "cond",
    "foreach",
    "isfinite",
    "isinf",
    "isnan",
    "mp_adamw_update",
    "rand_zipfian",
    "while_loop",
]


def isnan(data: Symbol) -> Symbol:
    """1 where a value is not a number."""
    return data != data  # type: ignore[return-value]


def isinf(data: Symbol) -> Symbol:
    """1 where a value is infinite."""
    return function("abs")(data) == math.inf


def isfinite(data: Symbol) -> Symbol:
    """1 where a value is a finite number."""
    return function("abs")(data) < math.inf


def rand_zipfian(true_classes: Symbol, num_sampled: int, range_max: int) -> tuple[Any, Any, Any]:
    """Classes drawn by a log-uniform law, and how often the true and the drawn ones are expected.

    Args:
        true_classes: the classes that are there.
        num_sampled: how many are drawn.
        range_max: number of classes.

    Returns:
        the drawn classes, expected counts of the true ones, expected counts of the drawn ones.
    """
    log_range = math.log(range_max + 1)
    drawn: Any = uniform(0, log_range, shape=(num_sampled,), dtype="float64")
    classes: Any = (drawn.exp() - 1).astype("int64") % range_max

    def expected(numbers: Any) -> Any:
        value = numbers.astype("float64")
        return ((value + 2.0) / (value + 1.0)).log() / log_range * num_sampled

    return classes, expected(true_classes), expected(classes)


def _symbol(value: Any) -> Symbol:
    return value if isinstance(value, Symbol) else full((1,), value)


def adamw_update(
    weight: Symbol, grad: Symbol, mean: Symbol, var: Symbol, rescale_grad: Any, lr: float, eta: float, **kwargs: Any
) -> Symbol:
    """One step of AdamW; `rescale_grad` may be a number. See the operator `_adamw_update` for the rest."""
    return function("_adamw_update")(weight, grad, mean, var, _symbol(rescale_grad), lr=lr, eta=eta, **kwargs)


def mp_adamw_update(
    weight: Symbol,
    grad: Symbol,
    mean: Symbol,
    var: Symbol,
    weight32: Symbol,
    rescale_grad: Any,
    lr: float,
    eta: float,
    **kwargs: Any,
) -> Symbol:
    """One step of AdamW on a float32 copy of the weight; see `adamw_update`."""
    scale = _symbol(rescale_grad)
    return function("_mp_adamw_update")(weight, grad, mean, var, weight32, scale, lr=lr, eta=eta, **kwargs)


__getattr__, __dir__ = namespaces.fill(globals(), "contrib")
