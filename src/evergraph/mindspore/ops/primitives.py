"""`ops` as Primitive classes: made with settings, then called with tensors."""

import importlib
import re
from collections.abc import Callable
from typing import Any

import torch

from evergraph.errors import UsageError
from evergraph.mindspore.common.tensor import unwrap
from evergraph.mindspore.ops import arrays, elements, neural, reductions

__all__ = ["Primitive"]


class Primitive:
    """An operator that was made with settings.

    Args:
        settings: in the order of the operator.

    >>> from evergraph.mindspore import Tensor, ops
    >>> ops.ReduceSum(keep_dims=True)(Tensor([[1.0, 2.0]]), 1)
    Tensor(shape=[1, 1], dtype=Float32, value=
    [[ 3.00000000e+00]])
    """

    _run: Any = None
    _settings: dict[str, Any] = {}

    def __init__(self, *settings: Any, **named: Any) -> None:
        if len(settings) > len(self._settings) or named.keys() - self._settings.keys():
            raise UsageError("no such setting", where=type(self).__name__, expected=", ".join(self._settings) or "none")
        self.settings = self._settings | dict(zip(self._settings, settings, strict=False)) | named

    def __call__(self, *inputs: Any) -> Any:
        """Compute."""
        return type(self)._run(*inputs, **self.settings)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v}' for k, v in self.settings.items())})"


def _primitive(name: str, run: Callable[..., Any], **settings: Any) -> None:
    body = {"_run": staticmethod(run), "_settings": settings, "__doc__": f"{name}.", "__module__": __name__}
    globals()[name] = type(name, (Primitive,), body)


_PLAIN = {
    elements: """Abs ACos=acos Acosh Add Asin Asinh Assign AssignAdd AssignSub Atan Atan2=atan2 Atanh BitwiseAnd
        BitwiseOr BitwiseXor Cast Ceil Cos Cosh Depend Div Elu Equal Erf Erfc Erfinv Exp Expm1=expm1 FastGeLU=fast_gelu
        Floor FloorDiv=floor_divide FloorMod=remainder Greater GreaterEqual HSigmoid=hardsigmoid HSwish=hardswish
        Invert=bitwise_not IsFinite=isfinite IsInf=isinf IsNan=isnan Lerp Less LessEqual Log Log1p=log1p LogicalAnd
        LogicalNot LogicalOr LogicalXor Maximum Minimum Mish Mod=fmod Mul Neg NotEqual PReLU=prelu Pow Print=print_
        ReLU=relu ReLU6=relu6 RealDiv=div Reciprocal Round Rsqrt SeLU=selu SiLU=silu Sigmoid Sign Sin Sinh Softplus
        Softsign Sqrt Square Sub Tan Tanh TensorAdd=add Xlogy Inv=reciprocal Rint=round Trunc Digamma Lgamma""",
    arrays: """Diag DynamicShape=dyn_shape ExpandDims Eye Fill FillV2=full Gather GatherD=gather_elements GatherNd
        LinSpace=linspace MaskedFill MaskedSelect Ones OnesLike Range=arange Rank Reshape ScalarToTensor ScatterNd
        Select Shape Size Slice StridedSlice TensorScatterAdd TensorScatterUpdate TensorShape=dyn_shape Tile Transpose
        TupleToArray UnsortedSegmentSum Zeros ZerosLike""",
    reductions: "CumProd=cumprod NonZero=nonzero Unique",
    neural: "BiasAdd",
}
"""Module -> primitives without settings, and the function where it is not the name in words."""

for _home, _names in _PLAIN.items():
    for _pair in _names.split():
        _name, _, _function = _pair.partition("=")
        _primitive(_name, getattr(_home, _function or re.sub(r"(?<!^)(?=[A-Z])", "_", _name).lower()))

