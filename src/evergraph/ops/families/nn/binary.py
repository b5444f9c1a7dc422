"""Binary networks: the layers that BMXNet added to MXNet, as its published source computes them."""

import math
from typing import Any, Literal

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.families.nn.convolution import convolved_size
from evergraph.ops.families.nn.windows import check_rank, spread
from evergraph.ops.gradients import with_gradient
from evergraph.ops.lazy import F, torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, elementwise, unify
from evergraph.ops.run import Run
from evergraph.ops.schema import Params
from evergraph.ops.types import NonNegative, NonNegativeLong, Shape

__all__ = ["QActivation", "QConvolution", "QFullyConnected"]

_UNUSED = {"scaling_factor": "declared by early versions, and read by none"}
_UPDATES = Literal["bb", "bf", "ff"]


def _sign(x: Any) -> Any:
    return torch.where(x >= 0, 1.0, -1.0).to(x.dtype)


def _steps(x: Any, bits: int) -> Any:
    """Numbers from 0 to 1 rounded to 2**bits levels."""
    levels = float(2**bits - 1)
    return torch.floor(x * levels + 0.5) / levels


def _quantized_data(x: Any, bits: int) -> Any:
    return _sign(x) if bits == 1 else x if bits >= 32 else _steps(x.clamp(0, 1), bits)


def _quantized_weight(w: Any, bits: int) -> Any:
    if bits == 1:
        return _sign(w)
    if bits >= 32:
        return w
    bent = torch.tanh(w)
    return 2 * _steps(bent / (2 * bent.abs().max()) + 0.5, bits) - 1


def _unpacked(weight: Any) -> Any:
    """(words, bits) of 1 and -1 from words of 32 or 64 signs that are stored as floating point numbers."""
    whole = {torch.float32: torch.int32, torch.float64: torch.int64}.get(weight.dtype)
    if whole is None:
        raise OperatorError("packed binary weights are words", expected="float32 or float64", found=weight.dtype)
    bits = torch.arange(weight.element_size() * 8, dtype=whole, device=weight.device)
    words = weight.detach().reshape(-1).contiguous().view(whole)
    return ((words.unsqueeze(1) >> bits) & 1) * 2 - 1


def _refuse_training(run: Run, p: Any) -> None:
    if p.binarized_weights_only and run.training and torch.is_grad_enabled():
        raise OperatorError(
            "packed binary weights cannot be trained", fix="train the network from which the weights were packed"
        )


def _through_gradient(saved: Any, grad: Any) -> Any:
    return grad * (saved.args[0].abs() <= 1).to(grad.dtype), None, None


@with_gradient(_through_gradient)
def _activate(data: Any, act_bit: int, backward_only: bool) -> Any:
    return data.clone() if backward_only else _quantized_data(data, act_bit)


@operator(shape=elementwise)
def QActivation(data, *, act_bit: NonNegative = 1, backward_only: bool = False):
    """The sign of data (0 is positive), or with act_bit above 1 data cut to 0..1 and rounded to 2**act_bit levels.

    With backward_only the values stay as they are. The gradient passes where abs(data) is at most 1. From BMXNet.
    """
    return _activate(data, act_bit, backward_only)


def _finished(out: Any, terms: int, bias: Any, weight: Any, p: Any) -> Any:
    """A product of signs as a count of equal signs, then bias and scale."""
    binary = p.act_bit == 1 and p.weight_bit == 1
    if binary:
        out = (out + terms) / 2
    if bias is not None:
        out = out + bias.reshape(1, -1, *[1] * (out.ndim - 2))
    if binary and p.get("scaling_mode") == "forward":
        out = out * weight.abs().mean()
    return out


def _convolve(data: Any, weight: Any, p: Any, padding: Any) -> Any:
    return torch.convolution(data, weight, None, p.stride, padding, p.dilate, False, (0, 0), p.num_group)


def _convolution_gradient(saved: Any, grad: Any) -> tuple[Any, ...]:
    data, weight, bias, p = saved.args
    with torch.enable_grad():
        used = weight if p.gradient_update_mode == "ff" else _quantized_weight(weight, p.weight_bit)
        data, used = data.detach().requires_grad_(), used.detach().requires_grad_()
        out = _convolve(data, used, p, p.pad)
    found = torch.autograd.grad(out, (data, used), grad)
    return (*found, None if bias is None else grad.sum((0, 2, 3)), None)


@with_gradient(_convolution_gradient)
def _binary_convolution(data: Any, weight: Any, bias: Any, p: Any) -> Any:
    # padding comes before the sign: a padded 0 counts as 1
    high, wide = p.pad
    padded = _quantized_data(F.pad(data, (wide, wide, high, high)), p.act_bit)
    if p.binarized_weights_only:
        filters = _unpacked(weight).reshape(p.num_filter, -1, *p.kernel).to(data.dtype)
    else:
        filters = _quantized_weight(weight, p.weight_bit)
    out = _convolve(padded, filters, p, (0, 0))
    return _finished(out, math.prod(filters.shape[1:]), bias, weight, p)


def _write_back(weight: Any, p: Any, run: Run) -> None:
    """In training the weights themselves become binary, unless the mode keeps the full ones."""
    if run.training and p.gradient_update_mode == "bb":
        with torch.no_grad():
            weight.copy_(_quantized_weight(weight, p.weight_bit))


