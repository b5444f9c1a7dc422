"""Functions of two arrays: on equal shapes (`elemwise_*`, `_*`) and broadcasting (`broadcast_*`)."""

from collections.abc import Callable
from typing import Any

from evergraph.errors import ShapeError
from evergraph.ops.gradients import with_gradient
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator, register
from evergraph.ops.rules import ShapeRule, broadcast, elementwise
from evergraph.ops.schema import Operator

__all__ = ["binary", "divide", "maximum", "minimum", "modulo", "power", "summed_to"]


def summed_to(grad: Any, like: Any) -> Any:
    """A broadcast operand's gradient, added up over the axes that were repeated."""
    return grad.sum_to_size(like.shape) if grad.shape != like.shape else grad


def divide(lhs: Any, rhs: Any) -> Any:
    """The quotient; of integers, cut towards 0 as in C."""
    if lhs.is_floating_point():
        return torch.div(lhs, rhs)
    return torch.div(lhs, rhs, rounding_mode="trunc")


def _modulo_gradient(saved: Any, grad: Any) -> tuple[Any, Any]:
    lhs, rhs = saved.args
    return summed_to(grad, lhs), summed_to(-grad * torch.floor(lhs / rhs), rhs)


@with_gradient(_modulo_gradient)
def modulo(lhs: Any, rhs: Any) -> Any:
    """The remainder with the divisor's sign; 0 where the divisor is 0."""
    zero = rhs == 0
    if lhs.is_floating_point():
        return torch.remainder(lhs, rhs).masked_fill(zero, 0)
    return torch.remainder(lhs, rhs.masked_fill(zero, 1))


def _power_gradient(saved: Any, grad: Any) -> tuple[Any, Any]:
    lhs, rhs = saved.args
    by_base = grad * (rhs * torch.pow(lhs, rhs - 1))
    return summed_to(by_base, lhs), summed_to(grad * (saved.outputs[0] * torch.log(lhs)), rhs)


@with_gradient(_power_gradient)
def _real_power(lhs: Any, rhs: Any) -> Any:
    return torch.pow(lhs, rhs)


def power(lhs: Any, rhs: Any) -> Any:
    """The power lhs^rhs; at 0 the gradients are what the formulas give, NaN and infinity included."""
    if lhs.is_floating_point():
        return _real_power(lhs, rhs)
    return torch.pow(lhs.to(torch.float32), rhs.to(torch.float32)).to(lhs.dtype)


def maximum(lhs: Any, rhs: Any) -> Any:
    """The greater operand; at a tie the gradient goes to lhs."""
    if torch.is_grad_enabled() and (lhs.requires_grad or rhs.requires_grad):
        return torch.where((lhs >= rhs) | lhs.isnan(), lhs, rhs)
    return torch.maximum(lhs, rhs)


def minimum(lhs: Any, rhs: Any) -> Any:
    """The lesser operand; at a tie the gradient goes to lhs."""
    if torch.is_grad_enabled() and (lhs.requires_grad or rhs.requires_grad):
        return torch.where((lhs <= rhs) | lhs.isnan(), lhs, rhs)
    return torch.minimum(lhs, rhs)


def _hypot(lhs: Any, rhs: Any) -> Any:
    if lhs.is_floating_point():
        return torch.hypot(lhs, rhs)
    return torch.hypot(lhs.to(torch.float32), rhs.to(torch.float32)).to(lhs.dtype)


