"""Batch normalisation in all the names that MXNet and public graphs have for it."""

from typing import Any

from evergraph.ops.families.nn.strides import batch_norm
from evergraph.ops.gradients import with_gradient
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify
from evergraph.ops.run import Moving, Run
from evergraph.ops.schema import Aux
from evergraph.ops.types import Double

__all__ = ["BatchNorm"]

_OUTPUTS = ("output", "mean", "var")


def _visible(p: Any) -> int:
    return 3 if p.output_mean_var else 1


def _shapes(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    shape = unify(ins[0], outs[0], "output of BatchNorm")
    if shape is None:
        return ins, outs
    channels = (shape[p.get("axis", 1)],)
    rest = [unify(s, channels, "a parameter of BatchNorm") for s in ins[1:]]
    return [shape, *rest], [shape, channels, channels, *[None] * (len(outs) - 3)]


def _types(_: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    kind = ins[0] or outs[0]
    # statistics of half precision data are kept in single precision
    inner = "float32" if kind in ("float16", "bfloat16") else kind
    return [kind, *[i or inner for i in ins[1:]]], [kind, *[inner] * (len(outs) - 1)]


def _tracing() -> bool:
    return torch.compiler.is_compiling() or torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]


def _scale(gamma: Any, fix_gamma: bool) -> Any:
    """The scale that is used: ones where gamma is fixed, which MXNet then also writes into the array itself."""
    if not fix_gamma:
        return gamma
    if _tracing():
        return torch.ones_like(gamma)
    ones = gamma.detach().fill_(1)
    # a copy for autograd: another layer that shares gamma will write to it again before the backward pass
    return ones.clone() if torch.is_grad_enabled() else ones


def _batch(x: Any, scale: Any, beta: Any, mean: Any, var: Any, p: Any, run: Run) -> tuple[Any, Any, Any]:
    """Normalises by the batch, notes the change of the moving statistics; the output, and where asked the batch's."""
    # with a momentum of 1 torch's running statistics are those of the batch, its variance the unbiased one
    batch_mean, batch_var = torch.zeros_like(mean), torch.zeros_like(var)
    out = batch_norm(x, scale, beta, batch_mean, batch_var, True, 1.0, p["eps"])
    count = x.numel() // x.shape[1] if x.numel() else 0
    if count < 2:
        batch_var = torch.zeros_like(var)
    biased = (count - 1) / count if count > 1 else 1.0
    run.later(Moving((mean, var), (batch_mean, batch_var), p["momentum"], (1.0, biased)), through=out)
    return out, batch_mean, batch_var * biased if p["output_mean_var"] else None


def _processes() -> int:
    group = torch.distributed
    return group.get_world_size() if group.is_available() and group.is_initialized() else 1


def _over_processes(x: Any) -> Any:
    total = x.clone()
    torch.distributed.all_reduce(total)
    return total


@with_gradient(lambda _, grad: _over_processes(grad))
def _summed(x: Any) -> Any:
    return _over_processes(x)


def _batch_of_all(x: Any, scale: Any, beta: Any, mean: Any, var: Any, p: Any, run: Run) -> tuple[Any, Any, Any]:
    """What `_batch` does, with the statistics of the batches of all processes."""
    axes = [0, *range(2, x.ndim)]
    shape = [1, -1, *[1] * (x.ndim - 2)]
    count = _summed(x.new_tensor([x.numel() / x.shape[1]], dtype=mean.dtype))
    batch_mean = _summed(x.to(mean.dtype).sum(axes)) / count
    apart = x - batch_mean.reshape(shape)
    batch_var = _summed((apart * apart).to(mean.dtype).sum(axes)) / count
    out = apart * (scale * torch.rsqrt(batch_var + p["eps"])).reshape(shape) + beta.reshape(shape)
    run.later(Moving((mean, var), (batch_mean.detach(), batch_var.detach()), p["momentum"]), through=out)
    return out.to(x.dtype), batch_mean, batch_var


def _normalized(
    data: Any, gamma: Any, beta: Any, mean: Any, var: Any, p: Any, axis: int, run: Run
) -> tuple[Any, Any, Any]:
    """The output, and where they are outputs too the mean and the biased variance that it was made with."""
    scale = _scale(gamma, p["fix_gamma"])
    x = data if axis % data.ndim == 1 else data.movedim(axis, 1)
    if run.training and not p["use_global_stats"]:
        batch = _batch_of_all if p.get("ndev", 1) > 1 and _processes() > 1 else _batch
        out, mean, var = batch(x, scale, beta, mean, var, p, run)
    else:
        out = batch_norm(x, scale, beta, mean, var, False, 0.0, p["eps"])
    return (out if x is data else out.movedim(1, axis)), mean, var


@operator(
    aliases=("_npx_batch_norm", "CuDNNBatchNorm"), shape=_shapes, dtype=_types, outputs=_OUTPUTS, visible=_visible
)
def BatchNorm(
    data,
    gamma,
    beta,
    moving_mean: Aux,
    moving_var: Aux,
    *,
    eps: Double = 0.0010000000474974513,
    momentum: float = 0.9,
    fix_gamma: bool = True,
    use_global_stats: bool = False,
    output_mean_var: bool = False,
    axis: int = 1,
    cudnn_off: bool = False,
    min_calib_range: float | None = None,
    max_calib_range: float | None = None,
    run: Run,
):
    """Batch normalisation: gamma * (data - mean) / sqrt(var + eps) + beta for each channel, along `axis`.

    In training, mean and biased variance are those of the batch (unless use_global_stats), and the moving ones follow
    in the backward pass: new = momentum * old + (1 - momentum) * batch. With fix_gamma, which is the default, gamma is
    overwritten with 1 and has no gradient. With output_mean_var, mean and 1 / sqrt(var + eps) are outputs too.
    """
    p = {"eps": eps, "momentum": momentum, "fix_gamma": fix_gamma, "use_global_stats": use_global_stats}
    p["output_mean_var"] = output_mean_var
    out, mean, var = _normalized(data, gamma, beta, moving_mean, moving_var, p, axis, run)
    return (out, mean.clone(), torch.rsqrt(var + eps)) if output_mean_var else out


@operator("_contrib_BatchNormWithReLU", shape=_shapes, dtype=_types, outputs=(*_OUTPUTS, "workspace"), visible=_visible)
def BatchNormWithReLU(
    data,
    gamma,
    beta,
    moving_mean: Aux,
    moving_var: Aux,
    *,
    eps: Double = 0.0010000000474974513,
    momentum: float = 0.9,
    fix_gamma: bool = True,
    use_global_stats: bool = False,
    output_mean_var: bool = False,
    axis: int = 1,
    cudnn_off: bool = False,
    min_calib_range: float | None = None,
    max_calib_range: float | None = None,
    run: Run,
):
    """BatchNorm, and of its result the larger of the value and 0."""
    p = {"eps": eps, "momentum": momentum, "fix_gamma": fix_gamma, "use_global_stats": use_global_stats}
    p["output_mean_var"] = output_mean_var
    out, mean, var = _normalized(data, gamma, beta, moving_mean, moving_var, p, axis, run)
    out = torch.relu(out)
    return (out, mean.clone(), torch.rsqrt(var + eps)) if output_mean_var else out


_V1_INPUTS = ("data", "gamma", "beta")


@operator(
    shape=_shapes,
    dtype=_types,
    outputs=_OUTPUTS,
    visible=_visible,
    documented=(
        *_V1_INPUTS,
        *("eps", "momentum", "fix_gamma", "use_global_stats", "output_mean_var"),
    ),
)
def BatchNorm_v1(
    data,
    gamma,
    beta,
    moving_mean: Aux,
    moving_var: Aux,
    *,
    eps: float = 0.001,
    momentum: float = 0.9,
    fix_gamma: bool = True,
    use_global_stats: bool = False,
    output_mean_var: bool = False,
    run: Run,
):
    """BatchNorm over axis 1, as it was before 0.9.5."""
    p = {"eps": eps, "momentum": momentum, "fix_gamma": fix_gamma, "use_global_stats": use_global_stats}
    p["output_mean_var"] = output_mean_var
    out, mean, var = _normalized(data, gamma, beta, moving_mean, moving_var, p, 1, run)
    return (out, mean.clone(), var.clone()) if output_mean_var else out


@operator("_contrib_SyncBatchNorm", shape=_shapes, dtype=_types, outputs=_OUTPUTS, visible=_visible)
def SyncBatchNorm(
    data,
    gamma,
    beta,
    moving_mean: Aux,
    moving_var: Aux,
    *,
    eps: float = 0.001,
    momentum: float = 0.9,
    fix_gamma: bool = True,
    use_global_stats: bool = False,
    output_mean_var: bool = False,
    ndev: int = 1,
    key: str,
    run: Run,
):
    """BatchNorm over axis 1; with ndev above 1 and torch's process group running, over the batches of all processes."""
    p = {"eps": eps, "momentum": momentum, "fix_gamma": fix_gamma, "use_global_stats": use_global_stats}
    p["output_mean_var"] = output_mean_var
    p["ndev"] = ndev
    out, mean, var = _normalized(data, gamma, beta, moving_mean, moving_var, p, 1, run)
    return (out, mean.clone(), var.clone()) if output_mean_var else out
