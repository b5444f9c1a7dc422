"""`ops` of networks: convolutions, pooling, normalization, losses, random numbers."""

from typing import Any

import torch
import torch.nn.functional as F

from evergraph.mindspore.common import dtype as mstype
from evergraph.mindspore.common.tensor import Tensor, unwrap, wrap
from evergraph.mindspore.nn.convolution import each, each_side, same_sides
from evergraph.mindspore.nn.loss import reduced
from evergraph.ops.families.nn import strides

# layers


def _convolved(dims: int, given: Any, weight: Any, bias: Any, stride: Any, pad: tuple[str, Any], more: Any) -> Tensor:
    data, kernel = unwrap(given), unwrap(weight)
    dilation, groups = each(more[0], dims, "dilation"), more[1]
    steps, (mode, padding) = each(stride, dims, "stride"), pad
    if mode not in ("valid", "same", "pad"):
        raise ValueError(f"pad_mode is valid, same or pad, not {mode!r}")
    sides = each_side(padding if mode == "pad" else 0, dims)
    if mode == "same":
        sides = same_sides(data.shape[2:], kernel.shape[2:], steps, dilation)
    if any(sides):
        data = F.pad(data, [v for i in reversed(range(dims)) for v in sides[2 * i : 2 * i + 2]])
    nothing = (0,) * dims
    return wrap(torch.convolution(data, kernel, unwrap(bias), steps, nothing, dilation, False, nothing, groups))


def conv1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    pad_mode: str = "valid",
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution of (N, C, W) with (out, C / groups, k)."""
    return _convolved(1, input, weight, bias, stride, (pad_mode, padding), (dilation, groups))


def conv2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    pad_mode: str = "valid",
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution of (N, C, H, W) with (out, C / groups, kh, kw).

    >>> from evergraph.mindspore import ops
    >>> conv2d(ops.ones((1, 1, 3, 3)), ops.ones((1, 1, 2, 2)), pad_mode="same").asnumpy()[0, 0]
    array([[4., 4., 2.],
           [4., 4., 2.],
           [2., 2., 1.]], dtype=float32)
    """
    return _convolved(2, input, weight, bias, stride, (pad_mode, padding), (dilation, groups))


def conv3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    pad_mode: str = "valid",
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> Tensor:
    """Convolution of (N, C, D, H, W) with (out, C / groups, kd, kh, kw)."""
    return _convolved(3, input, weight, bias, stride, (pad_mode, padding), (dilation, groups))


def dense(input: Any, weight: Any, bias: Any = None) -> Tensor:
    """Input @ weight.T + bias."""
    return wrap(F.linear(unwrap(input), unwrap(weight), unwrap(bias)))


def bias_add(input_x: Any, bias: Any) -> Tensor:
    """A bias for each place of the second dimension, added."""
    data = unwrap(input_x)
    return wrap(data + unwrap(bias).view(1, -1, *[1] * (data.dim() - 2)))


def embedding(input: Any, weight: Any, padding_idx: int | None = None, max_norm: Any = None, **more: Any) -> Tensor:
    """Rows of `weight`."""
    return wrap(F.embedding(unwrap(input).long(), unwrap(weight), padding_idx, max_norm, **more))


def dropout(input: Any, p: float = 0.5, training: bool = True, seed: int | None = None) -> Tensor:
    """Zeros in a share p of the elements, the rest divided by 1 - p."""
    data = unwrap(input)
    if seed is None or not training or p == 0:
        return wrap(F.dropout(data, p, training))
    return wrap(data * (_random(torch.rand, seed, data.shape) >= p) / (1 - p))


