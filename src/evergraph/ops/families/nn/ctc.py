"""Connectionist temporal classification."""

from typing import Any, Literal

from evergraph.ops.gradients import with_gradient
from evergraph.ops.lazy import F, torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify

__all__ = ["CTCLoss"]


def _lost(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data = ins[0]
    if data is None:
        return ins, outs
    batch = (data[1],)
    ins[1] = unify(ins[1], (data[1], None), "label of CTCLoss") if ins[1] is not None else None
    return [*ins[:2], *[unify(s, batch, "lengths of CTCLoss") for s in ins[2:]]], [batch, data]


def _types(_: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    kind = ins[0] or outs[0]
    return [kind, *[i or kind for i in ins[1:]]], [kind] * len(outs)


def _before(label: Any, padding: int) -> Any:
    """How many labels of each row stand before the first padding value."""
    return (label == padding).cumsum(1).eq(0).sum(1)


@operator(
    aliases=("_contrib_CTCLoss", "_contrib_ctc_loss", "ctc_loss", "_npx_ctc_loss"),
    shape=_lost,
    dtype=_types,
    outputs=2,
    visible=1,
    optional={
        "data_lengths": lambda p: p.use_data_lengths,
        "label_lengths": lambda p: p.use_label_lengths,
    },
)
def CTCLoss(
    data,
    label,
    data_lengths=None,
    label_lengths=None,
    *,
    use_data_lengths: bool = False,
    use_label_lengths: bool = False,
    blank_label: Literal["first", "last"] = "first",
):
    """The negative log likelihood (n,) of label (n, length) under data (time, n, alphabet), before its softmax.

    The blank is the alphabet's first or last entry. Without label_lengths a label ends before its first 0 (blank
    first) or -1 (blank last); without data_lengths every sequence is as long as data. A label
    that does not fit into its sequence costs 0.
    """
    blank, padding = (0, 0) if blank_label == "first" else (data.shape[2] - 1, -1)
    label = (label + 0.5).floor().long() if label.is_floating_point() else label.long()
    lengths = _before(label, padding) if label_lengths is None else label_lengths.long()
    times = (
        data.new_full((data.shape[1],), data.shape[0], dtype=torch.long)
        if data_lengths is None
        else data_lengths.long()
    )
    wide = data.float() if data.dtype in (torch.float16, torch.bfloat16) else data
    loss = torch.ctc_loss(F.log_softmax(wide, 2), label, times, lengths, blank, 0, True)
    return loss.to(data.dtype)


def _warp_gradient(saved: Any, _: Any) -> tuple[Any, ...]:
    data, label, label_length, input_length = saved.args
    batch = data.shape[0] // input_length
    label = label.long().reshape(batch, label_length)
    # blanks may stand anywhere in a label: a stable sort moves them behind the rest
    order = torch.argsort((label == 0).long(), dim=1, stable=True)
    with torch.enable_grad():
        leaf = data.detach().reshape(input_length, batch, -1).requires_grad_()
        times = torch.full((batch,), input_length, dtype=torch.long, device=data.device)
        loss = torch.ctc_loss(F.log_softmax(leaf, 2), label.gather(1, order), times, (label != 0).sum(1), 0, 2, True)
    return torch.autograd.grad(loss, leaf)[0].reshape(data.shape), None, None, None


@with_gradient(_warp_gradient)
def _warp(data: Any, label: Any, label_length: int, input_length: int) -> Any:
    return F.softmax(data, 1)


def _warped(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    data = unify(ins[0], outs[0], "output of WarpCTC")
    if data is not None and data[0] is not None and p.input_length:
        ins[1] = unify(ins[1], (p.label_length * (data[0] // p.input_length),), "label of WarpCTC")
    return [data, ins[1]], [data]


@operator(shape=_warped, dtype=lambda *_: (["float32", "int32"], ["float32"]))
def WarpCTC(data, label, *, label_length: int = 0, input_length: int = 0):
    """The softmax over the alphabet of data (input_length * n, alphabet); its gradient is that of the CTC loss with
    label (n * label_length,), in which 0 is the blank and stands for nothing.

    A plug-in of MXNet up to 1.x.
    """
    return _warp(data, label, label_length, input_length)
