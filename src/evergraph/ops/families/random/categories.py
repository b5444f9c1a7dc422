"""Random choices: categories by their probabilities, places of an array, orders, and rare words."""

import math
from typing import Any, Literal

from evergraph.errors import OperatorError, ShapeError
from evergraph.ops.dtypes import torch_dtype
from evergraph.ops.families.random.draws import require
from evergraph.ops.lazy import torch
from evergraph.ops.registry import operator
from evergraph.ops.rules import Dims, elementwise, fixed_dtype, unify
from evergraph.ops.run import Run
from evergraph.ops.types import Axes, Doubles, Shape

__all__ = []


def _chosen(probabilities: Any, count: int, replace: bool, generator: Any) -> Any:
    """(rows, count) int64: categories drawn by each row's probabilities."""
    rows = probabilities.shape[0]
    if not rows or not count:
        return torch.empty((rows, count), dtype=torch.int64, device=probabilities.device)
    held = probabilities.detach()
    held = held if held.dtype == torch.float64 else held.to(torch.float32)
    return torch.multinomial(held, count, replace, generator=generator)


def _multinomial_rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if ins[0] is None:
        return ins, outs
    if not ins[0]:
        raise ShapeError("categories are drawn from a vector of probabilities, or rows of them", found=())
    found = (*ins[0][:-1], *p.shape) or (1,)
    return ins, [unify(o, found, "categories") for o in outs]


def _multinomial_dtype(p: Any, ins: list[str | None], outs: list[str | None]) -> Any:
    return ins, [p.dtype, ins[0]][: len(outs)]


@operator(
    aliases=("sample_multinomial",),
    shape=_multinomial_rule,
    dtype=_multinomial_dtype,
    outputs=lambda p: 2 if p.get_prob else 1,
)
def _sample_multinomial(
    data,
    *,
    shape: Shape = (),
    get_prob: bool = False,
    dtype: Literal["float16", "float32", "float64", "int32", "uint8"] = "int32",
    run: Run,
):
    """Categories drawn by the probabilities in the last axis of data, `shape` of them for each row.

    With `get_prob` also the logarithms of their probabilities, whose gradient is 1 / probability where it was drawn:
    what reinforcement learning multiplies by its reward.
    """
    if data.dim() == 0:
        raise ShapeError("categories are drawn from a vector of probabilities, or rows of them", found=())
    rows = data.reshape(-1, data.shape[-1])
    found = _chosen(rows, math.prod(shape), True, run.generator(data.device))
    sizes = (*data.shape[:-1], *shape) or (1,)
    categories = found.reshape(sizes).to(torch_dtype(dtype))
    if not get_prob:
        return categories
    return categories, torch.log(rows.gather(1, found)).reshape(sizes)


def _counts_rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    if p.pvals is None and ins[0] is None:
        return ins, outs
    kinds = len(p.pvals) if p.pvals is not None else ins[0][-1]  # type: ignore[index]
    return ins, [unify(outs[0], (*(p.size or ()), kinds), "counts of categories")]


@operator(
    shape=_counts_rule,
    dtype=fixed_dtype("int64"),
    optional={"a": lambda p: p.pvals is None},
    description={"pvals": ", optional, default=None"},
)
def _npi_multinomial(a: Any = None, *, n: int, pvals: Doubles | None = None, size: Axes | None = None, run: Run):
    """How often each category comes up in `n` draws, int64, `size` times over; the last takes what is left of 1."""
    weights = a.detach().to(torch.float64) if pvals is None else torch.tensor(pvals, dtype=torch.float64)
    if weights.dim() != 1 or (pvals is not None and sum(pvals) > 1 + 1e-12):
        raise OperatorError("multinomial takes a vector of probabilities that add up to 1", found=pvals)
    times, kinds = math.prod(size or ()), weights.shape[0]
    rest = (1 - weights[:-1].sum()).clamp(min=0).reshape(1)
    rows = torch.cat([weights[:-1], rest]).expand(times, kinds)
    found = _chosen(rows, max(n, 0), True, run.generator(weights.device))
    counts = torch.zeros((times, kinds), dtype=torch.int64, device=weights.device)
    return counts.scatter_add(1, found, torch.ones_like(found)).reshape(*(size or ()), kinds)


def _choice_rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    return ins, [unify(outs[0], p.size or (), "choices")]