_primitive("Identity", lambda x: x)
_primitive("StopGradient", lambda x: importlib.import_module("evergraph.mindspore.ops.gradients").stop_gradient(x))
_primitive("DType", lambda x: x.dtype)
_primitive("AddN", lambda parts: sum(parts[1:], parts[0]))
_primitive("AccumulateNV2", lambda parts: sum(parts[1:], parts[0]))
_primitive("Squeeze", lambda x, axis: arrays.squeeze(x, None if axis == () else axis), axis=())
_primitive("Concat", arrays.cat, axis=0)
_primitive("Stack", arrays.stack, axis=0)
_primitive("Pack", arrays.stack, axis=0)
_primitive("Unpack", lambda x, axis, **_: arrays.unstack(x, axis), axis=0, num=None)
_primitive("Unstack", lambda x, axis, **_: arrays.unstack(x, axis), axis=0, num=None)
_primitive(
    "Split", lambda x, axis, output_num: arrays.split(x, x.shape[axis] // output_num, axis), axis=0, output_num=1
)
_primitive("Flatten", arrays.flatten)
_primitive("BroadcastTo", arrays.broadcast_to, shape=())
_primitive("Pad", lambda x, paddings: arrays.pad(x, [n for pair in reversed(paddings) for n in pair]), paddings=())
_primitive("ReverseV2", arrays.reverse, axis=())
_primitive("Meshgrid", lambda parts, indexing: arrays.meshgrid(*parts, indexing=indexing), indexing="xy")
_primitive("Tril", arrays.tril, diagonal=0)
_primitive("Triu", arrays.triu, diagonal=0)
_primitive("OneHot", arrays.one_hot, axis=-1)
_primitive("EmbeddingLookup", lambda table, where, offset: arrays.gather(table, where - offset, 0))
_primitive("GeLU", lambda x: elements.gelu(x, approximate="tanh"))
_primitive("Gelu", lambda x: elements.gelu(x, approximate="tanh"))
_primitive("Softmax", elements.softmax, axis=-1)
_primitive("LogSoftmax", elements.log_softmax, axis=-1)
_primitive("L2Normalize", elements.l2_normalize, axis=0, epsilon=1e-4)
_primitive("L2Loss", lambda x: (x * x).sum() / 2)
_primitive("TopK", lambda x, k, sorted: reductions.topk(x, k, sorted=sorted), sorted=True)
_primitive("Sort", reductions.sort, axis=-1, descending=False)
_primitive(
    "Argmax", lambda x, axis, output_type: reductions.argmax(x, axis).astype(output_type), axis=-1, output_type="int32"
)
_primitive(
    "Argmin", lambda x, axis, output_type: reductions.argmin(x, axis).astype(output_type), axis=-1, output_type="int32"
)
_primitive(
    "ArgMaxWithValue", lambda x, axis, keep_dims: reductions.max(x, axis, keep_dims)[::-1], axis=0, keep_dims=False
)
_primitive(
    "ArgMinWithValue", lambda x, axis, keep_dims: reductions.min(x, axis, keep_dims)[::-1], axis=0, keep_dims=False
)


def _reduction(name: str, run: Callable[..., Any]) -> None:
    _primitive(name, lambda x, axis=(), *, keep_dims: run(x, axis, keep_dims), keep_dims=False)


def _multiplied(x: Any, axis: Any, keep_dims: bool) -> Any:
    for one in sorted(reductions._axes(x._torch, axis), reverse=True) if not isinstance(axis, int) else [axis]:
        x = reductions.prod(x, one, keep_dims, x.dtype)
    return x


for _name, _function in {
    "ReduceMean": reductions.mean,
    "ReduceSum": reductions.reduce_sum,
    "ReduceMax": reductions.amax,
    "ReduceMin": reductions.amin,
    "ReduceAll": reductions.all,
    "ReduceAny": reductions.any,
    "ReduceProd": _multiplied,
}.items():
    _reduction(_name, _function)


def _cumulated(x: Any, axis: Any, exclusive: bool, reverse: bool) -> Any:
    axis = int(unwrap(axis))
    found = arrays.flip(x, axis) if reverse else x
    summed = reductions.cumsum(found, axis)
    summed = arrays.wrap(summed._torch - found._torch) if exclusive else summed
    return arrays.flip(summed, axis) if reverse else summed


_primitive("CumSum", _cumulated, exclusive=False, reverse=False)


def _product(x: Any, y: Any, transpose_a: bool, transpose_b: bool) -> Any:
    first, second = x._torch, y._torch
    return elements.wrap((first.mT if transpose_a else first) @ (second.mT if transpose_b else second))


_primitive("MatMul", _product, transpose_a=False, transpose_b=False)
_primitive("BatchMatMul", _product, transpose_a=False, transpose_b=False)

# layers


def _convolution(x: Any, weight: Any, **named: Any) -> Any:
    run = {4: neural.conv2d, 5: neural.conv3d}[x.ndim]
    named = {k: v for k, v in named.items() if k not in ("out_channel", "kernel_size", "mode", "data_format")}
    named["groups"], named["padding"] = named.pop("group"), named.pop("pad")
    return run(x, weight, **named)


_WINDOW = {"out_channel": None, "kernel_size": None, "mode": 1, "pad_mode": "valid", "pad": 0, "stride": 1}
_primitive("Conv2D", _convolution, **_WINDOW, dilation=1, group=1, data_format="NCHW")
_primitive("Conv3D", _convolution, **_WINDOW, dilation=1, group=1, data_format="NCDHW")


def _pooled(kind: str) -> Callable[..., Any]:
    def run(x: Any, kernel_size: Any, strides: Any, pad_mode: str, **_: Any) -> Any:
        layer = getattr(importlib.import_module("evergraph.mindspore.nn.pooling"), f"{kind}Pool2d")
        two = lambda n: tuple(n[2:]) if isinstance(n, (tuple, list)) and len(n) == 4 else n
        return layer(two(kernel_size), two(strides), pad_mode.lower()).construct(x)

    return run


_primitive("MaxPool", _pooled("Max"), kernel_size=1, strides=1, pad_mode="valid", data_format="NCHW")
_primitive("AvgPool", _pooled("Avg"), kernel_size=1, strides=1, pad_mode="valid", data_format="NCHW")


def _dropped(x: Any, keep_prob: float, **_: Any) -> Any:
    """Values and mask."""
    kept = neural.bernoulli(x, keep_prob) if keep_prob < 1 else arrays.ones_like(x)
    return x * kept / keep_prob, kept


_primitive("Dropout", _dropped, keep_prob=0.5, Seed0=0, Seed1=0)


def _layer_norm(x: Any, gamma: Any, beta: Any, begin_norm_axis: int, epsilon: float, **_: Any) -> Any:
    data = x._torch
    axes = tuple(range(begin_norm_axis % data.dim(), data.dim()))
    mean, variance = data.mean(axes, keepdim=True), data.var(axes, correction=0, keepdim=True)
    plain = (data - mean) * (variance + epsilon).rsqrt()
    return elements.wrap((plain * gamma._torch + beta._torch, mean, variance))


_primitive("LayerNorm", _layer_norm, begin_norm_axis=1, begin_params_axis=1, epsilon=1e-7)

# losses

_primitive("SmoothL1Loss", neural.smooth_l1_loss, beta=1.0, reduction="none")
_primitive("KLDivLoss", neural.kl_div, reduction="mean")
_primitive(
    "BinaryCrossEntropy",
    lambda x, y, weight=None, *, reduction: neural.binary_cross_entropy(x, y, weight, reduction),
    reduction="mean",
)


def _softmax_loss(x: Any, y: Any) -> Any:
    """Losses of the rows, and their gradient."""
    data, wanted = x._torch, y._torch
    logs = data.log_softmax(-1)
    return elements.wrap((-(logs * wanted).sum(-1), logs.exp() - wanted))


_primitive("SoftmaxCrossEntropyWithLogits", _softmax_loss)


def _sparse_loss(x: Any, y: Any, is_grad: bool) -> Any:
    """The mean loss, or its gradient."""
    if not is_grad:
        return neural.cross_entropy(x, y)
    found = neural.F.one_hot(y._torch.long(), x.shape[-1])
    return elements.wrap((x._torch.softmax(-1) - found) / len(x))


_primitive("SparseSoftmaxCrossEntropyWithLogits", _sparse_loss, is_grad=False)


def _sigmoid_loss(x: Any, y: Any) -> Any:
    """The loss of each element."""
    return elements.wrap(neural.F.binary_cross_entropy_with_logits(x._torch, y._torch, reduction="none"))


_primitive("SigmoidCrossEntropyWithLogits", _sigmoid_loss)
_primitive("Addcmul", lambda x, a, b, value: x + value * a * b)
_primitive("Addcdiv", lambda x, a, b, value: x + value * a / b)
_primitive("SquaredDifference", lambda x, y: (x - y) ** 2)
_primitive(
    "LpNorm",
    lambda x, axis, p, keep_dims, epsilon: elements.wrap(x._torch.norm(p, axis, keep_dims).clamp(min=epsilon)),
    axis=0,
    p=2,
    keep_dims=False,
    epsilon=1e-12,
)
_primitive(
    "InTopK",
    lambda x, y, k: elements.wrap((x._torch > x._torch.gather(1, y._torch.long()[:, None])).sum(1) < k),
    k=1,
)

# space


def _nearest(x: Any, size: Any, align_corners: bool, **_: Any) -> Any:
    if align_corners:
        places = [(torch.linspace(0, n - 1, m) + 0.5).long() for n, m in zip(x.shape[2:], size, strict=True)]
        return elements.wrap(x._torch[:, :, places[0]][:, :, :, places[1]])
    return elements.wrap(neural.F.interpolate(x._torch, tuple(size), mode="nearest"))


def _blocks(x: Any, block_size: int, deep: bool) -> Any:
    """Space as channels, or back: the places within a block come first among the channels."""
    data, b = x._torch, block_size
    n, c, h, w = data.shape
    if deep:
        parts = data.reshape(n, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4)
        return elements.wrap(parts.reshape(n, c * b * b, h // b, w // b))
    parts = data.reshape(n, b, b, c // (b * b), h, w).permute(0, 3, 4, 1, 5, 2)
    return elements.wrap(parts.reshape(n, c // (b * b), h * b, w * b))


_primitive("ResizeNearestNeighbor", _nearest, size=(), align_corners=False, half_pixel_centers=False)
_primitive("SpaceToDepth", lambda x, block_size: _blocks(x, block_size, True), block_size=2)
_primitive("DepthToSpace", lambda x, block_size: _blocks(x, block_size, False), block_size=2)

# Parameters, changed in place


def _scattered(run: str) -> Callable[..., Any]:
    def scatter(param: Any, indices: Any, updates: Any, **_: Any) -> Any:
        held, places = param._torch.data, indices._torch.long().reshape(-1)
        rows = updates._torch.reshape(places.numel(), *held.shape[1:])
        if run == "copy":
            held[places] = rows
        else:
            held.index_add_(0, places, rows, alpha=1 if run == "add" else -1)
        return param

    return scatter


for _name, _function in {"ScatterUpdate": "copy", "ScatterAdd": "add", "ScatterSub": "sub"}.items():
    _primitive(_name, _scattered(_function), use_locking=False)

for _name in ("ScalarSummary", "ImageSummary", "TensorSummary", "HistogramSummary"):
    _primitive(_name, lambda *_: None)
