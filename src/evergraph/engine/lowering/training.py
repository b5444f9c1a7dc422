"""Lowering for training on a CPU: images channels last between layers, and values reused that no gradient needs."""

from collections.abc import Callable
from typing import Any

import torch

from evergraph.engine.lowering.activations import SUMS
from evergraph.engine.lowering.rewriting import Uses, engine_step
from evergraph.engine.lowering.weights import turn_weights
from evergraph.engine.program import Program, Step
from evergraph.ops.families.nn.convolution import prepared

__all__ = ["keep_channels_last", "lower_training", "reuse_values"]

# these give their result in the memory order of their data, and take any
_KEEPING = frozenset(
    ("BatchNorm", "BatchNorm_v1", "Activation", "LeakyReLU", "relu", "sigmoid", "tanh", "clip", "Pooling",
     "elemwise_add", "elemwise_mul", "elemwise_sub", "broadcast_add", "broadcast_mul", "broadcast_sub", "broadcast_div",
     "_mul_scalar", "_plus_scalar", "_minus_scalar", "_div_scalar", "Concat")
)  # fmt: skip
_NORMS = frozenset(("BatchNorm", "BatchNorm_v1"))
# their gradients never look at their result, which is memory of its own
_REUSABLE = frozenset(("Convolution", "FullyConnected", *_NORMS, *SUMS))
_OVERWRITING: dict[str, Callable[[Any], Any]] = {"relu": torch.relu_, "sigmoid": torch.sigmoid_, "tanh": torch.tanh_}


def lower_training(program: Program) -> None:
    """Lower a training program on a CPU, in place: its outputs and gradients stay what they are, up to rounding."""
    reuse_values(program)
    if torch.backends.mkldnn.is_available():
        keep_channels_last(program)
        turn_weights(program)


def _is_spatial(step: Step) -> bool:
    return step.kind == "Convolution" and len(step.params.kernel) == 2 and step.params.layout in (None, "NCHW")


def keep_channels_last(program: Program) -> None:
    """Let two-dimensional convolutions compute channels last, and the layers between them keep that order.

    Only the order in memory changes. Whatever else reads such a value, and the caller, gets it in the usual order.
    oneDNN otherwise reorders the data of every convolution, forward and backward: LeNet trains 1.5 times as fast.
    """
    turned: set[int] = set()
    for index, step in enumerate(program.steps):
        if _is_spatial(step):
            program.steps[index] = step.replace(call=_turning(prepared(step.params) or step.call))
            turned.update(step.outputs)
        elif turned.isdisjoint(step.inputs):
            continue
        elif step.kind in _KEEPING and (step.kind not in _NORMS or step.params.get("axis", 1) == 1):
            turned.update(step.outputs)
        else:
            places = tuple(i for i, v in enumerate(step.inputs) if v in turned)
            program.steps[index] = step.replace(call=_turning_back(step.call, places))
    for place, value in enumerate(program.outputs):
        if value in turned:
            usual = program.value()
            program.steps.append(engine_step("outputs", "usual order", torch.Tensor.contiguous, (value,), usual))
            program.outputs[place] = usual


def _turning(call: Callable[..., Any]) -> Callable[..., Any]:
    def turned(data: Any, *rest: Any) -> Any:
        # `to`, for `contiguous` leaves one channel as it is, and the convolution would take that for the usual order
        return call(data.to(memory_format=torch.channels_last) if data.ndim == 4 else data, *rest)

    return turned


def _turning_back(call: Callable[..., Any], places: tuple[int, ...]) -> Callable[..., Any]:
    def usual(*values: Any) -> Any:
        given = list(values)
        for i in places:
            given[i] = given[i].contiguous()
        return call(*given)

    return usual


def reuse_values(program: Program) -> None:
    """Let activations and sums overwrite a value that nothing else reads and no gradient needs."""
    uses = Uses(program)
    for index, step in enumerate(program.steps):
        name = step.params.act_type if step.kind == "Activation" else step.kind
        if name in _OVERWRITING and _is_free(uses, step.inputs[0]):
            program.steps[index] = step.replace(call=_OVERWRITING[name])
        elif step.kind == "elemwise_add" and len(set(step.inputs)) == 2:
            free = [i for i, v in enumerate(step.inputs) if _is_free(uses, v)]
            if free:
                program.steps[index] = step.replace(call=_adding(step.call, free[0]))


def _adding(call: Callable[..., Any], place: int) -> Callable[..., Any]:
    def added(*values: Any) -> Any:
        mine, other = values[place], values[1 - place]
        # other shapes are an error of the operator's own; other types give a result of another type
        return mine.add_(other) if mine.shape == other.shape and mine.dtype == other.dtype else call(*values)

    return added


def _is_free(uses: Uses, value: int) -> bool:
    maker = uses.makers.get(value)
    if maker is None or maker.kind not in _REUSABLE or uses.reader(value) is None or value != maker.outputs[0]:
        return False
    if maker.kind == "Convolution":
        return _is_spatial(maker)
    if maker.kind == "FullyConnected":
        return maker.params.flatten  # otherwise it is a view of the product
    return maker.kind not in _NORMS or (maker.params.get("axis", 1) == 1 and uses.unread(maker))
