"""Element-wise functions of one array."""

import math
from collections.abc import Callable
from typing import Any

from evergraph.ops.gradients import with_gradient
from evergraph.ops.lazy import torch
from evergraph.ops.registry import register
from evergraph.ops.rules import elementwise
from evergraph.ops.schema import Operator

__all__ = ["cube_root", "gamma_function", "round_half_away", "unary"]

_SAME = """
    abs sign ceil floor trunc sqrt rsqrt reciprocal exp expm1 log log10 log2 log1p sin cos tan sinh cosh tanh erf relu
    sigmoid
"""
# what torch computes under a name of its own: called without a function between, which costs 0.3 us of 2.9
_DIRECT = {n: n for n in _SAME.split()} | {"negative": "neg", "fix": "trunc", "arcsin": "asin", "arccos": "acos"}
_DIRECT |= {"arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh"}


def unary(
    name: str, function: Callable[[Any], Any], doc: str, aliases: tuple[str, ...] | None = None, exact: bool = False
) -> Operator:
    """Register an element-wise operator of one input named data.

    Args:
        name: canonical name.
        function: the computation on a tensor.
        doc: documentation.
        aliases: other names; `_sparse_<name>` where they are not given.
        exact: whether the function keeps integers as they are. Others are computed in float32 and cut back to the
            integer type, as MXNet computes them.

    >>> unary("_doctest_double", lambda data: data + data, "Twice the input.", exact=True).doc
    'Twice the input.'
    """

    def of_floats(data: Any) -> Any:
        if data.is_floating_point():
            return function(data)
        return function(data.to(torch.float32)).to(data.dtype)

    body = function if exact else of_floats
    body.__doc__, body.__name__ = doc, name.lstrip("_")
    found = Operator(name, body, aliases=(f"_sparse_{name}",) if aliases is None else aliases, shape=elementwise)

    def quick(_p: Any, _recorded: bool, data: Any) -> Any:
        if not data.is_floating_point():
            return None
        return getattr(torch, _DIRECT[name]) if name in _DIRECT else function

    found.quickened(quick)
    return register(found)


def _digamma(data: Any) -> Any:
    # infinite at the poles, where torch has NaN
    return torch.where((data <= 0) & (torch.floor(data) == data), math.inf, torch.digamma(data))


def round_half_away(data: Any) -> Any:
    """The nearest whole number; halves go away from 0."""
    whole = torch.trunc(data)
    return whole + torch.sign(data) * ((data - whole).abs() >= 0.5)


def _round_half_down(data: Any) -> Any:
    below, above = torch.floor(data), torch.ceil(data)
    return torch.where(data - below <= above - data, below, above)


def _not(data: Any) -> Any:
    return (data == 0).to(data.dtype)


@with_gradient(lambda saved, grad: grad / (3 * saved.outputs[0] ** 2))
def cube_root(data: Any) -> Any:
    """The real cube root, of negative numbers too."""
    return torch.sign(data) * torch.abs(data) ** (1 / 3)


@with_gradient(lambda saved, grad: grad * saved.outputs[0] / (-3 * saved.args[0]))
def _reciprocal_cube_root(data: Any) -> Any:
    return torch.copysign(torch.abs(data) ** (-1 / 3), data)


@with_gradient(lambda saved, grad: grad * saved.outputs[0] * torch.digamma(saved.args[0]))
def gamma_function(data: Any) -> Any:
    """The gamma function; NaN at the negative whole numbers."""
    wide = data.to(torch.float64)
    size = torch.exp(torch.lgamma(wide))
    below = torch.floor(wide)
    negative = torch.signbit(wide) & ((torch.remainder(below, 2) != 0) | (wide == 0))
    value = torch.where(negative, -size, size)
    return torch.where((wide < 0) & (below == wide), math.nan, value).to(data.dtype)


@with_gradient(lambda saved, grad: grad * _digamma(saved.args[0]))
def _log_gamma(data: Any) -> Any:
    return torch.lgamma(data)


