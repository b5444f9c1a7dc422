"""Softmax in its forms: plain, logarithmic, of the negated input, over a length or a mask."""

from typing import Any, Literal

from evergraph.ops.gradients import with_gradient
from evergraph.ops.lazy import F, torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, elementwise, forward, like, unify
from evergraph.ops.types import Double

__all__ = ["log_softmax", "masked_softmax", "softmax", "softmin"]

_OUTPUT_TYPES = Literal[None, "float16", "float32", "float64"]


def _typed(p: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    kind = ins[0] or (outs[0] if p.dtype is None else None)
    return [kind, *ins[1:]], [p.dtype or kind]


def _with_length(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    shape = unify(ins[0], outs[0], "output of softmax")
    if len(ins) > 1 and shape is not None:
        axis = p.axis % len(shape)
        ins[1] = unify(ins[1], shape[:axis] + shape[axis + 1 :] or (1,), "length of softmax")
    return [shape, *ins[1:]], [shape]


def _prepared(data: Any, temperature: float | None, dtype: str | None) -> tuple[Any, Any]:
    """The input as it is exponentiated, and the type of the output."""
    out = data.dtype if dtype is None else getattr(torch, dtype)
    if out != data.dtype:
        data = data.to(torch.promote_types(data.dtype, out))
    return (data if temperature is None else data / temperature), out


def _beyond(data: Any, length: Any, axis: int) -> Any:
    """True at the positions of an axis that lie beyond the length."""
    shape = [1] * data.ndim
    shape[axis] = data.shape[axis]
    positions = torch.arange(data.shape[axis], device=data.device).reshape(shape)
    return positions >= (length.reshape(()) if data.ndim == 1 else length.unsqueeze(axis))


@operator(
    aliases=("_npx_softmax",),
    shape=_with_length,
    dtype=_typed,
    optional={"length": lambda p: p.use_length},
)
def softmax(
    data,
    length=None,
    *,
    axis: int = -1,
    temperature: Double | None = None,
    dtype: _OUTPUT_TYPES = None,
    use_length: bool | None = False,
):
    """exp(x / temperature) over its sum along an axis.

    length has the shape of data without that axis, and positions from it on give 0.
    """
    if length is None and temperature is None and dtype is None:
        return torch.softmax(data, axis)
    data, out = _prepared(data, temperature, dtype)
    if length is None:
        return torch.softmax(data, axis).to(out)
    beyond = _beyond(data, length, axis % data.ndim)
    # the least number, not minus infinity: a length of 0 must not make NaN
    kept = data.masked_fill(beyond, torch.finfo(data.dtype).min)
    return torch.softmax(kept, axis).masked_fill(beyond, 0).to(out)


def _quickly(function: Any) -> Any:
    def rule(p: Any, recorded: bool, data: Any, length: Any = None) -> Any:
        if length is not None or p.temperature is not None or p.dtype is not None or not data.is_floating_point():
            return None
        compute, axis = function(), p.axis
        return lambda x: compute(x, axis)

    return rule


softmax.quickened(_quickly(lambda: torch.softmax))


@operator(shape=elementwise, dtype=_typed)
def softmin(
    data,
    *,
    axis: int = -1,
    temperature: Double | None = None,
    dtype: _OUTPUT_TYPES = None,
    use_length: bool | None = False,
):
    """The softmax of the negated input along an axis."""
    data, out = _prepared(-data, temperature, dtype)
    return torch.softmax(data, axis).to(out)


@operator(aliases=("_npx_log_softmax",), shape=elementwise, dtype=_typed)
def log_softmax(
    data,
    *,
    axis: int = -1,
    temperature: Double | None = None,
    dtype: _OUTPUT_TYPES = None,
    use_length: bool | None = False,
):
    """The logarithm of the softmax along an axis."""
    if temperature is None and dtype is None:
        return torch.log_softmax(data, axis)
    data, out = _prepared(data, temperature, dtype)
    return torch.log_softmax(data, axis).to(out)


log_softmax.quickened(_quickly(lambda: torch.log_softmax))


def _of_first(_: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    kind = ins[0] or outs[0]
    return [kind, *ins[1:]], [kind]


def _masked(data: Any, mask: Any, temperature: float | None) -> tuple[Any, Any]:
    hidden = ~mask.bool()
    kept = data if temperature is None else data / temperature
    return kept.masked_fill(hidden, torch.finfo(data.dtype).min), hidden


@operator(aliases=("_npx_masked_softmax",), shape=like(0), dtype=_of_first)
def masked_softmax(data, mask, *, axis: int = -1, temperature: Double | None = None, normalize: bool | None = True):
    """The softmax along an axis of the elements where mask, broadcast to data, is true; 0 elsewhere."""
    kept, hidden = _masked(data, mask, temperature)
    return torch.softmax(kept, axis).masked_fill(hidden, 0)


@operator(aliases=("_npx_masked_log_softmax",), shape=like(0), dtype=_of_first)
def masked_log_softmax(data, mask, *, axis: int = -1, temperature: Double | None = None, normalize: bool | None = True):
    """The logarithm of the masked softmax along an axis; minus infinity where mask is false."""
    kept, hidden = _masked(data, mask, temperature)
    return torch.log_softmax(kept, axis).masked_fill(hidden, -torch.inf)


@operator(shape=elementwise)
def SoftmaxActivation(data, *, mode: Literal["channel", "instance"] = "instance"):
    """The softmax over the last axis (instance), or over axis 1 at each position (channel).

    The gradient is that of axis 1 in both modes, as MXNet has it; with two axes they are one.
    """
    return _activated(data, 1 if mode == "channel" else -1)


def _activation_gradient(saved: Any, grad: Any) -> tuple[Any, None]:
    out = saved.outputs[0]
    return out * (grad - (out * grad).sum(1, keepdim=True)), None


@with_gradient(_activation_gradient)
def _activated(data: Any, axis: int) -> Any:
    return torch.softmax(data, axis)


def _cross_entropy_gradient(saved: Any, grad: Any) -> tuple[Any, None]:
    data, label = saved.args
    chosen = F.one_hot(label.long(), data.shape[1]).to(data.dtype)
    return (torch.softmax(data, 1) - chosen) * grad, None


@operator(shape=forward(lambda *_: (1,)))
def softmax_cross_entropy(data, label):
    """The sum (1,) over samples of -log(softmax(data)) at each sample's class: data (n, classes), label (n,)."""
    return _cross_entropy(data, label)


@with_gradient(_cross_entropy_gradient)
def _cross_entropy(data: Any, label: Any) -> Any:
    chosen = torch.softmax(data, 1).gather(1, label.long().unsqueeze(1))
    # the value is cut at 1e-8 before its logarithm, the gradient is not
    return -torch.log(chosen.clamp_min(1e-8)).sum().reshape(1)
