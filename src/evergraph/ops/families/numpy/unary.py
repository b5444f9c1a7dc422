"""Element-wise functions of one array, x."""

from collections.abc import Callable
from typing import Any

import evergraph.ops.families.math.unary  # noqa: F401  registers the operators that are looked up here
from evergraph.errors import OperatorError
from evergraph.ops import registry
from evergraph.ops.lazy import F, torch
from evergraph.ops.registry import operator, register
from evergraph.ops.rules import elementwise, fixed_dtype
from evergraph.ops.schema import Operator
from evergraph.ops.types import Double

__all__ = ["alike", "judging"]


def alike(name: str, source: str, aliases: tuple[str, ...] = (), booleans: bool = False) -> Operator:
    """Register an element-wise operator of one input named x that computes what a plain operator of `data` does.

    Args:
        name: canonical name.
        source: the plain operator.
        aliases: other names.
        booleans: whether booleans are taken.

    >>> alike("_doctest_exp", "exp").inputs[0].name
    'x'
    """
    found = registry.get(source)
    function = found.body

    def body(x: Any) -> Any:
        if x.dtype == torch.bool and x.numel() and not booleans:
            raise OperatorError(f"{name} takes numbers, and no booleans", fix="cast them: x.astype('float32')")
        return function(x)

    body.__doc__, body.__name__ = found.doc, name
    made = Operator(name, body, aliases=aliases, shape=elementwise)
    made.quick = found.quick
    return register(made)


def judging(name: str, function: Callable[[Any], Any], doc: str) -> Operator:
    """Register an element-wise operator of one input named x with a boolean result."""

    def body(x: Any) -> Any:
        return function(x)

    body.__doc__, body.__name__ = doc, name
    return register(Operator(name, body, shape=elementwise, dtype=fixed_dtype("bool")))


_SAME = (
    "arccos arccosh arcsin arcsinh arctan arctanh cbrt ceil cos cosh degrees exp expm1 fix floor log log10 log1p log2 "
    "negative radians reciprocal rint sign sin sinh sqrt square tan tanh trunc"
)
for _name in _SAME.split():
    alike(f"_npi_{_name}", _name)
alike("_npi_absolute", "abs", ("_npi_abs",), booleans=True)

judging("_npi_logical_not", lambda x: torch.logical_not(x), "True where the value is 0.")
judging("_npi_isnan", lambda x: torch.isnan(x), "True where the value is NaN.")
judging("_npi_isinf", lambda x: torch.isinf(x), "True where the value is infinite.")
judging("_npi_isposinf", lambda x: torch.isposinf(x), "True where the value is positive infinity.")
judging("_npi_isneginf", lambda x: torch.isneginf(x), "True where the value is negative infinity.")
judging("_npi_isfinite", lambda x: torch.isfinite(x), "True where the value is neither NaN nor infinite.")


@operator(shape=elementwise)
def _npi_bitwise_not(x):
    """Every bit inverted; of booleans, the opposite."""
    if x.is_floating_point():
        raise OperatorError("_npi_bitwise_not takes integers or booleans", found=str(x.dtype).removeprefix("torch."))
    return torch.bitwise_not(x)


def _rounded(x: Any, decimals: int) -> Any:
    """Shifted by one decimal after the other, rounded and shifted back: 0.33 comes out as 0.32999998, as in MXNet."""
    steps = range(abs(decimals))
    for _ in steps:
        x = x * 10 if decimals > 0 else x / 10
    x = torch.round(x)
    for _ in steps:
        x = x / 10 if decimals > 0 else x * 10
    return x


@operator(shape=elementwise)
def _npi_around(x, *, decimals: int = 0):
    """The nearest number with so many decimals, halves to the even one; the gradient is 0.

    Integers are cut towards 0 where `decimals` is negative.
    """
    if x.dtype == torch.bool and x.numel():
        raise OperatorError("_npi_around takes numbers, and no booleans")
    if x.is_floating_point():
        return _rounded(x, decimals)
    if decimals >= 0:
        return x.clone()
    unit = 10**-decimals
    return torch.div(x, unit, rounding_mode="trunc") * unit


@operator(shape=elementwise)
def _npi_nan_to_num(
    data, *, copy: bool = True, nan: Double = 0.0, posinf: Double | None = None, neginf: Double | None = None
):
    """NaN replaced by `nan`, infinities by `posinf` and `neginf`, or by the type's largest and smallest numbers."""
    if not data.is_floating_point():
        return data.clone() if copy else data
    return torch.nan_to_num(data, nan, posinf, neginf)


@operator(shape=elementwise)
def _npx_relu(data):
    """The greater of the value and 0; the gradient at 0 is 0."""
    return torch.relu(data)


@operator(shape=elementwise)
def _npx_sigmoid(data):
    """The logistic function 1 / (1 + exp(-x)); of integers, cut to 0 or 1."""
    return F.sigmoid(data) if data.is_floating_point() else torch.sigmoid(data.to(torch.float32)).to(data.dtype)


@operator(aliases=("_npi_copy",), shape=elementwise)
def _np_copy(a):
    """The array itself, as a new one. MXNet 2.0 calls it _npi_copy."""
    return a.clone()
