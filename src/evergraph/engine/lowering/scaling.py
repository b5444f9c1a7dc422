"""BatchNorm and constant scalings become factors and offsets of the convolution or dense layer before them."""

import math
from dataclasses import dataclass
from typing import Any

import torch

from evergraph.engine.lowering.rewriting import Uses, constant, engine_step, updated
from evergraph.engine.program import NOTHING, Program, Step

__all__ = ["Scaling", "fold_scalings", "scale_and_shift"]


@dataclass(frozen=True, slots=True)
class Scaling:
    """x * scale + shift along one axis.

    Args:
        value: what is scaled.
        scale: float64, (channels,) or ().
        shift: the same.
        axis: the channels' axis; None where scale and shift are numbers.
    """

    value: int
    scale: Any
    shift: Any
    axis: int | None


def fold_scalings(program: Program) -> list[str]:
    """Fold BatchNorm and multiplications, divisions, sums with constants into the layer before them.

    A BatchNorm that no layer takes up becomes one multiplication and sum.

    Args:
        program: an inference program, changed in place.

    Returns:
        Names of the nodes that fell away.
    """
    uses, names = Uses(program), []
    steps: list[Step | None] = list(program.steps)
    places = {v: i for i, s in enumerate(program.steps) for v in s.outputs}
    for index, step in enumerate(program.steps):
        found = _scaling(program, step) if uses.unread(step) else None
        if found is None:
            continue
        place = places.get(found.value)
        layer = None if place is None or uses.reader(found.value) is not step else steps[place]
        folded = None if layer is None else _folded(program, layer, found)
        if folded is not None and layer is not None and place is not None:
            # the weight as it was goes at once: memory for one of them, not for all
            if len(uses.readers.get(layer.inputs[1], ())) < 2:
                del program.constants[layer.inputs[1]]
            # the layer goes where the scaling was, whose value it now makes: more may follow
            steps[index], steps[place] = folded.replace(outputs=step.outputs[:1]), None
            names.append(step.name)
        elif step.kind == "BatchNorm":
            steps[index] = _standalone(program, step, found) or step
    program.steps = [s for s in steps if s is not None]
    program.prune()
    return names


def _scaling(program: Program, step: Step) -> Scaling | None:
    """What a step does, if it scales by constants."""
    if step.kind == "BatchNorm":
        return _batch_norm(program, step)
    if step.kind in _BY_NUMBER:
        number = step.params.scalar
        if step.kind == "_div_scalar" and number == 0:
            return None
        scale, shift = (torch.tensor(f(number), dtype=torch.float64) for f in _BY_NUMBER[step.kind])
        return Scaling(step.inputs[0], scale, shift, None)
    return _by_tensor(program, step) if step.kind in _BY_TENSOR else None


def _batch_norm(program: Program, step: Step) -> Scaling | None:
    p = step.params
    tensors = [constant(program, v) for v in step.inputs[1:5]]
    if p.output_mean_var or any(t is None for t in tensors):
        return None
    gamma, beta, mean, var = (t.detach().double() for t in tensors)
    scale = torch.rsqrt(var + p.eps) * (1 if p.fix_gamma else gamma)
    return Scaling(step.inputs[0], scale, beta - mean * scale, p.axis)


def _by_tensor(program: Program, step: Step) -> Scaling | None:
    """A step of two inputs of which one is a constant of one element, or (1, channels, 1, ...)."""
    commutes, scale, shift = _BY_TENSOR[step.kind]
    first, second = step.inputs
    for value, other in ((first, second), (second, first))[: 2 if commutes else 1]:
        tensor, rank = constant(program, other), len(program.shapes.get(value, ()))
        if tensor is None or value in program.constants or not rank or not tensor.dtype.is_floating_point:
            continue
        if tensor.numel() == 1 and tensor.ndim <= rank:
            t = tensor.detach().double().reshape(())
            return Scaling(value, scale(t), shift(t), None)
        shape = (1,) * (rank - tensor.ndim) + tuple(tensor.shape)
        if rank > 1 and len(shape) == rank and math.prod(shape) == shape[1]:
            t = tensor.detach().double().flatten()
            return Scaling(value, scale(t), shift(t), 1)
    return None


