"""Gradient descent and AdamW for many weights at once, and the checks and sums that go with them."""

from collections.abc import Sequence
from typing import Any

from evergraph.ops.families.update.adam import adamw_step, usable_scale
from evergraph.ops.families.update.rules import (
    changed,
    each,
    in_place,
    interleaved,
    mixed_all,
    ready,
    ready_all,
    several,
    sum_sq,
)
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, fixed_dtype, unify
from evergraph.ops.types import Floats

__all__ = ["all_finite", "multi_all_finite", "multi_sgd_mom_update", "multi_sgd_update", "multi_sum_sq", "reset_arrays"]


def _descend(
    weights: list[Any], grads: list[Any], lrs: Sequence[float], wds: Sequence[float], p: Any, moms: Any = None
) -> list[Any]:
    """New weights after a step of gradient descent, by one kernel for all where the device has such."""
    steps = ready_all(grads, p["rescale_grad"], p["clip_gradient"])
    if any(wds):
        each("add_", steps, each("mul", weights, list(wds)))
    each("mul_", steps, [-lr for lr in lrs])
    if moms is not None:
        each("mul_", moms, p["momentum"])
        each("add_", moms, steps)
        steps = moms
    return list(each("add", weights, steps))


def _parts(data: Sequence[Any], count: int) -> list[list[Any]]:
    """The weights, the gradients, ... of inputs that stand weight by weight."""
    return [list(data[i::count]) for i in range(count)]


def _from_masters(weights: list[Any], masters: list[Any], outs: list[Any]) -> list[Any]:
    return [m.copy_(o).to(w.dtype) for w, m, o in zip(weights, masters, outs, strict=True)]


def _wide(grads: list[Any], masters: list[Any]) -> list[Any]:
    return [g.to(m.dtype) for g, m in zip(grads, masters, strict=True)]


def _number(p: Any) -> int:
    return p.num_weights


@operator(
    shape=several(2, "num_weights"),
    outputs=_number,
    names=interleaved(("weight", "grad"), "num_weights"),
)
@in_place
def multi_sgd_update(
    *data, lrs: Floats, wds: Floats, rescale_grad: float = 1.0, clip_gradient: float = -1.0, num_weights: int = 1
):
    """New weights by sgd_update from weight and grad of each, with a learning rate and a decay for each."""
    weights, grads = _parts(data, 2)
    return _descend(weights, grads, lrs, wds, locals())


@operator(
    shape=several(3, "num_weights"),
    outputs=_number,
    names=interleaved(("weight", "grad", "mom"), "num_weights"),
)
@in_place
def multi_sgd_mom_update(
    *data,
    lrs: Floats,
    wds: Floats,
    momentum: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    num_weights: int = 1,
):
    """New weights by sgd_mom_update from weight, grad and mom of each; mom changes."""
    weights, grads, moms = _parts(data, 3)
    return _descend(weights, grads, lrs, wds, locals(), moms)


@operator(
    shape=several(3, "num_weights"),
    dtype=mixed_all(3, 2),
    outputs=_number,
    names=interleaved(("weight", "grad", "weight32"), "num_weights"),
)
@in_place
def multi_mp_sgd_update(
    *data, lrs: Floats, wds: Floats, rescale_grad: float = 1.0, clip_gradient: float = -1.0, num_weights: int = 1
):
    """New weights by mp_sgd_update from weight, grad and weight32 of each; weight32 changes."""
    weights, grads, masters = _parts(data, 3)
    return _from_masters(weights, masters, _descend(masters, _wide(grads, masters), lrs, wds, locals()))


@operator(
    shape=several(4, "num_weights"),
    dtype=mixed_all(4, 2),
    outputs=_number,
    names=interleaved(("weight", "grad", "mom", "weight32"), "num_weights"),
)
@in_place
def multi_mp_sgd_mom_update(
    *data,
    lrs: Floats,
    wds: Floats,
    momentum: float = 0.0,
    rescale_grad: float = 1.0,
    clip_gradient: float = -1.0,
    num_weights: int = 1,
):
    """New weights by mp_sgd_mom_update from weight, grad, mom and weight32 of each; mom and weight32 change."""
    weights, grads, moms, masters = _parts(data, 4)
    return _from_masters(weights, masters, _descend(masters, _wide(grads, masters), lrs, wds, locals(), moms))


_RATES = ("lrs", "wds")


@operator(
    shape=several(2, "num_weights", last=2),
    dtype=mixed_all(2, 2, last=2),
    outputs=_number,
    names=interleaved(("weight", "grad"), "num_weights", _RATES),
)
@in_place
def preloaded_multi_sgd_update(*data, rescale_grad: float = 1.0, clip_gradient: float = -1.0, num_weights: int = 1):
    """multi_sgd_update with the learning rates and the decays, both (n,), as the last two inputs."""
    weights, grads = _parts(data[:-2], 2)
    return _descend(weights, grads, data[-2].tolist(), data[-1].tolist(), locals())


@operator(
    shape=several(3, "num_weights", last=2),
    dtype=mixed_all(3, 3, last=2),
    outputs=_number,
    names=interleaved(("weight", "grad", "mom"), "num_weights", _RATES),
)
@in_place
def preloaded_multi_sgd_mom_update(
    *data, momentum: float = 0.0, rescale_grad: float = 1.0, clip_gradient: float = -1.0, num_weights: int = 1
):
    """multi_sgd_mom_update with the learning rates and the decays, both (n,), as the last two inputs."""
    weights, grads, moms = _parts(data[:-2], 3)
    return _descend(weights, grads, data[-2].tolist(), data[-1].tolist(), locals(), moms)


