"""Comparisons of two arrays, or an array and a number; the answers are boolean."""

from collections.abc import Callable
from typing import Any

from evergraph.ops.families.numpy.promotion import aligned
from evergraph.ops.lazy import torch
from evergraph.ops.registry import register
from evergraph.ops.rules import broadcast, elementwise, fixed_dtype
from evergraph.ops.schema import Operator
from evergraph.ops.types import Double

__all__ = ["comparison"]


def comparison(name: str, function: Callable[[Any, Any], Any], doc: str, scalar_doc: str) -> None:
    """Register a comparison of lhs with rhs, and of data with scalar."""

    def body(lhs: Any, rhs: Any) -> Any:
        return function(*aligned(lhs, rhs))

    def scalar_body(data: Any, *, scalar: Double = 1.0, is_int: bool = True) -> Any:
        if data.dtype == torch.bool:
            return function(data, bool(scalar))
        if data.is_floating_point():
            return function(data, scalar)
        # a whole number is compared as an integer, any other in float64
        return function(data, int(scalar)) if is_int else function(data.to(torch.float64), scalar)

    body.__doc__, body.__name__ = doc, name
    scalar_body.__doc__, scalar_body.__name__ = scalar_doc, f"{name}_scalar"
    register(Operator(f"_npi_{name}", body, shape=broadcast, dtype=fixed_dtype("bool")))
    register(Operator(f"_npi_{name}_scalar", scalar_body, shape=elementwise, dtype=fixed_dtype("bool")))


def _family(name: str, function: Callable[[Any, Any], Any], words: str) -> None:
    comparison(name, function, f"True where lhs {words} rhs.", f"True where data {words} scalar.")


_family("equal", lambda lhs, rhs: lhs == rhs, "equals")
_family("not_equal", lambda lhs, rhs: lhs != rhs, "differs from")
_family("greater", lambda lhs, rhs: lhs > rhs, "is greater than")
_family("greater_equal", lambda lhs, rhs: lhs >= rhs, "is at least")
_family("less", lambda lhs, rhs: lhs < rhs, "is less than")
_family("less_equal", lambda lhs, rhs: lhs <= rhs, "is at most")


def _logical(name: str, function: Callable[[Any, Any], Any], words: str) -> None:
    last = "MXNet 1.9.1 lacks it."

    def body(lhs: Any, rhs: Any) -> Any:
        return function(lhs, rhs)

    def scalar_body(data: Any, *, scalar: Double = 1.0, is_int: bool = True) -> Any:
        return function(data, torch.scalar_tensor(bool(scalar), dtype=torch.bool, device=data.device))

    body.__doc__, body.__name__ = f"True where {words.format('lhs', 'rhs')}.\n\n{last}", name
    scalar_body.__doc__ = f"True where {words.format('data', 'scalar')}.\n\n{last}"
    scalar_body.__name__ = f"{name}_scalar"
    register(Operator(f"_npi_{name}", body, shape=broadcast, dtype=fixed_dtype("bool")))
    register(Operator(f"_npi_{name}_scalar", scalar_body, shape=elementwise, dtype=fixed_dtype("bool")))


_logical("logical_and", lambda lhs, rhs: torch.logical_and(lhs, rhs), "neither {} nor {} is 0")
_logical("logical_or", lambda lhs, rhs: torch.logical_or(lhs, rhs), "{} or {} is not 0")
_logical("logical_xor", lambda lhs, rhs: torch.logical_xor(lhs, rhs), "just one of {} and {} is not 0")
