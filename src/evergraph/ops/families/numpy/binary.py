"""Arithmetic on two arrays of any types, or an array and a number, with NumPy's broadcasting."""

from collections.abc import Callable
from typing import Any

import evergraph.ops.families.math.scalar  # noqa: F401  registers the operators that are looked up here
from evergraph.errors import OperatorError
from evergraph.ops import registry
from evergraph.ops.families.math.binary import modulo, power, summed_to
from evergraph.ops.families.math.scalar import scalar_dtype, with_scalar
from evergraph.ops.families.numpy.promotion import aligned, division_dtype, promoted_dtype, real
from evergraph.ops.gradients import with_gradient
from evergraph.ops.lazy import torch
from evergraph.ops.registry import register
from evergraph.ops.rules import DtypeRule, broadcast, elementwise
from evergraph.ops.schema import Operator
from evergraph.ops.types import Double

__all__ = ["arithmetic", "scalar_division", "with_number"]


def arithmetic(
    name: str,
    function: Callable[[Any, Any], Any],
    doc: str,
    aliases: tuple[str, ...] = (),
    booleans: bool = True,
    dtype: DtypeRule = promoted_dtype,
) -> Operator:
    """Register an operator of two inputs, lhs and rhs, that are broadcast and brought to one type.

    Args:
        name: canonical name.
        function: the computation on two tensors of one type.
        doc: documentation.
        aliases: other names.
        booleans: whether two boolean arrays are taken.
        dtype: rule for the result's type.
    """

    def body(lhs: Any, rhs: Any) -> Any:
        lhs, rhs = aligned(lhs, rhs)
        if not booleans and lhs.dtype == torch.bool:
            raise OperatorError(f"{name} does not take two boolean arrays", fix="cast one of them first")
        return function(lhs, rhs)

    body.__doc__, body.__name__ = doc, name
    return register(Operator(name, body, aliases=aliases, shape=broadcast, dtype=dtype))


def angles(name: str, function: Callable[[Any, Any], Any], doc: str) -> Operator:
    """Register an operator of two inputs, x1 and x2, computed in floating numbers."""

    def body(x1: Any, x2: Any) -> Any:
        x1, x2 = aligned(x1, x2)
        return function(real(x1), real(x2))

    body.__doc__, body.__name__ = doc, name
    return register(Operator(name, body, shape=broadcast, dtype=division_dtype))


def with_number(name: str, source: str, doc: str, aliases: tuple[str, ...] = ()) -> Operator:
    """Register an operator of an array and a number that computes what a plain operator does."""
    found = registry.get(source)
    function = found.body

    def body(data: Any, *, scalar: Double = 1.0, is_int: bool = True) -> Any:
        return function(data, scalar=scalar, is_int=is_int)

    body.__doc__, body.__name__ = doc, name
    return register(Operator(name, body, aliases=aliases, shape=elementwise, dtype=scalar_dtype))


def scalar_division(name: str, function: Callable[[Any, float], Any], doc: str) -> Operator:
    """Register a division by or of a number: floating arrays keep their type, all others become float32."""

    def body(data: Any, *, scalar: Double = 1.0, is_int: bool = True) -> Any:
        return function(real(data), scalar)

    body.__doc__, body.__name__ = doc, name
    return register(Operator(name, body, shape=elementwise, dtype=division_dtype))