@operator(
    shape=several(3, "num_weights", last=2),
    dtype=mixed_all(3, 2, last=2),
    outputs=_number,
    names=interleaved(("weight", "grad", "weight32"), "num_weights", _RATES),
)
@in_place
def preloaded_multi_mp_sgd_update(*data, rescale_grad: float = 1.0, clip_gradient: float = -1.0, num_weights: int = 1):
    """multi_mp_sgd_update with the learning rates and the decays, both (n,), as the last two inputs."""
    weights, grads, masters = _parts(data[:-2], 3)
    outs = _descend(masters, _wide(grads, masters), data[-2].tolist(), data[-1].tolist(), locals())
    return _from_masters(weights, masters, outs)


@operator(
    shape=several(4, "num_weights", last=2),
    dtype=mixed_all(4, 2, last=2),
    outputs=_number,
    names=interleaved(("weight", "grad", "mom", "weight32"), "num_weights", _RATES),
)
@in_place
def preloaded_multi_mp_sgd_mom_update(
    *data, momentum: float = 0.0, rescale_grad: float = 1.0, clip_gradient: float = -1.0, num_weights: int = 1
):
    """multi_mp_sgd_mom_update with the learning rates and the decays, both (n,), as the last two inputs."""
    weights, grads, moms, masters = _parts(data[:-2], 4)
    outs = _descend(masters, _wide(grads, masters), data[-2].tolist(), data[-1].tolist(), locals(), moms)
    return _from_masters(weights, masters, outs)


def _adamw_all(weights: list[Any], grads: list[Any], means: list[Any], vars_: list[Any], scale: float, p: Any) -> Any:
    outs = []
    for i, weight in enumerate(weights):
        one = {**p, "eta": p["etas"][i], "lr": p["lrs"][i], "wd": p["wds"][i]}
        grad = ready(grads[i].to(weight.dtype), scale, p["clip_gradient"])
        outs.append(adamw_step(weight, grad, means[i], vars_[i], one))
    return outs


@operator(
    "_multi_adamw_update",
    shape=several(4, "num_weights", last=1),
    dtype=mixed_all(4, 4, last=1),
    outputs=_number,
    names=interleaved(("weight", "grad", "mean", "var"), "num_weights", ("rescale_grad",)),
    states=changed(("mean", "var"), "num_weights"),
)
@in_place
def multi_adamw_update(
    *data,
    lrs: Floats,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    wds: Floats,
    etas: Floats,
    clip_gradient: float = -1.0,
    num_weights: int = 1,
):
    """New weights by _adamw_update from weight, grad, mean and var of each; rescale_grad (1,) is the last input."""
    weights, grads, means, vars_ = _parts(data[:-1], 4)
    scale = usable_scale(data[-1])
    return _adamw_all(weights, grads, means, vars_, scale, locals()) if scale else [w.clone() for w in weights]


@operator(
    "_multi_mp_adamw_update",
    shape=several(5, "num_weights", last=1),
    dtype=mixed_all(5, 2, last=1),
    outputs=_number,
    names=interleaved(("weight", "grad", "mean", "var", "weight32"), "num_weights", ("rescale_grad",)),
    states=changed(("mean", "var", "weight32"), "num_weights"),
)
@in_place
def multi_mp_adamw_update(
    *data,
    lrs: Floats,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    wds: Floats,
    etas: Floats,
    clip_gradient: float = -1.0,
    num_weights: int = 1,
):
    """_multi_adamw_update on float32 copies, the fifth of each weight's inputs, which change."""
    weights, grads, means, vars_, masters = _parts(data[:-1], 5)
    scale = usable_scale(data[-1])
    if not scale:
        return [w.clone() for w in weights]
    return _from_masters(weights, masters, _adamw_all(masters, grads, means, vars_, scale, locals()))


def _told(count: str | None) -> Any:
    """The shape rule of what says one number of each array, or of all together."""

    def rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
        return ins, [unify(outs[0], (p[count] if count else 1,))]

    return rule


def _float_of_same(_: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    known = next((d for d in ins if d is not None), None)
    return [d or known for d in ins], ["float32"] * len(outs)


@operator(shape=_told(None), dtype=fixed_dtype("float32"), description={"data": "NDArray"})
@in_place
def all_finite(data, *, init_output: bool = True):
    """1 where every element is finite, else 0: (1,) float32.

    Without init_output the caller keeps an earlier 0 in the array that the result is written to.
    """
    return torch.isfinite(data).all().to(torch.float32).reshape(1)


@operator(shape=_told(None), dtype=_float_of_same, count="num_arrays")
@in_place
def multi_all_finite(*data, num_arrays: int = 1, init_output: bool = True):
    """1 where every element of all arrays is finite, else 0: (1,) float32; see all_finite for init_output."""
    found = torch.stack([torch.isfinite(d).all() for d in data])
    return found.all().to(torch.float32).reshape(1)


@operator(shape=_told("num_arrays"), dtype=_float_of_same, count="num_arrays")
@in_place
def multi_sum_sq(*data, num_arrays: int):
    """The sum of squares of each array: (num_arrays,) float32."""
    return torch.stack([sum_sq(d) for d in data])


@operator(shape=lambda _, ins, outs: (ins, outs), outputs=0, count="num_arrays")
@in_place
def reset_arrays(*data, num_arrays: int):
    """Sets all arrays to 0 in place; there is no output."""
    for array in data:
        array.zero_()
    return []
