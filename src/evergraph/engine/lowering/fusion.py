"""Convolutions and dense layers with what follows them in one call of oneDNN: bias, a sum, an activation.

The calls are PyTorch's own private operators (`evergraph.engine.lowering.onednn`). Where they are not there, nothing is
fused, and the same arithmetic runs as plain calls.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from evergraph.engine.lowering import onednn
from evergraph.engine.lowering.activations import SUMS, Activation, activation_of
from evergraph.engine.lowering.rewriting import Uses, constant, engine_step
from evergraph.engine.program import NOTHING, Program, Step
from evergraph.ops.families.nn.convolution import dilates_of

__all__ = ["fuse_layers"]


def fuse_layers(program: Program) -> list[str]:
    """Fuse convolutions of two space dimensions, and dense layers, with the sum and the activation that follow.

    Args:
        program: an inference program in single precision on the CPU, changed in place.

    Returns:
        Names of the nodes that became part of a layer.
    """
    uses = Uses(program)
    places = {id(step): i for i, step in enumerate(program.steps)}
    steps: list[Step | None] = list(program.steps)
    names: list[str] = []
    for index, step in enumerate(program.steps):
        layer = _convolution(program, step) or _dense(program, step)
        if layer is None:
            continue
        if uses.reader(step.inputs[1]) is step:
            del program.constants[step.inputs[1]]  # before the next one is reordered: memory for one, not for all
        other, absorbed = _sum(program, uses, step) if layer.sums else (None, [])
        if absorbed and steps[places[id(absorbed[0])]] is not absorbed[0]:
            other, absorbed = None, []  # the other summand's layer has it
        last = absorbed[-1] if absorbed else step
        following = uses.reader(last.outputs[0])
        act = activation_of(following) if following is not None else None
        if act is not None and act.name != "relu" and absorbed:
            act = None  # after a sum oneDNN's operator takes no other
        if following is not None and act is not None:
            absorbed, last = [*absorbed, following], following
        inputs = (step.inputs[0],) if other is None else (step.inputs[0], other)
        for each in absorbed:
            steps[places[id(each)]] = None
            names.append(each.name)
        steps[index] = None
        call = layer.call(act, other is not None, False)
        known = {} if other is None else {"over": layer.call(act, True, True)}
        # where the last of them was: all that it reads is there by then
        steps[places[id(last)]] = engine_step(step.name, layer.kind, call, inputs, last.outputs[0], **known)
    program.steps = [s for s in steps if s is not None]
    program.prune()
    return names


def _sum(program: Program, uses: Uses, step: Step) -> tuple[int | None, list[Step]]:
    """The other summand, and the sum, where a sum of two equal shapes alone reads a layer."""
    found = uses.reader(step.outputs[0])
    if found is None or found.kind not in SUMS or len(found.inputs) != 2:
        return None, []
    other = next(v for v in found.inputs if v != step.outputs[0])
    shape = program.shapes.get(step.outputs[0])
    if shape is None or program.shapes.get(other) != shape or other in program.constants:
        return None, []
    return other, [found]


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer on prepared weights.

    Args:
        kind: what its step is called.
        sums: whether it can take a sum.
        call: (activation or None, whether there is another summand, whether it may be overwritten) -> the computation.
    """

    kind: str
    sums: bool
    call: Callable[[Activation | None, bool, bool], Callable[..., Any]]


def _convolution(program: Program, step: Step) -> Layer | None:
    p = step.params
    if step.kind != "Convolution" or len(p.kernel) != 2 or p.layout not in (None, "NCHW"):
        return None
    weight, shape = constant(program, step.inputs[1]), program.shapes.get(step.inputs[0])
    bias = _bias(program, step)
    if weight is None or bias is None or weight.dtype != torch.float32 or shape is None or 0 in shape:
        return None
    private = onednn.convolving()
    if private is None:
        return None
    options = (list(p.pad or (0, 0)), list(p.stride or (1, 1)), list(dilates_of(p.kernel, p.dilate)), p.num_group)
    packed = private.reorder(weight.detach(), *options, list(shape))

    def call(act: Activation | None, summed: bool, overwrite: bool) -> Callable[..., Any]:
        if not summed:
            return _convolution_alone(private, (packed, bias[0], *options), act)
        return _convolution_and_sum(private, (packed, bias[0], *options), act, overwrite)

    return Layer("convolution", True, call)


def _bias(program: Program, step: Step) -> tuple[Any] | None:
    """A layer's bias in a tuple, of None where it has none; None where it is not known."""
    value = step.inputs[2] if len(step.inputs) > 2 else NOTHING
    found = constant(program, value)
    return None if found is None and value != NOTHING else (found,)


def _convolution_alone(private: onednn.Convolving, layer: Sequence[Any], act: Activation | None) -> Callable[..., Any]:
    operator, last = private.alone, torch.channels_last
    after = (act.name, list(act.scalars), act.algorithm) if act else ("none", [], "")

    def call(x: Any) -> Any:
        if not x.is_contiguous(memory_format=last):
            x = x.contiguous(memory_format=last)
        return operator(x, *layer, *after)

    return call


def _convolution_and_sum(
    private: onednn.Convolving, layer: Sequence[Any], act: Activation | None, overwrite: bool
) -> Callable[..., Any]:
    last = torch.channels_last
    after = ("add", 1.0, act.name if act else None, [], None)

    def call(x: Any, other: Any) -> Any:
        if not x.is_contiguous(memory_format=last):
            x = x.contiguous(memory_format=last)
        if not other.is_contiguous(memory_format=last):
            other = other.contiguous(memory_format=last)
        if overwrite:
            return private.summed_over(other, x, *layer, *after)
        return private.summed(x, other, *layer, *after)

    return call


# measured on AVX2: below these oneDNN's own call costs more than it saves over PyTorch's matrix product
_DENSE_ROWS, _DENSE_WEIGHTS = 8, 1 << 20


def _dense(program: Program, step: Step) -> Layer | None:
    if step.kind != "FullyConnected":
        return None
    weight, shape = constant(program, step.inputs[1]), program.shapes.get(step.inputs[0])
    bias = _bias(program, step)
    if weight is None or bias is None or weight.dtype != torch.float32 or shape is None or len(shape) < 2 or 0 in shape:
        return None
    flatten = step.params.flatten and len(shape) > 2
    rows = shape[0] if step.params.flatten else math.prod(shape[:-1])
    large = rows >= _DENSE_ROWS and weight.numel() >= _DENSE_WEIGHTS
    private = onednn.dense() if large else None
    if private is not None:
        packed = private.reorder(weight.detach(), rows)
        return Layer("dense", False, lambda act, *_: _dense_packed(private, (packed, bias[0]), act, flatten))
    return Layer("dense", False, lambda act, *_: _dense_plain((weight, bias[0]), act, flatten))


def _dense_packed(
    private: onednn.Dense, layer: Sequence[Any], act: Activation | None, flatten: bool
) -> Callable[..., Any]:
    after = (act.name, list(act.scalars), act.algorithm) if act else ("none", [], "")
    return lambda x: private.call(x.flatten(1) if flatten else x, *layer, *after)


def _dense_plain(layer: Sequence[Any], act: Activation | None, flatten: bool) -> Callable[..., Any]:
    product, plain = torch.nn.functional.linear, act.plain if act else None

    def call(x: Any) -> Any:
        found = product(x.flatten(1) if flatten else x, *layer)
        return found if plain is None else plain(found)

    return call