@with_gradient(lambda saved, grad: grad * torch.exp(saved.outputs[0] ** 2) * (math.sqrt(math.pi) / 2))
def _inverse_error_function(data: Any) -> Any:
    return torch.erfinv(data)


unary("abs", lambda data: torch.abs(data), "The absolute value; its gradient at 0 is 0.", exact=True)
unary("sign", lambda data: torch.sign(data), "-1, 0 or 1; the gradient is 0.", exact=True)
unary("negative", lambda data: torch.neg(data), "The number with its sign changed.", exact=True)
unary("square", lambda data: data * data, "The square.", exact=True)
unary("logical_not", _not, "1 where the value is 0, else 0, in the input's type.", (), exact=True)
unary("ceil", lambda data: torch.ceil(data), "The smallest whole number not below.")
unary("floor", lambda data: torch.floor(data), "The largest whole number not above.")
unary("trunc", lambda data: torch.trunc(data), "The whole number next towards 0.")
unary("fix", lambda data: torch.trunc(data), "The whole number next towards 0.")
unary("round", round_half_away, "The nearest whole number; halves go away from 0.")
unary("rint", _round_half_down, "The nearest whole number; halves go down.")
unary("sqrt", lambda data: torch.sqrt(data), "The square root.")
unary("rsqrt", lambda data: torch.rsqrt(data), "1 over the square root.")
unary("cbrt", cube_root, "The cube root, of negative numbers too.")
unary("rcbrt", _reciprocal_cube_root, "1 over the cube root.", ())
unary("reciprocal", lambda data: torch.reciprocal(data), "1 over the number.", ())
unary("exp", lambda data: torch.exp(data), "The exponential.")
unary("expm1", lambda data: torch.expm1(data), "The exponential less 1, exact near 0.")
unary("log", lambda data: torch.log(data), "The natural logarithm.")
unary("log10", lambda data: torch.log10(data), "The logarithm to base 10.")
unary("log2", lambda data: torch.log2(data), "The logarithm to base 2.")
unary("log1p", lambda data: torch.log1p(data), "The natural logarithm of 1 more, exact near 0.")
unary("sin", lambda data: torch.sin(data), "The sine of an angle in radians.")
unary("cos", lambda data: torch.cos(data), "The cosine of an angle in radians.")
unary("tan", lambda data: torch.tan(data), "The tangent of an angle in radians.")
unary("arcsin", lambda data: torch.asin(data), "The angle in radians, -pi/2 to pi/2, of a sine.")
unary("arccos", lambda data: torch.acos(data), "The angle in radians, 0 to pi, of a cosine.")
unary("arctan", lambda data: torch.atan(data), "The angle in radians, -pi/2 to pi/2, of a tangent.")
unary("sinh", lambda data: torch.sinh(data), "The hyperbolic sine.")
unary("cosh", lambda data: torch.cosh(data), "The hyperbolic cosine.")
unary("tanh", lambda data: torch.tanh(data), "The hyperbolic tangent.")
unary("arcsinh", lambda data: torch.asinh(data), "The inverse of the hyperbolic sine.")
unary("arccosh", lambda data: torch.acosh(data), "The inverse of the hyperbolic cosine.")
unary("arctanh", lambda data: torch.atanh(data), "The inverse of the hyperbolic tangent.")
unary("degrees", lambda data: torch.rad2deg(data), "Radians as degrees.")
unary("radians", lambda data: torch.deg2rad(data), "Degrees as radians.")
unary("gamma", gamma_function, "The gamma function.", ("_npx_gamma", "_sparse_gamma"))
unary(
    "gammaln",
    _log_gamma,
    "The logarithm of the gamma function's size.",
    ("_npx_gammaln", "_sparse_gammaln"),
)
unary("erf", lambda data: torch.erf(data), "The error function.", ("_npx_erf",))
unary("erfinv", _inverse_error_function, "The inverse of the error function.", ("_npx_erfinv",))
