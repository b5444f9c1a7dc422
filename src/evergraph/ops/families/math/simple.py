"""Small functions that users' tutorials and quantised networks left in MXNet: quadratic, straight-through steps."""

from typing import Any

from evergraph.ops.families.math.unary import round_half_away
from evergraph.ops.gradients import with_gradient
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import elementwise
from evergraph.ops.types import Double

__all__: list[str] = []


@operator(shape=elementwise)
def _contrib_quadratic(data, *, a: float = 0.0, b: float = 0.0, c: float = 0.0):
    """The polynomial a * data^2 + b * data + c."""
    real = data if data.is_floating_point() else data.to(torch.float32)
    return (a * real * real + b * real + c).to(data.dtype)


@with_gradient(lambda saved, grad: grad * saved.args[1])
def _scaled_back(data: Any, scalar: float) -> Any:
    return data.clone()


@operator(shape=elementwise)
def _contrib_gradientmultiplier(data, *, scalar: Double = 1.0, is_int: bool = True):
    """A copy of data whose gradient is multiplied by `scalar`; a negative one reverses it."""
    return _scaled_back(data, scalar)


@with_gradient(lambda _, grad: grad)
def _rounded(data: Any) -> Any:
    return round_half_away(data) if data.is_floating_point() else data.clone()


@with_gradient(lambda _, grad: grad)
def _signed(data: Any) -> Any:
    return torch.sign(data)


@operator(aliases=("_sparse__contrib_round_ste",), shape=elementwise)
def _contrib_round_ste(data):
    """The nearest whole number, halves away from 0; the gradient passes as it is (straight through)."""
    return _rounded(data)


@operator(aliases=("_sparse__contrib_sign_ste",), shape=elementwise)
def _contrib_sign_ste(data):
    """-1, 0 or 1; the gradient passes as it is (straight through)."""
    return _signed(data)