_BY_NUMBER: dict[str, Any] = {
    "_mul_scalar": (lambda s: s, lambda _: 0.0),
    "_div_scalar": (lambda s: 1 / s, lambda _: 0.0),
    "_plus_scalar": (lambda _: 1.0, lambda s: s),
    "_minus_scalar": (lambda _: 1.0, lambda s: -s),
}
# whether the inputs may change places; factor and offset of the first for a constant second
_BY_TENSOR: dict[str, Any] = {
    "broadcast_mul": (True, lambda t: t, torch.zeros_like),
    "broadcast_div": (False, lambda t: 1 / t, torch.zeros_like),
    "broadcast_add": (True, torch.ones_like, lambda t: t),
    "broadcast_sub": (False, torch.ones_like, lambda t: -t),
}


def _folded(program: Program, step: Step, scaling: Scaling) -> Step | None:
    """The layer that computes its step and then the scaling, if it is a layer with constant weights."""
    if step.kind not in _LAYERS or step.params.get("layout") in ("NWC", "NHWC", "NDHWC"):
        return None
    data, weight_value, *rest = step.inputs
    bias = rest[0] if rest else NOTHING
    weight = constant(program, weight_value)
    if weight is None or not weight.dtype.is_floating_point or (bias != NOTHING and bias not in program.constants):
        return None
    rank = len(program.shapes.get(step.outputs[0], ()))
    channels = rank - 1 if step.kind == "FullyConnected" else 1
    if rank < 2 or (scaling.axis is not None and scaling.axis % rank != channels):
        return None
    count = step.params.num_hidden if step.kind == "FullyConnected" else step.params.num_filter
    scale, shift = scaling.scale.expand(count), scaling.shift.expand(count)
    new_weight, new_bias = program.value(), program.value()
    program.constants[new_weight] = _scaled(step, weight.detach(), scale)
    old = 0 if bias == NOTHING else program.constants[bias].detach().double()
    program.constants[new_bias] = (old * scale + shift).to(weight.dtype)
    return updated(step, (data, new_weight, new_bias), no_bias=False)


def _scaled(step: Step, weight: Any, scale: Any) -> Any:
    # in single precision: weights in double precision took 40 times as long, for the last bit
    kind = torch.promote_types(weight.dtype, torch.float32)
    return _LAYERS[step.kind](weight.to(kind), scale.to(kind), step.params).to(weight.dtype)


def _scale_outputs(weight: Any, scale: Any, _: Any) -> Any:
    return weight * scale.reshape(-1, *(1,) * (weight.ndim - 1))


def _scale_transposed(weight: Any, scale: Any, p: Any) -> Any:
    # (inputs, outputs of a group, *kernel): each group's rows meet the scales of that group's outputs
    rows = weight.reshape(p.num_group, -1, *weight.shape[1:])
    factors = scale.reshape(p.num_group, 1, -1, *(1,) * (weight.ndim - 2))
    return (rows * factors).reshape(weight.shape)


_LAYERS: dict[str, Any] = {
    "Convolution": _scale_outputs,
    "FullyConnected": _scale_outputs,
    "Deconvolution": _scale_transposed,
}


def _standalone(program: Program, step: Step, found: Scaling) -> Step | None:
    """BatchNorm as one multiplication and sum; None where the rank of its data is not known."""
    rank = len(program.shapes.get(found.value, ()))
    if rank < 2:
        return None
    shape = [1] * rank
    shape[(found.axis or 0) % rank] = -1
    kind = program.constants[step.inputs[1]].dtype
    values = program.value(), program.value()
    for value, tensor in zip(values, (found.scale, found.shift), strict=True):
        program.constants[value] = tensor.to(kind).reshape(shape)
    return engine_step(step.name, "scaling", scale_and_shift, (found.value, *values), step.outputs[0])


def scale_and_shift(data: Any, scale: Any, shift: Any) -> Any:
    """The data times scale, plus shift, in the data's type.

    >>> scale_and_shift(torch.tensor([1.0, 2.0]), torch.tensor(3.0), torch.tensor(0.5))
    tensor([3.5000, 6.5000])
    """
    if scale.dtype != data.dtype:
        scale, shift = scale.to(data.dtype), shift.to(data.dtype)
    # in channels-last order one fused call is fastest, in the plain order two vectorised ones are (each by a half)
    if data.ndim == 4 and data.is_contiguous(memory_format=torch.channels_last):
        return torch.addcmul(shift, data, scale)
    return torch.mul(data, scale).add_(shift)
