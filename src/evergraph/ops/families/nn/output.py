"""Layers that end a network: they compute a prediction, and in the backward pass the gradient of a loss."""

import math
from typing import Any, Literal

from evergraph.errors import ShapeError
from evergraph.ops.gradients import with_gradient
from evergraph.ops.lazy import F, torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify
from evergraph.ops.schema import Params
from evergraph.ops.types import Fraction

__all__ = [
    "LinearRegressionOutput",
    "LogisticRegressionOutput",
    "MAERegressionOutput",
    "SVMOutput",
    "SoftmaxOutput",
]


def _softmaxed(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data = unify(ins[0], outs[0], "output of SoftmaxOutput")
    label = ins[1]
    if data is None or None in data or label == data:  # a label of data's shape holds probabilities
        return [data, label], [data]
    if not p.multi_output:
        return [data, unify(label, data[:-1], "label of SoftmaxOutput")], [data]
    positions = math.prod(d for d in data[2:] if d is not None)
    allowed = [(data[0], positions), (data[0], *data[2:]), (data[0], 1, *data[2:])]
    if label is not None and None not in label and label not in allowed:
        raise ShapeError(
            "label of SoftmaxOutput does not fit", expected=" or ".join(str(a) for a in allowed), found=str(label)
        )
    return [data, label or allowed[0]], [data]


def _groups(data: Any, multi_output: bool, preserve_shape: bool) -> Any:
    """The data as (samples, classes, positions)."""
    if multi_output:
        return data.flatten(2) if data.ndim > 2 else data.unsqueeze(2)
    if preserve_shape:
        return data.flatten(0, -2).unsqueeze(2)
    return data.flatten(1).unsqueeze(2)


def _class_gradient(out: Any, label: Any, p: Any) -> Any:
    """Gradient of the cross entropy in out (samples, classes, positions), for labels (samples, positions)."""
    # classes outside of the range, such as an ignored label, have no place of their own
    chosen = label.long().unsqueeze(1)
    place = chosen.clamp(0, out.shape[1] - 1)
    alpha = 0.0 if p.multi_output else p.smooth_alpha
    spread = alpha / max(out.shape[1] - 1, 1)
    change = (place != chosen).to(out.dtype).sub_(1)
    if alpha:
        change.mul_(1 - alpha - spread)
    grad = out - spread if alpha else out.clone()
    grad.scatter_add_(1, place, change)
    if p.use_ignore:
        grad = grad.masked_fill(label.long().unsqueeze(1) == int(p.ignore_label), 0)
    return grad


def _loss_scale(label: Any, groups: Any, p: Any) -> Any:
    if p.normalization == "valid":
        return p.grad_scale / (label.long() != int(p.ignore_label)).sum().clamp_min(1)
    samples = groups.shape[0] if p.multi_output else label.numel()
    return p.grad_scale / (groups.shape[2] * (samples if p.normalization == "batch" else 1))


def _softmax_output_gradient(saved: Any, _: Any) -> tuple[Any, ...]:
    data, label, p = saved.args
    (out,) = saved.outputs
    if label.shape == data.shape:
        return _weighted(out - label, p.grad_scale, out, p.out_grad), None, None
    groups = _groups(out, p.multi_output, p.preserve_shape)
    scale = _loss_scale(label, groups, p)
    # with more axes than two and neither option, MXNet asks for a label for each position of all axes but the last,
    # counts them all, and reads the first ones, one for each sample
    size = groups.shape[0] * groups.shape[2]
    label = (label if label.numel() == size else label.flatten()[:size]).reshape(groups.shape[0], groups.shape[2])
    return _weighted(_class_gradient(groups, label, p), scale, out, p.out_grad), None, None


def _weighted(grad: Any, scale: Any, out: Any, by_output: bool) -> Any:
    """A gradient of our own times its scale, in its own memory: over a vocabulary, each pass costs as a layer does."""
    # 1.9.1 multiplies by the output where its documentation promises the gradient from above
    if isinstance(scale, torch.Tensor) or scale != 1:
        grad.mul_(scale)
    grad = grad.reshape(out.shape)
    return grad.mul_(out) if by_output else grad


@with_gradient(_softmax_output_gradient)
def _softmax_output(data: Any, label: Any, p: Any) -> Any:
    if data.ndim == 2:
        return torch.softmax(data, 1)
    return torch.softmax(_groups(data, p.multi_output, p.preserve_shape), 1).reshape(data.shape)


@operator(aliases=("Softmax",), shape=_softmaxed)
def SoftmaxOutput(
    data,
    label,
    *,
    grad_scale: float = 1.0,
    ignore_label: float = -1.0,
    multi_output: bool = False,
    use_ignore: bool = False,
    preserve_shape: bool = False,
    normalization: Literal["batch", "null", "valid"] = "null",
    out_grad: bool = False,
    smooth_alpha: Fraction = 0.0,
):
    """The softmax over all values of each sample, over axis 1 at each position (multi_output), or over the last axis
    (preserve_shape); its gradient is that of the cross entropy with label.

    The gradient is (output - one-hot label) * grad_scale, divided by the number of samples (batch) or of labels that
    are not ignore_label (valid), whatever comes from above; out_grad multiplies it by the output, as 1.9.1 does. A
    label of data's shape holds probabilities. use_ignore gives ignored labels no gradient; smooth_alpha, without
    multi_output, spreads so much over the other classes.
    """
    p = Params(grad_scale=grad_scale, ignore_label=ignore_label, multi_output=multi_output, use_ignore=use_ignore)
    p |= {"preserve_shape": preserve_shape, "normalization": normalization, "out_grad": out_grad}
    p["smooth_alpha"] = smooth_alpha
    return _softmax_output(data, label, p)


def _regressed(_: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data = unify(ins[0], outs[0], "output of a regression layer")
    label = ins[1]
    if label is None and data is not None:
        label = data[:1] if len(data) == 2 and data[1] == 1 else data
    elif label and data and None not in (*label, *data):
        sizes = [math.prod(d for d in dims if d is not None) for dims in (label, data)]
        if label[0] != data[0] or sizes[0] != sizes[1]:
            raise ShapeError("label of a regression layer does not fit", expected=str(data), found=str(label))
    return [data, label], [data]


def _regression(error: Any) -> Any:
    """The backward pass that scales error(output, label) by grad_scale over the outputs of one sample."""

    def backward(saved: Any, _: Any) -> tuple[Any, ...]:
        data, label, grad_scale = saved.args
        outputs = math.prod(label.shape[1:])
        return error(saved.outputs[0], label.reshape(data.shape)) * (grad_scale / outputs), None, None

    return backward


@with_gradient(_regression(lambda out, label: out - label))
def _linear(data: Any, label: Any, grad_scale: float) -> Any:
    return data.clone()


@with_gradient(_regression(lambda out, label: torch.where(out > label, 1.0, -1.0).to(out.dtype)))
def _absolute(data: Any, label: Any, grad_scale: float) -> Any:
    return data.clone()


@with_gradient(_regression(lambda out, label: out - label))
def _logistic(data: Any, label: Any, grad_scale: float) -> Any:
    return torch.sigmoid(data)


@operator(aliases=("_sparse_LinearRegressionOutput",), shape=_regressed)
def LinearRegressionOutput(data, label, *, grad_scale: float = 1.0):
    """Data as it is; its gradient is (data - label) * grad_scale over the number of outputs of a sample."""
    return _linear(data, label, grad_scale)


@operator(aliases=("_sparse_MAERegressionOutput",), shape=_regressed)
def MAERegressionOutput(data, label, *, grad_scale: float = 1.0):
    """Data as it is; its gradient is 1 above and -1 up to label, times grad_scale over the outputs of a sample."""
    return _absolute(data, label, grad_scale)


@operator(aliases=("_sparse_LogisticRegressionOutput",), shape=_regressed)
def LogisticRegressionOutput(data, label, *, grad_scale: float = 1.0):
    """sigmoid(data); its gradient is (output - label) * grad_scale over the number of outputs of a sample."""
    return _logistic(data, label, grad_scale)


def _svm_gradient(saved: Any, _: Any) -> tuple[Any, ...]:
    data, label, p = saved.args
    scores = data.reshape(-1, data.shape[-1])
    side = F.one_hot(label.long().flatten(), scores.shape[1]).to(data.dtype) * 2 - 1
    missing = p.margin - side * scores
    slope = (missing > 0).to(data.dtype) if p.use_linear else 2 * missing.clamp_min(0)
    return (-side * slope * p.regularization_coefficient).reshape(data.shape), None, None


@with_gradient(_svm_gradient)
def _svm(data: Any, label: Any, p: Any) -> Any:
    return data.clone()


def _classified(_: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data = unify(ins[0], outs[0], "output of SVMOutput")
    return [data, ins[1] if data is None else unify(ins[1], data[:-1], "label of SVMOutput")], [data]


@operator(shape=_classified)
def SVMOutput(data, label, *, margin: float = 1.0, regularization_coefficient: float = 1.0, use_linear: bool = False):
    """Data (n, classes) as it is; its gradient is that of the squared hinge loss, or with use_linear the hinge loss, of
    each class against the others, times regularization_coefficient.
    """
    p = Params(margin=margin, regularization_coefficient=regularization_coefficient, use_linear=use_linear)
    return _svm(data, label, p)
