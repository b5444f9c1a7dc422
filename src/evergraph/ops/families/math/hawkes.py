"""The log likelihood of marked self-exciting point processes."""

from typing import Any

from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, unify

__all__: list[str] = []


def _hawkes_shapes(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    lda, alpha, beta, state, lags, marks, valid, end = ins
    by_mark = unify(unify(lda, state, "the state"), outs[1], "the state")
    if by_mark is None:
        return ins, outs
    each, marks_shape = (by_mark[0],), unify(lags, marks, "the marks")
    rates = (by_mark[1],)
    found = [by_mark, unify(alpha, rates), unify(beta, rates), by_mark, marks_shape, marks_shape]
    return [*found, unify(valid, each), unify(end, each)], [unify(outs[0], each, "the likelihood"), by_mark]


def _hawkes_dtypes(p: Any, ins: list[str | None], outs: list[str | None]) -> tuple[list[str | None], list[str | None]]:
    found = ins[0] if ins[0] is not None else outs[0]
    return [found, found, found, found, found, ins[5] or "int32", found, found], [found, found]


@operator(shape=_hawkes_shapes, dtype=_hawkes_dtypes, outputs=("output", "out_state"))
def _contrib_hawkesll(lda, alpha, beta, state, lags, marks, valid_length, max_time):
    """The log likelihood (n,) of n sequences of events of k kinds, and the state (n, k) that they end in.

    Args:
        lda: (n, k) background rates.
        alpha: (k,) how strongly an event of a kind brings others of it.
        beta: (k,) how fast that fades.
        state: (n, k) what earlier events have left.
        lags: (n, t) times between events.
        marks: (n, t) kinds of the events.
        valid_length: (n,) how many events are real.
        max_time: (n,) end of the time observed.
    """
    kinds = marks.to(torch.int64)
    time = lags.cumsum(1)
    real = torch.arange(lags.shape[1], device=lags.device) < valid_length.unsqueeze(1)
    rate, mine = lda.gather(1, kinds), state.detach()
    grow, fade = alpha[kinds], beta[kinds]
    # what each earlier event of the same kind has left: all pairs at once, since the recursion over time is a sum
    before = torch.ones((lags.shape[1],) * 2, dtype=torch.bool, device=lags.device).tril(-1)
    pairs = before & (kinds.unsqueeze(2) == kinds.unsqueeze(1)) & real.unsqueeze(1)
    age = (time.unsqueeze(2) - time.unsqueeze(1)).masked_fill(~pairs, 0)
    left = (torch.exp(-fade.unsqueeze(2) * age) * pairs).sum(2) + mine.gather(1, kinds) * torch.exp(-fade * time)
    likelihood = (torch.log(rate + grow * fade * left).masked_fill(~real, 0)).sum(1)
    rest = torch.exp(-fade * (max_time.unsqueeze(1) - time)) * real
    member = torch.nn.functional.one_hot(kinds, lda.shape[1]).to(lda.dtype)
    faded = mine * torch.exp(-beta * max_time.unsqueeze(1))
    last = torch.einsum("nt,ntk->nk", rest, member) + faded
    count = torch.einsum("nt,ntk->nk", real.to(lda.dtype), member) + mine
    expected = (lda * max_time.unsqueeze(1) + alpha * (count - last)).sum(1)
    return likelihood - expected, last.detach()
