"""`mx.gluon.loss`: losses, one value for each sample."""

import math
from typing import Any

from evergraph.errors import printable
from evergraph.mxnet import ndarray as nd
from evergraph.mxnet._state import STATE
from evergraph.mxnet.base import numeric_types
from evergraph.mxnet.gluon.errors import BlockValueError, ParameterFitError
from evergraph.mxnet.gluon.hybrid import HybridBlock

__all__ = [
    "CTCLoss",
    "CosineEmbeddingLoss",
    "HingeLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "L2Loss",
    "LogisticLoss",
    "Loss",
    "PoissonNLLLoss",
    "SDMLLoss",
    "SigmoidBCELoss",
    "SigmoidBinaryCrossEntropyLoss",
    "SoftmaxCELoss",
    "SoftmaxCrossEntropyLoss",
    "SquaredHingeLoss",
    "TripletLoss",
]


def _alike(F: Any, x: Any, y: Any) -> Any:
    """X in the shape of y."""
    if F is nd:
        return x.reshape(y.shape)
    return (F.npx if STATE.np_array else F).reshape_like(x, y)


class Loss(HybridBlock):
    """What all losses have.

    Args:
        weight: what the loss is multiplied with; None for 1.
        batch_axis: the axis of the samples.
        kwargs: as `HybridBlock` takes them.
    """

    def __init__(self, weight: float | None, batch_axis: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._weight, self._batch_axis = weight, batch_axis

    def __repr__(self) -> str:
        return f"{type(self).__name__}(batch_axis={self._batch_axis}, w={self._weight})"

    def _weighted(self, F: Any, loss: Any, weight: Any, sample_weight: Any) -> Any:
        if sample_weight is not None:
            loss = loss * sample_weight if STATE.np_array else F.broadcast_mul(loss, sample_weight)
        if weight is None:
            return loss
        if not isinstance(weight, numeric_types):
            raise ParameterFitError("weight must be a number", found=printable(weight))
        return loss * weight

    def _mean(self, F: Any, loss: Any, sample_weight: Any = None) -> Any:
        """The weighted loss's mean over all axes but the samples'."""
        return self._mean_of(F, self._weighted(F, loss, self._weight, sample_weight))

    def _mean_of(self, F: Any, loss: Any) -> Any:
        """The mean over all axes but the samples': under NumPy's semantics but the first one, as in MXNet."""
        if not STATE.np_array:
            return F.mean(loss, axis=self._batch_axis, exclude=True)
        if F is nd:
            return loss.mean(axis=tuple(range(1, loss.ndim)))
        return F.npx.batch_flatten(loss).mean(axis=1)


class L2Loss(Loss):
    """Half the squared difference.

    >>> L2Loss()(nd.array([[1, 2]]), nd.array([[3, 2]])).asnumpy()
    array([1.], dtype=float32)
    """

    def __init__(self, weight: float = 1.0, batch_axis: int = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """The loss of each sample."""
        loss = (F.np if STATE.np_array else F).square(_alike(F, label, pred) - pred)
        weighted = self._weighted(F, loss, None if self._weight is None else self._weight / 2, sample_weight)
        return self._mean_of(F, weighted)


class L1Loss(Loss):
    """The absolute difference."""

    def __init__(self, weight: float | None = None, batch_axis: int = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """The loss of each sample."""
        loss = (F.np if STATE.np_array else F).abs(_alike(F, label, pred) - pred)
        return self._mean(F, loss, sample_weight)


class SigmoidBinaryCrossEntropyLoss(Loss):
    """The cross entropy of two classes.

    Args:
        from_sigmoid: whether predictions went through the sigmoid already.
        weight: what the loss is multiplied with.
        batch_axis: the axis of the samples.
        kwargs: as `HybridBlock` takes them.
    """

    def __init__(
        self, from_sigmoid: bool = False, weight: float | None = None, batch_axis: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._from_sigmoid = from_sigmoid

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None, pos_weight: Any = None) -> Any:
        """The loss of each sample; `pos_weight` weighs what should be 1."""
        label = _alike(F, label, pred)
        space = F.np if STATE.np_array else F
        relu, times = (F.npx.relu, F.np.multiply) if STATE.np_array else (F.relu, F.broadcast_mul)
        if self._from_sigmoid:
            hit, miss = space.log(pred + 1e-12) * label, space.log(1.0 - pred + 1e-12) * (1.0 - label)
            loss = -((hit if pos_weight is None else times(hit, pos_weight)) + miss)
        else:
            # log(1 + exp(-|x|)) never overflows
            soft = (F.npx.activation if STATE.np_array else F.Activation)(-space.abs(pred), act_type="softrelu")
            if pos_weight is None:
                loss = relu(pred) - pred * label + soft
            else:
                scale = 1 + times(pos_weight - 1, label)
                loss = pred - pred * label + scale * (soft + relu(-pred))
        return self._mean(F, loss, sample_weight)


SigmoidBCELoss = SigmoidBinaryCrossEntropyLoss


class SoftmaxCrossEntropyLoss(Loss):
    """The cross entropy of several classes.

    Args:
        axis: the axis of the classes.
        sparse_label: whether labels are numbers of classes, and not probabilities.
        from_logits: whether predictions are logarithms of probabilities already.
        weight: what the loss is multiplied with.
        batch_axis: the axis of the samples.
        kwargs: as `HybridBlock` takes them.
    """

    def __init__(
        self,
        axis: int = -1,
        sparse_label: bool = True,
        from_logits: bool = False,
        weight: float | None = None,
        batch_axis: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._axis, self._sparse_label, self._from_logits = axis, sparse_label, from_logits

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """The loss of each sample."""
        space = F.npx if STATE.np_array else F
        if not self._from_logits:
            pred = space.log_softmax(pred, axis=self._axis)
        if self._sparse_label:
            loss = -space.pick(pred, label, axis=self._axis, keepdims=True)
        else:
            loss = -(pred * _alike(F, label, pred)).sum(axis=self._axis, keepdims=True)
        return self._mean(F, loss, sample_weight)


SoftmaxCELoss = SoftmaxCrossEntropyLoss


class KLDivLoss(Loss):
    """The divergence of Kullback and Leibler: how far predictions are from the labels' distribution.

    Args:
        from_logits: whether predictions are logarithms of probabilities already.
        axis: the axis of the classes.
        weight: what the loss is multiplied with.
        batch_axis: the axis of the samples.
        kwargs: as `HybridBlock` takes them.
    """

    def __init__(
        self,
        from_logits: bool = True,
        axis: int = -1,
        weight: float | None = None,
        batch_axis: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._from_logits, self._axis = from_logits, axis

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """The loss of each sample: summed over its axes, as in 1.9.1."""
        if not self._from_logits:
            pred = F.log_softmax(pred, axis=self._axis)
        loss = label * (F.log(label + 1e-12) - pred)
        return F.sum(self._weighted(F, loss, self._weight, sample_weight), axis=self._batch_axis, exclude=True)


class CTCLoss(Loss):
    """The connectionist temporal classification loss; the last class is the blank.

    Args:
        layout: order of the predictions' axes, "NTC" or "TNC".
        label_layout: order of the labels' axes, "NT" or "TN".
        weight: what the loss is multiplied with.
        kwargs: as `HybridBlock` takes them.

    Raises:
        AssertionError: another layout.
    """

    def __init__(
        self, layout: str = "NTC", label_layout: str = "NT", weight: float | None = None, **kwargs: Any
    ) -> None:
        if layout not in ("NTC", "TNC") or label_layout not in ("NT", "TN"):
            raise ParameterFitError(
                "a layout that CTCLoss does not know",
                expected="NTC or TNC; NT or TN",
                found=f"{layout}; {label_layout}",
            )
        self._layout, self._label_layout = layout, label_layout
        super().__init__(weight, label_layout.find("N"), **kwargs)

    def hybrid_forward(
        self,
        F: Any,
        pred: Any,
        label: Any,
        pred_lengths: Any = None,
        label_lengths: Any = None,
        sample_weight: Any = None,
    ) -> Any:
        """The loss of each sample."""
        if self._layout == "NTC":
            pred = F.swapaxes(pred, dim1=0, dim2=1)
        if self._batch_axis == 1:
            label = F.swapaxes(label, dim1=0, dim2=1)
        given = {"data_lengths": pred_lengths, "label_lengths": label_lengths}
        given = {k: v for k, v in given.items() if v is not None}
        loss = F.CTCLoss(
            pred,
            label,
            use_data_lengths=pred_lengths is not None,
            use_label_lengths=label_lengths is not None,
            blank_label="last",
            **given,
        )
        return self._weighted(F, loss, self._weight, sample_weight)


class HuberLoss(Loss):
    """Squared up to a difference of `rho`, linear beyond."""

    def __init__(self, rho: float = 1, weight: float | None = None, batch_axis: int = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._rho = rho

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """The loss of each sample."""
        loss = F.abs(_alike(F, label, pred) - pred)
        loss = F.where(loss > self._rho, loss - 0.5 * self._rho, (0.5 / self._rho) * F.square(loss))
        return self._mean(F, loss, sample_weight)


class HingeLoss(Loss):
    """How far predictions stay below a margin on the side of labels -1 and 1."""

    def __init__(self, margin: float = 1, weight: float | None = None, batch_axis: int = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._margin = margin

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """The loss of each sample."""
        return self._mean(F, F.relu(self._margin - pred * _alike(F, label, pred)), sample_weight)


class SquaredHingeLoss(Loss):
    """The square of the hinge loss."""

    def __init__(self, margin: float = 1, weight: float | None = None, batch_axis: int = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._margin = margin

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """The loss of each sample."""
        return self._mean(F, F.square(F.relu(self._margin - pred * _alike(F, label, pred))), sample_weight)


class LogisticLoss(Loss):
    """The logistic loss for labels -1 and 1 ("signed"), or 0 and 1 ("binary")."""

    def __init__(
        self, weight: float | None = None, batch_axis: int = 0, label_format: str = "signed", **kwargs: Any
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._label_format = label_format
        if label_format not in ("signed", "binary"):
            raise BlockValueError("label_format can only be signed or binary", found=label_format)

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        """The loss of each sample."""
        label = _alike(F, label, pred)
        if self._label_format == "signed":
            label = (label + 1.0) / 2.0
        loss = F.relu(pred) - pred * label + F.Activation(-F.abs(pred), act_type="softrelu")
        return self._mean(F, loss, sample_weight)


class TripletLoss(Loss):
    """How much nearer, by a margin, a positive example should be than a negative one."""

    def __init__(self, margin: float = 1, weight: float | None = None, batch_axis: int = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._margin = margin

    def hybrid_forward(self, F: Any, pred: Any, positive: Any, negative: Any) -> Any:
        """The loss of each sample."""
        positive, negative = _alike(F, positive, pred), _alike(F, negative, pred)
        nearer = F.square(positive - pred) - F.square(negative - pred)
        loss = F.relu(F.sum(nearer, axis=self._batch_axis, exclude=True) + self._margin)
        return self._weighted(F, loss, self._weight, None)


class PoissonNLLLoss(Loss):
    """The negative logarithm of a Poisson likelihood; the mean over everything.

    Args:
        weight: what the loss is multiplied with.
        from_logits: whether predictions are logarithms of rates.
        batch_axis: the axis of the samples.
        compute_full: whether Stirling's term is added.
        kwargs: as `HybridBlock` takes them.
    """

    def __init__(
        self,
        weight: float | None = None,
        from_logits: bool = True,
        batch_axis: int = 0,
        compute_full: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._from_logits, self._compute_full = from_logits, compute_full

    def hybrid_forward(self, F: Any, pred: Any, target: Any, sample_weight: Any = None, epsilon: float = 1e-08) -> Any:
        """The loss."""
        target = _alike(F, target, pred)
        loss = F.exp(pred) - target * pred if self._from_logits else pred - target * F.log(pred + epsilon)
        if self._compute_full:
            stirling = target * F.log(target) - target + 0.5 * F.log(2 * target * math.pi)
            loss = loss + stirling * (target > 1)
        weighted = self._weighted(F, loss, self._weight, sample_weight)
        return weighted.mean() if STATE.np_array else F.mean(weighted)


class CosineEmbeddingLoss(Loss):
    """1 minus the cosine for pairs that belong together (label 1), the cosine beyond a margin for others (-1)."""

    def __init__(self, weight: float | None = None, batch_axis: int = 0, margin: float = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._margin = margin

    def hybrid_forward(self, F: Any, input1: Any, input2: Any, label: Any, sample_weight: Any = None) -> Any:
        """The loss of each sample."""
        input1, label = _alike(F, input1, input2), label.reshape((-1, 1))
        lengths = F.norm(input1, axis=-1).reshape((-1, 1)) * F.norm(input2, axis=-1).reshape((-1, 1))
        cosine = F.sum(input1 * input2, axis=-1).reshape((-1, 1)) / F.clip(lengths, a_min=1e-12, a_max=3.4e38)
        apart = F.relu((label == -1) * (cosine - self._margin))
        return self._weighted(F, (1 - cosine) * (label == 1) + apart, self._weight, sample_weight)


class SDMLLoss(Loss):
    """The smoothed deep metric learning loss of a batch of pairs; the other pairs of the batch are its negatives.

    Args:
        smoothing_parameter: how much of the probability belongs to the other pairs.
        weight: what the loss is multiplied with.
        batch_axis: the axis of the samples.
        kwargs: as `HybridBlock` takes them.
    """

    def __init__(
        self, smoothing_parameter: float = 0.3, weight: float = 1.0, batch_axis: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self.kl_loss = KLDivLoss(from_logits=True)
        self.smoothing_parameter = smoothing_parameter

    def hybrid_forward(self, F: Any, x1: Any, x2: Any) -> Any:
        """The loss of each pair."""
        if x1.shape != x2.shape:
            raise ParameterFitError("both halves of the pairs have one shape", expected=x1.shape, found=x2.shape)
        count = x1.shape[0]
        distances = F.square(F.broadcast_sub(x1.expand_dims(1), x2.expand_dims(0))).sum(axis=2)
        gold = F.eye(count)
        labels = gold * (1 - self.smoothing_parameter) + (1 - gold) * self.smoothing_parameter / (count - 1)
        return self.kl_loss(F.log_softmax(-distances, axis=1), labels.as_in_context(distances.context))