def max_pool2d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    return_indices: bool = False,
    ceil_mode: bool = False,
) -> Any:
    """The largest element of each window; with `return_indices` where it stands, too."""
    found: Any = F.max_pool2d(unwrap(x), kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    return wrap(found)


def max_pool3d(
    x: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window of (N, C, D, H, W)."""
    found: Any = F.max_pool3d(unwrap(x), kernel_size, stride, padding, dilation, ceil_mode, return_indices)
    return wrap(found)


def avg_pool1d(
    input_x: Any,
    kernel_size: Any = 1,
    stride: Any = 1,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of (N, C, L)."""
    return wrap(F.avg_pool1d(unwrap(input_x), kernel_size, stride, padding, ceil_mode, count_include_pad))


def avg_pool2d(
    input_x: Any,
    kernel_size: Any = 1,
    stride: Any = 1,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int = 0,
) -> Tensor:
    """The mean of each window of (N, C, H, W)."""
    data, divisor = unwrap(input_x), divisor_override or None
    return wrap(F.avg_pool2d(data, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor))


def _adaptive(name: str) -> Any:
    def function(input: Any, output_size: Any, return_indices: bool = False) -> Any:
        more = {"return_indices": True} if return_indices else {}
        return wrap(getattr(F, name)(unwrap(input), output_size, **more))

    function.__name__, function.__doc__ = name, f"As torch's `{name}`: windows that cover the space."
    return function


adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d, adaptive_max_pool1d, adaptive_max_pool2d = map(
    _adaptive, [f"adaptive_{kind}_pool{n}d" for kind, ns in (("avg", "123"), ("max", "12")) for n in ns]
)


def batch_norm(
    input_x: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any,
    bias: Any,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Normalization over all dimensions but the second."""
    data, *parts = map(unwrap, (input_x, running_mean, running_var, weight, bias))
    mean, variance, scale, shift = parts
    return wrap(strides.batch_norm(data, scale, shift, mean, variance, training, momentum, eps))


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    """Normalization over groups of channels."""
    return wrap(F.group_norm(unwrap(input), num_groups, unwrap(weight), unwrap(bias), eps))


def rms_norm(x: Any, gamma: Any, epsilon: float = 1e-6) -> Any:
    """The values / rms(x) * gamma over gamma's dimensions, and 1 / rms(x)."""
    data, scale = unwrap(x), unwrap(gamma)
    axes = tuple(range(-scale.dim(), 0))
    share = torch.rsqrt((data.float() ** 2).mean(axes, keepdim=True) + epsilon)
    return wrap(((data * share).to(data.dtype) * scale, share))


def interpolate(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
) -> Tensor:
    """The space in another size."""
    more: Any = {"recompute_scale_factor": recompute_scale_factor}
    return wrap(F.interpolate(unwrap(input), size, scale_factor, mode, align_corners, **more))


upsample = interpolate


def pixel_shuffle(input: Any, upscale_factor: int) -> Tensor:
    """Channels as space."""
    return wrap(F.pixel_shuffle(unwrap(input), upscale_factor))


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine along a dimension."""
    return wrap(F.cosine_similarity(unwrap(x1), unwrap(x2), dim, eps))


# losses


def _classes(target: Any) -> torch.Tensor:
    found = unwrap(target)
    return found if found.is_floating_point() else found.long()


def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross entropy of logits and class indices, or probabilities."""
    more: Any = {"ignore_index": ignore_index, "reduction": reduction, "label_smoothing": label_smoothing}
    return wrap(F.cross_entropy(unwrap(input), _classes(target), unwrap(weight), **more))


def nll_loss(
    inputs: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """-inputs of the labels' classes, for log-probabilities; smoothed with the mean of all classes."""
    data, wanted = unwrap(inputs), _classes(target)
    plain = F.nll_loss(data, wanted, unwrap(weight), ignore_index=ignore_index, reduction=reduction)
    if not label_smoothing:
        return wrap(plain)
    kept = wanted != ignore_index
    scale = torch.ones(data.shape[1]) if weight is None else unwrap(weight)
    every = -(data * scale.view(1, -1, *[1] * (data.dim() - 2))).sum(1) * kept
    whole = scale[wanted.clamp(min=0)][kept].sum() if reduction == "mean" else 1.0
    smooth = (every if reduction == "none" else every.sum()) / whole
    return wrap((1 - label_smoothing) * plain + label_smoothing * smooth / data.shape[1])


def binary_cross_entropy(logits: Any, labels: Any, weight: Any = None, reduction: str = "mean") -> Tensor:
    """Cross entropy of probabilities."""
    return wrap(F.binary_cross_entropy(unwrap(logits), unwrap(labels), unwrap(weight), reduction=reduction))


def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, pos_weight: Any = None, reduction: str = "mean"
) -> Tensor:
    """Cross entropy of the sigmoid of logits."""
    more: Any = {"reduction": reduction, "pos_weight": unwrap(pos_weight)}
    return wrap(F.binary_cross_entropy_with_logits(unwrap(input), unwrap(target), unwrap(weight), **more))


def mse_loss(input: Any, target: Any, reduction: str = "mean") -> Tensor:
    """Squares of the differences."""
    return wrap(reduced((unwrap(input) - unwrap(target)) ** 2, reduction))


def l1_loss(input: Any, target: Any, reduction: str = "mean") -> Tensor:
    """Absolute differences."""
    return wrap(reduced((unwrap(input) - unwrap(target)).abs(), reduction))


def smooth_l1_loss(input: Any, target: Any, beta: float = 1.0, reduction: str = "none") -> Tensor:
    """Squares of small differences, absolute large ones."""
    return wrap(F.smooth_l1_loss(unwrap(input), unwrap(target), beta=beta, reduction=reduction))


def huber_loss(input: Any, target: Any, reduction: str = "mean", delta: float = 1.0) -> Tensor:
    """Squares of small differences, absolute large ones times delta."""
    return wrap(F.huber_loss(unwrap(input), unwrap(target), reduction, delta))


def kl_div(logits: Any, labels: Any, reduction: str = "mean") -> Tensor:
    """Kullback-Leibler divergence of log-probabilities from probabilities."""
    return wrap(F.kl_div(unwrap(logits), unwrap(labels), reduction=reduction))


def hinge_embedding_loss(inputs: Any, targets: Any, margin: float = 1.0, reduction: str = "mean") -> Tensor:
    """The distance where the target is 1; what it lacks to the margin where it is -1."""
    return wrap(F.hinge_embedding_loss(unwrap(inputs), unwrap(targets), margin, reduction=reduction))


def margin_ranking_loss(input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: str = "mean") -> Tensor:
    """What the order of two scores lacks to the margin."""
    return wrap(F.margin_ranking_loss(unwrap(input1), unwrap(input2), unwrap(target), margin, reduction=reduction))


def grid_sample(
    input: Any, grid: Any, mode: str = "bilinear", padding_mode: str = "zeros", align_corners: bool = False
) -> Tensor:
    """The image at the grid's places, from -1 to 1."""
    return wrap(F.grid_sample(unwrap(input), unwrap(grid), mode, padding_mode, align_corners))


def unfold(input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """Windows of an image as columns."""
    return wrap(F.unfold(unwrap(input), kernel_size, dilation, padding, stride))


def fold(
    input: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """Columns as windows of an image, added where they overlap."""
    sizes = tuple(int(n) for n in unwrap(output_size))
    return wrap(F.fold(unwrap(input), sizes, kernel_size, dilation, padding, stride))


# random numbers, of the generator that `set_seed` sets


def _sizes(size: Any) -> tuple[int, ...]:
    found = size[0] if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
    return tuple(int(n) for n in found)


def _random(run: Any, seed: int | None, *args: Any, **named: Any) -> torch.Tensor:
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    return run(*args, generator=generator, **named)


def rand(*size: Any, dtype: Any = None, seed: int | None = None) -> Tensor:
    """Even random numbers from 0 to 1."""
    return wrap(_random(torch.rand, seed, _sizes(size), dtype=dtype and mstype.of(dtype).torch))


def randn(*size: Any, dtype: Any = None, seed: int | None = None) -> Tensor:
    """Normal random numbers."""
    return wrap(_random(torch.randn, seed, _sizes(size), dtype=dtype and mstype.of(dtype).torch))


def standard_normal(shape: Any, seed: int | None = None) -> Tensor:
    """Normal random numbers."""
    return randn(shape, seed=seed)


def normal(shape: Any, mean: Any, stddev: Any, seed: int | None = None) -> Tensor:
    """Normal random numbers of a mean and a standard deviation."""
    return wrap(_random(torch.randn, seed, tuple(shape)) * unwrap(stddev) + unwrap(mean))


def uniform(shape: Any, minval: Any, maxval: Any, seed: int | None = None, dtype: Any = mstype.float32) -> Tensor:
    """Even random numbers from `minval` to `maxval`; whole where the type is."""
    low, high, kind = unwrap(minval), unwrap(maxval), mstype.of(dtype).torch
    return wrap((_random(torch.rand, seed, tuple(shape)) * (high - low) + low).to(kind))


def randint(low: int, high: int, size: Any, seed: int | None = None, *, dtype: Any = None) -> Tensor:
    """Whole random numbers from low to high - 1, Int64."""
    return wrap(_random(torch.randint, seed, low, high, tuple(size), dtype=dtype and mstype.of(dtype).torch))


def randperm(n: int, seed: int = 0, _offset: int = 0, dtype: Any = mstype.int64) -> Tensor:
    """The numbers from 0 to n - 1 in random order."""
    return wrap(_random(torch.randperm, seed or None, int(unwrap(n)), dtype=mstype.of(dtype).torch))


def bernoulli(input: Any, p: Any = 0.5, seed: int | None = None) -> Tensor:
    """Ones with the probability p, else zeros, in the shape and type of the input."""
    data = unwrap(input)
    return wrap((_random(torch.rand, seed, data.shape) < unwrap(p)).to(data.dtype))


def multinomial(input: Any, num_samples: int, replacement: bool = True, seed: int | None = None) -> Tensor:
    """Indices drawn with the probabilities that the rows tell, Int32."""
    return wrap(_random(torch.multinomial, seed, unwrap(input), num_samples, replacement).int())


def rand_like(input: Any, seed: int | None = None, *, dtype: Any = None) -> Tensor:
    """Evenly distributed numbers from 0 to 1, of a tensor's shape."""
    return rand(*input.shape, dtype=input.dtype if dtype is None else dtype, seed=seed)


def randn_like(input: Any, seed: int | None = None, *, dtype: Any = None) -> Tensor:
    """Normally distributed numbers, of a tensor's shape."""
    return randn(*input.shape, dtype=input.dtype if dtype is None else dtype, seed=seed)


def randint_like(input: Any, low: int, high: int, seed: int | None = None, *, dtype: Any = None) -> Tensor:
    """Whole numbers from low to below high, of a tensor's shape."""
    return randint(low, high, input.shape, seed, dtype=input.dtype if dtype is None else dtype)


def dropout1d(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Whole lines left out."""
    return wrap(F.dropout1d(unwrap(input), p, training))


def dropout2d(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Whole images left out."""
    return wrap(F.dropout2d(unwrap(input), p, training))


def pixel_unshuffle(input: Any, downscale_factor: int) -> Tensor:
    """Space as channels."""
    return wrap(F.pixel_unshuffle(unwrap(input), downscale_factor))


def intopk(x1: Any, x2: Any, k: int) -> Tensor:
    """Whether the class of each row is among its `k` largest."""
    data, wanted = unwrap(x1), unwrap(x2).long()
    return wrap((data > data.gather(1, wanted[:, None])).sum(1) < k)
