"""Losses."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from evergraph.errors import ShapeError, UsageError, printable
from evergraph.mindspore.common import dtype as mstype
from evergraph.mindspore.common.tensor import unwrap, wrap
from evergraph.mindspore.nn.cell import Cell

__path__: list[str] = []  # programs import from modules below it

__all__ = ["CrossEntropyLoss", "LossBase", "SoftmaxCrossEntropyWithLogits"]


def reduced(losses: torch.Tensor, reduction: str) -> torch.Tensor:
    """The losses themselves, their mean or their sum."""
    return losses if reduction == "none" else losses.mean() if reduction == "mean" else losses.sum()


class LossBase(Cell):
    """A loss; a subclass defines `construct` and calls `get_loss`.

    Args:
        reduction: "mean", "sum" or "none".

    Raises:
        UsageError: no such reduction.
    """

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        if reduction not in ("mean", "sum", "none"):
            raise UsageError("reduction is mean, sum or none", found=printable(reduction))
        self.reduction = reduction

    def get_loss(self, x: Any, weights: Any = 1.0) -> Any:
        """The losses, weighted and reduced."""
        return wrap(self._reduced(x._torch * unwrap(weights)))

    def _reduced(self, losses: torch.Tensor) -> torch.Tensor:
        return reduced(losses, self.reduction)


Loss = _Loss = LossBase


def _class_indices(labels: torch.Tensor) -> torch.Tensor:
    return labels if labels.dtype == torch.int64 else labels.long()


class SoftmaxCrossEntropyWithLogits(LossBase):
    """-log softmax(logits) of the labels.

    Args:
        sparse: whether labels are class indices (N,), else probabilities (N, C).
        reduction: "mean", "sum" or "none".
    """

    def __init__(self, sparse: bool = False, reduction: str = "none") -> None:
        super().__init__(reduction)
        self.sparse = sparse

    def construct(self, logits: Any, labels: Any) -> Any:
        """The loss of logits (N, C)."""
        data, wanted = logits._torch, labels._torch
        if self.sparse:
            if wanted.dim() != 1 or wanted.shape[0] != data.shape[0]:
                raise ShapeError(
                    "sparse labels are one class index for each sample", expected=(data.shape[0],), found=labels.shape
                )
            return wrap(F.cross_entropy(data, _class_indices(wanted), reduction=self.reduction))
        return wrap(self._reduced(-(torch.log_softmax(data, -1) * wanted).sum(-1)))


class CrossEntropyLoss(LossBase):
    """Cross entropy of logits (N, C, ...) and class indices, or probabilities."""

    def __init__(
        self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0
    ) -> None:
        super().__init__(reduction)
        self.weight, self.ignore_index, self.label_smoothing = weight, ignore_index, label_smoothing

    def construct(self, logits: Any, labels: Any) -> Any:
        """The loss."""
        wanted = labels._torch
        if not wanted.is_floating_point():
            wanted = _class_indices(wanted)
        return wrap(
            F.cross_entropy(
                logits._torch,
                wanted,
                unwrap(self.weight),
                ignore_index=self.ignore_index,
                reduction=self.reduction,
                label_smoothing=self.label_smoothing,
            )
        )


def _simple(name: str, run: Callable[..., torch.Tensor], **defaults: Any) -> type[LossBase]:
    """A loss of two tensors: each pair's value by `run`, then the reduction; defaults in MindSpore's order."""

    def __init__(self: Any, *args: Any, **named: Any) -> None:
        known = defaults if "reduction" in defaults else defaults | {"reduction": "mean"}
        if len(args) > len(known) or named.keys() - known.keys():
            raise UsageError("no such argument", where=name, expected=", ".join(known))
        given = known | dict(zip(known, args, strict=False)) | named
        LossBase.__init__(self, given.pop("reduction"))
        self.arguments = given

    def construct(self: Any, logits: Any, labels: Any) -> Any:
        """The loss."""
        more = {k: unwrap(v) for k, v in self.arguments.items()}
        return wrap(self._reduced(run(logits._torch, labels._torch, **more)))

    body = {"__init__": __init__, "construct": construct, "__doc__": f"{name}, reduced.", "__module__": __name__}
    return type(name, (LossBase,), body)


def _smooth(x: torch.Tensor, y: torch.Tensor, beta: float) -> torch.Tensor:
    return F.smooth_l1_loss(x, y, beta=beta, reduction="none")


def _binary(x: torch.Tensor, y: torch.Tensor, weight: Any) -> torch.Tensor:
    return F.binary_cross_entropy(x, y, weight, reduction="none")


def _binary_logits(x: torch.Tensor, y: torch.Tensor, weight: Any, pos_weight: Any) -> torch.Tensor:
    return F.binary_cross_entropy_with_logits(x, y, weight, pos_weight=pos_weight, reduction="none")


MSELoss = _simple("MSELoss", lambda x, y: (x - y) ** 2)
L1Loss = _simple("L1Loss", lambda x, y: (x - y).abs())
MAELoss = _simple("MAELoss", lambda x, y: (x - y).abs())
SmoothL1Loss = _simple("SmoothL1Loss", _smooth, beta=1.0, reduction="none")
HuberLoss = _simple(
    "HuberLoss", lambda x, y, delta: F.huber_loss(x, y, delta=delta, reduction="none"), reduction="mean", delta=1.0
)
SoftMarginLoss = _simple("SoftMarginLoss", lambda x, y: F.soft_margin_loss(x, y, reduction="none"))
BCELoss = _simple("BCELoss", _binary, weight=None, reduction="mean")
BCEWithLogitsLoss = _simple("BCEWithLogitsLoss", _binary_logits, reduction="mean", weight=None, pos_weight=None)


class NLLLoss(LossBase):
    """-x of the labels' classes, for log-probabilities x (N, C, ...)."""

    def __init__(self, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.weight, self.ignore_index = weight, ignore_index

    def construct(self, logits: Any, labels: Any) -> Any:
        """The loss."""
        wanted, weight = _class_indices(labels._torch), unwrap(self.weight)
        return wrap(F.nll_loss(logits._torch, wanted, weight, ignore_index=self.ignore_index, reduction=self.reduction))


class KLDivLoss(Cell):
    """Kullback-Leibler divergence of log-probabilities from probabilities."""

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        self.reduction = reduction

    def construct(self, logits: Any, labels: Any) -> Any:
        """The loss."""
        return wrap(F.kl_div(logits._torch, labels._torch, reduction=self.reduction))


class CosineEmbeddingLoss(LossBase):
    """1 - cosine where the label is 1, max(0, cosine - margin) where it is -1."""

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def construct(self, logits_x1: Any, logits_x2: Any, labels: Any) -> Any:
        """The loss."""
        one, two, wanted = logits_x1._torch, logits_x2._torch, labels._torch
        return wrap(F.cosine_embedding_loss(one, two, wanted, self.margin, reduction=self.reduction))


class DiceLoss(LossBase):
    """1 - 2 |x y| / (|x| + |y|)."""

    def __init__(self, smooth: float = 1e-5) -> None:
        super().__init__()
        self.smooth = smooth

    def construct(self, logits: Any, label: Any) -> Any:
        """The loss."""
        one, two = logits._torch.flatten(), label._torch.to(mstype.float32.torch).flatten()
        total = (one * one).sum() + (two * two).sum()
        return wrap(1 - 2 * (one * two).sum() / (total + self.smooth))


HingeEmbeddingLoss = _simple(
    "HingeEmbeddingLoss",
    lambda x, y, margin: F.hinge_embedding_loss(x, y, margin, reduction="none"),
    margin=1.0,
    reduction="mean",
)
MultiLabelSoftMarginLoss = _simple(
    "MultiLabelSoftMarginLoss",
    lambda x, y, weight: F.multilabel_soft_margin_loss(x, y, weight, reduction="none"),
    weight=None,
    reduction="mean",
)
PoissonNLLLoss = _simple(
    "PoissonNLLLoss",
    lambda x, y, log_input, full, eps: F.poisson_nll_loss(x, y, log_input, full=full, eps=eps, reduction="none"),
    log_input=True,
    full=False,
    eps=1e-8,
    reduction="mean",
)


class RMSELoss(LossBase):
    """The root of the mean squared difference."""

    def __init__(self) -> None:
        super().__init__()

    def construct(self, logits: Any, label: Any) -> Any:
        """The loss."""
        return wrap(((logits._torch - label._torch) ** 2).mean().sqrt())


class MarginRankingLoss(LossBase):
    """max(0, -label * (x1 - x2) + margin)."""

    def __init__(self, margin: float = 0.0, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.margin = margin

    def construct(self, input1: Any, input2: Any, target: Any) -> Any:
        """The loss."""
        one, two, wanted = input1._torch, input2._torch, target._torch
        return wrap(F.margin_ranking_loss(one, two, wanted, self.margin, reduction=self.reduction))


class TripletMarginLoss(LossBase):
    """max(0, |x - positive| - |x - negative| + margin).

    Args:
        p: which norm the distances have.
        swap: whether the nearer of x and the positive counts for the negative.
        eps: added to the differences.
        reduction: "mean", "sum" or "none".
        margin: how much farther the negative is to be.
    """

    def __init__(
        self, p: int = 2, swap: bool = False, eps: float = 1e-6, reduction: str = "mean", margin: float = 1.0
    ) -> None:
        super().__init__(reduction)
        self.p, self.swap, self.eps, self.margin = p, swap, eps, margin

    def construct(self, x: Any, positive: Any, negative: Any, margin: Any = None) -> Any:
        """The loss."""
        wanted = self.margin if margin is None else float(margin)
        given = x._torch, positive._torch, negative._torch
        return wrap(F.triplet_margin_loss(*given, wanted, self.p, self.eps, self.swap, reduction=self.reduction))


class GaussianNLLLoss(LossBase):
    """Half of log variance + squared difference / variance.

    Args:
        full: whether the constant is added.
        eps: the smallest variance.
        reduction: "mean", "sum" or "none".
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.full, self.eps = full, eps

    def construct(self, logits: Any, labels: Any, var: Any) -> Any:
        """The loss."""
        given = logits._torch, labels._torch, var._torch
        return wrap(F.gaussian_nll_loss(*given, self.full, self.eps, self.reduction))