def _convolved(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data = ins[0]
    if data is None:
        return ins, outs
    check_rank("QConvolution", len(data), 2)
    found = (data[0], p.num_filter, *convolved_size(p, data[2:]))
    # packed weights have as many words as their width asks for: their shape is theirs to tell
    if not p.binarized_weights_only and data[1] is not None:
        ins[1] = unify(ins[1], (p.num_filter, data[1] // p.num_group, *p.kernel), "weight of QConvolution")
    if not p.no_bias:
        ins[2] = unify(ins[2], (p.num_filter,), "bias of QConvolution")
    return ins, [unify(outs[0], found, "output of QConvolution")]


def _types(p: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    kind = ins[0] or outs[0]
    weight = ins[1] if p.binarized_weights_only else ins[1] or kind
    return [kind, weight, *[i or kind for i in ins[2:]]], [kind]


@operator(
    aliases=("QConvolution_v1",),
    shape=_convolved,
    dtype=_types,
    optional={"bias": lambda p: not p.no_bias},
    retired=_UNUSED,
)
def QConvolution(
    data,
    weight,
    bias=None,
    *,
    kernel: Shape,
    stride: Shape = (),
    dilate: Shape = (),
    pad: Shape = (),
    num_filter: NonNegative,
    num_group: NonNegative = 1,
    workspace: NonNegativeLong = 1024,
    no_bias: bool = True,
    cudnn_tune: Literal[None, "fastest", "limited_workspace", "off"] = None,
    cudnn_off: bool = False,
    layout: Literal[None, "NCDHW", "NCHW", "NCW"] = None,
    act_bit: NonNegative = 1,
    weight_bit: NonNegative = 1,
    binarized_weights_only: bool = False,
    scaling_mode: Literal["none", "forward", "backward"] | None = "none",
    gradient_update_mode: _UPDATES | None = "bb",
    run: Run,
):
    """A convolution of the signs of data (n, c, h, w) and weight, given as the number of equal signs, from 0 to the
    size of the kernel; padding counts as positive. With more bits, a convolution of rounded values.

    With binarized_weights_only weight holds words of 32 or 64 signs, least bit first, in the order of
    (num_filter, c, *kernel). From BMXNet.
    """
    p = Params(kernel=kernel, pad=spread(pad, 2, 0), stride=spread(stride, 2, 1), dilate=spread(dilate, 2, 1))
    p |= {"num_filter": num_filter, "num_group": num_group, "act_bit": act_bit, "weight_bit": weight_bit}
    p |= {"binarized_weights_only": binarized_weights_only, "scaling_mode": scaling_mode}
    p["gradient_update_mode"] = gradient_update_mode
    check_rank("QConvolution", data.ndim, len(kernel))
    if len(kernel) != 2:
        raise ShapeError("QConvolution has two space axes", expected=2, found=len(kernel))
    _refuse_training(run, p)
    if not binarized_weights_only:
        _write_back(weight, p, run)
    return _binary_convolution(data, weight, bias, p)


def _connected_gradient(saved: Any, grad: Any) -> tuple[Any, ...]:
    data, weight, bias, p = saved.args
    used = _quantized_weight(weight, p.weight_bit) if p.gradient_update_mode == "bf" else weight
    to_data = (grad @ used).reshape(data.shape)
    to_weight = grad.t() @ _quantized_data(data, p.act_bit).flatten(1)
    return to_data, to_weight, None if bias is None else grad.sum(0), None


@with_gradient(_connected_gradient)
def _binary_product(data: Any, weight: Any, bias: Any, p: Any) -> Any:
    rows = _quantized_data(data.flatten(1), p.act_bit)
    if p.binarized_weights_only:
        # one word for a block of inputs and one output, outputs side by side
        words = _unpacked(weight)
        matrix = words.reshape(-1, p.num_hidden, words.shape[1]).transpose(0, 1)
        filters = matrix.reshape(p.num_hidden, -1).to(data.dtype)
    else:
        filters = _quantized_weight(weight, p.weight_bit)
    return _finished(F.linear(rows, filters), filters.shape[1], bias, weight, p)


def _multiplied(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data = ins[0]
    if data is None:
        return ins, outs
    if not p.binarized_weights_only and None not in data[1:]:
        inside = math.prod(d for d in data[1:] if d is not None)
        ins[1] = unify(ins[1], (p.num_hidden, inside), "weight of QFullyConnected")
    if not p.no_bias:
        ins[2] = unify(ins[2], (p.num_hidden,), "bias of QFullyConnected")
    return ins, [unify(outs[0], (data[0], p.num_hidden), "output of QFullyConnected")]


@operator(shape=_multiplied, dtype=_types, optional={"bias": lambda p: not p.no_bias}, retired=_UNUSED)
def QFullyConnected(
    data,
    weight,
    bias=None,
    *,
    num_hidden: int,
    no_bias: bool = True,
    act_bit: NonNegative = 1,
    binarized_weights_only: bool = False,
    weight_bit: NonNegative = 1,
    gradient_update_mode: _UPDATES | None = "bb",
    run: Run,
):
    """The number of equal signs of data (n, inputs) and each row of weight (num_hidden, inputs).

    With binarized_weights_only weight holds words of 32 or 64 signs, least bit first: (inputs / bits, num_hidden) of
    them, each with the signs of neighbouring inputs. From BMXNet.
    """
    p = Params(num_hidden=num_hidden, act_bit=act_bit, weight_bit=weight_bit)
    p |= {"binarized_weights_only": binarized_weights_only, "gradient_update_mode": gradient_update_mode}
    _refuse_training(run, p)
    if not binarized_weights_only:
        _write_back(weight, p, run)
    return _binary_product(data, weight, bias, p)
