"""Activation functions: fixed ones, those with a slope, and the plain unary forms."""

from typing import Any, Literal

from evergraph.errors import ShapeError
from evergraph.ops.families.math.unary import unary
from evergraph.ops.gradients import with_gradient
from evergraph.ops.lazy import F, torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, elementwise, known, unify
from evergraph.ops.run import Run

__all__ = ["Activation", "LeakyReLU"]

_ACTIVATIONS: dict[str, Any] = {
    "log_sigmoid": lambda x: F.logsigmoid(x),
    "mish": lambda x: F.mish(x),
    "relu": lambda x: torch.relu(x),
    "sigmoid": lambda x: torch.sigmoid(x),
    "softrelu": lambda x: F.softplus(x),
    "softsign": lambda x: F.softsign(x),
    "tanh": lambda x: torch.tanh(x),
}

unary("relu", lambda data: torch.relu(data), "The larger of the value and 0; its gradient at 0 is 0.", exact=True)
unary("sigmoid", lambda data: torch.sigmoid(data), "1 / (1 + exp(-x)).")
unary("softsign", lambda data: F.softsign(data), "x / (1 + abs(x)).", ())
unary("_npx_relu", lambda data: torch.relu(data), "The larger of the value and 0; its gradient at 0 is 0.", (), True)
unary("_npx_sigmoid", lambda data: torch.sigmoid(data), "1 / (1 + exp(-x)).", ())


@operator(
    aliases=("_npx_activation",),
    shape=elementwise,
    # the last two came with 2.0
    description={"act_type": "{'relu', 'sigmoid', 'softrelu', 'softsign', 'tanh'}, required"},
)
def Activation(data, *, act_type: Literal["relu", "sigmoid", "softrelu", "softsign", "tanh", "log_sigmoid", "mish"]):
    """The activation function that act_type names, element by element; softrelu is log(1 + exp(x))."""
    return _ACTIVATIONS[act_type](data)


@Activation.quickened
def _activate_quickly(p: Any, recorded: bool, data: Any) -> Any:
    return getattr(torch, p.act_type) if p.act_type in ("relu", "sigmoid", "tanh") else _ACTIVATIONS[p.act_type]


@operator(shape=elementwise)
def hard_sigmoid(data, *, alpha: float = 0.2, beta: float = 0.5):
    """The line alpha * x + beta, cut to the range 0 to 1; the gradient at both limits is 0."""
    # hardtanh's gradient is 0 at its limits, clamp's is 1
    return F.hardtanh(data * alpha + beta, 0.0, 1.0)


_SELU_SCALE, _SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848


def _selu_gradient(saved: Any, grad: Any) -> Any:
    out = saved.outputs[0]
    # MXNet scales the output a second time on the negative side
    return grad * _SELU_SCALE * torch.where(out > 0, torch.ones_like(out), out + _SELU_ALPHA)


@with_gradient(_selu_gradient)
def _selu(data: Any) -> Any:
    return F.selu(data)


def _by_sign_of_output(saved: Any, grad: Any) -> tuple[Any, None]:
    # MXNet asks the output which side it came from, so that a negative slope passes the gradient whole
    out, slope = saved.outputs[0], saved.args[1]
    return grad * torch.where(out > 0, torch.ones_like(out), torch.full_like(out, slope)), None


def _by_sign_of_elu(saved: Any, grad: Any) -> tuple[Any, None]:
    out, slope = saved.outputs[0], saved.args[1]
    return grad * torch.where(out > 0, torch.ones_like(out), out + slope), None


@with_gradient(_by_sign_of_output)
def _leaky_falling(data: Any, slope: float) -> Any:
    return F.leaky_relu(data, slope)


@with_gradient(_by_sign_of_elu)
def _elu_falling(data: Any, slope: float) -> Any:
    return F.elu(data, slope)


def _slope_shape(data: tuple[Any, ...], slope: tuple[Any, ...]) -> tuple[int, ...]:
    """The shape in which a learned slope multiplies the data: its axes belong to the first two of the data.

    One of the data's rank is broadcast, as releases up to 1.3 did.
    """
    if len(slope) == len(data) and all(s in (1, d) for s, d in zip(slope, data, strict=True)):
        return tuple(slope)
    left = len(slope) - 1
    found = [1] * len(data)
    for axis in range(min(len(data) - 1, 1), -1, -1):
        if left >= 0 and slope[left] in (1, data[axis]):
            found[axis] = slope[left]
            left -= 1
    if left >= 0:
        raise ShapeError("the slope of LeakyReLU does not fit its data", expected=f"({data[1]},) or (1,)", found=slope)
    return tuple(found)


def _leaky(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    shape = unify(ins[0], outs[0], "output of LeakyReLU")
    if p.act_type == "prelu" and ins[1] is None and shape is not None and len(shape) > 1:
        ins[1] = (shape[1],)
    elif p.act_type == "prelu" and known(shape) and known(ins[1]):
        _slope_shape(shape, ins[1])  # type: ignore[arg-type]
    return [shape, *ins[1:]], [shape] * len(outs)


@operator(
    aliases=("_npx_leaky_relu",),
    shape=_leaky,
    outputs=lambda p: ("output", "mask") if p.act_type == "rrelu" else 1,
    visible=1,
    optional={"gamma": lambda p: p.act_type == "prelu"},
    # 2.0 tells the two forms of gelu apart
    description={"act_type": "{'elu', 'gelu', 'leaky', 'prelu', 'rrelu', 'selu'},optional, default='leaky'"},
)
def LeakyReLU(
    data,
    gamma: Any = None,
    *,
    act_type: Literal["elu", "gelu", "leaky", "prelu", "rrelu", "selu", "gelu_erf", "gelu_tanh"] = "leaky",
    slope: float = 0.25,
    lower_bound: float = 0.125,
    upper_bound: float = 0.334,
    run: Run,
):
    """The value where it is positive, and where it is not: slope * x (leaky), gamma * x (prelu), slope * (exp(x) - 1)
    (elu), a random slope between the bounds (rrelu; their mean in inference); selu and gelu have no slope.

    gamma holds one slope, or one for each channel (axis 1). The gradient at 0 takes the slope.
    """
    match act_type:
        case "leaky":
            return F.leaky_relu(data, slope) if slope >= 0 else _leaky_falling(data, slope)
        case "prelu":
            shape = _slope_shape(data.shape, gamma.shape)
            # torch's own kernel takes one slope, or one for each channel
            if gamma.ndim == 1 and (gamma.numel() == 1 or shape[1:2] == gamma.shape):
                return torch.prelu(data, gamma)
            return torch.where(data > 0, data, data * gamma.reshape(shape))
        case "elu":
            return F.elu(data, slope) if slope >= 0 else _elu_falling(data, slope)
        case "selu":
            return _selu(data)
        case "rrelu" if run.training:
            slopes = torch.empty_like(data).uniform_(lower_bound, upper_bound, generator=run.generator(data.device))
            return torch.where(data > 0, data, data * slopes), slopes
        case "rrelu":
            slope = (lower_bound + upper_bound) / 2
            return F.leaky_relu(data, slope), torch.full_like(data, slope)
        case _:
            return F.gelu(data, approximate="tanh" if act_type == "gelu_tanh" else "none")


@LeakyReLU.quickened
def _leaky_quickly(p: Any, recorded: bool, data: Any, *gamma: Any) -> Any:
    leaky, slope = F.leaky_relu, p.slope
    return (lambda x: leaky(x, slope)) if p.act_type == "leaky" and slope >= 0 else None
