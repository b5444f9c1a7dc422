"""Functions of an array and a number."""

from collections.abc import Callable
from typing import Any

from evergraph.ops.families.math.binary import modulo
from evergraph.ops.gradients import with_gradient
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator, register
from evergraph.ops.rules import elementwise
from evergraph.ops.schema import Operator
from evergraph.ops.types import Double

__all__ = ["promoted", "scalar_dtype", "with_scalar"]


def _half(scalar: float) -> float:
    return torch.tensor(scalar, dtype=torch.float16).item()


def _cut(scalar: float, limits: Any) -> int:
    """A number as an integer of an array's type, as a processor cuts it for MXNet.

    What 32 bits cannot hold (64 for int64), infinities and NaN included, becomes the least number that they can; of
    what they can hold, narrower types keep the low bits.
    """
    if limits.min <= scalar <= limits.max:
        return int(scalar)
    least = -(1 << (max(limits.bits, 32) - 1))
    number = int(scalar) if least - 1 < scalar < -least else least
    return (number - limits.min) % (1 << limits.bits) + limits.min


def promoted(data: Any, scalar: float, is_int: bool) -> tuple[Any, float]:
    """The array and the number in the type that they are computed in.

    Floating arrays keep their type. Integer arrays keep theirs for an integer scalar (a fraction is cut off), and
    become float64 for any other; boolean ones become int64 or float64.
    """
    if data.is_floating_point():
        # the number is held in the array's type
        return data, _half(scalar) if data.dtype == torch.float16 else scalar
    if not is_int:
        return data.to(torch.float64), scalar
    data = data.to(torch.int64) if data.dtype == torch.bool else data
    return data, _cut(scalar, torch.iinfo(data.dtype))


