"""Functions of whole numbers: bits and common multiples."""

from collections.abc import Callable
from typing import Any

from evergraph.errors import OperatorError
from evergraph.ops.families.numpy.promotion import aligned, promoted_dtype
from evergraph.ops.lazy import torch
from evergraph.ops.registry import register
from evergraph.ops.rules import broadcast, elementwise
from evergraph.ops.schema import Operator
from evergraph.ops.types import Double

__all__ = ["integral"]


def _whole(name: str, data: Any) -> Any:
    if data.is_floating_point():
        found = str(data.dtype).removeprefix("torch.")
        raise OperatorError(f"{name} takes whole numbers", expected="integers or booleans", found=found)
    return data


def integral(name: str, function: Callable[[Any, Any], Any], doc: str, scalar_doc: str, reverse_doc: str = "") -> None:
    """Register a function of the integers or booleans lhs and rhs, and of data and scalar (its fraction is cut off).

    Args:
        name: canonical name; `_scalar` is added to it for the second operator.
        function: the computation on two tensors of one type.
        doc: documentation of the first operator.
        scalar_doc: documentation of the second.
        reverse_doc: documentation of a third one, of scalar and data, where there is one.
    """

    def body(lhs: Any, rhs: Any) -> Any:
        lhs, rhs = aligned(_whole(name, lhs), _whole(name, rhs))
        return function(lhs, rhs)

    def number(scalar: float, data: Any) -> Any:
        # in the array's own type: true stands for anything but 0
        held = bool(scalar) if _whole(name, data).dtype == torch.bool else int(scalar)
        # bits that the type does not have fall off
        return torch.scalar_tensor(held, dtype=torch.int64, device=data.device).to(data.dtype)

    def scalar_body(data: Any, *, scalar: Double = 1.0, is_int: bool = True) -> Any:
        return function(data, number(scalar, data))

    def reverse_body(data: Any, *, scalar: Double = 1.0, is_int: bool = True) -> Any:
        return function(number(scalar, data), data)

    body.__doc__, scalar_body.__doc__, reverse_body.__doc__ = doc, scalar_doc, reverse_doc
    body.__name__, scalar_body.__name__ = name, f"{name}_scalar"
    register(Operator(name, body, shape=broadcast, dtype=promoted_dtype))
    register(Operator(f"{name}_scalar", scalar_body, shape=elementwise))
    if reverse_doc:
        register(Operator(f"_npi_r{name.removeprefix('_npi_')}_scalar", reverse_body, shape=elementwise))


def _common_multiple(lhs: Any, rhs: Any) -> Any:
    return lhs & rhs if lhs.dtype == torch.bool else torch.lcm(lhs, rhs)


integral(
    "_npi_bitwise_and",
    lambda lhs, rhs: torch.bitwise_and(lhs, rhs),
    "The bits that both have.",
    "The bits that both data and scalar have.",
)
integral(
    "_npi_bitwise_or",
    lambda lhs, rhs: torch.bitwise_or(lhs, rhs),
    "The bits that either has.",
    "The bits that data or scalar has.",
)
integral(
    "_npi_bitwise_xor",
    lambda lhs, rhs: torch.bitwise_xor(lhs, rhs),
    "The bits that just one has.",
    "The bits that just one of data and scalar has.",
)
integral(
    "_npi_lcm",
    _common_multiple,
    "The least common multiple, positive; 0 where one is 0.",
    "The least common multiple of data and scalar, positive.",
)


def _common_divisor(lhs: Any, rhs: Any) -> Any:
    return lhs | rhs if lhs.dtype == torch.bool else torch.gcd(lhs, rhs)


_LAST = "\n\nMXNet 1.9.1 lacks it."
integral(
    "_npi_gcd",
    _common_divisor,
    f"The greatest common divisor, positive.{_LAST}",
    f"The greatest common divisor of data and scalar, positive.{_LAST}",
)
integral(
    "_npi_bitwise_left_shift",
    lambda lhs, rhs: torch.bitwise_left_shift(lhs, rhs),
    f"The bits of lhs moved up rhs places.{_LAST}",
    f"The bits of data moved up `scalar` places.{_LAST}",
    f"The bits of `scalar` moved up data places.{_LAST}",
)
integral(
    "_npi_bitwise_right_shift",
    lambda lhs, rhs: torch.bitwise_right_shift(lhs, rhs),
    f"The bits of lhs moved down rhs places.{_LAST}",
    f"The bits of data moved down `scalar` places.{_LAST}",
    f"The bits of `scalar` moved down data places.{_LAST}",
)
