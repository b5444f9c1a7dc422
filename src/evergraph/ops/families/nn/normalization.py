"""Normalisation within a sample: layer, group, instance, local response, L2; means and variances."""

from typing import Any, Literal

from evergraph.errors import ShapeError
from evergraph.ops.lazy import F, torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, elementwise, normalize_axes, unify
from evergraph.ops.types import NonNegative, Shape

__all__ = ["LRN", "GroupNorm", "InstanceNorm", "L2Normalization", "LayerNorm", "moments"]


def _visible(p: Any) -> int:
    return 3 if p.output_mean_var else 1


def _layer(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    shape = unify(ins[0], outs[0], "output of LayerNorm")
    if shape is None:
        return ins, outs
    axis = normalize_axes(p.axis, len(shape))[0]
    single = (*shape[:axis], 1, *shape[axis + 1 :])
    size = (shape[axis],)
    return [shape, *[unify(s, size, "a parameter of LayerNorm") for s in ins[1:]]], [shape, single, single]


@operator(aliases=("_npx_layer_norm",), shape=_layer, outputs=("output", "mean", "std"), visible=_visible)
def LayerNorm(data, gamma, beta, *, axis: int = -1, eps: float = 1e-5, output_mean_var: bool = False):
    """Layer normalisation: gamma * (data - mean) / std + beta with mean and std = sqrt(var + eps) over one axis.

    gamma and beta have the size of the axis. With output_mean_var, mean and std (size 1 along the axis) are outputs
    too, without a gradient.
    """
    last = axis in (-1, data.ndim - 1)
    x = data if last else data.movedim(axis, -1)
    out = F.layer_norm(x, x.shape[-1:], gamma, beta, eps)
    if not last:
        out = out.movedim(-1, axis)
    if not output_mean_var:
        return out
    var, mean = torch.var_mean(data.detach(), axis, correction=0, keepdim=True)
    return out, mean, torch.sqrt(var + eps)


def _grouped(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    shape = unify(ins[0], outs[0], "output of GroupNorm")
    if shape is None:
        return ins, outs
    # 1.9.1 has a parameter for each group, 2.0 one for each channel
    rest: list[Dims] = [s if s == (shape[1],) else unify(s, (p.num_groups,), "a parameter") for s in ins[1:]]
    return [shape, *rest], [shape, (shape[0], p.num_groups), (shape[0], p.num_groups)]


@operator(aliases=("_npx_group_norm",), shape=_grouped, outputs=("output", "mean", "std"), visible=_visible)
def GroupNorm(data, gamma, beta, *, num_groups: int = 1, eps: float = 1e-5, output_mean_var: bool = False):
    """Group normalisation: gamma * (data - mean) / std + beta over each group of channels, std = sqrt(var + eps).

    gamma and beta have one value for each group, or, as 2.0 has it, for each channel. With output_mean_var, mean and
    std (n, num_groups) are outputs too, without a gradient.
    """
    channels = data.shape[1]
    if channels % num_groups:
        raise ShapeError("the channels do not fall into groups", expected=f"a multiple of {num_groups}", found=channels)
    if gamma.shape[0] != channels:
        gamma = gamma.repeat_interleave(channels // num_groups)
        beta = beta.repeat_interleave(channels // num_groups)
    out = torch.group_norm(data, num_groups, gamma, beta, eps)
    if not output_mean_var:
        return out
    groups = data.detach().flatten(1).unflatten(1, (num_groups, -1))
    var, mean = torch.var_mean(groups, 2, correction=0)
    return out, mean, torch.sqrt(var + eps)


def _instance(_: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    shape = unify(ins[0], outs[0], "output of InstanceNorm")
    if shape is None:
        return ins, outs
    rest = [unify(s, (shape[1],), "a parameter of InstanceNorm") for s in ins[1:]]
    return [shape, *rest], [shape, shape[:2], shape[:2]]


@operator(aliases=("_npx_instance_norm",), shape=_instance, outputs=("output", "mean", "var"), visible=1)
def InstanceNorm(data, gamma, beta, *, eps: float = 0.001):
    """Gamma * (data - mean) / sqrt(var + eps) + beta with mean and variance over each channel of each sample."""
    if torch.jit.is_tracing():  # pyright: ignore[reportPrivateImportUsage]
        # a traced number of channels is no constant, as other runtimes want a number of groups to be
        return torch.instance_norm(data, gamma, beta, None, None, True, 0.0, eps, True)
    # one group for each channel: a fifth of the time of instance_norm
    return torch.group_norm(data, data.shape[1], gamma, beta, eps)


def _l2(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    shape = unify(ins[0], outs[0], "output of L2Normalization")
    if shape is None:
        return ins, outs
    norms = {"instance": shape[:1], "channel": (shape[0], *shape[2:]), "spatial": shape[:2]}
    return [shape], [shape, norms[p.mode]]


@operator(shape=_l2, outputs=("output", "norm"), visible=1)
def L2Normalization(data, *, eps: float = 1e-10, mode: Literal["channel", "instance", "spatial"] = "instance"):
    """Data / sqrt(sum of squares + eps), summed over all but the first axis (instance), axis 1 (channel), or the axes
    from 2 on (spatial).
    """
    axes = {"instance": range(1, data.ndim), "channel": (1,), "spatial": range(2, data.ndim)}[mode]
    return data / torch.sqrt(torch.sum(data * data, tuple(axes), keepdim=True) + eps)


@operator(shape=elementwise, outputs=("output", "tmp_norm"), visible=1)
def LRN(data, *, alpha: float = 1e-4, beta: float = 0.75, knorm: float = 2.0, nsize: NonNegative):
    """Data / (knorm + alpha / nsize * sum)**beta, with the sum of squares over nsize neighbouring channels (axis 1)."""
    if nsize % 2 == 0:
        raise ShapeError("LRN needs a middle channel", expected="an odd nsize", found=nsize)
    reach, channels = nsize // 2, data.shape[1]
    # shifted sums: a third of the time of local_response_norm, which pools in three dimensions
    squares = F.pad(data * data, (0, 0, 0, 0, reach, reach))
    total = squares[:, :channels]
    for start in range(1, nsize):
        total = total + squares[:, start : start + channels]
    scale = total * (alpha / nsize) + knorm
    if beta == 0.75:  # what networks use, and by roots a tenth of the time of a power
        root = torch.sqrt(scale)
        return data / (root * torch.sqrt(root))
    return data * scale**-beta


def _moments(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    shape = ins[0]
    if shape is None:
        return ins, outs
    axes = normalize_axes(p.axes or None, len(shape))
    kept = tuple(1 if i in axes else d for i, d in enumerate(shape) if p.keepdims or i not in axes)
    return ins, [unify(o, kept or (1,), "an output of moments") for o in outs]


@operator(shape=_moments, outputs=2)
def moments(data, *, axes: Shape | None = None, keepdims: bool = False):
    """Mean and biased variance over axes, all of them where none are given."""
    var, mean = torch.var_mean(data, tuple(axes) if axes else None, correction=0, keepdim=keepdims)
    return (mean, var) if mean.ndim else (mean.reshape(1), var.reshape(1))