def _computed_as_floats(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    # integers are computed in float32 and cut back, as MXNet computes them
    def compute(lhs: Any, rhs: Any) -> Any:
        if lhs.is_floating_point():
            return function(lhs, rhs)
        return function(lhs.to(torch.float32), rhs.to(torch.float32)).to(lhs.dtype)

    return compute


def _power(lhs: Any, rhs: Any) -> Any:
    return lhs | ~rhs if lhs.dtype == torch.bool else power(lhs, rhs)


def _copysign_gradient(saved: Any, grad: Any) -> tuple[Any, Any]:
    lhs, rhs = saved.args
    return summed_to(torch.where((lhs >= 0) == (rhs >= 0), grad, -grad), lhs), torch.zeros_like(rhs)


@with_gradient(_copysign_gradient)
def _copysign(lhs: Any, rhs: Any) -> Any:
    return torch.where((lhs >= 0) == (rhs >= 0), lhs, -lhs)


def _like(scalar: float, data: Any) -> Any:
    return torch.scalar_tensor(scalar, dtype=data.dtype, device=data.device)


def _angle_gradient(saved: Any, grad: Any) -> tuple[Any, Any]:
    # NaN at the origin, where torch has 0
    x1, x2 = saved.args
    square = x1 * x1 + x2 * x2
    return summed_to(grad * x2 / square, x1), summed_to(-grad * x1 / square, x2)


@with_gradient(_angle_gradient)
def _arctan2(x1: Any, x2: Any) -> Any:
    return torch.atan2(x1, x2)


def _ldexp(lhs: Any, rhs: Any) -> Any:
    return lhs * torch.exp2(rhs)


arithmetic("_npi_add", lambda lhs, rhs: torch.add(lhs, rhs), "The sum.")
arithmetic("_npi_subtract", lambda lhs, rhs: torch.sub(lhs, rhs), "The difference.", booleans=False)
arithmetic("_npi_multiply", lambda lhs, rhs: torch.mul(lhs, rhs), "The product.")
arithmetic(
    "_npi_true_divide",
    lambda lhs, rhs: torch.div(real(lhs), real(rhs)),
    "The quotient as a floating number; of integers, float32.",
    dtype=division_dtype,
)
arithmetic(
    "_npi_mod", modulo, "The remainder with the divisor's sign; 0 where the divisor is 0, unlike NumPy.", booleans=False
)
arithmetic("_npi_power", _power, "lhs to the power rhs; an integer result is cut towards 0.")
arithmetic("_npi_copysign", _copysign, "lhs with the sign of rhs; 0 counts as positive.", booleans=False)
arithmetic("_npi_ldexp", _computed_as_floats(_ldexp), "lhs times 2 to the power rhs.", booleans=False)
angles("_npi_arctan2", _arctan2, "The angle in radians, -pi to pi, of the point (x2, x1).")
angles("_npi_hypot", lambda x1, x2: torch.hypot(x1, x2), "The hypotenuse, sqrt(x1^2 + x2^2).")

with_number("_npi_add_scalar", "_plus_scalar", "data + scalar.")
with_number("_npi_subtract_scalar", "_minus_scalar", "data - scalar.")
with_number("_npi_rsubtract_scalar", "_rminus_scalar", "scalar - data.")
with_number("_npi_multiply_scalar", "_mul_scalar", "data * scalar.")
with_number("_npi_mod_scalar", "_mod_scalar", "The remainder of data / scalar with scalar's sign.")
with_number("_npi_rmod_scalar", "_rmod_scalar", "The remainder of scalar / data with data's sign.")
with_number("_npi_power_scalar", "_power_scalar", "data to the power scalar.")
with_number("_npi_rpower_scalar", "_rpower_scalar", "scalar to the power data.")
scalar_division("_npi_true_divide_scalar", lambda data, s: torch.div(data, s), "data / scalar, floating.")
scalar_division("_npi_rtrue_divide_scalar", lambda data, s: s / data, "scalar / data, floating.")


def _swapped_gradient(saved: Any, grad: Any) -> Any:
    # MXNet takes the two operands for each other here, and models were trained with that
    data, scalar = saved.args
    return -grad * data / (data * data + scalar * scalar)


@with_gradient(_swapped_gradient)
def _angle_of_number(data: Any, scalar: float) -> Any:
    return torch.atan2(_like(scalar, data), data)


with_scalar("_npi_copysign_scalar", lambda data, s: _copysign(data, _like(s, data)), "data with scalar's sign.")
with_scalar("_npi_rcopysign_scalar", lambda data, s: _copysign(_like(s, data), data), "scalar with data's sign.")
with_scalar(
    "_npi_arctan2_scalar",
    lambda data, s: _arctan2(data, _like(s, data)),
    "The angle of the point (scalar, data).",
    whole=False,
)
with_scalar(
    "_npi_rarctan2_scalar",
    _angle_of_number,
    "The angle of the point (data, scalar); its gradient is MXNet's -data / (data^2 + scalar^2).",
    whole=False,
)
with_scalar("_npi_ldexp_scalar", lambda data, s: data * 2.0**s, "data times 2 to the power scalar.", whole=False)
with_scalar(
    "_npi_rldexp_scalar", lambda data, s: s * torch.exp2(data), "scalar times 2 to the power data.", whole=False
)


def _fmax(lhs: Any, rhs: Any) -> Any:
    # at a tie the gradient goes to lhs; torch.fmax would halve it
    return torch.where((lhs >= rhs) | _nan(rhs), lhs, rhs)


def _fmin(lhs: Any, rhs: Any) -> Any:
    return torch.where((lhs <= rhs) | _nan(rhs), lhs, rhs)


def _nan(data: Any) -> Any:
    return torch.isnan(data) if data.is_floating_point() else torch.zeros_like(data, dtype=torch.bool)


def _floor_divide(lhs: Any, rhs: Any) -> Any:
    if not lhs.is_floating_point():
        return torch.floor_divide(lhs, rhs.masked_fill(rhs == 0, 1)).masked_fill(rhs == 0, 0)
    return torch.div(lhs, rhs, rounding_mode="floor").detach()


def _fmod(lhs: Any, rhs: Any) -> Any:
    if not lhs.is_floating_point():
        return torch.fmod(lhs, rhs.masked_fill(rhs == 0, 1)).masked_fill(rhs == 0, 0)
    return torch.fmod(lhs, rhs)


def _newer(name: str, function: Callable[[Any, Any], Any], words: str, reverse: bool = False) -> None:
    """Operators of MXNet 2.0 on two arrays and on an array and a number, and those with the number first."""
    last = "MXNet 1.9.1 lacks it."
    arithmetic(f"_npi_{name}", function, f"{words.format('lhs', 'rhs')}\n\n{last}", booleans=False)
    doc = f"{words.format('data', 'scalar')}\n\n{last}"
    with_scalar(f"_npi_{name}_scalar", lambda data, s: function(data, _like(s, data)), doc)
    if reverse:
        doc = f"{words.format('scalar', 'data')}\n\n{last}"
        with_scalar(f"_npi_r{name}_scalar", lambda data, s: function(_like(s, data), data), doc)


_newer("fmax", _fmax, "The greater of {} and {}, or the one that is not NaN; at a tie the gradient goes to the first.")
_newer("fmin", _fmin, "The lesser of {} and {}, or the one that is not NaN; at a tie the gradient goes to the first.")
_newer("fmod", _fmod, "The remainder of {} / {} with the first one's sign.", reverse=True)
_newer("floor_divide", _floor_divide, "The largest whole number not above {} / {}; no gradient passes.", reverse=True)