@operator(
    shape=_choice_rule,
    dtype=fixed_dtype("int64"),
    optional={"input1": lambda p: p.a is None or p.weighted, "input2": lambda p: p.a is None and p.weighted},
    description={"a": ", required", "size": ", required"},
)
def _npi_choice(
    input1: Any = None,
    input2: Any = None,
    *,
    a: int | None,
    size: Axes | None,
    ctx: str = "cpu",
    replace: bool = True,
    weighted: bool = False,
    run: Run,
):
    """Places (int64) drawn out of `a` of them, or of those of an array, each as likely or by weights.

    The array comes first, the weights last, where they are given; without `replace` no place comes twice.
    """
    total = a if a is not None else input1.shape[0]
    shape, count = size or (), math.prod(size or ())
    weights = (input1 if a is not None else input2) if weighted else None
    if not replace and count > total:
        raise OperatorError("more places are wanted than there are", expected=f"up to {total}", found=count)
    device = input1.device if input1 is not None else torch.get_default_device()
    generator = run.generator(device)
    if weights is not None:
        found = _chosen(weights.reshape(1, -1), count, replace, generator)
    elif replace:
        found = torch.randint(total, (count,), generator=generator, device=device)
    else:
        found = torch.randperm(total, generator=generator, device=device)[:count]
    return found.reshape(shape)


@operator(aliases=("_npi_shuffle", "_np__random_shuffle", "shuffle"), shape=elementwise)
def _shuffle(data, *, run: Run):
    """The entries along the first axis in a random order."""
    if data.dim() == 0:
        raise ShapeError("a number cannot be shuffled", expected="one axis or more", found=())
    order = torch.randperm(data.shape[0], generator=run.generator(data.device), device=data.device)
    return data[order]


def _zipfian_rule(p: Any, ins: list[Dims], outs: list[Dims]) -> tuple[list[Dims], list[Dims]]:
    return ins, [unify(outs[0], p.shape, "samples"), unify(outs[1], p.shape[:1], "numbers of tries")]


def _log_uniform(range_max: int, rows: int, count: int, generator: Any, device: Any) -> Any:
    """(rows, count) int64: whole numbers below range_max whose logarithms are even."""
    share = torch.empty((rows, count), dtype=torch.float64, device=device).uniform_(generator=generator)
    return (torch.exp(share * math.log(range_max)) + 0.5).to(torch.int64) - 1


def _first_of_its_kind(drawn: Any) -> Any:
    """Where each row has a value for the first time."""
    ranked, order = torch.sort(drawn, dim=1, stable=True)
    new = torch.ones_like(ranked, dtype=torch.bool)
    new[:, 1:] = ranked[:, 1:] != ranked[:, :-1]
    return torch.empty_like(new).scatter_(1, order, new)


@operator(shape=_zipfian_rule, dtype=fixed_dtype("int64"), outputs=2)
def _sample_unique_zipfian(*, range_max: int, shape: Shape = None, run: Run):  # type: ignore[assignment]
    """Different whole numbers below `range_max` in each row, small ones more likely, and how many draws they took.

    The logarithms of the numbers are even, as the ranks of words in a text are; a draw that is in the row already is
    repeated. Both outputs are int64: (rows, count) and (rows,).
    """
    if shape is None or len(shape) != 2:
        raise ShapeError("zipfian samples have two axes: rows and samples in each", found=shape)
    rows, count = shape
    require(count <= range_max, "no more different numbers can be drawn than there are", count=count, below=range_max)
    device = torch.get_default_device()
    generator = run.generator(device)
    drawn = _log_uniform(range_max, rows, 2 * count, generator, device)
    new = _first_of_its_kind(drawn)
    while device.type != "meta" and rows and bool((new.sum(1) < count).any()):
        drawn = torch.cat([drawn, _log_uniform(range_max, rows, drawn.shape[1], generator, device)], 1)
        new = _first_of_its_kind(drawn)
    rank = torch.cumsum(new, 1)
    taken = new & (rank <= count)
    # a stable sort puts the taken draws in front, in the order in which they came
    order = torch.argsort((~taken).to(torch.int8), dim=1, stable=True)[:, :count]
    return drawn.gather(1, order), (rank < count).sum(1) + 1 if count else drawn.new_zeros(rows)