def _judged(test: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    # comparisons answer in the operands' own type
    return lambda lhs, rhs: test(lhs, rhs).to(lhs.dtype)


def binary(
    name: str, function: Callable[[Any, Any], Any], doc: str, aliases: tuple[str, ...] = (), broadcasts: bool = False
) -> Operator:
    """Register an element-wise operator of two inputs named lhs and rhs.

    Args:
        name: canonical name.
        function: the computation on two tensors, which may broadcast.
        doc: documentation.
        aliases: other names.
        broadcasts: whether shapes may differ where one has 1; otherwise they must be equal.
    """

    def paired(lhs: Any, rhs: Any) -> Any:
        if lhs.shape != rhs.shape:
            raise ShapeError(
                f"inputs of {name} differ in shape",
                expected=f"rhs {tuple(lhs.shape)}, as lhs",
                found=tuple(rhs.shape),
                fix="the broadcast_ operators take shapes that differ",
            )
        return function(lhs, rhs)

    def free(lhs: Any, rhs: Any) -> Any:
        return function(lhs, rhs)

    body = free if broadcasts else paired
    body.__doc__, body.__name__ = doc, name.lstrip("_")
    rule: ShapeRule = broadcast if broadcasts else elementwise
    found = Operator(name, body, aliases=aliases, shape=rule)
    found.quick = _quickly(name.removeprefix("broadcast_").removeprefix("elemwise_"), function, broadcasts)
    return register(found)


def _quickly(name: str, function: Callable[[Any, Any], Any], broadcasts: bool) -> Callable[..., Any]:
    """The quick computation of floating numbers: torch's own function, where it is the same."""

    def rule(p: Any, recorded: bool, lhs: Any, rhs: Any) -> Any:
        if not lhs.is_floating_point() or not rhs.is_floating_point():
            return None
        compute = getattr(torch, name) if name in ("add", "sub", "mul", "div") else function

        def paired(lhs: Any, rhs: Any) -> Any:
            # of two shapes of one rank that broadcast, one is smaller than the result; counting is half of comparing
            found = compute(lhs, rhs)
            count = found.numel()
            if lhs.numel() != count or rhs.numel() != count or (not count and lhs.shape != rhs.shape):
                raise ValueError(rhs.shape)
            return found

        return compute if broadcasts else paired

    return rule


def _family(
    name: str,
    function: Callable[[Any, Any], Any],
    doc: str,
    plain: str = "",
    plain_aliases: tuple[str, ...] = (),
    aliases: tuple[str, ...] = (),
) -> None:
    binary(plain or f"_{name}", function, f"{doc} The shapes are equal.", plain_aliases)
    binary(f"broadcast_{name}", function, f"{doc} The shapes broadcast.", aliases, broadcasts=True)


_family(
    "add",
    lambda lhs, rhs: torch.add(lhs, rhs),
    "The sum.",
    "elemwise_add",
    ("_Plus", "_add", "_plus", "_sparse_elemwise_add"),
    ("_sparse_broadcast_add", "_sparse_broadcast_plus", "broadcast_plus"),
)
_family(
    "sub",
    lambda lhs, rhs: torch.sub(lhs, rhs),
    "The difference.",
    "elemwise_sub",
    ("_Minus", "_minus", "_sparse_elemwise_sub", "_sub"),
    ("_sparse_broadcast_minus", "_sparse_broadcast_sub", "broadcast_minus"),
)
_family(
    "mul",
    lambda lhs, rhs: torch.mul(lhs, rhs),
    "The product.",
    "elemwise_mul",
    ("_Mul", "_mul", "_sparse_elemwise_mul"),
    ("_sparse_broadcast_mul",),
)
_family(
    "div",
    divide,
    "The quotient; of integers, cut towards 0.",
    "elemwise_div",
    ("_Div", "_div", "_sparse_elemwise_div"),
    ("_sparse_broadcast_div",),
)
_family("mod", modulo, "The remainder with the divisor's sign, 0 where the divisor is 0.", "", ("_Mod",))
_family("power", power, "lhs to the power rhs.", "", ("_Power",))
_family("hypot", _hypot, "The hypotenuse, sqrt(lhs^2 + rhs^2).", "", ("_Hypot",))
_family(
    "maximum",
    maximum,
    "The greater operand; at a tie the gradient goes to lhs.",
    "",
    ("_Maximum",),
    ("_npi_maximum",),
)
_family(
    "minimum", minimum, "The lesser operand; at a tie the gradient goes to lhs.", "", ("_Minimum",), ("_npi_minimum",)
)
_family("equal", _judged(lambda lhs, rhs: lhs == rhs), "1 where the operands are equal, else 0.", "", ("_Equal",))
_family("not_equal", _judged(lambda lhs, rhs: lhs != rhs), "1 where the operands differ, else 0.", "", ("_Not_Equal",))
_family("greater", _judged(lambda lhs, rhs: lhs > rhs), "1 where lhs is greater, else 0.", "", ("_Greater",))
_family(
    "greater_equal",
    _judged(lambda lhs, rhs: lhs >= rhs),
    "1 where lhs is greater or equal, else 0.",
    "",
    ("_Greater_Equal",),
)
_family("lesser", _judged(lambda lhs, rhs: lhs < rhs), "1 where lhs is less, else 0.", "", ("_Lesser",))
_family(
    "lesser_equal",
    _judged(lambda lhs, rhs: lhs <= rhs),
    "1 where lhs is less or equal, else 0.",
    "",
    ("_Lesser_Equal",),
)
_family(
    "logical_and",
    _judged(lambda lhs, rhs: torch.logical_and(lhs, rhs)),
    "1 where neither operand is 0, else 0.",
    "",
    ("_Logical_And",),
)
_family(
    "logical_or",
    _judged(lambda lhs, rhs: torch.logical_or(lhs, rhs)),
    "1 where an operand is not 0, else 0.",
    "",
    ("_Logical_Or",),
)
_family(
    "logical_xor",
    _judged(lambda lhs, rhs: torch.logical_xor(lhs, rhs)),
    "1 where just one operand is not 0, else 0.",
    "",
    ("_Logical_Xor",),
)
binary("_grad_add", lambda lhs, rhs: torch.add(lhs, rhs), "The sum of two gradients. The shapes are equal.")
binary("_scatter_elemwise_div", divide, "The quotient; a sparse lhs is divided where it is stored, and stays sparse.")


@operator(
    aliases=("ElementWiseSum", "_sparse_ElementWiseSum", "_sparse_add_n"),
    shape=elementwise,
    retired={"num_args": "the inputs are counted"},
)
def add_n(*args):
    """The sum of any number of arrays of one shape."""
    shape = args[0].shape
    for each in args:
        if each.shape != shape:
            raise ShapeError("inputs of add_n differ in shape", expected=tuple(shape), found=tuple(each.shape))
    total = args[0].clone() if len(args) == 1 else args[0] + args[1]
    for each in args[2:]:
        total = total + each
    return total


@add_n.quickened
def _add_quickly(p: Any, recorded: bool, *args: Any) -> Any:
    if len(args) == 1:
        return None

    def total(first: Any, second: Any, *rest: Any) -> Any:
        shape = first.shape
        if second.shape != shape:
            raise ValueError  # said better by the long way
        found = first + second
        for each in rest:
            if each.shape != shape:
                raise ValueError
            found = found + each
        return found

    return total