def scalar_dtype(p: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    """The output's type by that of the array and whether the number is an integer; see `promoted`."""
    name = ins[0] if ins[0] is not None else outs[0]
    if ins[0] is not None and "float" not in ins[0]:
        name = "float64" if not p.is_int else "int64" if ins[0] == "bool" else ins[0]
    return [ins[0] if ins[0] is not None else name], [name]


def with_scalar(
    name: str, function: Callable[[Any, Any], Any], doc: str, aliases: tuple[str, ...] = (), whole: bool = True
) -> Operator:
    """Register an operator of one input, data, and a number, scalar.

    Args:
        name: canonical name.
        function: (tensor, number) -> tensor.
        doc: documentation.
        aliases: other names.
        whole: whether the function works on integers; others are computed in float32 and cut back.
    """

    def body(data: Any, *, scalar: Double = 1.0, is_int: bool = True) -> Any:
        data, scalar = promoted(data, scalar, is_int)
        if whole or data.is_floating_point():
            return function(data, scalar)
        return function(data.to(torch.float32), scalar).to(data.dtype)

    body.__doc__, body.__name__ = doc, name.lstrip("_")
    return register(Operator(name, body, aliases=aliases, shape=elementwise, dtype=scalar_dtype))


def _as_tensor(scalar: float, like: Any) -> Any:
    return torch.scalar_tensor(scalar, dtype=like.dtype, device=like.device)


def _divided(data: Any, scalar: Any) -> Any:
    if data.is_floating_point():
        return torch.div(data, scalar)
    return torch.div(data, scalar, rounding_mode="trunc")


def _dividing(data: Any, scalar: Any) -> Any:
    rounding = None if data.is_floating_point() else "trunc"
    return torch.div(_as_tensor(scalar, data), data, rounding_mode=rounding)


def _remainder(data: Any, scalar: Any) -> Any:
    # torch's gradient (1) is MXNet's too; only a divisor of 0 is not
    return torch.remainder(data, scalar) if scalar else modulo(data, _as_tensor(scalar, data))


def _remainder_of(data: Any, scalar: Any) -> Any:
    return modulo(_as_tensor(scalar, data), data)


@with_gradient(lambda saved, grad: grad * (torch.pow(saved.args[0], -1) * 0))
def _to_the_zeroth(data: Any) -> Any:
    return torch.ones_like(data)


def _power(data: Any, scalar: float) -> Any:
    # at 0 MXNet's gradient is NaN, where torch's is 0
    return torch.pow(data, scalar) if scalar else _to_the_zeroth(data)


@with_gradient(lambda saved, grad: grad * (saved.outputs[0] * torch.log(torch.zeros_like(grad))))
def _zero_to_the(data: Any) -> Any:
    return torch.pow(0.0, data)


def _power_of(data: Any, scalar: float) -> Any:
    return torch.pow(scalar, data) if scalar else _zero_to_the(data)


def _truth(value: Any, like: Any) -> Any:
    return value.to(like.dtype)


def _xor(data: Any, scalar: float) -> Any:
    return _truth(data == 0 if scalar else data != 0, data)


with_scalar("_plus_scalar", lambda data, s: torch.add(data, s), "data + scalar.", ("_PlusScalar",))
with_scalar("_minus_scalar", lambda data, s: torch.sub(data, s), "data - scalar.", ("_MinusScalar",))
with_scalar("_rminus_scalar", lambda data, s: torch.rsub(data, s), "scalar - data.", ("_RMinusScalar",))
with_scalar("_mul_scalar", lambda data, s: torch.mul(data, s), "data * scalar.", ("_MulScalar",))
with_scalar("_div_scalar", _divided, "data / scalar; of integers, cut towards 0.", ("_DivScalar",))
with_scalar("_rdiv_scalar", _dividing, "scalar / data; of integers, cut towards 0.", ("_RDivScalar",))
with_scalar("_mod_scalar", _remainder, "The remainder of data / scalar with scalar's sign.", ("_ModScalar",))
with_scalar("_rmod_scalar", _remainder_of, "The remainder of scalar / data with data's sign.", ("_RModScalar",))
with_scalar("_power_scalar", _power, "data to the power scalar.", ("_PowerScalar",), whole=False)
with_scalar("_rpower_scalar", _power_of, "scalar to the power data.", ("_RPowerScalar",), whole=False)
with_scalar(
    "_maximum_scalar",
    lambda data, s: torch.clamp(data, min=s),
    "The greater of data and scalar; at a tie the gradient goes to data.",
    ("_MaximumScalar", "_npi_maximum_scalar"),
)
with_scalar(
    "_minimum_scalar",
    lambda data, s: torch.clamp(data, max=s),
    "The lesser of data and scalar; at a tie the gradient goes to data.",
    ("_MinimumScalar", "_npi_minimum_scalar"),
)
with_scalar(
    "_hypot_scalar",
    lambda data, s: torch.hypot(data, _as_tensor(s, data)),
    "The hypotenuse, sqrt(data^2 + scalar^2).",
    ("_HypotScalar", "_npi_hypot_scalar"),
    whole=False,
)
with_scalar(
    "_equal_scalar", lambda data, s: _truth(data == s, data), "1 where data equals scalar, else 0.", ("_EqualScalar",)
)
with_scalar(
    "_not_equal_scalar",
    lambda data, s: _truth(data != s, data),
    "1 where data differs from scalar, else 0.",
    ("_NotEqualScalar",),
)
with_scalar(
    "_greater_scalar",
    lambda data, s: _truth(data > s, data),
    "1 where data is greater than scalar, else 0.",
    ("_GreaterScalar",),
)
with_scalar(
    "_greater_equal_scalar",
    lambda data, s: _truth(data >= s, data),
    "1 where data is at least scalar, else 0.",
    ("_GreaterEqualScalar",),
)
with_scalar(
    "_lesser_scalar",
    lambda data, s: _truth(data < s, data),
    "1 where data is less than scalar, else 0.",
    ("_LesserScalar",),
)
with_scalar(
    "_lesser_equal_scalar",
    lambda data, s: _truth(data <= s, data),
    "1 where data is at most scalar, else 0.",
    ("_LesserEqualScalar",),
)
with_scalar(
    "_logical_and_scalar",
    lambda data, s: _truth(data != 0, data) if s else torch.zeros_like(data),
    "1 where neither data nor scalar is 0, else 0.",
    ("_LogicalAndScalar",),
)
with_scalar(
    "_logical_or_scalar",
    lambda data, s: torch.ones_like(data) if s else _truth(data != 0, data),
    "1 where data or scalar is not 0, else 0.",
    ("_LogicalOrScalar",),
)
with_scalar("_logical_xor_scalar", _xor, "1 where just one of data and scalar is not 0.", ("_LogicalXorScalar",))
with_scalar(
    "_scatter_plus_scalar",
    lambda data, s: torch.add(data, s),
    "data + scalar; a sparse array is changed where it is stored, and stays sparse.",
)
with_scalar(
    "_scatter_minus_scalar",
    lambda data, s: torch.sub(data, s),
    "data - scalar; a sparse array is changed where it is stored, and stays sparse.",
)


def _clipped(data: Any, low: float, high: float) -> Any:
    # MXNet asks for the upper limit first, which shows where they are crossed
    return torch.clamp(data, low, high) if low <= high else torch.where(data > high, high, torch.clamp(data, min=low))


@operator(aliases=("_npi_clip", "_sparse_clip"), shape=elementwise)
def clip(data, *, a_min: float, a_max: float):
    """Values drawn in between a_min and a_max; the gradient passes where a value is not changed, limits included."""
    if not data.is_floating_point():
        # limits that the type does not hold are never met from inside, and wrap around where they are given
        return _clipped(data.to(torch.int64), int(a_min), int(a_max)).to(data.dtype)
    return _clipped(data, a_min, a_max)


@clip.quickened
def _clip_quickly(p: Any, recorded: bool, data: Any) -> Any:
    clamp, low, high = torch.clamp, p.a_min, p.a_max
    return (lambda x: clamp(x, low, high)) if data.is_floating_point() and low <= high else None
